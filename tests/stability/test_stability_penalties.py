"""Penalties: their values by numpy's matrices, their gradients by differences around scipy's roots."""

import numpy as np
import pytest
import torch
from scipy.optimize import root
from torch import nn

from analogdeq.cores.conv import ConvCore
from analogdeq.cores.rc import RCCore
from analogdeq.errors import InputError
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.forward import ByRootFinding
from analogdeq.gradient.implicit import ImplicitGradient
from analogdeq.stability.lanczos import largest_eigenpair
from analogdeq.stability.penalties import Penalty, jacobian_penalty, numerical_abscissa, residual_penalty
from analogdeq.stability.reached import Reached

BATCH, NODES = 3, 8


def core(gain: float = 0.9) -> RCCore:
    draw = torch.Generator().manual_seed(4)
    shapes = ((NODES, NODES), (NODES, 4), (NODES,))
    W, U, b = (torch.randn(s, generator=draw, dtype=torch.float64) / s[-1] ** 0.5 for s in shapes)
    return RCCore(nn.Parameter(gain * W), nn.Parameter(U), nn.Parameter(0.3 * b))


def conv_core() -> ConvCore:
    draw = torch.Generator().manual_seed(4)
    W, U = (torch.randn(2, c, 3, 3, generator=draw, dtype=torch.float64) / 9 for c in (2, 1))
    return ConvCore(
        nn.Parameter(W), nn.Parameter(U), nn.Parameter(torch.zeros(2, dtype=torch.float64)), height=4, width=3
    )


def reach(network: RCCore | ConvCore) -> Reached:
    u = torch.rand(BATCH, network.n_inputs, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    z = equilibrium(network, u, forward=ByRootFinding(tol=1e-14), gradient=ImplicitGradient(tol=1e-13, solver="dense"))
    return Reached(core=network, u=u, z=z, parameters=network.trainable())


def jacobians(reached: Reached) -> np.ndarray:
    """(batch, node, node), by differences of the map, one column per node."""
    z, columns = reached.z.detach(), []
    with torch.no_grad():
        for k in range(z.shape[1]):
            step = torch.zeros_like(z)
            step[:, k] = 1e-6
            ends = [reached.core.map_with(z + s * step, reached.u, *reached.parameters) for s in (1, -1)]
            columns.append((ends[0] - ends[1]) / 2e-6)
    return torch.stack(columns, 2).numpy()


@pytest.mark.parametrize("make", [core, conv_core])
def test_the_jacobian_penalty_is_the_squared_length_of_the_product(make: object) -> None:
    reached = reach(make())
    noise = torch.randn(reached.z.shape, dtype=torch.float64)
    expected = [(J.T @ e) @ (J.T @ e) for J, e in zip(jacobians(reached), noise.numpy(), strict=True)]
    value = jacobian_penalty(reached, noise).item()
    assert value == pytest.approx(np.mean(expected) / reached.z.shape[1], rel=1e-6)


def test_the_mean_of_the_jacobian_penalty_is_the_squared_frobenius_norm() -> None:
    reached, draw = reach(core()), torch.Generator().manual_seed(0)
    noise = torch.randn(3000, BATCH, NODES, generator=draw, dtype=torch.float64)
    values = [jacobian_penalty(reached, one).item() for one in noise]
    expected = np.mean([np.linalg.norm(J) ** 2 for J in jacobians(reached)]) / NODES
    assert abs(np.mean(values) - expected) < 4 * np.std(values) / 3000**0.5
    assert np.std(values) > 0.05 * expected


@pytest.mark.parametrize("make", [core, conv_core])
def test_the_numerical_abscissa_is_the_top_of_the_symmetric_part(make: object) -> None:
    reached = reach(make())
    expected = [np.linalg.eigvalsh((J + J.T) / 2).max() for J in jacobians(reached)]
    found = numerical_abscissa(reached, torch.randn(reached.z.shape, dtype=torch.float64), steps=100)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-7)


def test_the_numerical_abscissa_of_a_rotation_is_zero_where_its_norm_is_not() -> None:
    turn = torch.tensor([[0.0, 3.0], [-3.0, 0.0]], dtype=torch.float64)
    network = RCCore(nn.Parameter(turn), torch.zeros(2, 1).double(), torch.zeros(2).double(), activation="identity")
    z = torch.zeros(1, 2, dtype=torch.float64)
    reached = Reached(core=network, u=torch.zeros(1, 1).double(), z=z, parameters=network.trainable())
    assert numerical_abscissa(reached, torch.ones(1, 2).double()).item() == pytest.approx(0, abs=1e-12)
    assert jacobian_penalty(reached, torch.ones(1, 2).double()).item() == pytest.approx(9)


@pytest.mark.parametrize("term", ["jacobian", "abscissa"])
def test_the_gradient_includes_how_the_equilibrium_moves(term: str) -> None:
    network = core()
    noise = torch.randn(BATCH, NODES, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    reached = reach(network)

    def by_numpy() -> float:
        W, U, b = (p.detach().numpy() for p in network.trainable())
        total = 0.0
        for row, e in zip(reached.u.numpy(), noise.numpy(), strict=True):
            z = root(lambda z, c: z - np.tanh(W @ z + c), np.zeros(NODES), (U @ row + b,), tol=1e-14).x
            J = (1 - z**2)[:, None] * W
            total += (e @ J) @ (e @ J) / NODES if term == "jacobian" else np.linalg.eigvalsh((J + J.T) / 2).max()
        return total / BATCH

    value = jacobian_penalty(reached, noise) if term == "jacobian" else numerical_abscissa(reached, noise).mean()
    assert value.item() == pytest.approx(by_numpy(), rel=1e-7)
    value.backward()
    for parameter in network.parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for k in {0, int(gradient.abs().argmax())}:
            ends = []
            for step in (1e-6, -2e-6, 1e-6):
                ends.append(by_numpy())
                flat[k] += step
            assert gradient[k].item() == pytest.approx((ends[1] - ends[2]) / 2e-6, rel=1e-4, abs=1e-7)


def test_the_residual_penalty_is_zero_at_rest_and_the_mean_square_elsewhere() -> None:
    reached = reach(core())
    assert residual_penalty(reached).item() < 1e-24
    z = reached.z.detach() + 0.1
    away = Reached(core=reached.core, u=reached.u, z=z, parameters=reached.parameters)
    W, U, b = (p.detach().numpy() for p in reached.parameters)
    motion = z.numpy() - np.tanh(z.numpy() @ W.T + reached.u.numpy() @ U.T + b)
    assert residual_penalty(away).item() == pytest.approx((motion**2).sum(1).mean())


def test_a_step_along_the_residual_penalty_brings_the_map_to_the_state() -> None:
    reached = reach(core())
    away = Reached(core=reached.core, u=reached.u, z=reached.z.detach() + 0.1, parameters=reached.parameters)
    before = residual_penalty(away)
    before.backward()
    with torch.no_grad():
        for parameter in reached.core.parameters():
            parameter -= 0.05 * parameter.grad
    assert residual_penalty(away).item() < 0.9 * before.item()


@pytest.mark.parametrize("rank", [1, 3, 8])
@pytest.mark.parametrize("shift", [-5.0, 0.0])
def test_lanczos_finds_the_largest_eigenvalue_of_any_spectrum(rank: int, shift: float) -> None:
    draw = torch.Generator().manual_seed(rank)
    half = torch.randn(4, 8, rank, generator=draw, dtype=torch.float64)
    S = half @ half.mT * torch.tensor([1.0, -1.0, 0.0, 2.0]).double().view(-1, 1, 1)
    S = S + shift * torch.eye(8, dtype=torch.float64)
    start = torch.randn(4, 8, generator=draw, dtype=torch.float64)
    value, vector = largest_eigenpair(lambda v: (S @ v.unsqueeze(-1)).squeeze(-1), start, steps=8)
    np.testing.assert_allclose(value, np.linalg.eigvalsh(S.numpy())[:, -1], atol=1e-10)
    np.testing.assert_allclose((S @ vector.unsqueeze(-1)).squeeze(-1), value.unsqueeze(1) * vector, atol=1e-7)
    np.testing.assert_allclose(vector.norm(dim=1), 1, atol=1e-10)


def test_several_processes_draw_what_one_would() -> None:
    network, penalty = core(), Penalty(jacobian=1.0, abscissa=1.0, abscissa_above=-9.0, probability=0.9)
    whole = reach(network)
    parts = []
    for rows in ([0], [1, 2]):
        part = Reached(core=network, u=whole.u[rows], z=whole.z[rows], parameters=whole.parameters)
        parts.append(penalty.of([part], torch.tensor(rows), BATCH, torch.Generator().manual_seed(2)).item())
    together = penalty.of([whole], torch.arange(BATCH), BATCH, torch.Generator().manual_seed(2)).item()
    assert together == pytest.approx((parts[0] + 2 * parts[1]) / 3, rel=1e-10)


def test_a_penalty_that_is_off_costs_no_random_number() -> None:
    draw = torch.Generator().manual_seed(2)
    before = draw.get_state()
    assert not Penalty().is_on
    assert Penalty(residual=1.0).of([reach(core())], torch.arange(BATCH), BATCH, draw).item() < 1e-20
    assert torch.equal(draw.get_state(), before)


def test_the_probability_is_how_often_a_step_pays() -> None:
    penalty, draw, reached = Penalty(jacobian=1.0, probability=0.25), torch.Generator().manual_seed(0), reach(core())
    paid = [penalty.of([reached], torch.arange(BATCH), BATCH, draw).item() > 0 for _ in range(400)]
    assert 70 <= sum(paid) <= 130


@pytest.mark.parametrize(
    "wrong",
    [{"settling_time": -1.0}, {"energy": 1.0}, {"jacobian": -1.0}, {"residual": float("nan")}, {"probability": 0.0}],
)
def test_weights_that_are_no_weights_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Penalty(**wrong)
