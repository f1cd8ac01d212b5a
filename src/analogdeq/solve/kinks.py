"""Activations with kinks: what they do to steps and to linear decays, where other estimates are blind."""

from typing import final

import torch
from torch import Tensor

from analogdeq.chip import Chip
from analogdeq.cores.core import Core, Drive
from analogdeq.cores.network import SaturatingNetwork
from analogdeq.solve.stepper import Stepper

KINKS: dict[str, tuple[float, ...]] = {"hardtanh": (-1.0, 1.0), "relu-clipped": (0.0, 1.0), "relu": (0.0,)}
"""Where the slope of an activation jumps."""
BELIEVED = 0.8
"""Times the gap between a step and Simpson's rule: what the step is taken to err by; either may be wrong."""
WAY = 12
"""Points of a linear decay at which kinks are looked for."""


@final
class Kinks:
    """Looks once more at steps of networks whose activation has kinks, and at their linear decays.

    Where the slope jumps a step errs by the second power of its length. An embedded pair, made to tell the fifth from
    the fourth, sees a twentieth of that: its two sets of weights differ by little. Nor need a decay that is linear
    where it begins and where it ends be so in between.
    """

    def __init__(self, core: Core, network: SaturatingNetwork) -> None:
        self._core, self._network = core, network

    @classmethod
    def of(cls, core: Core) -> "Kinks | None":
        """What looks at a core or a chip; None where there are no kinks.

        Amplifiers at their limits are not looked at.
        """
        network = core.core if isinstance(core, Chip) else core
        if not isinstance(network, SaturatingNetwork) or network.activation.name not in KINKS:
            return None
        return cls(core, network)

    def error(self, stepper: Stepper, rows: Tensor, drive: Drive, h: Tensor) -> Tensor:
        """(row,) float64: what attempted steps may err by, relative to the motion; one evaluation each.

            |z_new - z - h/6 (f(z) + 4 f(z(1/2)) + f(z_new))|_2 / |F(z) - z|_2,      z(1/2) from the dense output

        Simpson's rule errs at a kink as much as the step does, but differently. Squares are summed over the nodes: of
        a large network, in which some node crosses a kink all the time, all nodes together move as if they were smooth.
        Where time constants are spread, f of a fast node is its error times its rate r; 1 + h (r - 1) divides that.

        Args:
            stepper: after the attempt.
            rows: (row,) the lanes.
            drive: one row each.
            h: (lane,) [tau]. The step of every lane.
        """
        half = torch.full((rows.shape[0], 1), 0.5, dtype=torch.float64, device=rows.device)
        middle = stepper.segment(rows, h).states(half).squeeze(1)
        begin, between, end = (
            stepper.dz[rows],
            self._core.fixed_point_map(middle, drive).sub_(middle),
            stepper.dz_new[rows],
        )
        motion = begin
        if self._core.rate is not None:
            motion, between = begin / self._core.rate, between.mul_(self._core.rate)
        step = h[rows].to(begin.dtype).unsqueeze(1)
        simpson = between.mul_(4).add_(begin).add_(end).mul_(step / 6)
        gap = stepper.z_new[rows].sub_(stepper.z[rows]).sub_(simpson)
        if self._core.rate is not None:
            gap.div_(1 + step * (self._core.rate - 1))
        share = torch.linalg.vector_norm(gap, dim=1) / torch.linalg.vector_norm(motion, dim=1)
        return BELIEVED * share.to(torch.float64)

    def bend(self, drive: Drive, rest: Tensor, way: Tensor) -> Tensor:
        """(lane, point) float64 [1/tau]: max |dz/dt - A e| on the way to a rest, over max |e|; a product each.

        Args:
            drive: one row per lane.
            rest: (lane, node).
            way: (lane, point, node). States e on the way, relative to that.
        """
        phi, slope = self._network.activation.function, self._network.activation.slope
        at_rest = self._network.preactivation(rest, drive.current)
        level = phi(at_rest)
        steep, bends = slope(at_rest, level), []
        for e in way.unbind(1):
            p = self._network.preactivation(rest + e, drive.current)
            gap = phi(p).sub_(level).sub_(p.sub_(at_rest).mul_(steep))
            if self._core.rate is not None:
                gap.mul_(self._core.rate)
            bends.append(gap.abs_().amax(1) / e.abs().amax(1).clamp_min(torch.finfo(e.dtype).tiny))
        return self._network.gain * torch.stack(bends, 1).to(torch.float64)
