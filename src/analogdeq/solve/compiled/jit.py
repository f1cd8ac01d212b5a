"""How numba compiles: without the interpreter's lock, kept on disk, rounding errors free to move."""

from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

from numba import njit
from numba.extending import register_jitable

_MOVES = {"contract", "reassoc", "nsz", "arcp"}
"""Sums in any order, products and sums in one rounding; not-a-number and infinity keep their meaning."""
_PACKAGES = ("analogdeq.solve", "analogdeq.solve.compiled")
"""What is compiled holds functions and constants of these."""


def compiled(function: Any) -> Any:
    """A function that is machine code where compiled code calls it; called from Python it is interpreted."""
    return register_jitable(_nrt=True, error_model="numpy", fastmath=_MOVES)(function)


def in_place(function: Any) -> Any:
    """A `compiled` function that makes no array and returns none: numba does not count in it who holds which.

    Counts are taken in turns between processors, for every array handed on or taken out of a tuple; that was a twelfth
    of a settle of 64 nodes. numba refuses to compile one in which an array is made. One that returns an array it was
    given would have it freed too early.
    """
    return register_jitable(_nrt=False, error_model="numpy", fastmath=_MOVES)(function)


def entry(function: Any) -> Any:
    """A function that is machine code called from Python too, with all that it calls."""
    return njit(nogil=True, error_model="numpy", fastmath=_MOVES)(function)


def stored(function: Any) -> Any:
    """An `entry` that is read from disk if it was compiled before and no source has changed since.

    By itself numba looks at the age of the function's own file, and would go on with old versions of what it calls.
    """
    dispatcher: Any = njit(nogil=True, cache=True, error_model="numpy", fastmath=_MOVES)(function)
    dispatcher._cache._cache_file._source_stamp = _STAMP
    return dispatcher


def _stamp() -> tuple[tuple[str, float, int], ...]:
    """Name, age and size of every file in `_PACKAGES`."""
    ages = []
    for package in _PACKAGES:
        home = find_spec(package)
        for module in iter_modules(home.submodule_search_locations if home else None, f"{package}."):
            spec = find_spec(module.name)
            if spec is not None and isinstance(spec.loader, SourceFileLoader):
                stats = spec.loader.path_stats(spec.loader.path)
                ages.append((module.name, float(stats["mtime"]), int(stats["size"])))
    return tuple(sorted(ages))


_STAMP = _stamp()
