"""Many noisy settles of one input: mean, spread, and what a readout that averages over a window sees."""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Core, turn_of
from analogdeq.devices.streams import Streams
from analogdeq.errors import InputError
from analogdeq.noise.coloured import Coloured
from analogdeq.noise.intensity import NodeNoise
from analogdeq.noise.motion import SCHEMES, Motion, noisy_network
from analogdeq.solve.settle import settle

_RESOLVED = 6.0
"""A band must be so many standard errors of the ensemble's mean wide before a crossing of it means anything."""


@final
@dataclass(frozen=True, kw_only=True)
class NoiseOptions:
    """How to integrate an ensemble.

    Attributes:
        scheme: one of `SCHEMES`. "heun" lets the noise pass the slope of phi where the state is (Stratonovich); the
            others hold that slope at its value at rest.
        step_tau: step, in time constants.
        until_tau: how long.
        paths: of the ensemble.
        window_tau: how long the readout averages at the end; 0 reads one instant.
        band: half width of the band that defines the settling time, in units of full scale.
        seed: the noise seed.
        keep_every: how many steps apart mean and spread are kept.
    """

    scheme: str = "exponential"
    step_tau: float = 0.1
    until_tau: float = 50.0
    paths: int = 256
    window_tau: float = 0.0
    band: float = 1e-2
    seed: int = 0
    keep_every: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be integrated.

        Raises:
            InputError: naming the option.
        """
        if self.scheme not in SCHEMES:
            raise InputError(f"unknown noise scheme {self.scheme!r}; known: {', '.join(SCHEMES)}")
        if not (0 < self.step_tau <= self.until_tau < math.inf):
            raise InputError(f"want 0 < step_tau <= until_tau, got {self.step_tau:g} and {self.until_tau:g}")
        if self.paths < 2 or self.keep_every < 1:
            raise InputError(f"an ensemble needs at least 2 paths and keep_every >= 1, got {self.paths} paths")
        if not (0 <= self.window_tau < self.until_tau):
            raise InputError(f"window_tau = {self.window_tau:g} must lie within until_tau = {self.until_tau:g}")
        if not (0 < self.band < 1):
            raise InputError(f"band = {self.band:g} must lie between 0 and 1")

    @property
    def steps(self) -> int:
        """How many."""
        return max(1, round(self.until_tau / self.step_tau))


@final
@dataclass(frozen=True, kw_only=True)
class NoisySettled:
    """An ensemble of noisy settles. States that are angles are given on the turn that is centred on the rest.

    Attributes:
        rest: (node,) [1]. Equilibrium without noise.
        times_tau: (time,) [tau].
        mean: (time, node) [1]. Over the paths; of angles the direction of the mean of e^{i phi}.
        std: (time, node) [1]. Over the paths; of angles from deviations within half a turn of that mean.
        stationary_std: (node,) [1]. Of the linearised dynamics with white noise, from Lyapunov's equation.
        end: (path, node) [1]. The last states.
        readout: (path, node) [1]. Average over the window, on top of which a converter samples.
        t_settle_s: [s]. The last time the mean is outside the band around its average over the last quarter of the
            time; NaN where it still leaves the band in that quarter, or the band is too narrow for so few paths.
        is_resolved: whether the band is wide against the standard error of the mean.
    """

    rest: Tensor
    times_tau: Tensor
    mean: Tensor
    std: Tensor
    stationary_std: Tensor
    end: Tensor
    readout: Tensor
    t_settle_s: float
    is_resolved: bool


@torch.no_grad()
def settle_with_noise(
    core: Core,
    u: Tensor,
    white: NodeNoise | Tensor,
    options: NoiseOptions | None = None,
    *,
    coloured: tuple[Coloured, ...] = (),
    z0: Tensor | None = None,
) -> NoisySettled:
    """Integrate an ensemble of noisy settles of one input, from where the core is at power-on.

    dz = (F(z + ..; p + n) - z) ds + sqrt(q) dW,   s = t / tau

    Args:
        core: a core or a chip with equal time constants, of RC nodes or of oscillators with a reference.
        u: (input,) [1]. One input.
        white: white noise of every node, or its intensity q (node,) where phi is not to shape it.
        options: how.
        coloured: noise with a memory, added to every node's pre-activation, or to dz/ds of oscillators, where it is
            noise of their frequencies; times in units of tau.
        z0: (node,) [1]. Where every path starts.

    Raises:
        InputError: for unusable shapes, dynamics without a stable rest, or oscillators without a reference.
        SettleError: if there is no rest without noise, or an implicit step does not converge.
    """
    options = options or NoiseOptions()
    if not isinstance(u, Tensor) or u.shape != (core.n_inputs,):
        raise InputError(f"u must be one input, a tensor of shape ({core.n_inputs},)")
    if core.rate is not None:
        raise InputError("noise is known for cores with equal time constants only")
    noisy_network(core)
    row = u.unsqueeze(0)
    rest = rest_of(core, row)
    motion = Motion(core, row, white, rest)
    h = options.until_tau / options.steps
    scheme = motion.scheme(options.scheme, h)
    stationary_std = motion.stationary_std()
    start = core.initial_state(core.drive(row)) if z0 is None else z0.reshape(1, -1)
    generator = Streams(options.seed).named("settle")
    z = start.expand(options.paths, -1).contiguous()
    states = [source.start((options.paths, core.n_nodes), generator, z.dtype) for source in coloured]
    turn = turn_of(core)
    times, means, stds = [0.0], [_near(start, rest, turn)[0]], [torch.zeros_like(z[0])]
    window = min(options.steps, round(options.window_tau / h))
    readout = torch.zeros_like(z)
    for k in range(1, options.steps + 1):
        if coloured:
            # Held over the step at the mean of its ends: exact to second order in the step.
            before = _sum_of(coloured, states)
            states = [source.advance(state, h, generator) for source, state in zip(coloured, states, strict=True)]
            motion.offset = 0.5 * (before + _sum_of(coloured, states))
        dW = torch.randn(z.shape, generator=generator, dtype=z.dtype).mul_(math.sqrt(h))
        previous, z = z, scheme.step(z, dW)
        if k > options.steps - window:
            readout += 0.5 * (previous + z) / window
        if k % options.keep_every == 0 or k == options.steps:
            times.append(k * h)
            mean, std = _mean_and_std(z, rest, turn)
            means.append(mean)
            stds.append(std)
    mean, std = torch.stack(means), torch.stack(stds)
    end, readout = (_near(states, rest, turn) for states in (z, readout if window else z))
    band = options.band * core.full_scale
    error = float(std[-1].max()) / math.sqrt(options.paths)
    is_resolved = band >= _RESOLVED * error
    times_tau = torch.tensor(times, dtype=torch.float64)
    return NoisySettled(
        rest=rest[0],
        times_tau=times_tau,
        mean=mean,
        std=std,
        stationary_std=stationary_std,
        end=end,
        readout=readout,
        t_settle_s=_last_exit_s(times_tau, mean, band, core.tau_s) if is_resolved else math.nan,
        is_resolved=is_resolved,
    )


def rest_of(core: Core, u: Tensor) -> Tensor:
    """(1, node) [1]. Where one input settles without noise: a settle, polished by Newton's method.

    Raises:
        SettleError: if it does not settle.
    """
    z, drive = settle(core, u, max_time_tau=1e4, throw=True).z, core.drive(u)
    eye = torch.eye(core.n_nodes, dtype=z.dtype)
    for _ in range(4):
        residual = core.fixed_point_map(z, drive) - z
        z = z + torch.linalg.solve(eye - core.linearise(z, drive).dense()[0], residual[0])
    return z


def _sum_of(sources: tuple[Coloured, ...], states: list[Tensor]) -> Tensor:
    """(path, node) of all coloured noise."""
    return torch.stack([source.value(state) for source, state in zip(sources, states, strict=True)]).sum(0)


def _near(z: Tensor, rest: Tensor, turn: float | None) -> Tensor:
    """The states, those that are angles on the turn centred on the rest."""
    return z if turn is None else z - turn * torch.round((z - rest) / turn)


def _mean_and_std(z: Tensor, rest: Tensor, turn: float | None) -> tuple[Tensor, Tensor]:
    """(node,) each, over the paths (path, node)."""
    if turn is None:
        return z.mean(0), z.std(0)
    angle = (z - rest) * (2 * math.pi / turn)
    mean = rest[0] + torch.atan2(angle.sin().mean(0), angle.cos().mean(0)) * (turn / (2 * math.pi))
    offset = z - mean
    spread = (offset - turn * torch.round(offset / turn)).square().sum(0) / (len(z) - 1)
    return mean, spread.sqrt()


def _last_exit_s(times_tau: Tensor, mean: Tensor, band: float, tau_s: float) -> float:
    """When the mean is last outside the band around where it ends, between two kept times by linear interpolation.

    Where it ends is the average of its last quarter, throughout which it must be inside the band.
    """
    quarter = max(1, len(mean) // 4)
    distance = (mean - mean[-quarter:].mean(0)).abs().amax(1)
    if bool((distance[-quarter:] > band).any()):
        return math.nan
    outside = (distance > band).nonzero().flatten()
    if outside.numel() == 0:
        return 0.0
    last = int(outside[-1])
    near, far = float(distance[last + 1]), float(distance[last])
    share = (far - band) / (far - near)
    t0, t1 = float(times_tau[last]), float(times_tau[last + 1])
    return (t0 + share * (t1 - t0)) * tau_s
