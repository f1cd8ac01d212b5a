"""Small factories, and the independent oracles the physics is held against.

`Nodal` is the circuit written down once more, in volts, amperes and seconds, over explicit device matrices, and
integrated by scipy far below the tolerances under test. It shares no code with the package: from a chip it takes
component values only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.integrate import solve_ivp
from scipy.optimize import brentq, root
from scipy.special import expit
from torch import Tensor

from analogdeq.chip import Chip
from analogdeq.circuits.amplifier import Amplifier
from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.circuits.converters import Converter
from analogdeq.cores.rc import RCCore
from analogdeq.devices.preset import IDEAL, DevicePreset
from analogdeq.solve.options import METHODS, NATIVE
from analogdeq.solve.settle import settle
from analogdeq.solve.settled import Settled

Array = npt.NDArray[np.float64]
Matrix = Sequence[Sequence[float]]

ACCURATE = tuple(method for method in NATIVE if method != "bosh3")
"""The per-sample steppers that give a chip's settling time and joules to 0.1 % at the default tolerance."""
BACK_ENDS = tuple(method for method in METHODS if method not in NATIVE)

PHI: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "sigmoid": expit,
    "hardtanh": lambda p: np.clip(p, -1, 1),
    "relu-clipped": lambda p: np.clip(p, 0, 1),
    "relu": lambda p: np.maximum(p, 0),
    "identity": lambda p: p,
}


def tensor(values: Any, dtype: torch.dtype = torch.float64) -> Tensor:
    """A float64 tensor, unless told otherwise."""
    return torch.tensor(np.asarray(values), dtype=dtype)


def plain_core(W: Any, b: Any = None, *, dtype: torch.dtype = torch.float64, **options: Any) -> RCCore:
    """A core with these weights, one input per node (U = 1) and a time constant of one second."""
    W = tensor(W, dtype)
    n = W.shape[0]
    bias = torch.zeros(n, dtype=dtype) if b is None else tensor(b, dtype)
    return RCCore(W, torch.eye(n, dtype=dtype), bias, **{"tau_s": 1.0, **options})


def settle_core(W: Any, z0: Any = None, b: Any = None, *, activation: str = "tanh", **options: Any) -> Settled:
    """Settle an undriven core; times are in units of tau because tau is one second. One sample unless z0 says more."""
    core = plain_core(W, b, activation=activation)
    start = None if z0 is None else tensor(z0)
    batch = 1 if start is None else start.shape[0]
    return settle(core, torch.zeros(batch, core.n_nodes, dtype=torch.float64), z0=start, **options)


def random_core(
    n: int,
    *,
    seed: int,
    radius: float = 0.9,
    inputs: int = 3,
    dtype: torch.dtype = torch.float64,
    activation: str = "tanh",
    tau_s: float | Tensor = 1e-8,
) -> RCCore:
    """A random non-symmetric core whose W has the given spectral radius."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(n, n))
    W *= radius / np.abs(np.linalg.eigvals(W)).max()
    U = rng.normal(size=(n, inputs)) / np.sqrt(inputs)
    b = 0.2 * rng.normal(size=n)
    return RCCore(tensor(W, dtype), tensor(U, dtype), tensor(b, dtype), activation=activation, tau_s=tau_s)


def random_inputs(batch: int, inputs: int, *, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """(batch, input) from -1 to 1."""
    return tensor(np.random.default_rng(seed).uniform(-1, 1, (batch, inputs)), dtype)


def circuit(**changes: Any) -> CrossbarCircuit:
    """A circuit with an on/off ratio of 100, tau = 10 ns, and converters that cost and quantise next to nothing."""
    free = Converter(bits=24, energy_J=0.0)
    return CrossbarCircuit(**{"g_min_S": 0.25e-6, "g_max_S": 25e-6, "dac": free, "adc": free, **changes})


def quiet_amplifier() -> Amplifier:
    """An amplifier that draws nothing at rest."""
    return Amplifier(bias_W=0.0)


def chip(core: RCCore, *, device: DevicePreset = IDEAL, seed: int = 0, **changes: Any) -> Chip:
    """The core on `circuit(**changes)`."""
    return Chip(core, circuit(**changes), device, seed=seed)


@dataclass
class Nodal:
    """Node analysis of one sample's crossbar, in SI units, over explicit device matrices.

    Lines carry x = (v, V_u u, V_u) and its inverse; the summing nodes are virtual grounds.
    """

    plus_S: Array
    minus_S: Array
    feedback_ohm: float
    circuit: CrossbarCircuit
    u: Array
    activation: str
    v0: Array
    duration_s: float

    HEATS = ("crossbar", "feedback", "node")
    SOURCES = ("lines", "summing amplifiers", "activation amplifiers")

    @classmethod
    def of(cls, chip: Chip, u: Tensor, *, duration_tau: float = 60.0, z0: Tensor | None = None) -> "Nodal":
        """The circuit of a chip for one input row."""
        c = chip.circuit
        n = chip.n_nodes
        return cls(
            chip.pairs.plus_S.numpy(),
            chip.pairs.minus_S.numpy(),
            chip.pairs.feedback_ohm,
            c,
            c.dac.quantise(u).double().numpy(),
            chip.core.activation.name,
            np.zeros(n) if z0 is None else z0.double().numpy() * c.unit_voltage_V,
            duration_tau * c.node_R_ohm * c.node_C_F / (1 + c.node_R_ohm * c.node_leak_S),
        )

    def lines_V(self, v: Array) -> Array:
        """Voltage of every + line."""
        unit = self.circuit.unit_voltage_V
        return np.concatenate((v, unit * self.u, [unit]))

    def summed_V(self, v: Array) -> Array:
        """Output voltage of the summing amplifiers."""
        x = self.lines_V(v)
        into_ground_A = (self.plus_S * x + self.minus_S * -x).sum(1)
        return -self.feedback_ohm * into_ground_A

    def activated_V(self, v: Array) -> Array:
        """Output voltage of the activation amplifiers."""
        unit = self.circuit.unit_voltage_V
        return unit * PHI[self.activation](-self.summed_V(v) / unit)

    def dv_dt(self, v: Array) -> Array:
        """Kirchhoff's current law at each node capacitor [V/s]."""
        c = self.circuit
        return ((self.activated_V(v) - v) / c.node_R_ohm - c.node_leak_S * v) / c.node_C_F

    def powers_W(self, v: Array) -> Array:
        """Heat of devices, feedback and node; supply draw; v * i of each kind of ideal source. Element by element."""
        c, x, t, f = self.circuit, self.lines_V(v), self.summed_V(v), self.activated_V(v)
        crossbar = (self.plus_S * x**2).sum() + (self.minus_S * (-x) ** 2).sum()
        feedback = (t**2).sum() / self.feedback_ohm
        node = ((f - v) ** 2).sum() / c.node_R_ohm + c.node_leak_S * (v**2).sum()
        plus_A, minus_A = (self.plus_S * x).sum(0), (self.minus_S * -x).sum(0)
        summing_A, activation_A = t / self.feedback_ohm, (f - v) / c.node_R_ohm
        drawn = c.supply_V * sum(np.abs(i).sum() for i in (plus_A, minus_A, summing_A, activation_A))
        lines = (x * plus_A).sum() + (-x * minus_A).sum()
        return np.array([crossbar, feedback, node, drawn, lines, (t * summing_A).sum(), (f * activation_A).sum()])

    @cached_property
    def _solution(self) -> Callable[[Any], Array]:
        n = self.v0.size
        unit = self.circuit.unit_voltage_V

        def derivative(_t: float, y: Array) -> Array:
            return np.concatenate((self.dv_dt(y[:n]), self.powers_W(y[:n])))

        scale_J = self.powers_W(self.v0 + unit).max() * self.duration_s
        atol = np.concatenate((np.full(n, 1e-13 * unit), np.full(7, 1e-13 * scale_J)))
        start = np.concatenate((self.v0, np.zeros(7)))
        answer = solve_ivp(
            derivative, (0, self.duration_s), start, method="DOP853", rtol=1e-11, atol=atol, dense_output=True
        )
        assert answer.success
        dense: Callable[[Any], Array] = answer.sol
        return dense

    def z(self, t_s: Any) -> Array:
        """(node, time) or (node,): the state."""
        return self._solution(t_s)[: self.v0.size] / self.circuit.unit_voltage_V

    def energies_J(self, t_s: float) -> dict[str, float]:
        """What each element and source has seen until then, and the change of the stored energy."""
        y = self._solution(t_s)
        v, energies = y[: self.v0.size], y[self.v0.size :]
        names = ("crossbar", "feedback", "node", "drivers", *self.SOURCES)
        stored = 0.5 * self.circuit.node_C_F * float((v**2).sum() - (self.v0**2).sum())
        return {**dict(zip(names, energies.tolist(), strict=True)), "stored": stored}

    @cached_property
    def rest(self) -> Array:
        """The equilibrium at the end of the trajectory, as z."""
        unit = self.circuit.unit_voltage_V
        end = self._solution(self.duration_s)[: self.v0.size]
        scale = self.circuit.node_C_F * self.circuit.node_R_ohm
        found = root(lambda z: self.dv_dt(unit * z) * scale / unit, end / unit, tol=1e-14)
        assert np.abs(found.x - end / unit).max() < 1e-4, "integrate longer"
        answer: Array = found.x
        return answer

    def settle_s(self, band: float) -> float:
        """When the trajectory is last outside the band around its equilibrium."""
        return last_exit(self.z, self.rest, band, self.duration_s)


def last_exit(z: Callable[[Any], Array], rest: Array, band: float, end: float, points: int = 20_001) -> float:
    """The last time a trajectory is outside a band: a fine grid, then a scalar root; 0 if it never is."""
    grid = np.linspace(0, end, points)
    outside = np.flatnonzero(np.abs(z(grid) - rest[:, None]).max(0) > band)
    if outside.size == 0:
        return 0.0
    k = int(outside[-1])
    assert k + 1 < points, "integrate longer"
    return float(brentq(lambda t: np.abs(z(t) - rest).max() - band, grid[k], grid[k + 1], xtol=1e-14 * end))


def trajectory(
    W: Any, start: Any, end: float, *, b: Any = None, activation: str = "tanh", taus: Any = 1.0, rtol: float = 1e-12
) -> Callable[[Any], Array]:
    """z(s) of tau dz/ds = -z + phi(W z + b) by scipy; s -> (node, ...)."""
    W, start = np.asarray(W, float), np.asarray(start, float)
    bias = np.zeros(start.size) if b is None else np.asarray(b, float)
    phi = PHI[activation]
    answer = solve_ivp(
        lambda _s, z: (phi(W @ z + bias) - z) / taus, (0, end), start, method="DOP853", rtol=rtol,
        atol=1e-2 * rtol, dense_output=True,
    )  # fmt: skip
    assert answer.success
    dense: Callable[[Any], Array] = answer.sol
    return dense
