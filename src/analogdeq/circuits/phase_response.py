"""Limit cycle and phase response of any autonomous oscillator, from its equations."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
from scipy.integrate import solve_ivp

from analogdeq.errors import RangeError

Float64 = npt.NDArray[np.float64]
TURNS = 40
"""Periods after which a cycle must have been reached."""
POINTS = 512


@final
@dataclass(frozen=True)
class PhaseResponse:
    """One period of a limit cycle, on an even grid, from where the first state rises through 0.

    Attributes:
        period: in the units of time of the equations.
        cycle: (point, state).
        shift: (point, state). Time gained per unit of each state's displacement: the perturbation projection vector.
    """

    period: float
    cycle: Float64
    shift: Float64

    def harmonic(self, state: int, order: int) -> complex:
        """Z of Re(z e^{i order phase}), the part of that order of the phase response per unit of time."""
        spectrum = np.fft.rfft(self.shift[:, state]) / self.shift.shape[0]
        return complex((1 if order == 0 else 2) * spectrum[order])


def phase_response(
    flow: Callable[[Float64], Float64], jacobian: Callable[[Float64], Float64], start: Float64
) -> PhaseResponse:
    """Integrate to the cycle, then the adjoint equation dy/dt = -J^T y backwards along it, with y . f = 1.

    Args:
        flow: dx/dt.
        jacobian: of `flow`.
        start: a state in the cycle's basin.

    Raises:
        RangeError: if no oscillation comes about.

    Source: A. Demir, A. Mehrotra, J. Roychowdhury, IEEE Trans. Circuits Syst. I 47:655 (2000).
    """
    origin, period = _cycle(flow, start)

    def adjoint(t: float, y: Float64) -> Float64:
        return np.asarray(jacobian(cycle.sol((-t) % period)).T @ y)

    cycle = solve_ivp(
        lambda _t, x: flow(x), (0, period), origin, method="DOP853", rtol=1e-10, atol=1e-12, dense_output=True
    )
    y = flow(origin)
    for _ in range(TURNS):  # backwards the adjoint of a stable cycle converges, to within a factor
        before = y / np.linalg.norm(y)
        y = solve_ivp(adjoint, (0, period), before, method="DOP853", rtol=1e-9, atol=1e-12).y[:, -1]
        if np.linalg.norm(y / np.linalg.norm(y) - before) < 1e-9:
            break
    back = solve_ivp(
        adjoint, (0, period), y / (y @ flow(origin)), method="DOP853", rtol=1e-9, atol=1e-12, dense_output=True
    )
    times = period * np.arange(POINTS) / POINTS
    return PhaseResponse(period, cycle.sol(times).T, back.sol((-times) % period).T)


def _cycle(flow: Callable[[Float64], Float64], start: Float64) -> tuple[Float64, float]:
    """A state on the cycle where the first state rises through 0, and the period."""

    def rises(_t: float, x: Float64) -> float:
        return float(x[0])

    rises.direction = 1.0  # type: ignore[attr-defined]
    state = start
    for _ in range(6):
        path = solve_ivp(
            lambda _t, x: flow(x), (0, 200.0), state, method="DOP853", rtol=1e-10, atol=1e-12, events=rises
        )  # fmt: skip
        times = path.t_events[0]
        if times.size < 3 or np.abs(path.y[:, -1]).max() < 1e-6 * np.abs(start).max():
            raise RangeError("this circuit does not oscillate: its first state stopped crossing its middle")
        first, last = np.diff(times)[-2:]
        state = path.y_events[0][-1]
        if abs(last - first) < 1e-8 * last:
            return state, float(last)
    raise RangeError(
        "this circuit has not come to a steady oscillation; lower the quality factor or start nearer to it"
    )
