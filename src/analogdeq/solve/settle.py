"""`settle`: the one entry point of the physics."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from analogdeq.cores.core import Core
from analogdeq.errors import InputError, SettleError
from analogdeq.linalg.one_thread import one_thread
from analogdeq.solve import scipy_backend, torchdiffeq_backend
from analogdeq.solve.assemble import in_si_units, outcome_of_paths, trace_of_paths
from analogdeq.solve.native import settle_natively
from analogdeq.solve.options import NATIVE, SettleOptions
from analogdeq.solve.record import Record
from analogdeq.solve.settled import Settled
from analogdeq.solve.verdict import Verdict

FEW = 2**17
"""Numbers of which one thread makes less than others would wait for."""


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
    compiled: bool = True,
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
        compiled: whether samples may be settled by compiled code, where numba is installed: those of dense networks
            with tanh or sigmoid on a processor, by "auto", that are not recorded. Same equations, tolerances and
            certificates; they are stepped by their Taylor series, and last digits differ.

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
    with _few_threads(u, core) as threads:
        _check_input(core, u, z0, record)
        drive = core.drive(u)
        start = (core.initial_state(drive) if z0 is None else z0.detach()).contiguous()
        if method in NATIVE:
            outcome, trace = settle_natively(core, drive, start, options, record, threads if compiled else 0)
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


def _few_threads(u: Tensor, core: Core) -> AbstractContextManager[int]:
    """One thread where there is little to do before or after the settle; how many there are otherwise."""
    if isinstance(u, Tensor) and u.ndim == 2 and u.shape[0] * core.n_nodes <= FEW:
        return one_thread(u)
    return nullcontext(torch.get_num_threads())


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
