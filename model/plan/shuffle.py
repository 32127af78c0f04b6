"""Permutations by key: `warehouse.order.permute`, and a quicker way for the few places of a small batch or bucket."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from warehouse.order import mix, permute

Int64 = npt.NDArray[np.int64]
SMALL = 2048
_STEP = np.uint64(0x9E3779B97F4A7C15)


def shuffled(at: Int64, size: int, secret: int) -> Int64:
    """Where a permutation of 0..size-1, named by `secret`, sends each of `at`.

    A small one is the order of hashes. `permute` walks a power of two of at least 64, which is long for a few places.
    """
    if size > SMALL:
        return permute(at, size, secret)
    hashes = mix(mix(np.arange(1, size + 1, dtype=np.uint64) * _STEP + np.uint64(secret)))
    found: Int64 = np.argsort(hashes, kind="stable")[at]
    return found
