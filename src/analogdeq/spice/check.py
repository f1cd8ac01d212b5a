"""Settle one sample twice, with this package and with ngspice, and compare."""

import math

from torch import Tensor

from analogdeq.chip import Chip
from analogdeq.solve.options import SettleOptions
from analogdeq.solve.record import Record
from analogdeq.solve.settle import settle
from analogdeq.solve.settled import Settled
from analogdeq.spice.answer import SpiceAnswer, answer_of
from analogdeq.spice.comparison import SpiceComparison, compare
from analogdeq.spice.netlist import netlist_of
from analogdeq.spice.ngspice import find_ngspice, ngspice_version, run_ngspice

REST_OF_BAND = 1e-4
"""ngspice runs until its last state is this much of a band from its equilibrium, which it stands for."""
LEAST_TAU = 10.0


def spice_check(chip: Chip, u: Tensor, options: SettleOptions | None = None, *, timeout_s: float = 600.0) -> SpiceComparison:
    """Settle one input on a chip and in ngspice.

    Args:
        chip: the chip.
        u: (input,) [1]. One sample, before the DAC.
        options: how this package settles it; its defaults if None. ngspice always runs as `netlist.OPTIONS` say.
        timeout_s: [s]. How long ngspice may run.

    Raises:
        DependencyError: if ngspice is not on the PATH.
        SettleError: if the sample does not settle: then there is no settling time to compare.
        SpiceError: if ngspice fails.
    """
    find_ngspice()
    options = options or SettleOptions()
    settled = settle_recorded(chip, u, options)
    answer = ask_ngspice(chip, u, options.band, float(settled.t_settle_s[0]), timeout_s=timeout_s)
    return compare(chip, settled, answer)


def settle_recorded(chip: Chip, u: Tensor, options: SettleOptions) -> Settled:
    """Settle u (input,) with its waveforms.

    Raises:
        SettleError: if it does not settle.
    """
    return settle(
        chip, u.unsqueeze(0).to(chip.dtype), method=options.method, rtol=options.rtol, atol=options.atol,
        band=options.band, dwell_tau=options.dwell_tau, max_time_tau=options.max_time_tau, max_steps=options.max_steps,
        record=Record(samples=(0,)), throw=True,
    )  # fmt: skip


def ask_ngspice(chip: Chip, u: Tensor, band: float, t_settle_s: float, *, timeout_s: float = 600.0) -> SpiceAnswer:
    """Run the netlist of a chip long enough for a settle that takes about `t_settle_s`."""
    netlist = netlist_of(chip, u, stop_s=stop_s(chip, band, t_settle_s))
    return answer_of(run_ngspice(netlist, timeout_s=timeout_s)[-1], chip, band, ngspice_version())


def stop_s(chip: Chip, band: float, t_settle_s: float) -> float:
    """[s]. When the remaining distance is `REST_OF_BAND` of the band.

    A decay that reaches `band` after t_settle reaches band * r after t_settle (1 + ln r / ln band).
    """
    return max(LEAST_TAU * chip.tau_s, t_settle_s * (1 + math.log(REST_OF_BAND) / math.log(band)))
