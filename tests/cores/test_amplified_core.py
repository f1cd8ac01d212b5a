"""The equations of amplifiers in their own terms: Jacobian, closed forms, limits."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from analogdeq.cores.amplified import AmplifiedCore, Stages
from analogdeq.cores.core import Drive
from analogdeq.errors import InputError
from analogdeq.solve.rest import flow_eigenvalues
from analogdeq.solve.settle import settle
from helpers import plain_core, random_core, tensor


def stages(n: int, *, lines: bool = True, seed: int = 0, **changes: object) -> Stages:
    """Amplifiers all different; the core's time constant is a second."""
    rng = np.random.default_rng(seed)

    def spread(low: float, high: float) -> Tensor:
        return tensor(rng.uniform(low, high, n))

    found = {
        "noise_gain": spread(3, 6), "summing_tau_s": spread(0.01, 0.02), "output_tau_s": spread(0.05, 0.1),
        "dc_gain": 80.0, "slew_per_s": spread(4, 5), "swing": 1.5, "offset": spread(-0.2, 0.2),
        "line_tau_s": spread(0.03, 0.04) if lines else None, "line_slew_per_s": 9.0,
    }  # fmt: skip
    return Stages(**{**found, **changes})


def states(core: AmplifiedCore) -> Tensor:
    """From within every amplifier's linear range to far outside."""
    size = tensor([[0.03], [0.1], [0.3], [1.0], [3.0]])
    return size * tensor(np.random.default_rng(2).normal(size=(5, core.n_nodes)))


@pytest.mark.parametrize("lines", [True, False])
def test_the_jacobian_is_the_derivative_of_the_map_also_where_amplifiers_slew_and_clip(lines: bool) -> None:
    core = AmplifiedCore(random_core(4, seed=1, tau_s=1.0), stages(4, lines=lines))
    drive = core.drive(tensor([[0.3, -0.2, 0.5]]).expand(5, 3))
    y, v = states(core), tensor(np.random.default_rng(3).normal(size=(5, core.n_nodes)))
    linear = core.linearise(y, drive)
    for flag in (linear.is_linear, linear.is_slow, linear.follows):
        assert flag is None or 0 < float(flag.mean()) < 1, "this case would prove nothing"
    for k in range(5):
        row = drive.rows(torch.tensor([k]))

        def image(one: Tensor, row: Drive = row) -> Tensor:
            return core.fixed_point_map(one.unsqueeze(0), row)[0]

        exact = torch.autograd.functional.jacobian(image, y[k])
        torch.testing.assert_close(linear.dense()[k], exact)
        torch.testing.assert_close(linear.matvec(v)[k], exact @ v[k])
        torch.testing.assert_close(linear.rmatvec(v)[k], exact.T @ v[k])


@pytest.mark.parametrize("w", [0.9, 0.5, -2.0])
def test_a_node_and_an_amplifier_have_the_two_poles_of_their_quadratic(w: float) -> None:
    """(1 + s tau)(1 + s tau_a) = w; 0.0917 is the slow rate for w = 0.9, tau_a = 0.1."""
    k = torch.ones(1).double()
    quick = Stages(
        noise_gain=k, summing_tau_s=1e-9 * k, output_tau_s=0.1 * k, slew_per_s=1e9 * k, offset=0 * k
    )  # fmt: skip
    core = AmplifiedCore(plain_core([[w]], activation="identity"), quick)
    found = flow_eigenvalues(core, core.drive(torch.zeros(1, 1).double()), torch.zeros(1, 3).double())[0]
    expected = np.roots([0.1, 1.1, 1 - w])
    slow = sorted(found.numpy(), key=lambda s: abs(s))[:2]
    np.testing.assert_allclose(np.sort_complex(slow), np.sort_complex(expected), rtol=1e-6)
    if w == 0.9:
        assert -max(expected.real) == pytest.approx(0.0917, abs=5e-5)


def test_all_poles_are_those_of_the_3n_matrix_built_by_hand() -> None:
    n, w_u, A0 = 5, 40.0, 200.0
    rng = np.random.default_rng(7)
    W, K = 0.5 * rng.normal(size=(n, n)), rng.uniform(2, 5, n)
    RC_in = 0.03  # R_f C_in, with R_f = 1 and voltages s, t as in docs/amplifiers.md
    by_hand = np.zeros((3 * n, 3 * n))
    v, s, t = slice(0, n), slice(n, 2 * n), slice(2 * n, 3 * n)
    by_hand[v, v], by_hand[v, t] = -np.eye(n), -np.eye(n)  # f = V_u tanh(-t / V_u), slope 1 at rest
    by_hand[s, v], by_hand[s, s], by_hand[s, t] = W / RC_in, -np.diag(K) / RC_in, np.eye(n) / RC_in
    by_hand[t, s], by_hand[t, t] = -w_u * np.eye(n), -(w_u / A0) * np.eye(n)
    made = Stages(
        noise_gain=tensor(K), summing_tau_s=tensor(RC_in / K), output_tau_s=tensor(K / w_u), dc_gain=A0,
        slew_per_s=tensor(np.full(n, 1e9)), offset=torch.zeros(n).double(),
    )  # fmt: skip
    core = AmplifiedCore(plain_core(W), made)
    found = flow_eigenvalues(core, core.drive(torch.zeros(1, n).double()), torch.zeros(1, 3 * n).double())[0]
    np.testing.assert_allclose(
        np.sort_complex(found.numpy() / core.tau_s), np.sort_complex(np.linalg.eigvals(by_hand)), rtol=1e-9
    )


def test_an_amplifier_that_slews_climbs_in_a_straight_line() -> None:
    k = torch.ones(1).double()
    slow = Stages(noise_gain=k, summing_tau_s=1e-4 * k, output_tau_s=1e-3 * k, slew_per_s=0.5 * k, offset=0 * k)
    core = AmplifiedCore(plain_core([[0.0]], [2.0], activation="identity"), slow)
    y = torch.zeros(1, 3).double()
    out = settle(core, torch.zeros(1, 1).double(), method="rodas5p", max_time_tau=2.0, z0=y)
    # q = t / 2 until it is 2; so z = t/2 - (1 - e^-t)/2 at t = 2.
    at = core.signals(out.z, core.drive(torch.zeros(1, 1).double()))
    assert float(at.q) == pytest.approx(1.0, abs=2e-3)
    assert float(at.z) == pytest.approx(1.0 - (1 - math.exp(-2)) / 2, abs=2e-3)


def test_an_amplifier_out_of_swing_stays_at_it_and_comes_back_at_once() -> None:
    k = torch.ones(1).double()
    made = Stages(
        noise_gain=4 * k, summing_tau_s=1e-3 * k, output_tau_s=0.02 * k, slew_per_s=1e9 * k, swing=0.5, offset=0 * k
    )  # fmt: skip
    core = AmplifiedCore(plain_core([[0.0]], [3.0], activation="identity"), made)
    drive = core.drive(torch.zeros(1, 1).double())
    out = settle(core, torch.zeros(1, 1).double(), method="rodas5p")
    at = core.signals(out.z, drive)
    assert float(at.output) == 0.5
    assert float(at.z) == pytest.approx(0.5, abs=1e-6)
    # Wound up by one input voltage: sigma = p - o = 2.5 = K_n (q - o).
    assert float(at.q) == pytest.approx(0.5 + 2.5 / 4, abs=1e-6)
    # Once nothing is asked for, it is off the rail within K_n (q - o) / w_u, not within a wound-up integrator's time.
    free = core.drive(torch.full((1, 1), -3.0).double())
    back = settle(core, torch.full((1, 1), -3.0).double(), method="rodas5p", z0=out.z)
    assert float(core.signals(back.z, free).q) == pytest.approx(0.0, abs=1e-6)
    assert float(back.t_settle_s) < math.log(0.5 / 1e-3) + 0.1


def test_a_lifted_rest_of_level_0_is_a_rest_where_gain_is_infinite() -> None:
    ideal = random_core(4, seed=1, tau_s=1.0)
    core = AmplifiedCore(ideal, stages(4, dc_gain=math.inf, swing=math.inf, offset=torch.zeros(4).double()))
    u = tensor([[0.3, -0.2, 0.5]])
    z = settle(ideal, u, band=1e-8, atol=1e-10, rtol=1e-6).z
    y = core.lift(z, core.drive(u))
    torch.testing.assert_close(core.fixed_point_map(y, core.drive(u)), y, rtol=0, atol=1e-7)


def test_an_amplifier_slower_than_its_node_sets_the_unit_of_time() -> None:
    core = AmplifiedCore(random_core(3, seed=1, tau_s=1.0), stages(3, output_tau_s=tensor([0.1, 4.0, 0.1])))
    assert core.tau_s == 4.0
    assert float(core.rate.min()) == 1.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"output_tau_s": tensor([0.1, 0.0, 0.1])}, "output_tau_s must be positive"),
        ({"summing_tau_s": tensor([0.1])}, "summing_tau_s must be positive, one number per node"),
        ({"offset": tensor([0.0, math.nan, 0.0])}, "offset must be finite"),
        ({"dc_gain": -1.0}, "dc_gain = -1.0 must be positive"),
    ],
)
def test_impossible_amplifiers_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        stages(3, **changes)


def test_amplifiers_of_another_network_are_refused() -> None:
    with pytest.raises(InputError, match="for 3 nodes, the core has 4"):
        AmplifiedCore(random_core(4, seed=1), stages(3))
