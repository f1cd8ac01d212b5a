"""The activation amplifiers as ngspice expressions."""

from collections.abc import Callable

from analogdeq.errors import InputError


def _clamped(low: float, high: float | None) -> Callable[[str], str]:
    if high is None:
        return lambda p: f"max({low!r}, {p})"
    return lambda p: f"min({high!r}, max({low!r}, {p}))"


# sigmoid by tanh: the same function, and no exponential that overflows far from the origin.
_EXPRESSIONS: dict[str, Callable[[str], str]] = {
    "tanh": lambda p: f"tanh({p})",
    "sigmoid": lambda p: f"(0.5 + 0.5*tanh(0.5*({p})))",
    "hardtanh": _clamped(-1.0, 1.0),
    "relu-clipped": _clamped(0.0, 1.0),
    "relu": _clamped(0.0, None),
    "identity": lambda p: f"({p})",
}


def activation_expression(name: str, p: str) -> str:
    """What a B source must contain to compute phi(p).

    Args:
        name: of the activation, as `cores.activation` spells it.
        p: an ngspice expression for the pre-activation [1].

    Raises:
        InputError: for an activation that has no expression here.
    """
    if name not in _EXPRESSIONS:
        raise InputError(f"activation {name!r} cannot be exported to SPICE; exportable: {', '.join(_EXPRESSIONS)}")
    return _EXPRESSIONS[name](p)
