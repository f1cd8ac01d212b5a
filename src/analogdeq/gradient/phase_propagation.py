"""Equilibrium propagation on phase oscillators: the network itself carries the error backwards, as an injection."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.errors import GradientError, InputError
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.method import DifferentiableCore, GradientAtRest, RestPoint, unit_size
from analogdeq.linalg.system import relative, row_norm
from analogdeq.solve.rest import find_rest

VARIANTS = ("one-sided", "centred")


@final
@dataclass(frozen=True, kw_only=True)
class PhasePropagation(GradientAtRest):
    """dL/dtheta = d/dbeta dE/dtheta (phi_beta) at beta = 0, phi_beta the locked phases under an injected error.

    For a symmetric real W the flow is -dE/dphi with

        E = -1/2 sum_ij W_ij cos(phi_i - phi_j) - sum_i (p_i cos phi_i + q_i sin phi_i) - (K_s/2) sum cos 2 phi_i
            - sum_i delta_i phi_i

    The slope g = dL/dphi* is injected a quarter of a period from each locked oscillator,

        p_i + beta g_i sin phi*_i,    q_i - beta g_i cos phi*_i,

    which adds beta g_i sin(phi_i - phi*_i) to E: beta g^T (phi - phi*) and a cubic rest, so the hardware that injects
    inputs injects errors. Each parameter then needs only what its own oscillators do at rests under

        one-sided     0 and beta            error O(beta)
        centred       -beta and +beta       error O(beta^2)

    g is scaled to a peak of 1, so beta is the largest injection, in radians per time constant.

    Cost: one more rest per nudge, a few evaluations each because it lies close to the first. Memory: none besides.

    Wrong where W is not symmetric, which is refused, and by the orders above. The gradient of W is the symmetric one.

    Attributes:
        variant: one of `VARIANTS`.
        beta: [rad per tau]. Strength of the nudge, > 0.

    Source: B. Scellier, Y. Bengio, Front. Comput. Neurosci. 11:24 (2017); A. Laborieux et al., Front. Neurosci.
    15:633674 (2021), centred.
    """

    variant: str = "centred"
    beta: float = 0.02

    def __post_init__(self) -> None:
        """Refuse unknown choices.

        Raises:
            InputError: naming the choice.
        """
        if self.variant not in VARIANTS:
            raise InputError(
                f"unknown variant {self.variant!r} of equilibrium propagation on phases; known: {', '.join(VARIANTS)}"
            )
        if not 0 < self.beta < float("inf"):
            raise InputError(f"equilibrium propagation beta = {self.beta} must be positive and finite")

    def pull_back(self, point: RestPoint, g: Tensor, wanted: Sequence[bool], log: SolveLog) -> list[Tensor | None]:
        """Inject, let lock, and compare what the energy says of each parameter."""
        core = _with_potential(point.core)
        unit, size = unit_size(g)
        low = 0.0 if self.variant == "one-sided" else -self.beta
        span = self.beta - low
        with torch.no_grad():
            pushed, pulled = (_rest(core, point, unit, nudge, log) for nudge in (self.beta, low))
            moved = (pulled - pushed) / span
            left = unit - moved + point.linearise().matvec(moved)
            log.backward_residual = float(relative(row_norm(left), row_norm(unit)).max())
        values = (point.u, *point.parameters)
        leaves = [value.detach().requires_grad_(needed) for value, needed in zip(values, wanted, strict=True)]
        with torch.enable_grad():
            rise = core.potential(pushed, *leaves) - core.potential(pulled, *leaves)
            total = (size.squeeze(1) * rise).sum() / span
        open_leaves = [leaf for leaf in leaves if leaf.requires_grad]
        found = iter(torch.autograd.grad(total, open_leaves, allow_unused=True))
        return [next(found) if leaf.requires_grad else None for leaf in leaves]


def _rest(core: PhaseCore, point: RestPoint, unit: Tensor, nudge: float, log: SolveLog) -> Tensor:
    """(batch, N): the locked phases with the error injected.

    Raises:
        GradientError: where a sample has none near by.
    """
    if nudge == 0.0:
        return point.z
    push = nudge * unit
    nudged = core.drive(point.u).injected(push * point.z.sin(), -push * point.z.cos())
    tol = 4 * torch.finfo(point.z.dtype).eps
    rest = find_rest(core, nudged, point.z, tol=tol, good_enough=1e3 * tol)
    if not bool(rest.is_found.all()):
        raise GradientError(
            f"{int((~rest.is_found).sum())} of {rest.is_found.numel()} samples do not lock with an error of "
            f"{nudge:g} injected (largest residual {float(rest.residual.max()):.1e}); lower beta"
        )
    before = 0.0 if log.backward_iterations != log.backward_iterations else log.backward_iterations
    log.backward_iterations = before + float(rest.evaluations.double().mean())
    return rest.z


def _with_potential(core: DifferentiableCore) -> PhaseCore:
    """The core, known to have an energy.

    Raises:
        InputError: if it is no network of phases.
        GradientError: if its W is not symmetric.
    """
    if not isinstance(core, PhaseCore):
        raise InputError(
            f"PhasePropagation needs the energy of phase oscillators; a {type(core).__name__} has none here"
        )
    if not core.is_symmetric():
        raise GradientError(
            "equilibrium propagation needs an energy, so a real, symmetric W; make W symmetric, or use "
            "ImplicitGradient()"
        )
    return core
