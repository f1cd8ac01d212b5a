"""What a settle returns: results as data, one entry per sample."""

from dataclasses import dataclass

import torch
from torch import Tensor

from analogdeq.circuits.ledger import Ledger
from analogdeq.circuits.oscillator_ledger import OscillatorLedger
from analogdeq.solve.error_bound import Bound, ErrorBounds
from analogdeq.solve.trace import Trace
from analogdeq.solve.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Settled:
    """One settle of a batch: where each sample came to rest, when, at what energy, or why it did not.

    Attributes:
        z: (batch, node) [1]. The equilibrium reached; where there is none, the last state.
        t_settle_s: (batch,) float64 [s]. The last time the trajectory is outside the band; NaN unless settled.
        t_end_s: (batch,) float64 [s]. Where the integration stopped, or the exit that the linearised circuit told.
        energy_J: (batch,) float64 [J]. `ledger.total_J`; NaN for a core without a circuit.
        ledger: the energy term by term; None for a core without a circuit.
        verdict_code: (batch,) uint8. A `Verdict` each.
        residual: (batch,) float64 [1]. max |F(z) - z| at `z`.
        error_bounds: how far `z` is from the equilibrium at the most, see `error_bound`.
        period_s: (batch,) float64 [s]. Period of the limit cycle; NaN unless oscillating.
        evaluations: (batch,) int64. Evaluations of the derivative spent on each sample.
        steps: (batch,) int64. Accepted steps.
        rejected: (batch,) int64. Rejected steps.
        power_end_W: (batch, term) float64 [W]. Power of each of the core's terms where the integration stopped: for a
            settled sample, what holding it costs.
        trace: the waveforms, where recording was asked for and no sink took them.
    """

    z: Tensor
    t_settle_s: Tensor
    t_end_s: Tensor
    energy_J: Tensor
    ledger: Ledger | OscillatorLedger | None
    verdict_code: Tensor
    residual: Tensor
    error_bounds: ErrorBounds
    period_s: Tensor
    evaluations: Tensor
    steps: Tensor
    rejected: Tensor
    power_end_W: Tensor | None = None
    trace: Trace | None = None

    @property
    def error_bound(self) -> Tensor:
        """(batch,) float64 [1]. ||z - z*||_2 is at most this, proven in double precision; NaN where nothing is.

        Computed when first asked for, because a local bound takes a matrix inverse per sample; until then the core
        must keep its weights, or nothing is proven.
        """
        return self.error_bounds.value

    @property
    def error_bound_kind(self) -> list[Bound]:
        """One `Bound` per sample: which proof holds."""
        return [Bound(code) for code in self.error_bounds.kind.tolist()]

    @property
    def verdict(self) -> list[Verdict]:
        """One `Verdict` per sample."""
        return [Verdict(code) for code in self.verdict_code.tolist()]

    @property
    def is_settled(self) -> Tensor:
        """(batch,) bool."""
        return self.verdict_code == int(Verdict.SETTLED)

    def count(self, verdict: Verdict) -> int:
        """How many samples got this verdict."""
        return int(torch.count_nonzero(self.verdict_code == int(verdict)))
