"""Equilibrium propagation on symmetric phase networks, next to the implicit gradient."""

import pytest
import torch
from torch import Tensor, nn

from analogdeq.cores.oscillators.features import Quadratures
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.cores.rc import RCCore
from analogdeq.errors import GradientError, InputError, SettleError
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.forward import BySettling
from analogdeq.gradient.implicit import ImplicitGradient
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.method import Gradient
from analogdeq.gradient.phase_propagation import PhasePropagation
from analogdeq.solve.options import SettleOptions
from oscillator_oracles import D, random_phase_core

LABELS = torch.tensor([0, 2, 1, 2])
EXACT = BySettling(SettleOptions(band=1e-9, atol=1e-11, rtol=1e-4))


def symmetric_core(*, quadrature_only: bool = False, sparse: bool = False) -> PhaseCore:
    source = random_phase_core(6, seed=5)
    W = (source.W + source.W.T).detach() * 2
    U = source.U[1::2] if quadrature_only else source.U
    return PhaseCore(
        W.to_sparse() if sparse else nn.Parameter(W), nn.Parameter(U.detach().clone()),
        nn.Parameter(source.b.detach().clone()), detuning=nn.Parameter(source.detuning.detach().clone()),
        tuning=nn.Parameter(0.1 * torch.ones(6, 3, dtype=D)), shil=0.2, tau_s=1.0,
    )  # fmt: skip


def inputs() -> Tensor:
    return torch.randn(4, 3, dtype=D, generator=torch.Generator().manual_seed(0))


def loss_of(core: PhaseCore, u: Tensor, gradient: Gradient, log: SolveLog | None = None) -> Tensor:
    readout = torch.randn(3, 12, dtype=D, generator=torch.Generator().manual_seed(4))
    z = equilibrium(core, u, gradient=gradient, forward=EXACT, log=log, throw=True)
    return nn.functional.cross_entropy(Quadratures(core)(z) @ readout.T, LABELS)


def gradients(core: PhaseCore, gradient: Gradient) -> list[Tensor]:
    """Of every parameter and the input; of W the symmetric part."""
    u = inputs().requires_grad_(True)
    wanted = [x for x in (*core.parameters(), u) if x.requires_grad]
    found = list(torch.autograd.grad(loss_of(core, u, gradient), wanted))
    return [(x + x.T) / 2 if x.shape == (6, 6) else x for x in found]


def error(core: PhaseCore, gradient: Gradient) -> float:
    exact = gradients(core, ImplicitGradient(solver="dense"))
    pairs = zip(gradients(core, gradient), exact, strict=True)
    return max(float((found - value).abs().max() / value.abs().max()) for found, value in pairs)


@pytest.mark.parametrize("quadrature_only", [False, True])
@pytest.mark.parametrize(("variant", "order"), [("one-sided", 1), ("centred", 2)])
def test_the_propagated_gradient_goes_to_the_implicit_one_as_a_power_of_the_nudge(
    quadrature_only: bool, variant: str, order: int
) -> None:
    core = symmetric_core(quadrature_only=quadrature_only)
    coarse, fine = (error(core, PhasePropagation(variant=variant, beta=beta)) for beta in (0.04, 0.01))
    assert fine < (0.05 if order == 1 else 1e-3)
    assert coarse / fine == pytest.approx(4**order, rel=0.1)


def test_sparse_couplings_propagate_as_dense_ones_do() -> None:
    dense, sparse = (gradients(symmetric_core(sparse=sparse), PhasePropagation()) for sparse in (False, True))
    for found, expected in zip(sparse, dense[1:], strict=True):  # a sparse W is fixed
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_the_slope_of_the_potential_is_the_flow() -> None:
    core, u = symmetric_core(), inputs()
    z = torch.randn(4, 6, dtype=D, generator=torch.Generator().manual_seed(2)).requires_grad_(True)
    (slope,) = torch.autograd.grad(core.potential(z, u, *core.trainable()).sum(), z)
    torch.testing.assert_close(-slope, core.flow(z, u, *core.trainable()).detach(), rtol=1e-12, atol=1e-12)


def test_a_network_learns_by_propagation_alone() -> None:
    core, history = symmetric_core(), []
    optimizer = torch.optim.Adam((core.W, core.U, core.b, core.detuning), lr=0.05)
    for _ in range(12):
        optimizer.zero_grad()
        loss = loss_of(core, inputs(), PhasePropagation())
        loss.backward()
        history.append(loss.item())
        optimizer.step()
    assert history[-1] < 0.6 * history[0]
    assert torch.allclose(core.W, core.W.T)


def test_the_log_tells_what_a_large_nudge_costs() -> None:
    residuals = []
    for beta in (1e-3, 0.3):
        log = SolveLog()
        loss_of(symmetric_core(), inputs(), PhasePropagation(beta=beta), log).backward()
        residuals.append(log.backward_residual)
        assert log.backward_iterations > 0
    assert residuals[0] < 1e-5
    assert residuals[1] > 1e-3


def test_without_an_energy_there_is_nothing_to_propagate_on() -> None:
    with pytest.raises(GradientError, match="symmetric"):
        loss_of(random_phase_core(6, seed=5), inputs().requires_grad_(True), PhasePropagation()).backward()
    crossbar = RCCore(*(nn.Parameter(torch.zeros(*shape, dtype=D)) for shape in ((6, 6), (6, 3), (6,))))
    with pytest.raises(InputError, match="RCCore has none"):
        equilibrium(crossbar, inputs(), gradient=PhasePropagation()).sum().backward()
    drifting = PhaseCore(torch.zeros(6, 6, dtype=D), symmetric_core().U, detuning=torch.full((6,), 3.0, dtype=D))
    with pytest.raises(SettleError, match="no equilibrium"):
        loss_of(drifting, inputs(), PhasePropagation())


def test_an_error_that_unlocks_oscillators_asks_for_a_smaller_nudge() -> None:
    with pytest.raises(GradientError, match="lower beta"):
        loss_of(symmetric_core(), inputs(), PhasePropagation(beta=30.0)).backward()


@pytest.mark.parametrize("options", [{"variant": "holomorphic"}, {"beta": 0.0}])
def test_unusable_options_are_refused(options: dict) -> None:
    with pytest.raises(InputError, match="equilibrium propagation"):
        PhasePropagation(**options)
