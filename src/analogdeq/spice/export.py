"""A netlist for people: as long as the settle takes, with the figures to expect in its header."""

from collections.abc import Mapping

from torch import Tensor

from analogdeq.chip import Chip
from analogdeq.errors import SettleError
from analogdeq.solve.options import SettleOptions
from analogdeq.spice.check import settle_recorded, stop_s
from analogdeq.spice.comparison import native_energy_J
from analogdeq.spice.netlist import netlist_of
from analogdeq.units import format_quantity


def export_netlist(chip: Chip, u: Tensor, options: SettleOptions, about: Mapping[str, str]) -> str:
    """The netlist of a chip and one input, with what this package finds as comments.

    Args:
        chip: what to export.
        u: (input,) [1]. One sample, before the DAC.
        options: how to settle it.
        about: further lines of the header, by name.

    Raises:
        InputError: if u has another shape or is not finite.
    """
    try:
        settled = settle_recorded(chip, u, options)
    except SettleError as error:
        return netlist_of(chip, u, about={**about, "expect": str(error)})
    t_settle_s = float(settled.t_settle_s[0])
    energy = ", ".join(f"{name} {format_quantity(J, 'J', 6)}" for name, J in native_energy_J(chip, settled).items())
    expected = {
        "expect": f"last outside a band of {options.band:g} after {format_quantity(t_settle_s, 's', 6)}",
        "expect until then": energy,
    }
    return netlist_of(chip, u, stop_s=stop_s(chip, u, settled), about={**about, **expected})
