"""Activations whose slope jumps: settling times, and what a step across a kink errs by, by scipy and on paper."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import root

from analogdeq.solve.kinks import Kinks
from analogdeq.solve.runge_kutta import RungeKutta
from analogdeq.solve.settle import settle
from analogdeq.solve.tsit5 import TSIT5
from analogdeq.solve.verdict import Verdict
from helpers import Array, last_exit, plain_core, tensor, trajectory

BAND = 1e-3


def ringing(seed: int) -> tuple[Array, Array]:
    """W = (1 - m) I - A^T A + 2 (B - B^T), whose spectral radius exceeds 2, and a bias."""
    rng = np.random.default_rng([2, seed])
    n = int(rng.choice([8, 12, 20, 30]))
    A, B = rng.normal(size=(2, n, n)) / math.sqrt(n)
    m = rng.choice([0.1, 0.2, 0.3])
    return (1 - m) * np.eye(n) - A.T @ A + 2 * (B - B.T), rng.normal(size=n)


@pytest.mark.parametrize("seed", [23, 33, 37, 51])
def test_a_rectified_network_that_rings_settles_when_scipy_says(seed: int) -> None:
    """Nodes are switched on and off on the way, also while the circuit is linear where it is and where it arrives."""
    W, b = ringing(seed)
    out = settle(plain_core(W, activation="relu"), tensor([b]))
    assert out.verdict == [Verdict.SETTLED]
    end = out.t_settle_s.item() + 4
    z = trajectory(W, np.zeros(len(b)), end, b=b, activation="relu", rtol=1e-11)
    rest = root(lambda x: np.maximum(W @ x + b, 0) - x, out.z[0].numpy(), tol=1e-13).x
    assert out.t_settle_s.item() == pytest.approx(last_exit(z, rest, BAND, end), rel=1e-3)


def test_the_error_of_a_step_across_a_kink_is_seen_by_simpsons_rule_and_not_by_the_embedded_pair() -> None:
    """z_1 = 1 - e^-t switches z_2' = -z_2 + relu(z_1 - c) on; from then on z_2 = (1 - c) (1 - e^-x (1 + x))."""
    h, seen, told, true = 0.5, [], [], []
    for share in np.linspace(0.02, 0.98, 49):
        c = 1 - math.exp(-share * h)
        core = plain_core([[0.0, 0.0], [1.0, 0.0]], [1.0, -c], activation="relu")
        drive = core.drive(torch.zeros(1, 2, dtype=torch.float64))
        stepper, step = RungeKutta(TSIT5), torch.tensor([h], dtype=torch.float64)
        stepper.begin(core, drive, torch.zeros(1, 2, dtype=torch.float64))
        told.append(stepper.attempt(step).item())
        kinks = Kinks.of(core)
        assert kinks is not None
        seen.append(kinks.error(stepper, torch.tensor([0]), drive, step).item())  # the motion at the start is 1
        x = h * (1 - share)
        true.append(abs(stepper.z_new[0, 1].item() - (1 - c) * (1 - math.exp(-x) * (1 + x))))
    size = [float(np.sqrt(np.mean(np.square(values)))) for values in (seen, told, true)]
    assert 0.5 * size[2] < size[0] < 5 * size[2]
    assert size[1] < 0.1 * size[2]


def test_a_node_that_is_off_on_the_way_bends_a_linear_decay() -> None:
    """p_2 = 0.5105 - z_1, so that the second node is off wherever the first one is 0.0105 above its rest at 0.5."""
    W, b = [[0.0, 0.0], [-1.0, 0.0]], [0.5, 0.5105]
    assert Kinks.of(plain_core(W, b)) is None
    core = plain_core(W, b, activation="relu")
    kinks = Kinks.of(core)
    assert kinks is not None
    rest, drive = tensor([[0.5, 0.0105]]), core.drive(torch.zeros(1, 2, dtype=torch.float64))
    bends = kinks.bend(drive, rest, tensor([[[0.01, 0.0], [0.012, 0.0], [-0.02, 0.01]]]))
    assert bends[0].tolist() == pytest.approx([0.0, 0.0015 / 0.012, 0.0], abs=1e-12)


def test_stiff_circuits_with_kinks_take_few_steps_more() -> None:
    """A fast node's derivative at the end of an implicit step is its error times its speed, and no kink."""
    rng = np.random.default_rng(3)
    W = rng.normal(size=(16, 16))
    taus = 1e4 ** -rng.random(16)
    core = plain_core(0.9 * W / np.abs(np.linalg.eigvals(W)).max(), activation="relu", tau_s=tensor(taus / taus.max()))
    out = settle(core, tensor(rng.normal(size=(4, 16))), method="rodas5p")
    assert bool(out.is_settled.all())
    assert (out.steps + out.rejected).max().item() < 100
