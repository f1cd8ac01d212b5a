"""From a back end's outcome to `Settled`: seconds, joules, and one form for every back end."""

import numpy as np
import torch
from torch import Tensor

from analogdeq.chip import Chip
from analogdeq.circuits.ledger import Ledger
from analogdeq.cores.core import Core, Drive
from analogdeq.solve.flow import Flow
from analogdeq.solve.outcome import Outcome, empty_outcome
from analogdeq.solve.record import Record
from analogdeq.solve.reference import Judgement, Path
from analogdeq.solve.settled import Settled
from analogdeq.solve.trace import Steps, Trace


def in_si_units(core: Core, drive: Drive, start: Tensor, outcome: Outcome, trace: Trace | None) -> Settled:
    """Times in seconds, energies in joules, residuals and bounds evaluated where each sample came to rest."""
    tau = core.tau_s
    z = outcome.z.clone()  # a tensor of its own, which autograd may save
    residual_vector = (core.fixed_point_map(z, drive) - z).to(torch.float64)
    gap = core.contraction_gap()
    norm = torch.linalg.vector_norm(residual_vector, dim=1)
    ledger = _ledger(core, start, outcome)
    unknown = torch.full_like(outcome.time_end, torch.nan)
    return Settled(
        z=z,
        t_settle_s=outcome.time_settle * tau,
        t_end_s=outcome.time_end * tau,
        energy_J=unknown if ledger is None else ledger.total_J,
        ledger=ledger,
        verdict_code=outcome.verdict.clone(),
        residual=residual_vector.abs().amax(1),
        error_bound=norm / gap if gap > 0 else unknown,
        period_s=outcome.period * tau,
        evaluations=outcome.evaluations.clone(),
        steps=outcome.steps.clone(),
        rejected=outcome.rejected.clone(),
        power_end_W=outcome.power_W.clone(),
        trace=trace,
    )


def outcome_of_paths(judged: list[tuple[Judgement, Path]], core: Core, drive: Drive, start: Tensor) -> Outcome:
    """The outcome of a reference back end. It knows no steps of its own, so those counts stay 0."""
    outcome = empty_outcome(start, len(core.power_terms))
    for k, (judgement, path) in enumerate(judged):
        outcome.z[k] = torch.as_tensor(judgement.z).to(start)
        outcome.z_readout[k] = torch.as_tensor(judgement.z_readout)
        outcome.energy[k] = torch.as_tensor(judgement.energy)
        outcome.time_settle[k] = judgement.time_settle
        outcome.time_end[k] = float(path.time[-1])
        outcome.verdict[k] = int(judgement.verdict)
        outcome.period[k] = judgement.period
        outcome.evaluations[k] = path.evaluations
    outcome.power_W[:] = Flow(core, drive)(Flow(core, drive).start(outcome.z))[:, core.n_nodes :]
    return outcome


def trace_of_paths(judged: list[tuple[Judgement, Path]], core: Core, drive: Drive, record: Record) -> Trace:
    """Waveforms read off the stored paths."""
    samples = np.array(record.samples, np.int64)
    ends = [float(judged[k][1].time[-1]) for k in record.samples]
    grid = np.arange(np.floor(max(ends) / record.interval_tau + 1e-9) + 1, dtype=np.float64) * record.interval_tau
    shape = (grid.size, samples.size)
    state = np.full((*shape, core.n_nodes), np.nan, np.float32)
    power = np.full((*shape, len(core.power_terms)), np.nan, np.float32)
    residual = np.full(shape, np.nan, np.float32)
    for column, k in enumerate(record.samples):
        path = judged[k][1]
        n_rows = int(np.floor(path.time[-1] / record.interval_tau + 1e-9)) + 1
        z = torch.as_tensor(np.stack([path.dense(min(t, path.time[-1]))[0] for t in grid[:n_rows]])).to(drive.current)
        rows = drive.rows(torch.full((n_rows,), k, device=z.device))
        state[:n_rows, column] = z.cpu().numpy()
        flow = Flow(core, rows)
        power[:n_rows, column] = flow(flow.start(z))[:, core.n_nodes :].cpu().numpy()
        residual[:n_rows, column] = (core.fixed_point_map(z, rows) - z).abs().amax(1).cpu().numpy()
    if record.sink is not None:
        record.sink.append(grid * core.tau_s, state, power, residual)
    no_steps = np.empty(0, np.float64)
    return Trace(
        time_s=grid * core.tau_s,
        sample=samples,
        state=state,
        power_W=power,
        terms=core.power_terms,
        residual=residual,
        steps=Steps(
            row_size=np.zeros(samples.size, np.int64),
            time_s=no_steps,
            dt_s=no_steps,
            error_norm=no_steps,
            accepted=np.empty(0, bool),
        ),
    )


def _ledger(core: Core, start: Tensor, outcome: Outcome) -> Ledger | None:
    if not isinstance(core, Chip):
        return None
    readout_s = torch.where(torch.isnan(outcome.time_settle), outcome.time_end, outcome.time_settle) * core.tau_s
    return core.ledger(outcome.energy * core.tau_s, outcome.power_W, readout_s, start, outcome.z_readout)
