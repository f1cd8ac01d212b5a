"""From a back end's outcome to `Settled`: seconds, joules, and one form for every back end."""

import numpy as np
import torch
from torch import Tensor

from analogdeq.circuits.ledger import Accounted, Ledger
from analogdeq.circuits.oscillator_ledger import OscillatorLedger
from analogdeq.cores.core import Core, Drive
from analogdeq.solve.error_bound import ErrorBounds
from analogdeq.solve.flow import Flow
from analogdeq.solve.outcome import Outcome, empty_outcome
from analogdeq.solve.record import BLOCK, Record
from analogdeq.solve.reference import Judgement, Path
from analogdeq.solve.settled import Settled
from analogdeq.solve.sink import Sink, TraceInMemory
from analogdeq.solve.slabs import slabs
from analogdeq.solve.trace import Trace


def in_si_units(core: Core, drive: Drive, u: Tensor, start: Tensor, outcome: Outcome, trace: Trace | None) -> Settled:
    """Times in seconds, energies in joules, residuals and bounds evaluated where each sample came to rest."""
    tau = core.tau_s
    z = outcome.z
    residual = _residual(core, drive, outcome)
    power_W = _power_W(core, drive, z)
    ledger = _ledger(core, start, outcome, power_W)
    unknown = torch.full_like(outcome.time_end, torch.nan)
    return Settled(
        z=z,
        t_settle_s=outcome.time_settle * tau,
        t_end_s=outcome.time_end * tau,
        energy_J=unknown if ledger is None else ledger.total_J,
        ledger=ledger,
        verdict_code=outcome.verdict,
        residual=residual,
        error_bounds=ErrorBounds(core, drive, u, z, residual),
        period_s=outcome.period * tau,
        evaluations=outcome.evaluations,
        steps=outcome.steps,
        rejected=outcome.rejected,
        power_end_W=power_W,
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
    return outcome


def trace_of_paths(judged: list[tuple[Judgement, Path]], core: Core, drive: Drive, record: Record) -> Trace | None:
    """Waveforms read off the stored paths; None where a sink takes them. These back ends have no steps to log."""
    memory = TraceInMemory(record.samples, core.n_nodes, core.power_terms)
    sink: Sink = memory if record.sink is None else record.sink
    ends = [float(judged[k][1].time[-1]) for k in record.samples]
    grid = np.arange(np.floor(max(ends) / record.interval_tau + 1e-9) + 1, dtype=np.float64) * record.interval_tau
    for position, (k, end) in enumerate(zip(record.samples, ends, strict=True)):
        n_rows = int(np.floor(end / record.interval_tau + 1e-9)) + 1
        for first in range(0, n_rows, BLOCK):
            times = np.minimum(grid[first : min(first + BLOCK, n_rows)], end)
            z = torch.as_tensor(np.stack([judged[k][1].dense(t)[0] for t in times.tolist()])).to(drive.current)
            rows = drive.rows(torch.full((times.size,), k, device=z.device))
            flow = Flow(core, rows)
            power = flow(flow.start(z))[:, core.n_nodes :]
            residual = (core.fixed_point_map(z, rows) - z).abs().amax(1)
            sink.write(position, first, *(x.cpu().numpy().astype(np.float32) for x in (z, power, residual)))
    sink.complete(grid * core.tau_s)
    return memory.trace() if record.sink is None else None


@torch.no_grad()
def _residual(core: Core, drive: Drive, outcome: Outcome) -> Tensor:
    """(batch,) float64 [1]. max |F(z) - z|, evaluated where the back end did not."""
    is_new = torch.isnan(outcome.residual)
    if not bool(is_new.any()):
        return outcome.residual
    residual = (core.fixed_point_map(outcome.z, drive) - outcome.z).abs().amax(1).to(torch.float64)
    return torch.where(is_new, residual, outcome.residual)


@torch.no_grad()
def _power_W(core: Core, drive: Drive, z: Tensor) -> Tensor:
    """(batch, term) float64 [W]: what staying at z draws; the last step of a settle ends beside it, inside the band."""
    power_W = torch.zeros(z.shape[0], len(core.power_terms), dtype=torch.float64, device=z.device)
    if not core.power_terms:
        return power_W
    nobody = torch.empty(0, dtype=torch.int64, device=z.device)
    everyone = torch.arange(z.shape[0], device=z.device)
    for rows in slabs(everyone, core.n_nodes, nobody):
        flow = Flow(core, drive.rows(rows))
        power_W[rows] = flow(flow.start(z[rows]))[:, core.n_nodes :].to(torch.float64)
    return power_W


def _ledger(core: Core, start: Tensor, outcome: Outcome, power_W: Tensor) -> Ledger | OscillatorLedger | None:
    if not core.power_terms or not isinstance(core, Accounted):
        return None
    readout_s = torch.where(torch.isnan(outcome.time_settle), outcome.time_end, outcome.time_settle) * core.tau_s
    return core.ledger(outcome.energy * core.tau_s, power_W, readout_s, start, outcome.z_readout)
