"""Gradients pass a chip: the machine's forward, and the machine's gradient times the shared scale backward."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from gradient_methods import CIRCUIT, METHODS, symmetric_core
from gradient_oracles import inputs, loss_at_rest, trainable

from analogdeq import library
from analogdeq.chip import Chip
from analogdeq.cores.conv import ConvCore
from analogdeq.cores.cubic import CubicCore
from analogdeq.cores.network import SaturatingNetwork
from analogdeq.cores.rc import RCCore
from analogdeq.errors import GradientError, InputError
from analogdeq.gradient.equilibrium import equilibrium
from analogdeq.gradient.straight_through import mirrored, straight_through
from analogdeq.train.fresh_chips import FreshChips

PCM = library.device_preset("pcm-generic")
FAB = FreshChips(circuit=CIRCUIT, device=PCM, youngest_s=3e5, oldest_s=8e5, is_compensated=False, seed=4)
NEED_SYMMETRY = ("cg", "one-sided propagation", "centred propagation", "holomorphic propagation")


def scale_of(core: SaturatingNetwork, held: SaturatingNetwork) -> float:
    """numpy's least squares of what is held against what was asked for."""
    own, stored = (
        np.concatenate([p.detach().numpy().ravel() for p in one.trainable()])[:, None] for one in (core, held)
    )
    return float(np.linalg.lstsq(own, stored, rcond=None)[0][0, 0])


@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_the_machines_gradient_times_the_shared_scale(name: str) -> None:
    core, u = symmetric_core(), inputs(4, 3)
    held = replace(FAB, is_symmetric=name in NEED_SYMMETRY).draw(7)(core, 0)
    values = [p.detach().numpy() for p in held.trainable()]
    assert np.abs(values[0] - core.W.detach().numpy()).max() > 0.02
    g = torch.tensor(np.random.default_rng(1).normal(size=(4, 10)))
    gradient, forward = METHODS[name]
    equilibrium(held, u, gradient=gradient, forward=forward).backward(g)
    found = [core.W.grad, core.U.grad, core.b.grad, u.grad]
    rng, scale = np.random.default_rng(3), scale_of(core, held)
    at = [*values, u.detach().numpy()]
    directions = [rng.normal(size=value.shape) for value in at]
    directions[0] = directions[0] + directions[0].T
    speeds, eps = (scale, scale, scale, 1.0), 1e-5

    def loss(sign: int) -> float:
        moved = [value + sign * eps * speed * d for value, speed, d in zip(at, speeds, directions, strict=True)]
        return loss_at_rest(*moved, g.numpy())

    slope = (loss(1) - loss(-1)) / (2 * eps)
    along = sum(float((one * torch.tensor(d)).sum()) for one, d in zip(found, directions, strict=True))
    assert along == pytest.approx(slope, rel=1e-3)
    assert 0.5 < scale < 0.8  # a chip some days old that nobody compensates


@pytest.mark.parametrize("name", NEED_SYMMETRY[1:])
def test_propagation_refuses_a_chip_whose_couplings_differ_by_direction(name: str) -> None:
    core, u = symmetric_core(), inputs(2, 3)
    gradient, forward = METHODS[name]
    z = equilibrium(FAB.draw(7)(core, 0), u, gradient=gradient, forward=forward)
    with pytest.raises(GradientError, match="needs a symmetric W"):
        z.sum().backward()


def test_mirrored_couplings_are_one_pair_of_devices_with_the_error_of_one() -> None:
    core = symmetric_core()
    held = Chip(core, CIRCUIT, PCM, seed=3).core
    W, before = mirrored(held).W, held.W.clone()
    assert torch.equal(W, W.T)
    assert torch.equal(W.tril(), held.W.tril())
    assert not torch.equal(held.W, held.W.T)
    assert torch.equal(held.W, before)
    with pytest.raises(InputError, match="known for an RCCore only, not for a ConvCore"):
        mirrored(conv_core())


def test_the_forward_pass_is_the_chips_and_leaves_the_chip_alone() -> None:
    core, u = trainable(0.3 * torch.eye(4), U=torch.ones(4, 2)), inputs(3, 2).detach()
    chip = Chip(core, CIRCUIT, PCM, seed=2)
    before = [p.clone() for p in chip.core.trainable()]
    own = straight_through(core, chip.core)
    z = torch.rand(3, 4, dtype=torch.float64)
    assert isinstance(own, RCCore)
    torch.testing.assert_close(
        own.fixed_point_map(z, own.drive(u)), chip.core.fixed_point_map(z, chip.core.drive(u)), rtol=0, atol=1e-15
    )
    assert all(torch.equal(a, b) and not b.requires_grad for a, b in zip(before, chip.core.trainable(), strict=True))
    assert (own.tau_s, own.gain) == (chip.core.tau_s, chip.core.gain)


def test_the_shared_scale_is_what_drift_leaves_and_about_one_where_it_is_compensated() -> None:
    # Devices near g_min drift most and weigh in the sum that compensation reads, so large weights come out a bit large.
    core = symmetric_core()
    for compensated, low, high in ((False, 0.55, 0.75), (True, 1.0, 1.15)):
        fab = replace(FAB, youngest_s=86400.0, oldest_s=86400.0, is_compensated=compensated)
        own = fab.draw(0)(core, 0)
        own.W.sum().backward()
        scale = core.W.grad[0, 0].item()
        core.W.grad = None
        assert low < scale < high
        assert scale == pytest.approx(scale_of(core, own), rel=1e-12)


def test_a_clipped_conductance_passes_its_gradient_like_any_other() -> None:
    core = symmetric_core()
    rough = replace(library.device_preset("gaussian-2pct"), sigma_S=(0.5,))
    chip = Chip(core, CIRCUIT, rough, seed=1)
    W_plus, W_minus = chip.pairs.plus_S[:, :10], chip.pairs.minus_S[:, :10]
    clipped = (W_plus == 0) & (W_minus == 0)
    assert clipped.sum() > 5
    own = straight_through(core, chip.core)
    assert bool((own.W.detach()[clipped] == 0).all())
    weights = torch.rand(10, 10, dtype=torch.float64)
    (own.W * weights).sum().backward()
    torch.testing.assert_close(core.W.grad, scale_of(core, chip.core) * weights, rtol=1e-12, atol=0)


def conv_core() -> ConvCore:
    draw = torch.Generator().manual_seed(0)
    W, U, b = (
        torch.nn.Parameter(0.1 * torch.randn(shape, generator=draw, dtype=torch.float64))
        for shape in ((2, 2, 3, 3), (2, 1, 1, 1), (2,))
    )
    return ConvCore(W, U, b, height=3, width=4)


def test_a_convolution_sums_the_gradients_of_its_positions() -> None:
    core = conv_core()
    chip = Chip(core, CIRCUIT, PCM, seed=1)
    own = straight_through(core, chip.core)
    assert own.W.shape == (3, 4, 2, 2, 3, 3)
    z, u = (torch.rand(2, n, dtype=torch.float64) for n in (24, 12))
    own.map_with(z, u, *own.trainable()).square().sum().backward()
    leaves = [p.detach().clone().requires_grad_() for p in chip.core.trainable()]
    chip.core.map_with(z, u, *leaves).square().sum().backward()
    for parameter, leaf in zip(core.trainable(), leaves, strict=True):
        expected = scale_of_positions(core, chip.core) * leaf.grad.sum((0, 1))
        torch.testing.assert_close(parameter.grad, expected)


def scale_of_positions(core: ConvCore, held: SaturatingNetwork) -> float:
    own, stored = (
        np.concatenate([np.broadcast_to(p.detach().numpy(), q.shape).ravel() for p, q in pairs])
        for pairs in (
            zip(core.trainable(), held.trainable(), strict=True),
            zip(held.trainable(), held.trainable(), strict=True),
        )
    )
    return float(own @ stored / (own @ own))


def test_devices_that_bend_keep_their_square_and_cube_and_pass_the_linear_part() -> None:
    core, u = symmetric_core(), inputs(2, 3).detach()
    circuit = replace(CIRCUIT, g_min_S=60e-6, g_max_S=110e-6)
    chip = Chip(core, circuit, library.device_preset("reram-milo"), seed=1)
    own = straight_through(core, chip.core)
    assert isinstance(own, CubicCore)
    z = torch.rand(2, 10, dtype=torch.float64)
    torch.testing.assert_close(own.map_with(z, u, *own.trainable()), chip.core.fixed_point_map(z, chip.core.drive(u)))
    equilibrium(own, u, gradient=METHODS["dense"][0], forward=METHODS["dense"][1]).sum().backward()
    assert bool(torch.isfinite(core.W.grad).all())
    assert float(core.W.grad.abs().sum()) > 0


def test_a_chip_of_another_core_is_refused() -> None:
    chip = Chip(symmetric_core(), CIRCUIT, PCM)
    with pytest.raises(InputError, match=r"W has shape \(10, 10\) was not made of a core whose W has shape \(4, 4\)"):
        straight_through(trainable(0.3 * torch.eye(4)), chip.core)
