"""Record the waveforms of a few samples straight into a trace file."""

from pathlib import Path

import torch
from torch import Tensor

from analogdeq.chip import Chip
from analogdeq.oscillator_chip import AnyChip
from analogdeq.runs.evaluation import settle_with
from analogdeq.scenario import Scenario, dump_scenario
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.record import Record
from analogdeq.solve.settle import settle
from analogdeq.solve.settled import Settled
from analogdeq.trace import TraceHeader, TraceWriter

AFTER = 1.25
"""How long waveforms go on after the slowest sample has settled, as a multiple of its settling time."""


@torch.no_grad()
def record_waveforms(
    path: Path, chip: AnyChip, u: Tensor, options: SettleOptions, scenario: Scenario, provenance: dict[str, str]
) -> Settled:
    """Settle the inputs u (sample, input) and stream every one's waveforms to `path`, readable while they grow.

    The samples are settled once without recording to learn how long the recording must be.
    """
    plain = settle_with(chip, u, options)
    ends = torch.where(plain.is_settled, plain.t_settle_s, plain.t_end_s)
    header = TraceHeader(
        title=scenario.title or scenario.name,
        scenario_toml=dump_scenario(scenario),
        provenance=provenance,
        sample=torch.arange(u.shape[0]).numpy(),
        n_nodes=chip.n_nodes,
        terms=chip.power_terms,
        supply_terms=chip.supply_terms,
        energy_terms=tuple(plain.ledger.terms_J()) if plain.ledger is not None else (),
        band=options.band * chip.full_scale,
        unit_voltage_V=chip.circuit.unit_voltage_V if isinstance(chip, Chip) else None,
    )
    with TraceWriter(path, header, overwrite=True) as writer:
        record = Record(
            samples=tuple(range(u.shape[0])),
            interval_tau=scenario.trace.interval_tau,
            until_tau=AFTER * float(ends.max()) / chip.tau_s,
            sink=writer,
        )
        settled = settle(
            chip, u, method=options.method, rtol=options.rtol, atol=options.atol, band=options.band,
            dwell_tau=options.dwell_tau, max_time_tau=options.max_time_tau, max_steps=options.max_steps, record=record,
        )  # fmt: skip
        writer.finish(settled)
    return settled
