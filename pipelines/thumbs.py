"""Thumbnails: what is kept of a picture to tell its copies from the same page with another word on it.

A word changed on a page moves a few of 128x128 pixels; re-encoding and resizing move all edges a little. So a pair is
measured by its largest local difference, relative to what is usual between the two (`tile_distance`). The 64x64 luma is
stored as it is, and the finer half as the small remainder that interpolation does not foretell (`detail`).
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from pipelines.header import Header

Luma = NDArray[np.uint8]

SIDE = 128  # pixels of the finer luma's side
COARSE = 64
STEP = 8  # luma levels: what is stored of the finer luma is true to half of it
QUIET = 0.3  # luma levels added to the usual difference: rounding is never nothing
LOUD = 6.0  # luma levels: a larger usual difference is no excuse, these are different pictures
VERSION = "thumbs-1"


def pack(luma: Luma) -> tuple[Luma, bytes]:
    """(64, 64) luma, the means of 2x2 pixels, and the detail, some kB, of one (128, 128) uint8 luma."""
    coarse, (detail,) = pack_all(luma[None])
    return coarse[0], detail


def pack_all(lumas: Luma) -> tuple[Luma, list[bytes]]:
    """(n, 64, 64) lumas, the means of 2x2 pixels, and their details, some kB each, of (n, 128, 128) uint8 lumas."""
    wide = lumas.astype(np.int16)
    rows = wide[:, ::2] + wide[:, 1::2]
    coarse = ((rows[:, :, ::2] + rows[:, :, 1::2] + 2) >> 2).astype(np.uint8)
    rest = wide - _finer(coarse)
    steps = (np.sign(rest) * ((np.abs(rest) + STEP // 2) // STEP)).astype(np.int8)
    return coarse, [_deflated(step) for step in steps]


def _deflated(steps: NDArray[np.int8]) -> bytes:
    # Runs of zeros are all there is to find: seven times as fast as a full search, and smaller.
    deflate = zlib.compressobj(1, strategy=zlib.Z_RLE)
    return deflate.compress(steps.tobytes()) + deflate.flush()


def unpack(coarse: Luma, details: list[bytes]) -> Luma:
    """(n, 128, 128) lumas from n coarse ones, (n, 64, 64), and their details; true to STEP / 2 levels."""
    raw = b"".join(zlib.decompress(d) for d in details)
    steps = np.frombuffer(raw, np.int8).reshape(len(details), SIDE, SIDE).astype(np.int16)
    return np.clip(_finer(coarse) + STEP * steps, 0, 255).astype(np.uint8)


def tile_distance(a: Luma, b: Luma) -> NDArray[np.float32]:
    """(n,) distances of n pairs of lumas, each (n, 128, 128): 0 for equal ones, without unit.

    The largest absolute difference of any 2x2 pixels' mean, over the root mean square difference of all pixels, which
    counts as QUIET levels more than it is and LOUD at most.
    """
    d = a.astype(np.int16) - b
    rows = d[:, 1:] + d[:, :-1]
    tiles = np.abs(rows[:, :, 1:] + rows[:, :, :-1]).max(axis=(1, 2)) / 4
    squares = np.einsum("nij,nij->n", d, d, dtype=np.int64)
    usual = np.minimum(np.sqrt(squares / (SIDE * SIDE)) + QUIET, LOUD)
    distances: NDArray[np.float32] = (tiles / usual).astype(np.float32)
    return distances


def whole(size: tuple[int, int], header: Header) -> tuple[float, float, float, float]:
    """Where the picture lies in its decoded image of `size` (width, height): left, top, right, bottom, in pixels.

    A decoder that reduces rounds the image up to whole pixels, so the last ones are only partly of the picture. Taking
    them for whole would stretch a copy of another size by up to a pixel, which is more than re-encoding does.
    """
    width, height = size
    for scale in (*(8 / n for n in range(8, 0, -1)), *range(9, 1024)):
        exact = header.width / scale, header.height / scale
        if (-int(-exact[0] // 1), -int(-exact[1] // 1)) == size:
            break
    else:
        return 0.0, 0.0, float(width), float(height)
    turned = 1 if header.format == "tiff" else header.orientation
    left = width - exact[0] if turned in (2, 3, 6, 7) else 0.0
    top = height - exact[1] if turned in (3, 4, 7, 8) else 0.0
    return left, top, left + exact[0], top + exact[1]


def _finer(coarse: Luma) -> NDArray[np.int16]:
    """(n, 64, 64) to (n, 128, 128) by bilinear interpolation, in whole numbers."""
    padded = np.pad(coarse.astype(np.int16), ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = np.stack([padded[:, :-2] + 3 * padded[:, 1:-1], 3 * padded[:, 1:-1] + padded[:, 2:]], axis=2)
    rows = rows.reshape(len(coarse), SIDE, COARSE + 2)
    both = np.stack([rows[..., :-2] + 3 * rows[..., 1:-1], 3 * rows[..., 1:-1] + rows[..., 2:]], axis=3)
    return (both.reshape(len(coarse), SIDE, SIDE) + 8) >> 4
