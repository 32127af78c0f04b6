"""Borders: bars of one colour, frames, and bars filled with a blurred copy of the picture.

A bar is only a border where it ends in a straight edge across the whole picture: a plain sky or a white studio ends
wherever the motif begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from pipelines.visual.views import Floats, luma, reduced

Kind = Literal["none", "letterbox", "pillarbox", "frame", "side", "blurred_bars"]
Colours = np.ndarray[tuple[int, int, int], np.dtype[np.int16]]

#: The picture is looked at with its longer side at most this long, pixels.
VIEW = 640
#: A line belongs to a bar if this share of its pixels is within LEVELS of the bar's colour in every channel.
ALIKE, LEVELS = 0.97, 10
#: The next lines must differ from the bar in this share of their pixels, by more than LEVELS: the straight edge.
EDGE_PAIR, EDGE_SINGLE = 0.45, 0.8
#: The narrowest bar, pixels of the view, and the widest, a share of the side.
NARROWEST, WIDEST = 2, 0.45
#: Blurred bars: their detail over the middle's, the least share of the width, and how unequal the two may be.
BLURRED, BLURRED_LEAST, UNEQUAL = 0.2, 0.06, 0.04


@dataclass(frozen=True)
class Border:
    """`widths`: top, right, bottom, left in shares of that side's length; `share` of the picture's area."""

    kind: Kind
    widths: tuple[float, float, float, float]
    share: float


NONE = Border("none", (0.0, 0.0, 0.0, 0.0), 0.0)


def find(image: Image.Image) -> Border:
    """The border of an upright RGB picture."""
    small = reduced(image, VIEW)
    if min(small.size) < 32:
        return NONE
    pixels = np.asarray(small).astype(np.int16)
    plain = _plain(pixels)
    return plain if plain.kind != "none" else _blurred(luma(small).astype(np.float32))


def _plain(pixels: Colours) -> Border:
    height, width = pixels.shape[:2]
    top, top_edge = _bar(pixels)
    bottom, bottom_edge = _bar(pixels[::-1])
    inner = pixels[top : height - bottom]
    across = np.ascontiguousarray(inner.swapaxes(0, 1))
    left, left_edge = _bar(across)
    right, right_edge = _bar(across[::-1])
    upright = _pair(top, top_edge, bottom, bottom_edge)
    level = _pair(left, left_edge, right, right_edge)
    # A dark frame around a dark picture does not end in an edge everywhere.
    if (upright or level) and min(top, right, bottom, left) >= NARROWEST:
        return _border("frame", (top, right, bottom, left), (height, width))
    if upright:
        return _border("letterbox", (top, 0, bottom, 0), (height, width))
    if level:
        return _border("pillarbox", (0, right, 0, left), (height, width))
    bars = [
        bar if edge >= EDGE_SINGLE and bar >= 2 * NARROWEST else 0
        for bar, edge in ((top, top_edge), (right, right_edge), (bottom, bottom_edge), (left, left_edge))
    ]
    return _border("side", (bars[0], bars[1], bars[2], bars[3]), (height, width)) if any(bars) else NONE


def _pair(first: int, first_edge: float, second: int, second_edge: float) -> bool:
    return min(first, second) >= NARROWEST and min(first_edge, second_edge) >= EDGE_PAIR


def _border(kind: Kind, bars: tuple[int, int, int, int], shape: tuple[int, int]) -> Border:
    height, width = shape
    top, right, bottom, left = bars
    inside = max(0, height - top - bottom) * max(0, width - left - right)
    widths = (top / height, right / width, bottom / height, left / width)
    return Border(kind, (widths[0], widths[1], widths[2], widths[3]), 1 - inside / (height * width))


def _bar(lines: Colours) -> tuple[int, float]:
    """How many lines at the start of (lines, pixels, 3) are of one colour, and how straight the bar ends, 0 to 1."""
    most = int(len(lines) * WIDEST)
    if not lines.size:
        return 0, 0.0
    colour = np.median(lines[0], axis=0)
    if (np.abs(lines[0] - colour).max(axis=1) > LEVELS).mean() > 1 - ALIKE:
        return 0, 0.0  # as in most pictures: no bar here
    unlike = np.abs(lines[: most + 4] - colour).max(axis=2) > LEVELS
    plain = unlike.mean(axis=1) <= 1 - ALIKE
    if plain[: most + 1].all():
        return 0, 0.0
    thick = int(np.argmin(plain))
    # JPEG and resizing smear the edge over two lines. Against the bar's last lines: a sky changes as well, but slowly.
    last = np.median(lines[max(0, thick - 2)], axis=0)
    step = np.abs(lines[thick : thick + 3] - last).max(axis=2) > LEVELS
    return thick, float(step.mean(axis=1).max())


def _blurred(level: Floats) -> Border:
    """Bars at two opposite sides with little detail, and a straight step in level where the sharp middle begins."""
    height, width = level.shape
    sides = _blurred_ends(level)
    if sides is not None:
        return _border("blurred_bars", (0, sides[1], 0, sides[0]), (height, width))
    ends = _blurred_ends(np.ascontiguousarray(level.T))
    return _border("blurred_bars", (ends[0], 0, ends[1], 0), (height, width)) if ends is not None else NONE


def _blurred_ends(level: Floats) -> tuple[int, int] | None:
    """Widths of the blurred bars at the left and right of (height, width) luma, or None."""
    height, width = level.shape
    step = np.abs(np.diff(level, axis=1))
    across = np.abs(np.diff(level, axis=0)).mean(axis=0)
    # Share of rows that step at each column, beyond what its neighbours do: a straight edge stands out.
    steps = (step > 6).mean(axis=0)
    least = round(BLURRED_LEAST * width)
    half = width // 2
    left, right = steps[least : half - 8], steps[half + 8 : width - 1 - least]
    if not left.size or not right.size:
        return None
    a = least + int(np.argmax(left)) + 1
    b = half + 8 + int(np.argmax(right)) + 1
    if min(left.max(), right.max()) < 0.4 or abs(a - (width - b)) > UNEQUAL * width:
        return None
    outer = float(np.concatenate([across[: a - 2], across[b + 2 :]]).mean())
    middle = float(across[a + 2 : b - 2].mean())
    return (a, width - b) if outer < BLURRED * middle and height > 0 else None
