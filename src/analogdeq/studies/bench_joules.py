"""What counting joules costs a settle: the weights a chip realises, settled with and without its power."""

from typing import Any

from torch import Tensor

from analogdeq.chip import Chip
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.converters import Converter
from analogdeq.cores.rc import RCCore
from analogdeq.solve.settle import settle
from analogdeq.studies.timing import timed

G_MIN_S, G_MAX_S = 0.25e-6, 25e-6
FREE = Converter(bits=24, energy_J=0.0)


def bench_joules(core: RCCore, u: Tensor, repeat: int) -> list[dict[str, Any]]:
    """A row for the realised weights as an ideal core and one for the chip, whose solver integrates every power term.

    The chip has ideal devices; its circuit gives all nodes one time constant, whatever those of `core` are.

    Args:
        core: the ideal core.
        u: (batch, input) [1]. What lies outside -1 to +1 is clipped by the chip's converters.
        repeat: timed runs of each.
    """
    chip = Chip(core, CrossbarCircuit(g_min_S=G_MIN_S, g_max_S=G_MAX_S, dac=FREE, adc=FREE))
    level = chip.circuit.dac.quantise(u)
    bare_times = timed(lambda: settle(chip.core, level), repeat, core.device)
    times = timed(lambda: settle(chip, u), repeat, core.device)
    bare, out = settle(chip.core, level), settle(chip, u)
    difference = float(((out.t_settle_s - bare.t_settle_s).abs() / bare.t_settle_s).max())
    return [
        _row("its weights alone", 0, bare_times, bare_times, float(bare.evaluations.double().mean()), 0.0),
        _row("chip", len(chip.power_terms), times, bare_times, float(out.evaluations.double().mean()), difference),
    ]


def _row(
    name: str,
    n_terms: int,
    times: tuple[float, float],
    bare_times: tuple[float, float],
    evaluations: float,
    difference: float,
) -> dict[str, Any]:
    return {
        "core": name,
        "terms": n_terms,
        "ms": 1e3 * times[0],
        "ms_min": 1e3 * times[1],
        "evaluations": evaluations,
        "over_bare": times[0] / bare_times[0],
        "difference": difference,
    }
