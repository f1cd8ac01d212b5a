"""An RC core together with the amplifiers that realise it: level 1, three or four states per node."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.amplified_jacobian import AmplifiedLinearisation
from analogdeq.cores.around import AroundCore
from analogdeq.cores.core import Drive
from analogdeq.cores.rc import RCCore
from analogdeq.errors import InputError

HEADROOM = 2.0
"""Amplifiers' states are stored in units of this many times their largest answer to a unit change of the nodes."""


@final
@dataclass(frozen=True, kw_only=True)
class Stages:
    """The amplifiers of a core, voltages in units of the unit voltage V_u.

    Attributes:
        noise_gain: (node,) [1]. K_n = 1 + R_f G_tot of each summing amplifier.
        summing_tau_s: (node,) [s]. R_f C_in / K_n of each summing node.
        output_tau_s: (node,) [s]. K_n / (2 pi GBW), the closed-loop pole of each summing amplifier.
        dc_gain: [1]. A0.
        slew_per_s: (node,) [1/s]. Slew rate over V_u.
        swing: [1]. Largest |output| over V_u.
        offset: (node,) [1]. K_n V_os / V_u: input offset, as it appears at the output.
        line_tau_s: (node,) [s]. Lag of the line driver of each node; None for ideal ones.
        line_slew_per_s: [1/s]. Slew rate of those over V_u.
    """

    noise_gain: Tensor
    summing_tau_s: Tensor
    output_tau_s: Tensor
    dc_gain: float = float("inf")
    slew_per_s: Tensor
    swing: float = float("inf")
    offset: Tensor
    line_tau_s: Tensor | None = None
    line_slew_per_s: float = float("inf")

    def __post_init__(self) -> None:
        """Refuse what is no network of amplifiers.

        Raises:
            InputError: naming the value.
        """
        shape = self.noise_gain.shape
        for name in ("noise_gain", "summing_tau_s", "output_tau_s", "slew_per_s", "line_tau_s"):
            value = getattr(self, name)
            if value is not None and (value.shape != shape or value.ndim != 1 or not bool((value > 0).all())):
                raise InputError(f"stages {name} must be positive, one number per node, got {value}")
        if self.offset.shape != shape or not bool(torch.isfinite(self.offset).all()):
            raise InputError(f"stages offset must be finite, one number per node, got {self.offset}")
        for name in ("dc_gain", "swing", "line_slew_per_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"stages {name} = {getattr(self, name)} must be positive")


@final
@dataclass(frozen=True)
class Signals:
    """What is where in the circuit, in units of the unit voltage; all (batch, node) [1].

    Attributes:
        z: nodes.
        sigma: input error of the summing amplifiers, K_n s / V_u with s between their inputs.
        q: their stage behind the pole, with the sign of a pre-activation.
        output: what is left of it by the swing.
        x: lines.
        p: what the devices ask for, W x + U u + b.
    """

    z: Tensor
    sigma: Tensor
    q: Tensor
    output: Tensor
    x: Tensor
    p: Tensor


@final
class AmplifiedCore(AroundCore[RCCore]):
    """An RC core whose summing amplifiers have one pole, and whose line drivers may have one too.

        tau   dz/dt = -z + a phi(o)                                         node
        tau_s dsigma/dt = W x + U u + b + d - o - sigma                     summing node, tau_s = R_f C_in / K_n
        tau_a dq/dt = clip(sigma - (K_n/A0) o - K_n (q - o), +-slew)        amplifier, tau_a = K_n / (2 pi GBW)
        tau_l dx/dt = clip(z - x, +-slew)                                   line driver; x = z without

    with o = clip(q, +-swing) and d the offset at the output. With t = -V_u q and s = V_u sigma / K_n those are the
    equations of `OpAmp`. The state is (z, sigma, q) or (z, sigma, q, x), node by node within each.

    Amplifiers' states are stored in units of `HEADROOM` times the largest row sum of |W| (at least 1), lines in units
    of `HEADROOM`: then they are in the band around their rest whenever the nodes are, but for a lag of less than
    ln(HEADROOM) time constants of the slowest mode. Settling is that of the nodes.

    Args:
        core: the ideal core.
        stages: its amplifiers.

    Attributes:
        unit: [1]. What stored amplifier states are multiplied with.
        units: (state,) [1]. The same for every state.
        output_offset: (node,) [1]. d.

    Raises:
        InputError: if the stages are for another number of nodes.

    Source: Kirchhoff's current law at the summing node and the one-pole amplifier, textbook; docs/amplifiers.md.
    """

    power_terms: tuple[str, ...] = ()
    work_buffers: int = 0

    def __init__(self, core: RCCore, stages: Stages) -> None:
        self._core, self.stages, n = core, stages, core.n_nodes
        if stages.noise_gain.shape != (n,):
            raise InputError(f"the stages are for {stages.noise_gain.numel()} nodes, the core has {n}")
        own = core.tau_s / (torch.ones(n, dtype=torch.float64) if core.rate is None else core.rate.double().cpu())
        taus = [own, stages.summing_tau_s, stages.output_tau_s]
        taus += [] if stages.line_tau_s is None else [stages.line_tau_s]
        self._taus = torch.cat([tau.double() for tau in taus])
        self._tau_s = float(self._taus.max())
        self._rate = (self._tau_s / self._taus).to(core.b)
        answer = max(1.0, float(core.W.detach().abs().sum(1).max()))
        self.unit = HEADROOM * answer
        units = [1.0, self.unit, self.unit, HEADROOM][: len(taus)]
        self.units = core.b.new_tensor(units).repeat_interleave(n)
        self._noise_gain, self.output_offset = stages.noise_gain.to(core.b), stages.offset.to(core.b)
        self._loss = self._noise_gain / stages.dc_gain
        self._slew = (stages.slew_per_s * stages.output_tau_s).to(core.b)
        line_tau_s = stages.line_tau_s
        self._line_slew = None if line_tau_s is None else (stages.line_slew_per_s * line_tau_s).to(core.b)

    @property
    def core(self) -> RCCore:
        """The ideal core: level 0."""
        return self._core

    @property
    def n_nodes(self) -> int:
        """How many states there are: three or four for every node of the core."""
        return self.units.numel()

    @property
    def tau_s(self) -> float:
        """The unit of time [s]: the slowest pole, which is the node's unless an amplifier is slower."""
        return self._tau_s

    @property
    def rate(self) -> Tensor:
        """(state,) [1]. `tau_s` over the time constant of each state."""
        return self._rate

    def nodes(self, y: Tensor) -> Tensor:
        """(..., node) [1]. The voltages of the nodes, of states y (..., state)."""
        return y[..., : self._core.n_nodes]

    def drive(self, u: Tensor) -> Drive:
        """U u + b + d, computed once per settle."""
        drive = self._core.drive(u)
        return Drive(drive.current + self.output_offset, drive.standing_power_W)

    def initial_state(self, drive: Drive) -> Tensor:
        """Discharged capacitors: behind its offset an amplifier's input error is not zero then."""
        y = drive.current.new_zeros(drive.current.shape[0], self.n_nodes)
        n = self._core.n_nodes
        y[:, n : 2 * n] = self.output_offset / self.unit
        return y

    def line_motion(self, dy: Tensor) -> Tensor:
        """(batch, node) [1]. dx/ds, of dy (batch, state)."""
        n = self._core.n_nodes
        return dy[:, :n] if self._line_slew is None else dy[:, 3 * n :] * HEADROOM

    def lift(self, z: Tensor, drive: Drive) -> Tensor:
        """(batch, state): nodes z (batch, node), lines that follow them, amplifiers at rest in their linear range."""
        p = self._core.preactivation(z, drive.current)
        q = p / (1 + self._loss)
        y = (z, self._loss * q, q, z)[: self.n_nodes // self._core.n_nodes]
        return torch.cat(y, 1) / self.units

    def signals(self, y: Tensor, drive: Drive) -> Signals:
        """What the state y (batch, state) means."""
        z, sigma, q, *line = (y * self.units).split(self._core.n_nodes, 1)
        x = line[0] if line else z
        output = q.clamp(-self.stages.swing, self.stages.swing)
        return Signals(z, sigma, q, output, x, self._core.preactivation(x, drive.current))

    def motion(self, at: Signals) -> Tensor:
        """(batch, state). F(y) - y, the time derivative times each state's own time constant."""
        phi = self._core.activation.function(at.output)
        error = at.sigma - self._loss * at.output - self._noise_gain * (at.q - at.output)
        parts = [
            self._core.gain * phi - at.z,
            at.p - at.output - at.sigma,
            torch.clamp(error, -self._slew, self._slew),
        ]
        if self._line_slew is not None:
            parts.append(torch.clamp(at.z - at.x, -self._line_slew, self._line_slew))
        return torch.cat(parts, 1) / self.units

    def evaluate(self, z: Tensor, drive: Drive, dz: Tensor, power_W: Tensor, work: Tensor) -> None:
        """Write dy/ds into `dz`; amplifiers alone have no watts."""
        torch.mul(self.motion(self.signals(z, drive)), self._rate, out=dz)

    def fixed_point_map(self, z: Tensor, drive: Drive) -> Tensor:
        """(batch, state). F(y), at whose fixed points nothing moves."""
        return z + self.motion(self.signals(z, drive))

    def linearise(self, z: Tensor, drive: Drive) -> AmplifiedLinearisation:
        """The Jacobian of F."""
        at, core = self.signals(z, drive), self._core
        phi = core.activation.function(at.output)
        is_linear = (at.q.abs() < self.stages.swing).to(z)
        error = at.sigma - self._loss * at.output - self._noise_gain * (at.q - at.output)
        is_slow = (error.abs() < self._slew).to(z)
        limit = self._line_slew
        return AmplifiedLinearisation(
            W=core.W,
            slope=core.gain * core.activation.slope(at.output, phi) * is_linear,
            is_linear=is_linear,
            is_slow=is_slow,
            pull=self._loss * is_linear + self._noise_gain * (1 - is_linear),
            follows=None if limit is None else ((at.z - at.x).abs() < limit).to(z),
            units=self.units,
        )

    def contraction_gap(self) -> float:
        """0: F is no contraction, because an amplifier and its summing node feed back on each other."""
        return 0.0
