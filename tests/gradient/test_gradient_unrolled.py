"""The unrolled proxy: its equation, its noise, its memory, its repeatability."""

import numpy as np
import pytest
import torch
from gradient_methods import ROOT, symmetric_core
from gradient_oracles import gradients, inputs, parameters, trainable, unrolled

from analogdeq.errors import InputError, SettleError
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.log import SolveLog
from analogdeq.gradient.unrolled import UnrolledGradient


def test_without_noise_it_is_backpropagation_through_the_steps() -> None:
    W, U, b = parameters(6, 2, radius=0.9, seed=1)
    core, u = trainable(W, b, U), inputs(3, 2)
    g = torch.randn(3, 6, dtype=torch.float64)
    ours = gradients(core, u, equilibrium(core, u, gradient=UnrolledGradient(steps=7)), g)
    theirs = gradients(core, u, unrolled(core, u, 7), g)
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-12, atol=1e-14)


def test_weight_noise_has_variance_alpha_squared_times_the_weight() -> None:
    # One step from z = 0 of a linear core shows U~ u; with u = 1 a column of U~.
    U = torch.linspace(-0.2, 0.2, 900, dtype=torch.float64).unsqueeze(1)
    core = trainable(torch.zeros(900, 900), U=U, activation="identity")
    one = torch.ones(1, 1, dtype=torch.float64)
    found = [
        equilibrium(core, one, gradient=UnrolledGradient(steps=1, weight_noise=0.3, seed=seed)).detach()[0]
        for seed in range(3)
    ]
    assert not torch.equal(found[0], found[1])
    for z in found:
        standard = (z - U[:, 0]) / (0.3 * U[:, 0].abs().sqrt())
        assert standard.mean().abs() < 0.15
        assert standard.std() == pytest.approx(1, abs=0.1)


def test_state_noise_has_standard_deviation_sigma_in_every_step() -> None:
    core = trainable(np.zeros((800, 800)), activation="identity")
    u = torch.zeros(2, 800, dtype=torch.float64)
    z = equilibrium(core, u, gradient=UnrolledGradient(steps=4, state_noise=0.2, rest_tol=10)).detach()
    assert z.std() == pytest.approx(0.2, rel=0.05)  # with W = 0 only the last step's is seen
    assert (z[0] * z[1]).mean().abs() < 0.01  # samples differ
    core = trainable(np.eye(800), activation="identity")
    z = equilibrium(core, u, gradient=UnrolledGradient(steps=4, state_noise=0.2, rest_tol=10)).detach()
    assert z.std() == pytest.approx(0.2 * 4**0.5, rel=0.05)  # with W = 1 four independent ones add up


def test_another_minibatch_draws_other_noise_and_the_same_one_the_same() -> None:
    core, u = symmetric_core(), inputs(4, 3).detach()
    noisy = UnrolledGradient(steps=5, weight_noise=0.1, state_noise=0.1, rest_tol=10)
    first, again, other = (equilibrium(core, x, gradient=noisy).detach() for x in (u, u, u + 1e-9))
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 1e-3


def test_checkpoints_change_neither_noise_nor_gradient_and_keep_less() -> None:
    core, u = symmetric_core(), inputs(4, 3)
    g, kept, found = torch.randn(4, 10, dtype=torch.float64), [], []
    for every in (None, 6):
        gradient = UnrolledGradient(steps=36, weight_noise=0.1, state_noise=0.05, checkpoint_every=every, rest_tol=10)
        sizes: list[int] = []
        pack = torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: s.append(t.numel()) or t, lambda t: t)
        with pack:
            z = equilibrium(core, u, gradient=gradient)
        kept.append(sum(sizes))
        found.append(gradients(core, u, z, g))
    for name in found[0]:
        assert torch.equal(found[0][name], found[1][name])
    assert kept[1] < kept[0] / 3


def test_a_state_that_is_not_at_rest_is_counted_and_raised_where_asked() -> None:
    core, log = trainable([[-3.0]], activation="identity"), SolveLog()  # Picard's steps grow threefold
    u = torch.ones(1, 1, dtype=torch.float64)
    equilibrium(core, u, gradient=UnrolledGradient(steps=5), log=log)
    assert log.unsettled == 1
    with pytest.raises(SettleError, match="1 of 1 samples"):
        equilibrium(core, u, gradient=UnrolledGradient(steps=5), throw=True)
    assert equilibrium(core, u, forward=ROOT).item() == pytest.approx(0.25)


@pytest.mark.parametrize(
    "options", [{"steps": 0}, {"checkpoint_every": 0}, {"state_noise": -1.0}, {"weight_noise": np.nan}]
)
def test_unusable_options_are_refused(options: dict) -> None:
    with pytest.raises(InputError, match="unrolled gradient"):
        UnrolledGradient(**options)
