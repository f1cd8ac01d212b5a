"""Equilibrium propagation on symmetric phase networks, next to the implicit gradient."""

import pytest
import torch
from torch import Tensor, nn

from analogdeq.cores.oscillators.features import Quadratures
from analogdeq.cores.oscillators.phase import PhaseCore
from analogdeq.errors import InputError, SettleError
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.forward import BySettling
from analogdeq.gradient.phase_propagation import PropagatedGradient, phase_propagation
from analogdeq.solve.options import SettleOptions
from oscillator_oracles import D, random_phase_core

EXACT = SettleOptions(band=1e-9, atol=1e-11, rtol=1e-4)
LABELS = torch.tensor([0, 2, 1, 2])


def symmetric_core(*, quadrature_only: bool = False) -> PhaseCore:
    source = random_phase_core(6, seed=5)
    W = nn.Parameter((source.W + source.W.T).detach() * 2)
    U = source.U[1::2] if quadrature_only else source.U
    return PhaseCore(
        W, nn.Parameter(U.detach().clone()), nn.Parameter(source.b.detach().clone()),
        detuning=nn.Parameter(source.detuning.detach().clone()), shil=0.2, tau_s=1.0,
    )  # fmt: skip


def readout() -> Tensor:
    return torch.randn(3, 12, dtype=D, generator=torch.Generator().manual_seed(4))


def losses(quadratures: Tensor) -> Tensor:
    return nn.functional.cross_entropy(quadratures @ readout().T, LABELS, reduction="none")


def implicit(core: PhaseCore, u: Tensor) -> dict[str, Tensor]:
    z = equilibrium(core, u, forward=BySettling(EXACT))
    loss = losses(Quadratures(core)(z)).mean()
    W, U, b, detuning = torch.autograd.grad(loss, (core.W, core.U, core.b, core.detuning))
    return {"W": (W + W.T) / 2, "U": U, "b": b, "detuning": detuning}


def error(found: PropagatedGradient, exact: dict[str, Tensor]) -> float:
    return max(float((getattr(found, name) - value).abs().max() / value.abs().max()) for name, value in exact.items())


@pytest.mark.parametrize("quadrature_only", [False, True])
def test_the_propagated_gradient_goes_to_the_implicit_one_as_the_square_of_the_nudge(quadrature_only: bool) -> None:
    core = symmetric_core(quadrature_only=quadrature_only)
    u = torch.randn(4, 3, dtype=D, generator=torch.Generator().manual_seed(0))
    exact = implicit(core, u)
    coarse, fine = (error(phase_propagation(core, u, losses, beta=beta, options=EXACT), exact) for beta in (0.04, 0.01))
    assert fine < 1e-3
    assert coarse / fine == pytest.approx(16, rel=0.1)


def test_the_free_phases_and_loss_are_those_of_the_equilibrium() -> None:
    core, u = symmetric_core(), torch.zeros(4, 3, dtype=D)
    found = phase_propagation(core, u, losses, options=EXACT)
    z = equilibrium(core, u, forward=BySettling(EXACT))
    torch.testing.assert_close(found.z, z.detach(), rtol=0, atol=1e-8)
    assert found.loss == pytest.approx(float(losses(Quadratures(core)(z)).mean().detach()))


def test_a_network_learns_by_propagation_alone() -> None:
    core = symmetric_core()
    u = torch.randn(4, 3, dtype=D, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(core.parameters(), lr=0.05)
    history = []
    for _ in range(12):
        found = phase_propagation(core, u, losses)
        history.append(found.loss)
        for name in ("W", "U", "b", "detuning"):
            getattr(core, name).grad = getattr(found, name)
        optimizer.step()
    assert history[-1] < 0.6 * history[0]
    assert torch.allclose(core.W, core.W.T)


def test_without_symmetry_there_is_no_energy_to_propagate_on() -> None:
    u = torch.zeros(4, 3, dtype=D)
    with pytest.raises(InputError, match="symmetric"):
        phase_propagation(random_phase_core(6, seed=5), u, losses)
    with pytest.raises(InputError, match="beta"):
        phase_propagation(symmetric_core(), u, losses, beta=0.0)
    drifting = PhaseCore(torch.zeros(6, 6, dtype=D), symmetric_core().U, detuning=torch.full((6,), 3.0, dtype=D))
    with pytest.raises(SettleError, match="do not settle freely"):
        phase_propagation(drifting, u, losses)
