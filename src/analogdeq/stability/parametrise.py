"""Put a parametrisation on the feedback weights of a core, and check what it promises."""

from typing import Protocol, runtime_checkable

from torch import Tensor, nn
from torch.nn.utils import parametrize

from analogdeq.cores.conv import ConvCore
from analogdeq.cores.network import SaturatingNetwork
from analogdeq.errors import InputError
from analogdeq.stability.algebra import Image, check_square
from analogdeq.stability.bounded import MAX_BURSTS, RowBound, SpectralBound
from analogdeq.stability.certificate import Certificate
from analogdeq.stability.monotone import Monotone
from analogdeq.stability.symmetric import Definite, Symmetric

WEIGHTS = ("free", "spectral", "row", "monotone", "symmetric", "positive", "negative")
"""What W may be; `parametrise` says what each is."""


@runtime_checkable
class Certified(Protocol):
    """A parametrisation that can check its own promise."""

    def certificate(self, W: Tensor) -> Certificate:
        """The promise, computed on W."""
        ...


def parametrise(
    core: SaturatingNetwork,
    weights: str,
    *,
    norm_bound: float | None = None,
    row_bound: float = 0.9,
    margin: float = 0.1,
    floor: float = 1e-3,
    bursts: int = MAX_BURSTS,
) -> None:
    """Constrain the W of a core, in place, as a torch parametrisation: every optimiser keeps the constraint.

    W starts as the constrained weight nearest to the one it was, or in the case of definite ones as large.

    Args:
        core: dense or convolutional, with a trained W.
        weights: "free"; "spectral": ||W||_2 <= `norm_bound`; "row": sums of |W| over a row <= `row_bound`;
            "monotone": W = (1 - m) I - A^T A + B - B^T; "symmetric"; "positive" or "negative" definite.
        norm_bound: c of ||W||_2 <= c, on top of whatever `weights` says; None for none.
        row_bound: for "row".
        margin: m, for "monotone".
        floor: least |eigenvalue|, for "positive" and "negative".
        bursts: of power iteration whenever W is computed in training, for `norm_bound`; see `SpectralBound`.

    Raises:
        InputError: for an unknown kind, a W that is not trained, has weights of its own at every position or is
            parametrised already, or "spectral" without a bound.
    """
    if weights not in WEIGHTS:
        raise InputError(f"unknown weights {weights!r}; known: {', '.join(WEIGHTS)}")
    if weights == "spectral" and norm_bound is None:
        raise InputError("weights = 'spectral' needs a norm_bound")
    if parametrize.is_parametrized(core, "W"):
        raise InputError("W is parametrised already; take a new core")
    image = image_of(core)
    if not isinstance(core.W, nn.Parameter):
        raise InputError("W is not trained (it is no nn.Parameter), so there is nothing to parametrise")
    check_square(core.W, image)
    kinds: dict[str, nn.Module] = {
        "row": RowBound(row_bound),
        "monotone": Monotone(margin, image),
        "symmetric": Symmetric(),
        "positive": Definite(1, floor=floor, image=image),
        "negative": Definite(-1, floor=floor, image=image),
    }
    if weights in kinds:
        parametrize.register_parametrization(core, "W", kinds[weights])
    if norm_bound is not None:
        parametrize.register_parametrization(core, "W", SpectralBound(norm_bound, core.W, image, bursts=bursts))


def certificates(core: SaturatingNetwork) -> list[Certificate]:
    """What the parametrisations of a core's W promise, computed on W as it is; empty for a free W."""
    if not parametrize.is_parametrized(core, "W"):
        return []
    W = core.W
    parts = core.get_submodule("parametrizations.W").children()
    return [part.certificate(W) for part in parts if isinstance(part, Certified)]


def image_of(core: SaturatingNetwork) -> Image | None:
    """Height and width of the image a core's W convolves; None for a matrix."""
    return core.state_shape[1:] if isinstance(core, ConvCore) else None
