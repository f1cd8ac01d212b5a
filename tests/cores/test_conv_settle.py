"""Convolutional cores in the solvers: settled, and differentiated through their equilibria."""

import numpy as np
import pytest
import torch
from scipy.optimize import root
from torch import nn

import analogdeq as adq
from analogdeq.cores.conv import ConvCore
from analogdeq.errors import InputError, SettleError
from analogdeq.solve.options import METHODS
from helpers import last_exit, random_inputs, trajectory
from unrolling import conv_core, dense_twin, unrolled


@pytest.mark.parametrize("method", METHODS)
def test_it_settles_as_its_dense_twin_with_every_method(method: str) -> None:
    core = conv_core(input_kernel=(3, 3), image=(3, 3))
    u = random_inputs(3, core.n_inputs, seed=1)
    mine, theirs = (adq.settle(c, u, method=method, compiled=False) for c in (core, dense_twin(core)))
    assert mine.verdict == theirs.verdict == [adq.Verdict.SETTLED] * 3
    torch.testing.assert_close(mine.z, theirs.z, rtol=0, atol=1e-6)
    torch.testing.assert_close(mine.t_settle_s, theirs.t_settle_s, rtol=1e-6, atol=0)
    torch.testing.assert_close(mine.error_bound, theirs.error_bound, rtol=0, atol=1e-8)


@pytest.mark.parametrize("per_position", [False, True])
def test_it_settles_when_scipy_says_so(per_position: bool) -> None:
    core = conv_core(image=(4, 4), input_kernel=(3, 3), per_position=per_position, tau_s=1.0)
    u = random_inputs(1, core.n_inputs, seed=3)
    W, b = unrolled(core.W, (4, 4)), core.drive(u).current[0].numpy()
    path = trajectory(W, np.zeros(core.n_nodes), 60.0, b=b)
    rest = root(lambda z: np.tanh(W @ z + b) - z, path(60.0), tol=1e-14).x
    settled = adq.settle(core, u, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(settled.z[0].numpy(), rest, atol=1e-6)
    assert float(settled.t_settle_s[0]) == pytest.approx(last_exit(path, rest, 1e-3, 60.0), rel=1e-4)


def test_time_constants_of_their_own_belong_to_their_pixels() -> None:
    taus = torch.linspace(0.2, 1.0, 24, dtype=torch.float64)
    core = conv_core(tau_s=taus.view(2, 4, 3))
    u = random_inputs(2, core.n_inputs, seed=0)
    mine, theirs = (adq.settle(c, u, compiled=False) for c in (core, dense_twin(core)))
    torch.testing.assert_close(mine.t_settle_s, theirs.t_settle_s, rtol=1e-6, atol=0)


def test_a_sample_settles_the_same_alone_and_in_a_batch() -> None:
    core = conv_core(per_position=True)
    u = random_inputs(5, core.n_inputs, seed=0)
    together = adq.settle(core, u)
    for n in range(5):
        alone = adq.settle(core, u[n : n + 1])
        torch.testing.assert_close(alone.z[0], together.z[n], rtol=0, atol=1e-6)
        # The rest is a root to a ten-thousandth of the band, and the batch decides when it is looked for.
        assert float(alone.t_settle_s) == pytest.approx(float(together.t_settle_s[n]), rel=1e-4)


def test_a_nan_pixel_spoils_its_own_sample_only() -> None:
    core = conv_core()
    u = random_inputs(3, core.n_inputs, seed=0)
    u[1, 5] = torch.nan
    settled = adq.settle(core, u)
    assert [v.name for v in settled.verdict] == ["SETTLED", "DIVERGED", "SETTLED"]


def test_images_must_be_handed_in_as_rows() -> None:
    core = conv_core()
    with pytest.raises(InputError, match=r"u must have shape \(batch, 12\), got \(2, 1, 4, 3\)"):
        adq.settle(core, torch.zeros(2, 1, 4, 3, dtype=torch.float64))


def test_a_convolution_that_oscillates_is_found_out() -> None:
    rotation = torch.tensor([[1.0, 2.0], [-2.0, 1.0]], dtype=torch.float64)
    core = ConvCore(
        2 * rotation.view(2, 2, 1, 1), torch.eye(2, dtype=torch.float64).view(2, 2, 1, 1),
        torch.zeros(2, dtype=torch.float64), height=2, width=2,
    )  # fmt: skip
    u = 0.1 * torch.ones(1, core.n_inputs, dtype=torch.float64)
    with pytest.raises(SettleError, match="oscillating"):
        adq.settle(core, u, throw=True)


def trained(core: ConvCore) -> ConvCore:
    W, U, b = (nn.Parameter(p.clone()) for p in core.trainable())
    return ConvCore(W, U, b, height=core.state_shape[1], width=core.state_shape[2], activation=core.activation.name)


def settled_to(core: ConvCore, u: torch.Tensor, solver: str = "gmres") -> torch.Tensor:
    exact = adq.ByRootFinding(tol=1e-13)
    return adq.equilibrium(core, u, forward=exact, gradient=adq.ImplicitGradient(solver=solver, tol=1e-12))


@pytest.mark.parametrize("per_position", [False, True])
def test_gradients_through_the_equilibrium_pass_gradcheck(per_position: bool) -> None:
    source = conv_core(channels=1, image=(2, 2), per_position=per_position, input_kernel=(1, 3))
    u = random_inputs(2, source.n_inputs, seed=1).requires_grad_()

    def rest(u: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        return settled_to(ConvCore(*weights, height=2, width=2), u)

    weights = [p.clone().requires_grad_() for p in source.trainable()]
    # A leaf that a core holds as a plain tensor is differentiated like a parameter.
    assert torch.autograd.gradcheck(rest, (u, *weights), eps=1e-6, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("solver", ["gmres", "fixed-point", "dense"])
def test_gradients_are_those_of_the_dense_core_gathered_over_positions(solver: str) -> None:
    core = trained(conv_core(input_kernel=(3, 3)))
    u = random_inputs(3, core.n_inputs, seed=1).requires_grad_()
    weight = torch.linspace(-1, 1, core.n_nodes, dtype=torch.float64)
    (settled_to(core, u, solver) @ weight).sum().backward()
    mine = [core.W.grad, core.U.grad, core.b.grad, u.grad]
    # The twin's matrices are made of the kernels by an operation that autograd can follow back.
    kernels = [p.detach().clone().requires_grad_() for p in core.trainable()]
    twin_u = u.detach().clone().requires_grad_()
    W, U = (_matrix(kernel, channels, 4, 3) for kernel, channels in ((kernels[0], 2), (kernels[1], 1)))
    dense = adq.RCCore(W.detach(), U.detach(), kernels[2].detach().repeat_interleave(12))
    leaves = [p.requires_grad_() for p in dense.trainable()]
    exact, gradient = adq.ByRootFinding(tol=1e-13), adq.ImplicitGradient(tol=1e-12)
    (adq.equilibrium(dense, twin_u, forward=exact, gradient=gradient) @ weight).sum().backward()
    torch.autograd.backward([W, U, kernels[2].repeat_interleave(12)], [leaf.grad for leaf in leaves])
    for got, expected in zip(mine, (*(k.grad for k in kernels), twin_u.grad), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-7, atol=1e-9)


def _matrix(kernel: torch.Tensor, channels: int, height: int, width: int) -> torch.Tensor:
    units = torch.eye(channels * height * width, dtype=kernel.dtype).view(-1, channels, height, width)
    return nn.functional.conv2d(units, kernel, padding=[side // 2 for side in kernel.shape[-2:]]).flatten(1).T


def test_a_few_steps_of_training_bring_the_equilibrium_to_its_target() -> None:
    core = trained(conv_core(seed=4))
    u = random_inputs(6, core.n_inputs, seed=5)
    target = 0.5 * torch.sin(torch.arange(core.n_nodes, dtype=torch.float64)).expand(6, -1)
    optimiser = torch.optim.Adam(core.parameters(), lr=0.03)
    losses = []
    for _ in range(25):
        optimiser.zero_grad()
        loss = (adq.equilibrium(core, u) - target).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
