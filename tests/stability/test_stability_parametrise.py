"""Parametrisations of W: what each promises holds by numpy's own eigenvalues, before and after training steps."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from analogdeq.cores.conv import ConvCore
from analogdeq.cores.kernels import kernels_of, unrolled
from analogdeq.cores.rc import RCCore
from analogdeq.errors import InputError
from analogdeq.solve.settle import settle
from analogdeq.stability.algebra import gram, norm_of, symmetric_range, transposed
from analogdeq.stability.monotone import Monotone
from analogdeq.stability.parametrise import WEIGHTS, certificates, parametrise

HEIGHT, WIDTH, CHANNELS, NODES = 6, 5, 4, 12
KINDS = [kind for kind in WEIGHTS if kind != "free"]
BOUND = 0.8


def dense(size: float = 2.0, seed: int = 0) -> RCCore:
    draw = torch.Generator().manual_seed(seed)
    W = torch.randn(NODES, NODES, generator=draw) * size / NODES**0.5
    return RCCore(nn.Parameter(W), torch.randn(NODES, 3, generator=draw), torch.zeros(NODES))


def conv(size: float = 2.0, seed: int = 0) -> ConvCore:
    draw = torch.Generator().manual_seed(seed)
    W = torch.randn(CHANNELS, CHANNELS, 3, 3, generator=draw) * size / (9 * CHANNELS) ** 0.5
    U = torch.randn(CHANNELS, 2, 3, 3, generator=draw)
    return ConvCore(nn.Parameter(W), U, torch.zeros(CHANNELS), height=HEIGHT, width=WIDTH)


CORES = pytest.mark.parametrize("make", [dense, conv], ids=["dense", "conv"])


def matrix(core: RCCore | ConvCore) -> np.ndarray:
    """W as a float64 matrix, a convolution unrolled image by image."""
    W = core.W.detach().double()
    return (W if W.ndim == 2 else unrolled(kernels_of(W), CHANNELS, HEIGHT, WIDTH)).numpy()


def promise(kind: str, W: np.ndarray) -> tuple[float, float]:
    """The quantity of each kind by numpy, and what it must not exceed."""
    symmetric = np.linalg.eigvalsh((W + W.T) / 2)
    return {
        "spectral": (np.linalg.norm(W, 2), BOUND),
        "row": (np.abs(W).sum(1).max(), 0.9),
        "monotone": (symmetric.max(), 0.9),
        "symmetric": (np.abs(W - W.T).max(), 0.0),
        "positive": (-symmetric.min(), 0.0),
        "negative": (symmetric.max(), 0.0),
    }[kind]


def constrain(core: RCCore | ConvCore, kind: str) -> None:
    parametrise(core, kind, norm_bound=BOUND if kind == "spectral" else None)


def train(core: RCCore | ConvCore, steps: int, lr: float) -> None:
    """Steps of Adam towards large weights of either sign, far beyond every bound."""
    goal = 5 * torch.randn(core.W.shape, generator=torch.Generator().manual_seed(9))
    optimizer = torch.optim.Adam(core.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        (core.W - goal).square().sum().backward()
        optimizer.step()


@CORES
@pytest.mark.parametrize("kind", KINDS)
def test_the_promise_holds_at_the_start_and_after_every_stretch_of_training(make: object, kind: str) -> None:
    core = make()
    constrain(core, kind)
    before = matrix(core)
    for steps, lr in ((0, 0.0), (1, 0.3), (5, 0.05), (40, 0.05)):
        train(core, steps, lr)
        value, bound = promise(kind, matrix(core))
        assert value <= bound * (1 + 1e-5), (steps, value, bound)
    assert np.abs(matrix(core) - before).max() > 0.05


@CORES
@pytest.mark.parametrize("kind", KINDS)
def test_the_certificate_is_numpys_number(make: object, kind: str) -> None:
    core = make()
    constrain(core, kind)
    train(core, 10, 0.05)
    core.eval()
    (certificate,) = certificates(core)
    value, bound = promise(kind, matrix(core))
    assert certificate.value == pytest.approx(value, abs=1e-9)
    assert certificate.bound == pytest.approx(bound)
    assert certificate.holds


@pytest.mark.parametrize("kind", KINDS)
def test_the_certificate_of_free_weights_of_the_same_size_does_not_hold(kind: str) -> None:
    core = dense(size=3.0)
    constrain(core, kind)
    (part,) = core.parametrizations["W"]
    assert not part.certificate(dense(size=3.0).W).holds


@pytest.mark.parametrize("kind", ["spectral", "row", "monotone"])
@CORES
def test_a_small_weight_is_kept_as_it_is(make: object, kind: str) -> None:
    size = 0.05 if make is conv else 0.2
    core, free = make(size), make(size)
    constrain(core, kind)
    tolerance = 0.002 if kind == "monotone" and isinstance(core, ConvCore) else 1e-6
    torch.testing.assert_close(core.W, free.W, atol=tolerance, rtol=0)
    if kind in ("spectral", "row"):
        assert torch.equal(core.W, free.W)


def test_the_error_of_starting_a_monotone_convolution_is_of_second_order() -> None:
    errors = []
    for size in (0.2, 0.1):
        core = conv(size)
        free = core.W.detach().clone()
        parametrise(core, "monotone")
        errors.append(float((core.W.detach() - free).abs().max()))
    assert 3 < errors[0] / errors[1] < 5


@pytest.mark.parametrize("kind", ["positive", "negative"])
@CORES
def test_a_definite_weight_starts_as_large_as_the_free_one(make: object, kind: str) -> None:
    core, free = make(0.5), matrix(make(0.5))
    constrain(core, kind)
    size = np.linalg.norm((free + free.T) / 2 if isinstance(core, RCCore) else free, 2)
    assert np.linalg.norm(matrix(core), 2) == pytest.approx(size, rel=1e-3)


@pytest.mark.parametrize("kind", ["symmetric", "monotone", "negative"])
@CORES
def test_a_norm_bound_may_come_on_top(make: object, kind: str) -> None:
    core = make()
    parametrise(core, kind, norm_bound=0.5)
    train(core, 30, 0.05)
    W = matrix(core)
    assert np.linalg.norm(W, 2) <= 0.5 * 1.001
    value, bound = promise(kind, W)
    assert value <= bound
    assert [certificate.holds for certificate in certificates(core)] == [True, True]


def test_every_entry_of_a_free_matrix_is_reached_by_gradients_of_a_monotone_one() -> None:
    torch.manual_seed(0)
    part = Monotone(0.3).double()
    A, B = part.right_inverse(0.3 * torch.randn(5, 5, dtype=torch.float64))
    jacobian = torch.cat([j.reshape(25, -1) for j in torch.autograd.functional.jacobian(part.forward, (A, B))], 1)
    assert np.linalg.matrix_rank(jacobian.numpy()) == 25


@pytest.mark.parametrize("kind", KINDS)
@CORES
def test_the_gradient_of_each_parametrisation_agrees_with_differences(make: object, kind: str) -> None:
    core = make().double()
    constrain(core, kind)
    core.eval()  # so that power iteration starts from the same vector at both ends
    core.parametrizations["W"][0].double()
    weight = torch.randn(core.W.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    (core.W * weight).sum().backward()
    for parameter in core.parametrizations["W"].parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for k in (0, 7, flat.numel() - 1):
            ends = []
            for step in (1e-6, -2e-6, 1e-6):
                ends.append(float((core.W.detach() * weight).sum()))
                flat[k] += step
            assert gradient[k].item() == pytest.approx((ends[1] - ends[2]) / 2e-6, rel=1e-4, abs=1e-5)


@CORES
def test_the_gap_of_a_core_follows_its_parametrised_weight(make: object) -> None:
    core = make()
    parametrise(core, "spectral", norm_bound=BOUND)
    for steps in (0, 1, 1, 1):
        train(core, steps, 0.5)
        fresh = 1 - np.linalg.norm(matrix(core), 2)
        assert core.contraction_gap() == pytest.approx(fresh, abs=1e-4)
    with torch.no_grad():
        core.parametrizations["W"].original.mul_(0.01)
    assert core.contraction_gap() > 0.85


@pytest.mark.parametrize("kind", KINDS)
def test_a_parametrised_core_travels_through_its_state_dict_and_copies(kind: str) -> None:
    one, two = dense(), dense(seed=1)
    constrain(one, kind)
    constrain(two, kind)
    train(one, 3, 0.1)
    two.load_state_dict(one.state_dict())
    one.eval()
    two.eval()
    assert torch.equal(one.W, two.W)
    assert torch.equal(copy.deepcopy(one).W, one.W)


def test_evaluation_leaves_the_vector_of_power_iteration_alone() -> None:
    core = dense()
    parametrise(core, "spectral", norm_bound=BOUND)
    core.eval()
    before = core.parametrizations["W"][0].vectors.clone()
    _ = core.W
    assert torch.equal(core.parametrizations["W"][0].vectors, before)


@CORES
def test_one_burst_a_step_follows_the_norm_in_training_and_evaluation_keeps_the_promise(make: object) -> None:
    core = make(0.5)
    parametrise(core, "spectral", norm_bound=BOUND, bursts=1)
    whole = core.parametrizations["W"][0]
    for steps, lr in ((1, 0.3), (20, 0.01)):
        train(core, steps, lr)
        core.eval()
        assert np.linalg.norm(matrix(core), 2) <= BOUND * (1 + 1e-5)
        core.train()
    assert np.linalg.norm(matrix(core), 2) <= 1.01 * BOUND
    products: list[int] = []
    forth = whole._forth
    whole._forth = lambda X, v: products.append(len(v)) or forth(X, v)
    _ = core.W
    assert len(products) == 4 + 1 + 2  # a burst, its images, the norm


def test_no_burst_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="bursts = 0 of power iteration must be at least 1"):
        parametrise(dense(), "spectral", norm_bound=BOUND, bursts=0)


@pytest.mark.parametrize("sides", [(3, 3), (5, 3), (1, 1)])
def test_gram_and_transpose_are_those_of_the_unrolled_matrices(sides: tuple[int, int]) -> None:
    A = torch.randn(3, 2, *sides, dtype=torch.float64)

    def on_a_plane(kernel: Tensor) -> np.ndarray:
        """On an image so large that no tap that matters leaves it, read in its middle."""
        wide = torch.eye(2 * 81, dtype=torch.float64).view(-1, 2, 9, 9)
        return kernels_of(kernel).apply(wide).flatten(1).T.numpy()

    whole = on_a_plane(A)
    product = (whole.T @ whole).reshape(2, 9, 9, 2, 9, 9)[:, 4, 4]
    ours = on_a_plane(gram(A)).reshape(2, 9, 9, 2, 9, 9)[:, 4, 4]
    np.testing.assert_allclose(ours, product, atol=1e-12)
    square = torch.randn(2, 2, *sides, dtype=torch.float64)
    np.testing.assert_allclose(on_a_plane(transposed(square)), on_a_plane(square).T, atol=1e-12)


def test_on_larger_images_the_bounds_enclose_the_exact_numbers_closely() -> None:
    W = torch.randn(3, 3, 3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    image = (17, 16)
    exact = unrolled(kernels_of(W), 3, *image).numpy()
    eigenvalues = np.linalg.eigvalsh((exact + exact.T) / 2)
    low, high = symmetric_range(W, image)
    assert low <= eigenvalues.min() + 1e-9
    assert high >= eigenvalues.max() - 1e-9
    assert high - low <= 1.1 * (eigenvalues.max() - eigenvalues.min())
    assert np.linalg.norm(exact, 2) <= norm_of(W, image) <= 1.1 * np.linalg.norm(exact, 2)


def test_a_free_weight_stays_a_plain_parameter_without_certificates() -> None:
    core = dense()
    parametrise(core, "free")
    assert isinstance(core.W, nn.Parameter)
    assert certificates(core) == []
    assert set(core.state_dict()) == {"W", "U", "b"}


def test_what_cannot_be_parametrised_is_refused() -> None:
    core = dense()
    with pytest.raises(InputError, match=r"unknown weights 'monoton'; known: free, spectral"):
        parametrise(core, "monoton")
    with pytest.raises(InputError, match="needs a norm_bound"):
        parametrise(core, "spectral")
    with pytest.raises(InputError, match=r"margin = 1\.5 .* must lie between 0 and 1"):
        parametrise(core, "monotone", margin=1.5)
    with pytest.raises(InputError, match="bound = 0"):
        parametrise(core, "row", row_bound=0.0)
    parametrise(core, "row")
    with pytest.raises(InputError, match="parametrised already"):
        parametrise(core, "row")
    fixed = RCCore(torch.eye(2), torch.eye(2), torch.zeros(2))
    with pytest.raises(InputError, match="not trained"):
        parametrise(fixed, "row")


@pytest.mark.parametrize("kind", KINDS)
@CORES
def test_a_constrained_core_settles_like_a_plain_one_and_trains_on(make: object, kind: str) -> None:
    core = make(0.3)
    parametrise(core, kind, norm_bound=BOUND)
    plain = make(0.3)
    with torch.no_grad():
        plain.W.copy_(core.W)
    u = torch.rand(2, core.n_inputs, generator=torch.Generator().manual_seed(4))
    ours, theirs = settle(core, u), settle(plain, u)
    torch.testing.assert_close(ours.z, theirs.z, atol=1e-4, rtol=0)
    torch.testing.assert_close(ours.t_settle_s, theirs.t_settle_s, rtol=1e-3, atol=0)
    train(core, 1, 0.01)
