"""This package's own settles: compiled code where there is some, the loop for everything else."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

import torch
from torch import Tensor

from analogdeq.cores.core import Core, Drive
from analogdeq.linalg.one_thread import one_thread
from analogdeq.solve.bosh3 import BOSH3
from analogdeq.solve.loop import SettleLoop
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.outcome import Outcome, empty_outcome
from analogdeq.solve.record import Record, Recorder
from analogdeq.solve.rodas5p import RODAS5P
from analogdeq.solve.rosenbrock import Rosenbrock
from analogdeq.solve.runge_kutta import RungeKutta
from analogdeq.solve.slabs import Batch, slabs
from analogdeq.solve.stepper import Stepper
from analogdeq.solve.switching import Switching
from analogdeq.solve.tableau import Tableau
from analogdeq.solve.trace import Trace
from analogdeq.solve.tsit5 import TSIT5

STAGE_TOLERANCE = 1e-2
"""Residual of a matrix-free stage, relative to `rtol`: no error estimate sees it."""
UNSEEN = 1e-8
"""Times rtol, of the largest energy: errors of energies below it are not controlled."""
NUMBA = "0.68."
"""Releases of numba that compile `analogdeq.solve.compiled`; what is stamped there is private to numba."""

_TABLEAUX = {tableau.name: tableau for tableau in (TSIT5, BOSH3)}


def settle_natively(
    core: Core, drive: Drive, start: Tensor, options: SettleOptions, record: Record | None, threads: int
) -> tuple[Outcome, Trace | None]:
    """Settle a batch.

    Args:
        core: the network.
        drive: its constant drive, a row per sample.
        start: (batch, node). Where it begins.
        options: of the settle.
        record: which waveforms to record; the loop settles those samples.
        threads: of the processor, for compiled code; none of it runs on 0.
    """
    outcome = empty_outcome(start, len(core.power_terms))  # outside of inference mode: autograd may save these
    with torch.inference_mode(), one_thread(start):
        # Spared are autograd's bookkeeping for the loop's many small operations, and torch's own threads, which would
        # keep the processors from those of compiled code.
        recorder = None if record is None else Recorder(record, core, drive)
        batch = Batch(drive=drive, start=start, outcome=outcome, recorder=recorder)
        _settle(core, batch, () if record is None else record.samples, options, threads)
        return outcome, None if recorder is None else recorder.finish()


def _settle(core: Core, batch: Batch, samples: tuple[int, ...], options: SettleOptions, threads: int) -> None:
    """By compiled code but for the recorded `samples`, and what it leaves by the loop."""
    left = torch.arange(batch.start.shape[0], device=batch.start.device)
    recorded = torch.tensor(samples, dtype=torch.int64, device=batch.start.device)
    if threads and options.method == "auto" and has_numba():
        from analogdeq.solve.compiled.sprint import sprint  # takes a second, and numba is not always there

        plain = left[~torch.isin(left, recorded)] if samples else left
        left = torch.cat((recorded, sprint(core, batch, plain, options, threads, UNSEEN * options.rtol)))
    for index in slabs(left, core.n_nodes, recorded):
        SettleLoop(core, batch, index, options, _stepper(options)).run()


@cache
def has_numba() -> bool:
    """Whether there is a compiler for `analogdeq.solve.compiled`, of a release that it was tried with."""
    try:
        return version("numba").startswith(NUMBA)
    except PackageNotFoundError:
        return False


def _stepper(options: SettleOptions) -> Stepper:
    """The one-step method of that name."""
    tol = STAGE_TOLERANCE * options.rtol

    def implicit() -> Stepper:
        return Rosenbrock(RODAS5P, tol=tol)

    def explicit(tableau: Tableau) -> Stepper:
        return RungeKutta(tableau, tol=UNSEEN * options.rtol)

    if options.method == "auto":
        return Switching(explicit(TSIT5), implicit, options)
    return implicit() if options.method == RODAS5P.name else explicit(_TABLEAUX[options.method])
