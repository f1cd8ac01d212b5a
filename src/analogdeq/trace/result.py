"""How the recorded samples ended."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
from torch import Tensor

from analogdeq.solve.settled import Settled
from analogdeq.solve.trace import Float64
from analogdeq.solve.verdict import Verdict

Int64 = npt.NDArray[np.int64]


@final
@dataclass(frozen=True, kw_only=True)
class TraceResult:
    """The rows of a `Settled` that a trace recorded, as numpy arrays; each field means what it means there.

    Attributes:
        z: (sample, node) [1].
        t_settle_s: (sample,) [s].
        t_end_s: (sample,) [s].
        energy_J: (sample,) [J].
        energy_terms_J: (sample,) [J] by term, in the order of the ledger; empty for a bare core.
        residual: (sample,) [1].
        error_bound: (sample,) [1].
        period_s: (sample,) [s].
        evaluations: (sample,) int64.
        steps: (sample,) int64.
        rejected: (sample,) int64.
        verdict_code: (sample,) uint8.
    """

    z: Float64
    t_settle_s: Float64
    t_end_s: Float64
    energy_J: Float64
    energy_terms_J: dict[str, Float64]
    residual: Float64
    error_bound: Float64
    period_s: Float64
    evaluations: Int64
    steps: Int64
    rejected: Int64
    verdict_code: npt.NDArray[np.uint8]

    @property
    def verdict(self) -> list[Verdict]:
        """One `Verdict` per sample."""
        return [Verdict(code) for code in self.verdict_code.tolist()]


def result_of(settled: Settled, sample: Iterable[int]) -> TraceResult:
    """The rows `sample` of `settled`."""
    rows = list(sample)

    def pick(values: Tensor) -> npt.NDArray:
        return values.detach().cpu()[rows].numpy()

    terms = settled.ledger.terms_J() if settled.ledger is not None else {}
    return TraceResult(
        z=pick(settled.z).astype(np.float64),
        t_settle_s=pick(settled.t_settle_s),
        t_end_s=pick(settled.t_end_s),
        energy_J=pick(settled.energy_J),
        energy_terms_J={name: pick(values) for name, values in terms.items()},
        residual=pick(settled.residual),
        error_bound=pick(settled.error_bound),
        period_s=pick(settled.period_s),
        evaluations=pick(settled.evaluations),
        steps=pick(settled.steps),
        rejected=pick(settled.rejected),
        verdict_code=pick(settled.verdict_code),
    )
