"""A text set in lines of a given measure: horizontal from the top, vertical in columns from the right."""

from __future__ import annotations

import numpy as np

from synth.fonts.face import Face, open_face
from synth.layout import breaks
from synth.layout.block import Block, Setting
from synth.layout.lines import advances, break_lines, place_line
from synth.layout.shape import MIDDLE, Shaped, shape


def lay_out(text: str, setting: Setting, width: float = np.inf) -> Block:
    """Set `text` in lines of at most `width` pixels, the height of columns for vertical writing.

    Newlines end lines and paragraphs. The block is as wide as the measure, or as its longest line where that is
    infinite. Raises UndrawableError, OverflowingError, LayoutError.
    """
    return place(shape(text, setting), setting, width)


def place(shaped: Shaped, setting: Setting, width: float) -> Block:
    """`lay_out` of what is shaped already. Raises OverflowingError."""
    size = setting.size
    advance = advances(shaped, setting.tracking)
    lines = break_lines(shaped, advance, width / size)
    vertical = setting.direction == "vertical"
    along = np.zeros(len(advance))  # ems along the line
    number = np.zeros(len(advance), dtype=np.int32)
    base = paragraph_levels(shaped)
    placed, longest = [], 0.0
    for n, (first, end) in enumerate(lines):
        last = end == len(advance) or shaped.kind[end - 1] == breaks.BK
        placed.append((first, end, last))
        number[first:end] = n
    measure = width / size
    if not np.isfinite(measure):
        measure = max(
            (place_line(shaped, advance, (f, e), np.inf, "start", False, True)[1] for f, e, _ in placed), default=0.0
        )
    for first, end, last in placed:
        start, taken = place_line(shaped, advance, (first, end), measure, setting.align, bool(base[first] % 2), last)
        # Whole pixels: ideographs of a whole size then all lie on the same grid, and their bitmaps are cached.
        along[first:end] = start + (np.round(start.min() * size) / size - start.min() if end > first else 0.0)
        longest = max(longest, taken)
    face = open_face(setting.faces[0])
    pitch = setting.leading * size
    across = pitch * len(lines)
    x, y = (
        _vertical(shaped, along, number, size, pitch, across)
        if vertical
        else _horizontal(shaped, along, number, size, pitch, face)
    )
    extent = measure * size
    return Block(
        text=shaped.text,
        setting=setting,
        face=shaped.face,
        glyph=shaped.glyph,
        x=x.astype(np.float32),
        y=y.astype(np.float32),
        cluster=shaped.cluster,
        turned=shaped.turned,
        starts=shaped.starts,
        ends=shaped.ends,
        lines=number,
        words=shaped.words,
        width=across if vertical else extent,
        height=extent if vertical else across,
    )


def _horizontal(
    shaped: Shaped, along: np.ndarray, number: np.ndarray, size: float, pitch: float, face: Face
) -> tuple[np.ndarray, np.ndarray]:
    """Pens (m,) of the glyphs. Ascent and descent lie in the middle of a line's pitch, baselines on whole pixels."""
    baseline = np.round((pitch - (face.ascent + face.descent) * size) / 2 + face.ascent * size)
    x = (along[shaped.cluster] + shaped.dx) * size
    y = baseline + np.round(number[shaped.cluster] * pitch) + shaped.dy * size
    return x, y


def _vertical(
    shaped: Shaped, along: np.ndarray, number: np.ndarray, size: float, pitch: float, across: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pens (m,): columns from the right. Turned glyphs run down, their up is right, capitals in the column's middle."""
    middle = np.round(across - pitch * (number[shaped.cluster] + 0.5))
    lying = shaped.turned
    down = along[shaped.cluster] * size
    x = np.where(lying, middle - MIDDLE * size - shaped.dy * size, middle + shaped.dx * size)
    y = np.where(lying, down + shaped.dx * size, down + shaped.dy * size)
    return x, y


def paragraph_levels(shaped: Shaped) -> np.ndarray:
    """(n,) base level of the paragraph that each cluster is in: the lowest, for an embedded run only lies above."""
    out = np.zeros(len(shaped.level), dtype=np.int8)
    ends = [*(np.flatnonzero(shaped.kind == breaks.BK) + 1), len(shaped.level)]
    first = 0
    for end in ends:
        if end > first:
            out[first:end] = shaped.level[first:end].min()
        first = end
    return out
