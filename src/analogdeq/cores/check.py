"""What every core asks of its weights, its gain, its time constants and its inputs."""

import torch
from torch import Tensor

from analogdeq.errors import InputError


def check_weight(name: str, value: Tensor, n_dims: tuple[int, ...], W: Tensor) -> None:
    """Refuse a weight no chip can store.

    Args:
        name: for the message.
        value: what was handed in, of whatever type.
        n_dims: how many dimensions it may have.
        W: the feedback weights, checked before all others; what the core computes in is their dtype.

    Raises:
        InputError: if it is no tensor, has another number of dimensions or another dtype, or is not finite.
    """
    if not isinstance(value, Tensor):
        raise InputError(f"{name} must be a torch tensor, not {type(value).__name__}")
    if value.ndim not in n_dims:
        allowed = " or ".join(str(n) for n in n_dims)
        raise InputError(f"{name} must have {allowed} dimensions, got shape {tuple(value.shape)}")
    if value.dtype not in (torch.float32, torch.float64):
        raise InputError(
            f"{name} must be float32 or float64, got {value.dtype}; half precision cannot resolve a settle"
        )
    if value.dtype != W.dtype:
        raise InputError(f"{name} is {value.dtype} but W is {W.dtype}; use one dtype")
    if not bool(torch.isfinite(value).all()):
        bad = int((~torch.isfinite(value)).sum())
        raise InputError(f"{name} has {bad} entries that are NaN or infinite; a chip cannot store them")


def check_gain(gain: float) -> float:
    """The gain, positive and finite.

    Raises:
        InputError: if it is not.
    """
    if not (0 < gain < float("inf")):
        raise InputError(f"gain = {float(gain)!r} must be a positive number")
    return float(gain)


def check_tau(tau_s: float | Tensor, n_nodes: int) -> Tensor:
    """(node,) float64 on the CPU [s]. Every node's time constant.

    Raises:
        InputError: if there are neither one nor `n_nodes` of them, or one is not positive and finite.
    """
    taus = torch.as_tensor(tau_s, dtype=torch.float64).detach().cpu()
    if taus.ndim > 1 or (taus.ndim == 1 and taus.shape[0] != n_nodes):
        raise InputError(f"tau_s must be one number or one per node ({n_nodes}), got shape {tuple(taus.shape)}")
    if not bool((torch.isfinite(taus) & (taus > 0)).all()):
        raise InputError(f"tau_s must be positive and finite, got {taus.min().item():g} s at the least")
    return taus.expand(n_nodes)


def undefined_where_infinite(u: Tensor) -> Tensor:
    """The inputs, NaN where they are infinite: a saturating node would make a level of an infinity.

    An infinity is the overflow of something before the core and no signal, so its sample gets the verdict of a NaN.
    """
    return u.nan_to_num(nan=torch.nan, posinf=torch.nan, neginf=torch.nan)
