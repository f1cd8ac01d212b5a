"""Loss terms that make equilibria easier to reach: residual, Jacobian norm, numerical abscissa, and all of them."""

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Generator, Tensor

from analogdeq.circuits.components import CrossbarCircuit
from analogdeq.errors import InputError
from analogdeq.solve.options import SettleOptions
from analogdeq.stability.lanczos import largest_eigenpair
from analogdeq.stability.reached import Reached
from analogdeq.stability.settling_penalty import settling_penalties

LANCZOS_STEPS = 12


def residual_penalty(reached: Reached) -> Tensor:
    """E ||z* - F(z*; u)||^2, the mean over the batch of the squared Euclidean norm.

    The state is taken as it is: through the implicit gradient the term would have none, because z* - F(z*) = 0 for all
    parameters. So it moves F(z*) towards where the state was left. It is as small as the forward solver's tolerance
    squared, and says something only where the forward pass ends before rest: unsettled samples, loose tolerances.

    Returns:
        () [1].
    """
    z = reached.z.detach()
    return (z - reached.core.map_with(z, reached.u, *reached.parameters)).square().sum(1).mean()


def jacobian_penalty(reached: Reached, noise: Tensor) -> Tensor:
    """E ||J||_F^2 / n at the equilibria, estimated with one random vector per sample; unbiased.

    The gradient is that of the estimate with all that depends on the parameters, z* included.

    Args:
        reached: the equilibria.
        noise: (batch, node). Independent entries of mean 0 and variance 1.

    Returns:
        () [1].

    Source: S. Bai, V. Koltun, J. Z. Kolter, ICML 2021 (arXiv:2106.14342); the estimator is Hutchinson's (1990).
    """
    z, image = _image(reached)
    (product,) = torch.autograd.grad(image, z, noise, create_graph=True)
    return product.square().sum(1).mean() / z.shape[1]


def numerical_abscissa(reached: Reached, start: Tensor, steps: int = LANCZOS_STEPS) -> Tensor:
    """The largest eigenvalue of (J + J^T) / 2 at each equilibrium, from below, differentiable.

    It bounds max Re eig J, and near the equilibrium distances shrink at every instant at a rate of at least 1 minus it,
    per time constant. Unlike ||J||_F it does not count rotation. The vector comes from Lanczos iteration without a
    graph: at the top of the Rayleigh quotient its own change adds nothing to the derivative.

    Args:
        reached: the equilibria.
        start: (batch, node). Where Lanczos iteration starts.
        steps: products with J and with J^T each.

    Returns:
        (batch,) [1].
    """
    z, image = _image(reached)
    with torch.no_grad():
        state = z.detach()
        linear = reached.core.linearise(state, reached.core.drive(reached.u.detach()))
        _, v = largest_eigenpair(lambda x: 0.5 * (linear.matvec(x) + linear.rmatvec(x)), start, steps=steps)
    (product,) = torch.autograd.grad(image, z, v, create_graph=True)
    return (v * product).sum(1)


@final
@dataclass(frozen=True, kw_only=True)
class Penalty:
    """How much of each term is added to the loss.

    Attributes:
        residual: weight of `residual_penalty`.
        jacobian: weight of `jacobian_penalty`.
        abscissa: weight of the mean of max(0, numerical abscissa - `abscissa_above`).
        abscissa_above: abscissa up to which nothing is charged.
        settling_time: weight of the mean settling time in time constants.
        energy: weight of the mean natural logarithm of the energy until readout.
        circuit: whose energy; needed where `energy` has weight.
        settle: how the settle of the last two is integrated, and what band it ends in.
        probability: of a step to compute all but `residual` at all.
    """

    residual: float = 0.0
    jacobian: float = 0.0
    abscissa: float = 0.0
    abscissa_above: float = 0.0
    settling_time: float = 0.0
    energy: float = 0.0
    circuit: CrossbarCircuit | None = None
    settle: SettleOptions = field(default_factory=SettleOptions)
    probability: float = 1.0

    def __post_init__(self) -> None:
        """Refuse weights that are no weights.

        Raises:
            InputError: naming them.
        """
        for name in ("residual", "jacobian", "abscissa", "settling_time", "energy"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"penalty {name} = {getattr(self, name)!r} must be a number that is not negative")
        if not 0 < self.probability <= 1:
            raise InputError(f"penalty probability = {self.probability!r} must lie above 0 and not above 1")
        if self.energy > 0 and self.circuit is None:
            raise InputError(f"penalty energy = {self.energy!r} needs a circuit, whose joules it lowers")

    @property
    def is_on(self) -> bool:
        """Whether any term has weight."""
        return self.residual > 0 or self._is_random or self._is_settling

    @property
    def _is_random(self) -> bool:
        return self.jacobian > 0 or self.abscissa > 0

    @property
    def _is_settling(self) -> bool:
        return self.settling_time > 0 or self.energy > 0

    def of(self, equilibria: list[Reached], rows: Tensor, batch: int, generator: Generator) -> Tensor:
        """The sum of all terms over the cores of a forward pass.

        Args:
            equilibria: of each core.
            rows: (sample,) int64. Which samples of the whole batch these are; random vectors are drawn for the whole
                batch, so that several processes with a part each draw as one would.
            batch: samples of the whole batch.
            generator: what the random vectors are drawn from.

        Returns:
            () [1]. 0 where nothing is on.
        """
        total = equilibria[0].z.new_zeros(())
        if self.residual > 0:
            total = total + self.residual * sum(residual_penalty(reached) for reached in equilibria)
        is_dear = self._is_random or self._is_settling
        if not is_dear or float(torch.rand((), generator=generator)) >= self.probability:
            return total
        for reached in equilibria:
            if self._is_random:
                noise = torch.randn(batch, reached.z.shape[1], generator=generator)[rows].to(reached.z)
                total = total + self._of_jacobian(reached, noise)
            if self._is_settling:
                circuit = self.circuit if self.energy > 0 else None
                time_tau, log_energy = settling_penalties(reached, circuit, self.settle)
                total = total + self.settling_time * time_tau + self.energy * log_energy
        return total

    def _of_jacobian(self, reached: Reached, noise: Tensor) -> Tensor:
        total = reached.z.new_zeros(())
        if self.jacobian > 0:
            total = total + self.jacobian * jacobian_penalty(reached, noise)
        if self.abscissa > 0:
            excess = numerical_abscissa(reached, noise) - self.abscissa_above
            total = total + self.abscissa * excess.clamp_min(0).mean()
        return total


def _image(reached: Reached) -> tuple[Tensor, Tensor]:
    """z*, and F(z*) with its graph."""
    z = reached.z if reached.z.requires_grad else reached.z.detach().requires_grad_(True)
    with torch.enable_grad():
        return z, reached.core.map_with(z, reached.u, *reached.parameters)
