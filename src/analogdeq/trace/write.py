"""Write a settle that is already over to a trace file."""

from collections.abc import Sequence
from os import PathLike

from analogdeq.errors import InputError
from analogdeq.solve.settled import Settled
from analogdeq.trace.header import TraceHeader
from analogdeq.trace.writer import TraceWriter


def write_trace(
    path: str | PathLike[str],
    settled: Settled,
    *,
    title: str,
    scenario_toml: str,
    provenance: dict[str, str],
    band: float,
    supply_terms: Sequence[str],
    unit_voltage_V: float | None = None,
    overwrite: bool = False,
) -> None:
    """Write the waveforms of `settled.trace` with the results of the samples it recorded.

    Args:
        path: the finished file; usually ends in ".h5".
        settled: a settle that recorded waveforms without a sink.
        title: what a viewer shows above the plot.
        scenario_toml: the resolved scenario, as text.
        provenance: names and values, see `analogdeq.trace.provenance`.
        band: [1]. Half width of the band around the equilibrium that the settling times are for, in units of z.
        supply_terms: the power terms that add up to the power drawn from the supply; the others are parts of these.
            Empty for a bare core.
        unit_voltage_V: volts per unit of z; None for a bare core.
        overwrite: replace a finished file, or one that a dead run left behind.

    Raises:
        InputError: if `settled` recorded nothing, or something does not fit together.
        TraceError: if the file cannot be written.
    """
    trace = settled.trace
    if trace is None:
        raise InputError(
            "this settle recorded no waveforms, or a sink has them; ask settle to record some samples without a sink"
        )
    header = TraceHeader(
        title=title,
        scenario_toml=scenario_toml,
        provenance=provenance,
        sample=trace.sample,
        n_nodes=trace.state.shape[-1],
        terms=trace.terms,
        supply_terms=tuple(supply_terms),
        energy_terms=tuple(settled.ledger.terms_J()) if settled.ledger is not None else (),
        band=band,
        unit_voltage_V=unit_voltage_V,
    )
    with TraceWriter(path, header, overwrite=overwrite) as writer:
        writer.append(trace.time_s, trace.state, trace.power_W, trace.residual)
        writer.finish(settled, trace.steps)
