"""Gradients of locked oscillators against finite differences, with and without a reference."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import root
from torch import Tensor, nn

from analogdeq.cores.oscillators.base import OscillatorCore
from analogdeq.cores.oscillators.corotating import Corotating
from analogdeq.cores.oscillators.features import OrderParameter, PhaseDifferences, Quadratures
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.cores.oscillators.stuart_landau import StuartLandauCore
from analogdeq.errors import GradientError, InputError, SettleError
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.forward import BySettling
from analogdeq.gradient.implicit import ImplicitGradient
from analogdeq.gradient.rotating_wave import rotating_wave
from analogdeq.solve.options import SettleOptions
from oscillator_oracles import D, random_phase_core

EXACT = BySettling(SettleOptions(band=1e-9, atol=1e-11, rtol=1e-4, max_time_tau=5000))
REFERENCED = (lambda: random_phase_core(5, seed=1, shil=0.2), lambda: amplitude_core(referenced=True))
NAMES = ("W", "U", "b", "detuning", "tuning")


def amplitude_core(*, referenced: bool, seed: int = 3, n: int = 4) -> StuartLandauCore:
    rng = np.random.default_rng(seed)
    W = torch.tensor(0.2 * (rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n))) / n + 0.9 / n)
    b = torch.tensor(0.2 * rng.normal(size=2 * n) + np.tile([1.5, 0.0], n)) if referenced else None
    U = torch.tensor(0.3 * rng.normal(size=(2 * n, 2))) if referenced else None
    tuning = torch.tensor(0.05 * rng.normal(size=(n, 2)))
    detuning = torch.tensor(0.05 * rng.normal(size=n))
    return StuartLandauCore(W, U, b, shear=0.5, detuning=detuning, tuning=tuning, tau_s=1.0)


def parameters_of(core: OscillatorCore) -> dict[str, Tensor]:
    return dict(zip(NAMES, core.trainable(), strict=True))


def rebuilt(core: OscillatorCore, values: dict[str, Tensor]) -> OscillatorCore:
    options = {name: values[name] for name in ("detuning", "tuning")}
    if not core.has_reference:
        values = {**values, "U": None, "b": None}
    if isinstance(core, PhaseCore):
        return PhaseCore(values["W"], values["U"], values["b"], shil=core.shil, tau_s=1.0, **options)
    return StuartLandauCore(values["W"], values["U"], values["b"], shear=core.shear, tau_s=1.0, **options)


def slope(
    core: OscillatorCore, loss: Callable[[OscillatorCore, Tensor], float], u: Tensor, name: str, direction: Tensor
) -> float:
    """Central difference of a loss along a direction of one parameter, or of u."""
    eps, ends = 1e-5, []
    for sign in (1, -1):
        values = {key: value.detach().clone() for key, value in parameters_of(core).items()}
        at = u.detach().clone()
        if name == "u":
            at = at + sign * eps * direction
        else:
            values[name] = values[name] + sign * eps * direction
        ends.append(loss(rebuilt(core, values), at))
    return (ends[0] - ends[1]) / (2 * eps)


def random_like(value: Tensor, seed: int) -> Tensor:
    return torch.randn(value.shape, dtype=value.dtype, generator=torch.Generator().manual_seed(seed))


def along(grad: Tensor, direction: Tensor) -> float:
    """The directional derivative; a complex gradient is d/dRe + i d/dIm."""
    return float((grad.conj() * direction).real.sum())


@pytest.mark.parametrize("solver", ["gmres", "dense"])
@pytest.mark.parametrize("make", REFERENCED)
def test_with_a_reference_the_implicit_gradient_is_that_of_finite_differences(
    make: Callable[[], OscillatorCore], solver: str
) -> None:
    core = make()
    gradient = ImplicitGradient(solver=solver, tol=1e-12)
    u = random_like(torch.empty(2, core.n_inputs, dtype=D), 0).requires_grad_(True)
    features = Quadratures(core)
    weight = random_like(torch.empty(2, features.n_features, dtype=D), 1)

    def loss(network: OscillatorCore, at: Tensor) -> float:
        return float((weight * Quadratures(network)(equilibrium(network, at, forward=EXACT))).sum().detach())

    values = parameters_of(core)
    for value in values.values():
        value.requires_grad_(True)
    total = (weight * features(equilibrium(core, u, gradient=gradient, forward=EXACT, throw=True))).sum()
    grads = torch.autograd.grad(total, [*values.values(), u])
    for seed, (name, grad) in enumerate(zip((*values, "u"), grads, strict=True)):
        direction = random_like(grad, 10 + seed)
        assert along(grad, direction) == pytest.approx(slope(core, loss, u, name, direction), rel=1e-5, abs=1e-9)


@pytest.mark.parametrize(
    "make", [lambda: random_phase_core(5, seed=2, referenced=False), lambda: amplitude_core(referenced=False)]
)
def test_without_a_reference_bordered_and_reduced_system_and_finite_differences_agree(
    make: Callable[[], OscillatorCore],
) -> None:
    core = make()
    u = random_like(torch.empty(2, core.n_inputs, dtype=D), 0).requires_grad_(True)
    names = ("W", "detuning", "tuning")

    def losses(network: OscillatorCore, at: Tensor) -> tuple[Tensor, Tensor]:
        """The same gauge-invariant loss of state and collective frequency by both systems."""
        frame = Corotating(network, pinned=1)
        x = equilibrium(frame, at, forward=EXACT, gradient=ImplicitGradient(solver="dense"))
        full = frame.embed(x)
        flow = network.flow(full, at, *network.trainable())
        omega = flow[:, frame.node] / network.rotation(full)[:, frame.node]
        reduced = PhaseDifferences(frame)(x).sin().sum() + 3 * omega.sum()
        z, turned = rotating_wave(network, at, forward=EXACT)
        bordered = PhaseDifferences(network)(z).sin().sum() + 3 * turned.sum()
        return reduced, bordered

    values = {name: value for name, value in parameters_of(core).items() if name in names}
    for value in values.values():
        value.requires_grad_(True)
    reduced, bordered = losses(core, u)
    assert float(reduced.detach()) == pytest.approx(float(bordered.detach()), abs=1e-9)
    wanted = [*values.values(), u]
    by_frame = torch.autograd.grad(reduced, wanted)
    by_border = torch.autograd.grad(bordered, wanted)
    for seed, (name, one, other) in enumerate(zip((*values, "u"), by_frame, by_border, strict=True)):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)
        direction = random_like(one, 10 + seed)
        expected = slope(core, lambda net, at: float(losses(net, at)[1].detach()), u, name, direction)
        assert along(other, direction) == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_the_gradient_of_a_wave_is_that_of_an_independent_root_finder() -> None:
    """theta and Omega from MINPACK on the N equations of the phases, in numpy; nothing of the package."""
    core = random_phase_core(5, seed=8, referenced=False)
    u = torch.tensor([[0.3, -0.5, 0.9]], dtype=D)
    W, delta = core.W.numpy().copy(), (core.detuning + core.tuning @ u[0]).numpy()

    def loss(coupling: np.ndarray) -> float:
        def equations(x: np.ndarray) -> np.ndarray:
            phi = np.concatenate(([0.0], x[:-1]))
            return delta + (coupling * np.sin(phi[None, :] - phi[:, None])).sum(1) - x[-1]

        x = root(equations, np.zeros(5), tol=1e-14).x
        phi = np.concatenate(([0.0], x[:-1]))
        return float(np.abs(np.exp(1j * phi).mean()) + x[-1])

    core.W.requires_grad_(True)
    z, omega = rotating_wave(core, u, forward=EXACT)
    (grad,) = torch.autograd.grad(OrderParameter(core)(z).sum() + omega.sum(), core.W)
    for i, j in ((0, 1), (3, 0), (4, 2)):
        step = np.zeros_like(W)
        step[i, j] = 1e-5
        assert float(grad[i, j]) == pytest.approx((loss(W + step) - loss(W - step)) / 2e-5, rel=1e-5, abs=1e-9)


def test_a_pseudo_inverse_in_place_of_the_border_is_wrong() -> None:
    """It leaves dOmega out: asymmetric couplings make the left null vector differ from the rotation."""
    core = random_phase_core(5, seed=2, referenced=False)
    u = torch.zeros(1, 3, dtype=D)
    core.W.requires_grad_(True)
    z, _ = rotating_wave(core, u, forward=EXACT)
    (exact,) = torch.autograd.grad(OrderParameter(core)(z).sum(), core.W, retain_graph=True)
    at = z.detach().requires_grad_(True)
    (g,) = torch.autograd.grad(OrderParameter(core)(at).sum(), at)
    jacobian = core.linearise(at.detach(), core.drive(u)).dense()[0].detach() - torch.eye(5, dtype=D)
    weight = -torch.linalg.pinv(jacobian.mT) @ g[0]
    flow = core.flow(at.detach(), u, *core.trainable())
    (plain,) = torch.autograd.grad(flow, core.W, weight.unsqueeze(0))
    error = float((plain - exact).abs().max() / exact.abs().max())
    assert error > 1e-3


def test_for_symmetric_phase_couplings_the_pseudo_inverse_happens_to_be_right() -> None:
    source = random_phase_core(5, seed=2, referenced=False)
    core = PhaseCore((source.W + source.W.T) / 2, detuning=source.detuning, tau_s=1.0)
    u = torch.zeros(1, 0, dtype=D)
    core.W.requires_grad_(True)
    z, _ = rotating_wave(core, u, forward=EXACT)
    (exact,) = torch.autograd.grad(OrderParameter(core)(z).sum(), core.W)
    at = z.detach().requires_grad_(True)
    (g,) = torch.autograd.grad(OrderParameter(core)(at).sum(), at)
    jacobian = core.linearise(at.detach(), core.drive(u)).dense()[0].detach() - torch.eye(5, dtype=D)
    flow = core.flow(at.detach(), u, *core.trainable())
    (plain,) = torch.autograd.grad(flow, core.W, -(torch.linalg.pinv(jacobian.mT) @ g[0]).unsqueeze(0))
    torch.testing.assert_close(plain, exact, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "make", [lambda: random_phase_core(4, seed=2, referenced=False), lambda: amplitude_core(referenced=False)]
)
def test_a_loss_that_sees_the_common_phase_is_refused(make: Callable[[], OscillatorCore]) -> None:
    core = make()
    core.W.requires_grad_(True)
    u = torch.zeros(2, core.n_inputs, dtype=D)
    z, _ = rotating_wave(core, u, forward=EXACT)
    with pytest.raises(GradientError, match="not gauge-invariant"):
        z[:, 1].sum().backward()


def test_a_network_with_a_reference_has_no_rotating_wave_and_one_that_drifts_no_lock() -> None:
    with pytest.raises(InputError, match="has a reference"):
        rotating_wave(random_phase_core(4, seed=0), torch.zeros(1, 3, dtype=D))
    W = torch.tensor([[0.0, 0.1], [0.1, 0.0]], dtype=D)
    drifting = PhaseCore(W, detuning=torch.tensor([0.0, 1.0], dtype=D), tau_s=1.0)
    with pytest.raises(SettleError, match="1 of 1 samples do not lock"):
        rotating_wave(drifting, torch.zeros(1, 0, dtype=D))


def test_sparse_couplings_have_gradients_edge_by_edge() -> None:
    source = random_phase_core(8, seed=3)
    mask = torch.rand(8, 8, generator=torch.Generator().manual_seed(1)) < 0.4
    W = (source.W * mask).detach()
    u = torch.rand(2, 3, dtype=D)

    def grad(coupling: Tensor) -> Tensor:
        core = PhaseCore(nn.Parameter(coupling), source.U, source.b, detuning=source.detuning, tau_s=1.0)
        (found,) = torch.autograd.grad(equilibrium(core, u, forward=EXACT).sum(), core.W)
        return found

    sparse = W.to_sparse().coalesce()
    dense = grad(W)
    torch.testing.assert_close(grad(sparse), dense[tuple(sparse.indices())], rtol=1e-8, atol=1e-12)
