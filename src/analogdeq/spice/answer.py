"""What ngspice says of one settle, in the words and units of `Settled`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

from analogdeq.chip import Chip
from analogdeq.errors import SpiceError
from analogdeq.spice.meters import JOULES_PER_VOLT, METERS, meter_node
from analogdeq.spice.raw import RawPlot

Float64 = npt.NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class SpiceAnswer:
    """One settle as ngspice computed it.

    Attributes:
        ngspice: the program's version.
        time_s: (time,) [s]. From 0; ngspice's own steps, not evenly spaced.
        z: (time, node) [1].
        t_settle_s: [s]. The last time z is outside the band around the last row of `z`.
        energy_J: [J]. Until `t_settle_s`: crossbar, feedback, node, drivers, stored, and delivered (by all sources).
    """

    ngspice: str
    time_s: Float64
    z: Float64
    t_settle_s: float
    energy_J: Mapping[str, float]

    @property
    def dissipated_J(self) -> float:
        """[J]. All heat and the stored energy; Tellegen's theorem says that this was delivered."""
        return sum(self.energy_J[term] for term in ("crossbar", "feedback", "node", "stored"))

    def state(self, time_s: Float64) -> Float64:
        """(time, node) [1]. z between the steps, by a cubic spline."""
        scale = self.time_s[-1]  # a spline in nanoseconds would have coefficients of 1e27
        answer: Float64 = CubicSpline(self.time_s / scale, self.z)(time_s / scale)
        return answer


def answer_of(plot: RawPlot, chip: Chip, band: float, ngspice: str) -> SpiceAnswer:
    """Read a transient analysis of `netlist_of(chip, ...)`.

    Args:
        plot: the analysis; it must last until the circuit rests.
        chip: the chip that was exported.
        band: half width of the band that defines the settling time, in units of full scale.
        ngspice: the program's version.

    Raises:
        SpiceError: if time does not advance, a value is not finite, or the state was never inside the band to stay.
    """
    c = chip.circuit
    names = ["time", *(f"v(z{i})" for i in range(chip.n_nodes)), *(f"v({meter_node(term)})" for term in METERS)]
    table = np.stack([plot.column(name) for name in names], 1)
    if table.shape[0] and table[0, 0] > 0:  # with UIC ngspice begins after its first step; before it, all is discharged
        table = np.concatenate((np.zeros((1, len(names))), table))
    time_s, volts, meters = table[:, 0], table[:, 1 : 1 + chip.n_nodes], table[:, 1 + chip.n_nodes :]
    if not (np.diff(time_s) > 0).all() or not (np.isfinite(volts).all() and np.isfinite(meters).all()):
        raise SpiceError("the waveforms of ngspice stand still in time, or are not finite")
    z = volts / c.unit_voltage_V
    s = time_s / chip.tau_s
    settle_tau = _last_exit(s, z, band * chip.full_scale)
    energy = dict(zip(METERS, (CubicSpline(s, meters)(settle_tau) * JOULES_PER_VOLT).tolist(), strict=True))
    v_settle = CubicSpline(s, volts)(settle_tau)
    energy["stored"] = 0.5 * c.node_C_F * float(np.square(v_settle).sum())
    return SpiceAnswer(ngspice=ngspice, time_s=time_s, z=z, t_settle_s=settle_tau * chip.tau_s, energy_J=energy)


def _last_exit(s: Float64, z: Float64, band: float) -> float:
    """The last time [tau] outside the band around the last state, between the steps by a cubic spline; 0 if never."""
    rest = z[-1]
    outside = np.flatnonzero(np.abs(z - rest).max(1) > band)
    if outside.size == 0:
        return 0.0
    k = int(outside[-1])
    state = CubicSpline(s, z)
    return float(brentq(lambda t: np.abs(state(t) - rest).max() - band, s[k], s[k + 1], xtol=1e-12))
