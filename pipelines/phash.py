"""Perceptual hash of a picture: 256 signs of the low frequencies of its 64x64 luma.

The layout follows PDQ (Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019,
section "Hashing": 64x64 luma, DCT-II, the 16x16 frequencies 1 to 16 each way, each compared with their median). The
cosines are rounded to whole numbers of 1/4096, so that every product and sum is a whole number below 2**53: the hash is
the same on every machine, whatever its linear algebra does with rounding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIDE = 64  # pixels of the luma's side
FREQUENCIES = 16  # frequencies each way; the mean (frequency 0) is left out
BITS = FREQUENCIES * FREQUENCIES
BYTES = BITS // 8
VERSION = "dct256-1"


def phash(luma: NDArray[np.uint8]) -> bytes:
    """The hash, 32 bytes, of one 64x64 uint8 luma. Raises ValueError for any other shape or type."""
    return bytes(phashes(luma[None])[0])


def phashes(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Hashes, (n, 32) uint8, of n lumas, (n, 64, 64) uint8, each upright and averaged down from the whole picture.

    A picture without any structure has the hash 0. Raises ValueError for any other shape or type.
    """
    if luma.ndim != 3 or luma.shape[1:] != (SIDE, SIDE) or luma.dtype != np.uint8:
        raise ValueError(f"expected (n, {SIDE}, {SIDE}) uint8 luma, got {luma.shape} {luma.dtype}")
    low = (_COSINES @ luma.astype(np.float64) @ _COSINES.T).reshape(len(luma), BITS)
    return np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1)


def distance(a: bytes, b: bytes) -> int:
    """Bits in which two hashes differ."""
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()


def _cosines() -> NDArray[np.float64]:
    frequency = np.arange(1, FREQUENCIES + 1)[:, None]
    place = 2 * np.arange(SIDE)[None, :] + 1
    cosines: NDArray[np.float64] = np.rint(4096 * np.cos(np.pi * frequency * place / (2 * SIDE)))
    return cosines


_COSINES = _cosines()
