"""How many bytes a write may need at most: room is reserved before HDF5 meets a full disk."""

from typing import Final

import h5py
import numpy as np

METADATA_BYTES: Final = 256 * 1024
"""Room for headers and indices beside the numbers; an empty file with every term takes about 60 kB of it."""
CHUNK_RECORD_BYTES: Final = 256
"""Room for one chunk's entry in its index, and its checksums."""


def most_bytes(dataset: h5py.Dataset, rows: int, samples: int | None = None) -> int:
    """What `rows` rows of a dataset, of some samples or all, can add to a file even if nothing compresses.

    Rows touch one more chunk than they fill at each end, and edge chunks are whole.
    """
    chunks = rows // dataset.chunks[0] + 2
    lengths = dataset.shape[1:] if samples is None else (samples, *dataset.shape[2:])
    for length, chunk in zip(lengths, dataset.chunks[1:], strict=True):
        chunks *= -(-length // chunk)
    return chunks * (int(np.prod(dataset.chunks)) * dataset.dtype.itemsize + CHUNK_RECORD_BYTES)
