"""A text set in lines of a given measure: horizontal from the top, vertical in columns from the right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.fonts.face import Face, open_face
from synth.layout import breaks
from synth.layout.block import Align, Block, Setting
from synth.layout.lines import Measured, break_lines, measured, place_line
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
    found = measured(shaped, setting.tracking)
    lines = break_lines(found, width / size)
    measure = width / size if np.isfinite(width) else _longest(shaped, found, lines)
    number = np.repeat(np.arange(len(lines), dtype=np.int32), [end - first for first, end in lines])
    along = _along(shaped, found, lines, measure, setting.align)
    # Lines begin on whole pixels: ideographs of a whole size then lie on one grid, and their bitmaps are found again.
    if len(lines):
        begin = np.minimum.reduceat(along, [first for first, _ in lines]) * size
        along = along + ((np.round(begin) - begin) / size)[number]
    vertical = setting.direction == "vertical"
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


def _along(
    shaped: Shaped, found: Measured, lines: list[tuple[int, int]], measure: float, align: Align
) -> NDArray[np.float64]:
    """(n,) where each cluster begins along its line, ems."""
    simple = align in ("start", "center", "end") and not shaped.level.any()
    total = np.array(found.total)
    if simple and align == "start":
        begins = np.array([f for f, _ in lines], dtype=np.intp)
        return total[:-1] - np.repeat(total[begins], [e - f for f, e in lines]) if len(lines) else total[:-1]
    base = paragraph_levels(shaped)
    along = np.zeros(len(found.advance))
    for first, end in lines:
        last = end == len(along) or shaped.kind[end - 1] == breaks.BK
        right_to_left = bool(base[first] % 2)
        along[first:end] = place_line(shaped, found.advance, (first, end), measure, align, right_to_left, last)
    return along


def _longest(shaped: Shaped, found: Measured, lines: list[tuple[int, int]]) -> float:
    """Ems of the longest line, without the blanks at its end."""
    reach = dict(zip(found.places, found.reach, strict=True))
    forced = set(found.forced)
    return max(
        (
            reach.get(e, found.total[e]) - found.total[f] if e not in forced else found.total[e - 1] - found.total[f]
            for f, e in lines
        ),
        default=0.0,
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
