"""The unrolled proxy: noisy fixed-point steps, differentiated one by one."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from analogdeq.cores.network import SaturatingNetwork
from analogdeq.errors import InputError
from analogdeq.gradient.forward import FixedPoint, Forward
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.method import DifferentiableCore, note_forward
from analogdeq.linalg.noise import seeded

Step = Callable[[Tensor, int], Tensor]
"""(z, number of the step) -> the next z."""


@final
@dataclass(frozen=True, kw_only=True)
class UnrolledGradient:
    """z_{t+1} = a phi(W~ z_t + U~ u + b) + eta_t,  t = 0 ... T - 1,  z_0 = 0, differentiated by backpropagation.

        W~ = W + dW,  dW_ij ~ N(0, alpha^2 |W_ij|),  U~ alike: one draw per call, that is per minibatch
        eta_t ~ N(0, sigma^2 I): one draw per step and sample

    What comes out is z_T of the noisy network, not an equilibrium: training with it makes the network tolerate the
    noise. The draws count as constants when differentiating. The forward pass given to `equilibrium` is not used.

    Cost: T evaluations of F forward, and T vector-Jacobian products backward. Memory: T states and pre-activations;
    with `checkpoint_every` = k about T/k + k of them, for one more forward pass.

    Wrong where T steps do not reach the equilibrium (rho(J)^T is the error), and where rho(J) >= 1: these steps are
    Picard's, which diverge on circuits that settle. Its noise is that of a discrete map, not of a circuit with a
    bandwidth.

    Attributes:
        steps: T.
        weight_noise: alpha.
        state_noise: sigma, in units of z.
        checkpoint_every: k; None keeps every step.
        rest_tol: max |F(z_T) - z_T| of the noiseless F, in units of full scale, above which a sample counts as
            unsettled.
        seed: of the draws, with the input: the same minibatch and weights draw the same noise.
    """

    steps: int = 30
    weight_noise: float = 0.0
    state_noise: float = 0.0
    checkpoint_every: int | None = None
    rest_tol: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse unusable numbers.

        Raises:
            InputError: naming the value.
        """
        if self.steps < 1 or (self.checkpoint_every is not None and self.checkpoint_every < 1):
            raise InputError(
                f"unrolled gradient steps = {self.steps}, checkpoint_every = {self.checkpoint_every} must be at least 1"
            )
        for name in ("weight_noise", "state_noise", "rest_tol"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"unrolled gradient {name} = {getattr(self, name)} must be finite and not negative")

    def attach(self, core: DifferentiableCore, u: Tensor, forward: Forward, log: SolveLog, throw: bool) -> Tensor:
        """(batch, input) -> (batch, node): z_T."""
        if not isinstance(core, SaturatingNetwork):
            raise InputError(f"the unrolled proxy knows W, U and b of RC networks, not of a {type(core).__name__}")
        parameters = core.trainable()
        W, U, b = parameters
        generator = seeded(self.seed, u, W)
        noisy = self._disturbed(W, generator), self._disturbed(U, generator), b
        noise_seed = int(torch.randint(2**62, (1,), generator=generator))
        z = self._run(
            lambda z, t: core.map_with(z, u, *noisy) + self._eta(z, noise_seed + t), core.initial_state(core.drive(u))
        )
        with torch.no_grad():
            residual = (core.map_with(z, u, *parameters) - z).abs().amax(1).to(torch.float64)
        spent = torch.full(residual.shape, self.steps, dtype=torch.int64, device=u.device)
        is_found = residual <= self.rest_tol * core.full_scale
        note_forward(FixedPoint(z=z.detach(), residual=residual, is_found=is_found, evaluations=spent), log, throw)
        log.backward_iterations = float(self.steps)
        return z

    def _run(self, step: Step, z: Tensor) -> Tensor:
        every = self.checkpoint_every
        if every is None:
            for t in range(self.steps):
                z = step(z, t)
            return z
        for begin in range(0, self.steps, every):
            segment = range(begin, min(begin + every, self.steps))
            # Each step's noise has a seed of its own, so running a segment again repeats it.
            z = checkpoint(_run_segment, step, z, segment, use_reentrant=False, preserve_rng_state=False)
        return z

    def _disturbed(self, weight: Tensor, generator: torch.Generator) -> Tensor:
        if self.weight_noise == 0:
            return weight
        normal = torch.randn(weight.shape, generator=generator, dtype=weight.dtype).to(weight.device)
        return weight + self.weight_noise * weight.detach().abs().sqrt() * normal

    def _eta(self, z: Tensor, seed: int) -> Tensor | float:
        if self.state_noise == 0:
            return 0.0
        generator = torch.Generator().manual_seed(seed)
        return self.state_noise * torch.randn(z.shape, generator=generator, dtype=z.dtype).to(z.device)


def _run_segment(step: Step, z: Tensor, segment: range) -> Tensor:
    for t in segment:
        z = step(z, t)
    return z
