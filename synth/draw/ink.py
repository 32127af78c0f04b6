"""A block to ink: coverage of each pixel, and the truth of what was drawn where."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.draw.glyphs import FINE_BELOW, PARTS, Bitmap, bitmaps
from synth.fonts.face import open_face
from synth.layout.block import Block, OverflowingError
from synth.placed import Placed

Mask = NDArray[np.uint8]


def ink(block: Block, shape: tuple[int, int], at: tuple[float, float] = (0.0, 0.0)) -> tuple[Mask, Placed]:
    """Coverage (h, w), 0..255, of `block` with the top left of its box at pixel `at` = (x, y), and what stands where.

    Boxes are the exact bounds of each cluster's ink. Raises OverflowingError where ink would leave the picture.
    """
    drawn, boxes = _bitmaps(block, at)
    mask = np.zeros(shape, np.uint8)
    if len(boxes) and (boxes[:, :2].min() < 0 or boxes[:, 2].max() > shape[1] or boxes[:, 3].max() > shape[0]):
        raise OverflowingError(f"ink leaves the picture of {shape[1]}x{shape[0]} pixels")
    for bitmap, (x0, y0, x1, y1) in zip(drawn, boxes.tolist(), strict=True):
        there = mask[y0:y1, x0:x1]
        np.maximum(there, bitmap.coverage, out=there)
    return mask, placed(block, boxes)


def ink_bounds(block: Block) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the ink with the block's box at (0, 0); zeros where there is none."""
    _, boxes = _bitmaps(block, (0.0, 0.0))
    if not len(boxes):
        return (0, 0, 0, 0)
    return (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())


def _bitmaps(block: Block, at: tuple[float, float]) -> tuple[list[Bitmap], NDArray[np.int32]]:
    """The bitmap of each glyph, and where it goes (m, 4); one without ink has an empty box at its pen."""
    size, vertical = block.setting.size, block.setting.direction == "vertical"
    faces = [bitmaps(key, size) for key in block.setting.faces]
    x = block.x.astype(np.float64) + at[0]
    y = np.rint(block.y.astype(np.float64) + at[1]).astype(np.int32)
    if size < FINE_BELOW and not vertical:
        steps = np.rint(x * PARTS).astype(np.int64)
    else:
        steps = np.rint(x).astype(np.int64) * PARTS
    part = steps % PARTS
    drawn = [
        faces[f][g, p, t]
        for f, g, p, t in zip(
            block.face.tolist(), block.glyph.tolist(), part.tolist(), block.turned.tolist(), strict=True
        )
    ]
    offsets = np.array([(b.left, b.top, *b.coverage.shape[::-1]) for b in drawn], np.int32).reshape(-1, 4)
    boxes = np.empty((len(drawn), 4), np.int32)
    boxes[:, 0] = steps // PARTS + offsets[:, 0]
    boxes[:, 1] = y + offsets[:, 1]
    boxes[:, 2:] = boxes[:, :2] + offsets[:, 2:]
    return drawn, boxes


def placed(block: Block, boxes: NDArray[np.int32]) -> Placed:
    """The truth of a block whose glyphs' ink is in `boxes` (m, 4): one entry for each cluster that has ink."""
    inked = boxes[:, 2] > boxes[:, 0]
    owner, drawn = block.cluster[inked], boxes[inked].astype(np.float32)
    if len(owner) and (np.diff(owner) > 0).all():
        clusters, around = owner, drawn
    else:
        clusters, first = np.unique(owner, return_index=True)  # glyphs are in the order of their clusters
        around = (
            np.concatenate([np.minimum.reduceat(drawn[:, :2], first), np.maximum.reduceat(drawn[:, 2:], first)], axis=1)
            if len(owner)
            else drawn
        )
    used = np.unique(block.face[inked]) if len(owner) else ()
    setting = block.setting
    return Placed(
        text=block.text,
        starts=block.starts[clusters],
        ends=block.ends[clusters],
        boxes=around,
        lines=block.lines[clusters],
        words=block.words[clusters],
        language=setting.language,
        direction=setting.direction,
        fonts=tuple(open_face(setting.faces[f]).name for f in used),
        size=setting.size,
    )
