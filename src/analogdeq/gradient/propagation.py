"""Equilibrium propagation: gradients from how the rest moves when it is nudged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.core import Drive
from analogdeq.cores.network import SaturatingNetwork
from analogdeq.errors import GradientError, InputError
from analogdeq.gradient.holomorphic import complex_rests
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.method import DifferentiableCore, GradientAtRest, RestPoint, unit_size
from analogdeq.linalg.system import relative, row_dot, row_norm
from analogdeq.solve.rest import find_rest

VARIANTS = ("one-sided", "centred", "holomorphic")
ASYMMETRY = 1e-4
"""|x W y - y W x| over |x| |W y|, beyond which W is not taken for symmetric."""


@final
@dataclass(frozen=True, kw_only=True)
class EquilibriumPropagation(GradientAtRest):
    """dL/dtheta = d/dbeta dE/dtheta (z_beta) at beta = 0, z_beta the rest under a nudging current -beta g.

    With symmetric W the network falls down the energy

        E(z) = sum_i a Phi*(z_i / a) - z^T W z / 2 - z^T (U u + b),      Phi*' = phi^-1

    and the nudge adds beta g^T z to it, g = dL/dz* held fixed. Only dE/dtheta at rests is needed, products of what a
    synapse sees: no transposed array. The derivative in beta is taken from rests at

        one-sided     0 and beta                                error O(beta)
        centred       -beta and +beta                           error O(beta^2)
        holomorphic   beta exp(2 pi i k / N), k = 0 ... N - 1   error O(beta^N); needs an analytic phi

    g is scaled to a peak of 1, so beta is the largest nudging current in units of the pre-activation.

    Cost: one more rest per nudge (N/2 + 1 complex ones), each a few evaluations because it lies close to the first.
    Memory: none besides.

    Wrong where W is not symmetric: then it is the gradient of another network, so that is refused. Wrong by the orders
    above for finite beta; under noise of the state the error also grows as 1/beta, which is what speaks against small
    beta on a machine. The gradient of W is the symmetric one: that of the free W, made symmetric.

    Attributes:
        variant: one of `VARIANTS`.
        beta: strength of the nudge, > 0.
        points: N, even, of the holomorphic variant.

    Source: B. Scellier, Y. Bengio, Front. Comput. Neurosci. 11:24 (2017); A. Laborieux et al., Front. Neurosci.
    15:633674 (2021), centred; A. Laborieux, F. Zenke, NeurIPS 2022, holomorphic.
    """

    variant: str = "centred"
    beta: float = 0.02
    points: int = 8

    def __post_init__(self) -> None:
        """Refuse unknown choices.

        Raises:
            InputError: naming the choice.
        """
        if self.variant not in VARIANTS:
            raise InputError(
                f"unknown variant {self.variant!r} of equilibrium propagation; known: {', '.join(VARIANTS)}"
            )
        if not 0 < self.beta < float("inf"):
            raise InputError(f"equilibrium propagation beta = {self.beta} must be positive and finite")
        if self.points < 2 or self.points % 2:
            raise InputError(f"equilibrium propagation points = {self.points} must be even and at least 2")

    def pull_back(self, point: RestPoint, g: Tensor, wanted: Sequence[bool], log: SolveLog) -> list[Tensor | None]:
        """Nudge, let rest, and compare what the energy says of each parameter."""
        core = _symmetric(point.core)
        unit, size = unit_size(g)
        with torch.no_grad():
            rests = self._rests(core, point, unit, log)
            self._note(core, point, unit, rests, log)
        values = (point.u, *point.parameters)
        leaves = [value.detach().requires_grad_(needed) for value, needed in zip(values, wanted, strict=True)]
        with torch.enable_grad():
            terms = [weight * _coupling(core, phase, x, y, leaves) for weight, phase, x, y in rests]
            total = (size.squeeze(1) * torch.stack(terms).sum(0)).sum()
        open_leaves = [leaf for leaf in leaves if leaf.requires_grad]
        found = iter(torch.autograd.grad(total, open_leaves, allow_unused=True))
        return [next(found) if leaf.requires_grad else None for leaf in leaves]

    def _rests(self, core: SaturatingNetwork, point: RestPoint, unit: Tensor, log: SolveLog) -> list["_Nudged"]:
        """Each rest with the weight at which -dE/dtheta there enters the gradient."""
        beta, zero = self.beta, torch.zeros_like(point.z)
        if self.variant == "holomorphic":
            nudged = complex_rests(core, point.drive(), point.z, unit, beta, self.points, log)
            return [(-weight / beta, phase, x, y) for weight, phase, x, y in nudged]
        low = 0.0 if self.variant == "one-sided" else -beta
        high_z, low_z = (self._rest(core, point, unit, nudge, log) for nudge in (beta, low))
        span = beta - low
        return [(-1 / span, 0.0, high_z, zero), (1 / span, 0.0, low_z, zero)]

    def _rest(self, core: SaturatingNetwork, point: RestPoint, unit: Tensor, nudge: float, log: SolveLog) -> Tensor:
        drive = point.drive()
        nudged = Drive(drive.current - nudge * unit, drive.standing_power_W)
        tol = 4 * torch.finfo(point.z.dtype).eps * core.full_scale
        rest = find_rest(core, nudged, point.z, tol=tol, good_enough=1e3 * tol)
        if not bool(rest.is_found.all()):
            raise GradientError(
                f"{int((~rest.is_found).sum())} of {rest.is_found.numel()} samples found no rest under a nudge of "
                f"{nudge:g} (largest residual {float(rest.residual.max()):.1e}); lower beta"
            )
        before = 0.0 if log.backward_iterations != log.backward_iterations else log.backward_iterations
        log.backward_iterations = before + float(rest.evaluations.double().mean())
        return rest.z

    def _note(
        self, core: SaturatingNetwork, point: RestPoint, unit: Tensor, rests: list["_Nudged"], log: SolveLog
    ) -> None:
        """Log the residual of w = S v, as S (g + W w) - w against S g: what finite beta costs."""
        w = torch.zeros_like(unit)
        for weight, phase, x, y in rests:
            turn = torch.tensor(phase, dtype=torch.float64)
            w += weight * (torch.cos(turn) * x + torch.sin(turn) * y)
        slope = core.slope(point.z, point.drive())
        expected = slope * unit
        left = expected + slope * core.preactivation(w, torch.zeros_like(w)) - w
        log.backward_residual = float(relative(row_norm(left), row_norm(expected)).max())


_Nudged = tuple[float, float, Tensor, Tensor]
"""Weight, phase, and real and imaginary part of a nudged rest (batch, node)."""


def _coupling(core: SaturatingNetwork, phase: float, x: Tensor, y: Tensor, leaves: list[Tensor]) -> Tensor:
    """(batch,): Re[exp(-i phase) (z^T W z / 2 + z^T (U u + b))] of z = x + i y, in the parameters."""
    u, *parameters = leaves
    drive = core.preactivation_with(torch.zeros_like(x), u, *parameters)
    at_x = core.preactivation_with(x, u, *parameters) - drive
    real = (x * (0.5 * at_x + drive)).sum(1)
    if phase == 0.0:
        return real
    at_y = core.preactivation_with(y, u, *parameters) - drive
    real = real - 0.5 * (y * at_y).sum(1)
    imaginary = 0.5 * (x * at_y + y * at_x).sum(1) + (y * drive).sum(1)
    turn = torch.tensor(phase, dtype=torch.float64)
    return float(torch.cos(turn)) * real + float(torch.sin(turn)) * imaginary


def _symmetric(core: DifferentiableCore) -> SaturatingNetwork:
    """The core, known to have an energy.

    Raises:
        InputError: if it is no RC network.
        GradientError: if its W is not symmetric.
    """
    if not isinstance(core, SaturatingNetwork):
        raise InputError(f"equilibrium propagation needs an RC network's energy; a {type(core).__name__} has none here")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        x, y = (torch.randn(1, core.n_nodes, generator=generator).to(core.b) for _ in range(2))
        none = torch.zeros_like(x)
        at_x, at_y = core.preactivation(x, none), core.preactivation(y, none)
        left, right = float(row_dot(x, at_y)), float(row_dot(y, at_x))
        size = float(row_norm(x) * row_norm(at_y))
    if abs(left - right) > ASYMMETRY * size:
        raise GradientError(
            f"equilibrium propagation needs a symmetric W, but two random vectors have x W y = {left:.4e} and "
            f"y W x = {right:.4e}; make W symmetric, or use ImplicitGradient()"
        )
    return core
