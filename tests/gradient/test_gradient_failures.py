"""An implicit gradient that cannot be had is an error, and never zeros."""

import numpy as np
import pytest
import torch
from gradient_oracles import EXACT, SOLVERS, gradients, inputs, parameters, trainable, unrolled

from analogdeq.errors import GradientError, InputError, SettleError
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.forward import ByRootFinding, BySettling, Forward
from analogdeq.gradient.implicit import GradientWarning, ImplicitGradient
from analogdeq.gradient.log import SolveLog

every_solver = pytest.mark.parametrize("solver", SOLVERS)
every_forward = pytest.mark.parametrize("forward", [ByRootFinding(), BySettling()], ids=["root", "settle"])
SPIN = torch.tensor([[-3.0, 2.5], [-2.5, -3.0]], dtype=torch.float64)
"""Eigenvalues -3 +- 2.5i: the circuit is four times faster than tau, and Picard diverges."""
LIMIT_CYCLE = [[1.2, 2.0], [-2.0, 1.2]]


@pytest.mark.parametrize("solver", ["gmres", "dense"])
@pytest.mark.parametrize("forward", EXACT.values(), ids=EXACT)
def test_a_stable_circuit_that_picard_cannot_solve_still_has_its_gradient(solver: str, forward: Forward) -> None:
    core, u = trainable(SPIN, (0.2, -0.1)), inputs(3, 2)
    last = unrolled(core, u, 400)
    assert (unrolled(core, u, 401) - last).abs().max() > 0.1, "Picard was meant to diverge here"
    g = torch.randn(3, 2, dtype=torch.float64)
    z = equilibrium(core, u, forward=forward, gradient=ImplicitGradient(solver=solver, tol=1e-12))
    found = gradients(core, u, z, g)

    D = 1 - z.detach().numpy() ** 2  # tanh' at the equilibrium
    v = [np.linalg.solve(np.eye(2) - (d[:, None] * SPIN.numpy()).T, g_k) for d, g_k in zip(D, g.numpy(), strict=True)]
    du = np.stack([d * v_k for d, v_k in zip(D, v, strict=True)])
    np.testing.assert_allclose(found["u"].numpy(), du, rtol=1e-9)
    np.testing.assert_allclose(found["W"].numpy(), du.T @ z.detach().numpy(), rtol=1e-9)


@pytest.mark.parametrize(("dtype", "residual"), [(torch.float32, "inf"), (torch.float64, r"\d\.\d+e\+\d+")])
def test_the_neumann_series_says_that_it_diverges_and_leaves_no_gradient_behind(
    dtype: torch.dtype, residual: str
) -> None:
    core, u = trainable(SPIN, (0.2, -0.1), dtype=dtype), inputs(3, 2, dtype=dtype).detach()
    z = equilibrium(core, u, gradient=ImplicitGradient(solver="fixed-point"))
    with pytest.raises(GradientError, match=rf"3 of 3 samples.*relative residual {residual},.*use solver='gmres'"):
        z.sum().backward()
    assert core.W.grad is None
    assert core.U.grad is None
    assert core.b.grad is None


def test_a_residual_of_a_few_tolerances_is_let_pass_and_one_of_many_is_not() -> None:
    core = trainable([[0.5]], activation="identity")  # k products leave 2^-k
    for products, is_enough in ((8, True), (7, False)):
        gradient = ImplicitGradient(solver="fixed-point", tol=1e-3, max_iter=products)
        z = equilibrium(core, torch.ones(1, 1, dtype=torch.float64), gradient=gradient)
        if is_enough:  # 3.9e-3 is below 4 tolerances
            z.sum().backward()
            continue
        with pytest.raises(GradientError, match="missed its tolerance"):
            z.sum().backward()


@every_solver
def test_a_fold_has_no_gradient(solver: str) -> None:
    core = trainable([[1.0]], activation="identity")  # every z is an equilibrium: I - J = 0
    z = equilibrium(core, torch.zeros(1, 1, dtype=torch.float64), gradient=ImplicitGradient(solver=solver))
    with pytest.raises(GradientError, match="missed its tolerance"):
        z.sum().backward()
    assert core.b.grad is None


def test_a_sample_that_fails_is_named_in_a_batch_that_does_not() -> None:
    # tanh(1.0 z) has slope 1 at z = 0 and less elsewhere: only the sample without input sits on the fold.
    core = trainable([[1.0]])
    u = torch.tensor([[2.0], [0.0], [-2.0]], dtype=torch.float64)
    z = equilibrium(core, u, gradient=ImplicitGradient(solver="dense"))
    with pytest.raises(GradientError, match=r"1 of 3 samples \(worst: sample 1"):
        z.sum().backward()


@pytest.mark.parametrize(("solver", "max_iter"), [("gmres", 1), ("fixed-point", 1), ("fixed-point", 2)])
def test_a_caller_may_go_on_with_a_poor_gradient_and_is_warned(solver: str, max_iter: int) -> None:
    W, U, b = parameters(20, 4, radius=0.9, seed=5)
    core, u = trainable(W, b, U), inputs(2, 4)
    g = torch.randn(2, 20, dtype=torch.float64)
    exact = gradients(core, u, equilibrium(core, u, gradient=ImplicitGradient(solver="dense")), g)
    poor = ImplicitGradient(solver=solver, max_iter=max_iter, on_failure="warn")
    z = equilibrium(core, u, gradient=poor)
    with pytest.warns(GradientWarning, match="2 of 2 samples"):
        found = gradients(core, u, z, g)
    for name, value in found.items():
        assert torch.isfinite(value).all()
        assert value.abs().max() > 0
        assert torch.cosine_similarity(value.flatten(), exact[name].flatten(), dim=0) > 0.5


@every_solver
def test_where_no_vector_is_better_than_zero_the_jacobian_is_left_out(solver: str) -> None:
    # z = z + u + b has the fold's gradient in every solver: zeros, infinities, or a sum that grows without end.
    core = trainable([[1.0]], activation="identity")
    gradient = ImplicitGradient(solver=solver, on_failure="warn")
    z = equilibrium(core, torch.zeros(1, 1, dtype=torch.float64), gradient=gradient)
    with pytest.warns(GradientWarning, match="1 of 1 samples"):
        (3 * z).sum().backward()
    assert core.b.grad.item() == 3


@every_solver
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("on_failure", ["raise", "warn"])
def test_a_gradient_that_arrives_broken_is_an_error_and_not_zeros(solver: str, value: float, on_failure: str) -> None:
    W, U, b = parameters(4, 2, radius=0.8, seed=6)
    core = trainable(W, b, U)
    z = equilibrium(core, inputs(3, 2).detach(), gradient=ImplicitGradient(solver=solver, on_failure=on_failure))
    g = torch.ones_like(z)
    g[1, 2] = value
    with pytest.raises(GradientError, match=r"NaN or infinite for 1 of 3 samples.*readout or the loss"):
        z.backward(g)
    assert core.W.grad is None


@every_solver
def test_a_zero_gradient_stays_zero_without_complaint(solver: str) -> None:
    W, U, b = parameters(4, 2, radius=0.8, seed=6)
    core, u = trainable(W, b, U), inputs(3, 2)
    z = equilibrium(core, u, gradient=ImplicitGradient(solver=solver))
    for value in gradients(core, u, z, torch.zeros_like(z)).values():
        assert torch.equal(value, torch.zeros_like(value))


@every_solver
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gradient_keeps_its_digits_however_small_or_large_it_is(solver: str, dtype: torch.dtype) -> None:
    W, U, b = parameters(6, 2, radius=0.8, seed=7)
    core, u = trainable(W, b, U, dtype=dtype), inputs(2, 2, dtype=dtype)
    g = torch.randn(2, 6, dtype=dtype)
    plain = gradients(core, u, equilibrium(core, u, gradient=ImplicitGradient(solver=solver)), g)
    for scale in (1e-30, 1e25):
        scaled = gradients(core, u, equilibrium(core, u, gradient=ImplicitGradient(solver=solver)), g * scale)
        for name, value in scaled.items():
            torch.testing.assert_close(value / scale, plain[name], rtol=1e-4, atol=1e-5)


@every_forward
def test_a_core_without_rest_is_counted_and_raised_where_asked(forward: Forward) -> None:
    core, log = trainable(LIMIT_CYCLE), SolveLog()
    u = torch.tensor([[0.1, 0.0], [4.0, -4.0]], dtype=torch.float64)  # the strong drive saturates, and rests
    equilibrium(core, u, forward=forward, log=log)
    assert log.unsettled == 1
    assert log.forward_residual > 0.01
    with pytest.raises(SettleError, match=r"1 of 2 samples have no equilibrium.*lower the gain of W"):
        equilibrium(core, u, forward=forward, throw=True)


def test_a_rest_that_repels_is_no_equilibrium_of_the_circuit() -> None:
    core, u = trainable(LIMIT_CYCLE), torch.zeros(1, 2, dtype=torch.float64)
    with pytest.raises(SettleError):
        equilibrium(core, u, forward=BySettling(), throw=True)


def test_root_finding_refuses_a_rest_that_repels() -> None:
    core, u = trainable(LIMIT_CYCLE), torch.zeros(1, 2, dtype=torch.float64)
    with pytest.raises(SettleError):
        equilibrium(core, u, forward=ByRootFinding(), throw=True)


def test_root_finding_ends_where_the_circuit_ends_up() -> None:
    core, u = trainable([[2.0]]), torch.tensor([[1e-6]], dtype=torch.float64)
    assert equilibrium(core, u, forward=ByRootFinding()).item() > 0.9


def test_both_forward_passes_choose_the_same_rest_of_a_bistable_core() -> None:
    core, u = trainable([[2.0]]), torch.tensor([[0.3], [-0.3]], dtype=torch.float64)
    root, settled = (equilibrium(core, u, forward=forward) for forward in EXACT.values())
    torch.testing.assert_close(root, settled, rtol=1e-9, atol=1e-9)
    assert root[0] > 0.9
    assert root[1] < -0.9


@every_forward
def test_a_second_derivative_is_refused(forward: Forward) -> None:
    W, U, b = parameters(3, 2, radius=0.5, seed=8)
    core, u = trainable(W, b, U), inputs(2, 2)
    for loss in (torch.sum, lambda z: z.square().sum()):  # the gradient that arrives is a constant, then it is not
        with pytest.raises(GradientError, match=r"differentiated once.*create_graph"):
            torch.autograd.grad(loss(equilibrium(core, u, forward=forward)), u, create_graph=True)


@every_forward
@pytest.mark.parametrize(
    ("u", "message"),
    [
        (torch.zeros(0, 2, dtype=torch.float64), "empty batch"),
        (torch.zeros(2, dtype=torch.float64), r"shape \(batch, 2\), got \(2,\)"),
        (torch.zeros(1, 3, dtype=torch.float64), r"shape \(batch, 2\), got \(1, 3\)"),
        (torch.zeros(1, 2), "float32.*float64"),
        (torch.zeros(1, 2, dtype=torch.int64), "int64.*float64"),
        ([[0.0, 0.0]], "not list"),
    ],
)
def test_unusable_input_is_refused_with_its_reason(forward: Forward, u: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        equilibrium(trainable([[0.1, 0], [0, 0.1]]), u, forward=forward)


@every_forward
def test_weights_that_training_ruined_are_refused(forward: Forward) -> None:
    core = trainable([[0.1, 0], [0, 0.1]])
    with torch.no_grad():
        core.U[0, 0] = torch.nan
    with pytest.raises(InputError, match="NaN or infinity"):
        equilibrium(core, torch.zeros(1, 2, dtype=torch.float64), forward=forward)


@pytest.mark.parametrize("forward", EXACT.values(), ids=EXACT)
def test_an_input_that_is_not_a_number_spoils_only_its_own_sample(forward: Forward) -> None:
    core, log = trainable([[0.5, 0.1], [0.2, 0.3]], (0.3, -0.2)), SolveLog()
    u = torch.tensor([[torch.nan, 0.0], [0.1, 0.2]], dtype=torch.float64)
    z = equilibrium(core, u, forward=forward, log=log)
    alone = equilibrium(core, u[1:], forward=forward)
    torch.testing.assert_close(z[1:], alone, rtol=0, atol=1e-9)
    assert log.unsettled == 1
    with pytest.raises(GradientError):
        z.sum().backward()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "gmress"}, "gmress"),
        ({"on_failure": "ignore"}, "'raise' or 'warn'"),
        ({"tol": 0.0}, "tol"),
        ({"tol": 1.0}, "tol"),
        ({"tol": float("nan")}, "tol"),
        ({"max_iter": 0}, "max_iter"),
    ],
)
def test_options_no_solve_can_use_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ImplicitGradient(**options)
