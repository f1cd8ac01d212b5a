"""What a writer is handed must fit its file: checked before anything is written."""

import numpy as np

from analogdeq.errors import InputError
from analogdeq.solve.settled import Settled
from analogdeq.solve.trace import Float32, Float64, StepLog, Steps
from analogdeq.trace.header import TraceHeader
from analogdeq.trace.result import TraceResult, result_of


def check_shapes(
    header: TraceHeader, axes: dict[str, int], state: Float32, power_W: Float32, residual: Float32
) -> None:
    """Refuse arrays that are not (*axes, node), (*axes, term) and (*axes).

    Raises:
        InputError: naming the array, its shape and the one expected.
    """
    for name, values, last in (
        ("state", state, {"node": header.n_nodes}),
        ("power_W", power_W, {"term": len(header.terms)}),
        ("residual", residual, {}),
    ):
        expected = axes | last
        shape = tuple(expected.values())
        if values.shape != shape:
            raise InputError(f"{name} has shape {values.shape}; expected {shape} = ({', '.join(expected)})")


def check_times(time_s: Float64, last_s: float) -> None:
    """Refuse times that do not go on from the last one written.

    Raises:
        InputError: if they are no vector, or not finite and increasing.
    """
    if time_s.ndim != 1:
        raise InputError(f"time_s has shape {time_s.shape}; expected (time,)")
    if not (np.isfinite(time_s).all() and (np.diff(time_s, prepend=last_s) > 0).all()):
        raise InputError(f"time_s must be finite, increasing and later than {last_s:g} s, the last time written")


def check_log(header: TraceHeader, log: StepLog) -> None:
    """Refuse attempts of samples that are not recorded.

    Raises:
        InputError: naming the positions.
    """
    if log.position.size and not 0 <= log.position.min() <= log.position.max() < header.sample.size:
        raise InputError(
            f"attempts of samples {log.position.min()} to {log.position.max()} were logged, "
            f"but {header.sample.size} samples are recorded"
        )


def check_steps(header: TraceHeader, steps: Steps) -> None:
    """Refuse a table that is not of the recorded samples.

    Raises:
        InputError: if `row_size` and the columns disagree.
    """
    if steps.row_size.shape != header.sample.shape or steps.row_size.sum() != steps.time_s.size:
        raise InputError(
            f"steps.row_size must count the attempts of each of the {header.sample.size} recorded samples, "
            f"{steps.time_s.size} in all; it is {steps.row_size.tolist()}"
        )


def checked_result(header: TraceHeader, settled: Settled) -> TraceResult:
    """The results of the recorded samples.

    Raises:
        InputError: if `settled` is of another batch, network or ledger.
    """
    batch = len(settled.z)
    if header.sample.max() >= batch or header.sample.min() < 0:
        raise InputError(f"sample {header.sample.max()} was recorded, but only {batch} samples were settled")
    if settled.z.shape[1:] != (header.n_nodes,):
        raise InputError(f"z has shape {tuple(settled.z.shape)}; expected ({batch}, {header.n_nodes}) = (batch, node)")
    result = result_of(settled, header.sample)
    if tuple(result.energy_terms_J) != header.energy_terms:
        raise InputError(f"the ledger has {list(result.energy_terms_J)}; the file has {list(header.energy_terms)}")
    return result
