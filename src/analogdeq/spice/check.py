"""Settle one sample twice, with this package and with ngspice, and compare."""

import math

import torch
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

REST_OF_BAND = 1e-5
"""ngspice runs until its last state, which stands for its equilibrium, is this much of a band from it."""
LEAST_TAU = 10.0
"""How long it runs on after the settling time at least: a saturated network has a gap of 1 and more."""
LEAST_GAP = 1e-3
"""Slower equilibria than this are not waited for: at a hundred steps per tau they would take ngspice hours."""


def spice_check(
    chip: Chip, u: Tensor, options: SettleOptions | None = None, *, timeout_s: float = 600.0
) -> SpiceComparison:
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
    return compare(chip, settled, ask_ngspice(chip, u, settled, options.band, timeout_s=timeout_s))


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


def ask_ngspice(chip: Chip, u: Tensor, settled: Settled, band: float, *, timeout_s: float = 600.0) -> SpiceAnswer:
    """Run the netlist of a chip until it rests.

    Args:
        chip: the chip.
        u: (input,) [1]. One sample, before the DAC.
        settled: how this package settled it; tells how long ngspice must run, and nothing else.
        band: half width of the band that defines the settling time, in units of full scale.
        timeout_s: [s]. How long ngspice may run.
    """
    netlist = netlist_of(chip, u, stop_s=stop_s(chip, u, settled))
    return answer_of(run_ngspice(netlist, timeout_s=timeout_s)[-1], chip, band, ngspice_version())


def stop_s(chip: Chip, u: Tensor, settled: Settled) -> float:
    """[s]. When what is left of the motion is `REST_OF_BAND` of the band: t_settle - tau ln(REST_OF_BAND) / gap.

    The gap is that of the equilibrium, 1 - max Re eig(J): after the band is entered, the slowest mode decides.
    """
    jacobian = chip.linearise(settled.z, chip.drive(u.unsqueeze(0).to(chip.dtype))).dense()[0].double()
    gap = max(1 - float(torch.linalg.eigvals(jacobian).real.max()), LEAST_GAP)
    tail_tau = max(-math.log(REST_OF_BAND) / gap, LEAST_TAU)
    return float(settled.t_settle_s[0]) + tail_tau * chip.tau_s
