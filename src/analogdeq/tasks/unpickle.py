"""Read pickled image batches without running what else a pickle could hold."""

import io
import pickle
from pathlib import Path
from typing import Any, final

import numpy as np

from analogdeq.errors import DataError

_RECONSTRUCT: Any = np.empty(0).__reduce__()[0]
_FROM_BUFFER: Any = np.empty(1).__reduce_ex__(5)[0]
_SCALAR: Any = np.float64(0).__reduce__()[0]


def _encode(text: str, encoding: str) -> bytes:
    """How protocol 2 spells bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in encoding {encoding!r}")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _RECONSTRUCT for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _SCALAR for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _FROM_BUFFER for core in ("core", "_core")},
    **{
        (module, kind.__name__): kind
        for module in ("builtins", "__builtin__")
        for kind in (bytes, bytearray, str, int, float, complex, bool, list, tuple, dict, set)
    },
    ("__builtin__", "long"): int,
    ("__builtin__", "unicode"): str,
}
"""Numpy arrays and numbers, and builtin data; nothing that acts."""

_DAMAGE = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, ImportError, OverflowError,
    MemoryError, RecursionError,
)  # fmt: skip


@final
class _DataOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """One of the allowed names.

        Raises:
            UnpicklingError: for any other.
        """
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no image data")
        return _ALLOWED[module, name]


def unpickle(path: Path, content: bytes | None = None) -> dict[str, Any]:
    """The pickled dict in a file, with its keys as text.

    Args:
        path: the file; for messages where `content` is given.
        content: its bytes, if they have been read.

    Raises:
        DataError: if the file is missing, cut short, damaged, no dict, or holds anything but numpy and builtin data.
    """
    try:
        content = path.read_bytes() if content is None else content
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    try:
        table = _DataOnly(io.BytesIO(content), encoding="bytes").load()
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path}: cut short, damaged or not a batch of images ({reason}); fetch the file again"
        ) from None
    if not isinstance(table, dict):
        raise DataError(f"{path}: holds a {type(table).__name__}, not the dict of a batch; fetch the file again")
    return {key.decode("latin1") if isinstance(key, bytes) else str(key): value for key, value in table.items()}
