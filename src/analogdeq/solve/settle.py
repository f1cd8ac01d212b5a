"""`settle`: the one entry point of the physics."""

import torch
from torch import Tensor

from analogdeq.cores.core import Core
from analogdeq.errors import InputError, SettleError
from analogdeq.solve import scipy_backend, torchdiffeq_backend
from analogdeq.solve.assemble import in_si_units, outcome_of_paths, trace_of_paths
from analogdeq.solve.bosh3 import BOSH3
from analogdeq.solve.loop import SettleLoop
from analogdeq.solve.options import NATIVE, SettleOptions
from analogdeq.solve.outcome import empty_outcome
from analogdeq.solve.record import Record, Recorder
from analogdeq.solve.rodas5p import RODAS5P
from analogdeq.solve.rosenbrock import Rosenbrock
from analogdeq.solve.runge_kutta import RungeKutta
from analogdeq.solve.settled import Settled
from analogdeq.solve.slabs import Batch, slabs
from analogdeq.solve.stepper import Stepper
from analogdeq.solve.switching import Switching
from analogdeq.solve.tableau import Tableau
from analogdeq.solve.tsit5 import TSIT5
from analogdeq.solve.verdict import Verdict

STAGE_TOLERANCE = 1e-2
"""Residual of a matrix-free stage, relative to `rtol`: no error estimate sees it. Energies that are smaller than the
largest by `rtol` times a millionth of this are not controlled."""

_TABLEAUX = {tableau.name: tableau for tableau in (TSIT5, BOSH3)}


@torch.no_grad()
def settle(
    core: Core,
    u: Tensor,
    *,
    method: str = "auto",
    rtol: float = 1e-3,
    atol: float = 1e-6,
    band: float = 1e-3,
    dwell_tau: float = 2.0,
    max_time_tau: float = 500.0,
    max_steps: int = 20_000,
    z0: Tensor | None = None,
    record: Record | None = None,
    throw: bool = False,
) -> Settled:
    """Integrate a core or a chip from power-on until every sample rests; physics only, never differentiated.

    ds = dt / tau;  rate_i = tau / tau_i;  dz_i/ds = rate_i (-z_i + F_i(z))

    Args:
        core: an ideal core, or a chip.
        u: (batch, input) [1]. Inputs, from -1 to +1 for a chip's DAC.
        method: "tsit5" or "bosh3", explicit; "rodas5p", implicit, for stiff circuits; "auto", which begins explicitly
            and moves stiff samples to the implicit one; or a reference back end, see `analogdeq.solve.options.METHODS`.
        rtol: local error per step relative to the remaining motion max |F(z) - z|.
        atol: local error per step besides, in units of full scale.
        band: half width of the band that defines the settling time, in units of full scale.
        dwell_tau: how long a sample must stay within half the band, where the linearised circuit cannot decide it.
        max_time_tau: time budget, in time constants.
        max_steps: budget of attempted steps per sample.
        z0: (batch, node) [1]. Where to start; discharged nodes if None.
        record: which samples' waveforms to record.
        throw: raise if a sample does not settle, instead of returning its verdict.

    Returns:
        One entry per sample: the equilibrium, when it was reached, at what energy, or why it was not.

    Raises:
        InputError: for unusable weights, shapes, dtypes or options. A NaN in one sample's input is that sample's
            verdict ("diverged"), not an error: the rest of the batch is sound.
        SettleError: with `throw`, naming the worst sample and what to do.
    """
    options = SettleOptions(
        method=method,
        rtol=rtol,
        atol=atol,
        band=band,
        dwell_tau=dwell_tau,
        max_time_tau=max_time_tau,
        max_steps=max_steps,
    )
    _check_input(core, u, z0, record)
    drive = core.drive(u)
    start = (core.initial_state(drive) if z0 is None else z0.detach()).contiguous()
    if method in NATIVE:
        with torch.inference_mode():  # spares the loop's many small operations autograd's bookkeeping
            recorder = None if record is None else Recorder(record, core, drive)
            outcome = empty_outcome(start, len(core.power_terms))
            batch = Batch(drive=drive, start=start, outcome=outcome, recorder=recorder)
            recorded = torch.tensor([] if record is None else record.samples, dtype=torch.int64, device=start.device)
            for index in slabs(u.shape[0], core.n_nodes, start.device, recorded):
                SettleLoop(core, batch, index, options, _stepper(options)).run()
            trace = None if recorder is None else recorder.finish()
    else:
        back_end = torchdiffeq_backend if method.startswith("torchdiffeq") else scipy_backend
        until_tau = torch.zeros(u.shape[0], dtype=torch.float64)
        if record is not None:
            until_tau[list(record.samples)] = record.until_tau
        judged = back_end.settle_paths(core, drive, start, options, until_tau.tolist())
        outcome = outcome_of_paths(judged, core, drive, start)
        trace = None if record is None else trace_of_paths(judged, core, drive, record)
    settled = in_si_units(core, drive, u, start, outcome, trace)
    if throw and not bool(settled.is_settled.all()):
        raise SettleError(_complaint(settled, core.tau_s, options))
    return settled


def _stepper(options: SettleOptions) -> Stepper:
    """The one-step method of that name."""
    tol = STAGE_TOLERANCE * options.rtol

    def implicit() -> Stepper:
        return Rosenbrock(RODAS5P, tol=tol)

    def explicit(tableau: Tableau) -> Stepper:
        return RungeKutta(tableau, tol=1e-6 * tol)

    if options.method == "auto":
        return Switching(explicit(TSIT5), implicit, options)
    return implicit() if options.method == RODAS5P.name else explicit(_TABLEAUX[options.method])


def _check_input(core: Core, u: Tensor, z0: Tensor | None, record: Record | None) -> None:
    """The whole contract, checked once."""
    if not isinstance(u, Tensor):
        raise InputError(f"u must be a torch tensor of shape (batch, {core.n_inputs}), not {type(u).__name__}")
    if u.ndim != 2 or u.shape[1] != core.n_inputs:
        raise InputError(f"u must have shape (batch, {core.n_inputs}), got {tuple(u.shape)}")
    if u.shape[0] == 0:
        raise InputError("u is an empty batch; there is nothing to settle")
    if z0 is not None and not isinstance(z0, Tensor):
        raise InputError(f"z0 must be a torch tensor of shape (batch, {core.n_nodes}), not {type(z0).__name__}")
    for name, value in (("u", u), ("z0", z0)):
        if value is not None and value.dtype != core.dtype:
            raise InputError(f"{name} is {value.dtype} but the core computes in {core.dtype}; convert one of them")
        if value is not None and value.device != core.device:
            raise InputError(f"{name} is on {value.device} but the core is on {core.device}; move one of them")
    if z0 is not None and z0.shape != (u.shape[0], core.n_nodes):
        raise InputError(f"z0 must have shape ({u.shape[0]}, {core.n_nodes}), got {tuple(z0.shape)}")
    if record is not None and max(record.samples) >= u.shape[0]:
        raise InputError(f"record asks for sample {max(record.samples)}, but the batch has {u.shape[0]}")
    if not core.is_finite():
        raise InputError("the core's weights hold NaN or infinity; no trajectory is defined")


def _complaint(settled: Settled, tau_s: float, options: SettleOptions) -> str:
    """What did not settle, how badly, and what to do."""
    verdicts = settled.verdict
    failed = [k for k, verdict in enumerate(verdicts) if verdict is not Verdict.SETTLED]
    worst = max(failed, key=lambda k: float(torch.nan_to_num(settled.residual[k], nan=torch.inf)))
    verdict = verdicts[worst]
    period = f", period {float(settled.period_s[worst]) / tau_s:.3g} tau" if verdict is Verdict.OSCILLATING else ""
    return (
        f"{len(failed)} of {len(verdicts)} samples did not settle within {options.max_time_tau:g} time constants "
        f"(worst: sample {worst}, {verdict.text}{period}, residual {float(settled.residual[worst]):.2e} after "
        f"{float(settled.t_end_s[worst]) / tau_s:.3g} tau). It is {verdict.advice}."
    )
