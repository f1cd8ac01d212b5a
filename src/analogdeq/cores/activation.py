"""The nonlinearities a saturating amplifier realises, each with its slope."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

import torch
from torch import Tensor
from torch.nn import functional

from analogdeq.errors import InputError


@dataclass(frozen=True)
class Activation:
    """One nonlinearity phi.

    Attributes:
        name: as scenarios spell it.
        function: p -> phi(p); an `out` tensor may be given.
        slope: (p, phi(p)) -> phi'(p). At a kink: the slope of the saturated side.
        max_slope: the Lipschitz constant of phi.
        is_bounded: whether |phi| <= 1, the full scale.
    """

    name: str
    function: Callable[..., Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]
    max_slope: float
    is_bounded: bool

    def __reduce__(self) -> tuple[Callable[[str], "Activation"], tuple[str]]:
        # By name: its functions have none, so another process could not find them.
        return activation_named, (self.name,)


def _clamp(low: float, high: float | None) -> Callable[..., Tensor]:
    def clamp(p: Tensor, *, out: Tensor | None = None) -> Tensor:
        if high is not None and p.requires_grad and out is None:
            return functional.hardtanh(p, low, high)  # differentiated in one pass, where clamp takes four
        return torch.clamp(p, low, high, out=out)

    return clamp


def _has_fast_tanh() -> bool:
    """Whether torch's tanh is MKL's, which is vectorised on Intel's processors and several times slower on others."""
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "Intel" in str(known.get("cpu_name", ""))


_TANH_IS_FAST = _has_fast_tanh()


def _tanh(p: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Where the library's tanh is slow 2 sigmoid(2 p) - 1, which is within 1.8e-7 of it."""
    if _TANH_IS_FAST or p.dtype != torch.float32 or p.is_cuda or p.requires_grad:
        return torch.tanh(p, out=out)
    return torch.mul(p, 2, out=out).sigmoid_().mul_(2).sub_(1)


def _copy(p: Tensor, *, out: Tensor | None = None) -> Tensor:
    return p.clone() if out is None else out.copy_(p)


_KNOWN = (
    Activation("tanh", _tanh, lambda p, f: 1 - f * f, 1.0, True),
    Activation("sigmoid", torch.sigmoid, lambda p, f: f * (1 - f), 0.25, True),
    Activation("hardtanh", _clamp(-1.0, 1.0), lambda p, f: (p.abs() < 1).to(p), 1.0, True),
    Activation("relu-clipped", _clamp(0.0, 1.0), lambda p, f: ((p > 0) & (p < 1)).to(p), 1.0, True),
    Activation("relu", _clamp(0.0, None), lambda p, f: (p > 0).to(p), 1.0, False),
    Activation("identity", _copy, lambda p, f: torch.ones_like(p), 1.0, False),
)
ACTIVATIONS = {activation.name: activation for activation in _KNOWN}


def activation_named(name: str) -> Activation:
    """Look an activation up.

    Raises:
        InputError: if there is none of that name.
    """
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    near = get_close_matches(name, ACTIVATIONS, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(ACTIVATIONS)}"
    raise InputError(f"unknown activation {name!r}; {hint}")
