"""What the probe told of a page (advance boxes in CSS pixels) as ground truth: the ink of each character."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import uharfbuzz as hb
from numpy.typing import NDArray

from synth.fonts.face import FaceKey, open_face
from synth.geometry import Floats, scaling
from synth.placed import Placed
from synth.template.html.faces import Typeface

Box = tuple[float, float, float, float]
FEATURES = dict.fromkeys(("liga", "clig", "calt", "dlig", "hlig"), False)
FAINT = 0.12  # of a pixel that ink covers is not seen
_WORD = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]|[^\W_]+(?:['’.,:-][^\W_]+)*")


def placed(told: Mapping[str, Any], scale: float, typefaces: Mapping[str, Typeface]) -> Placed:
    """One slot. `scale`: image pixels to a CSS pixel; `typefaces` by family."""
    styles, clusters, vertical = told["styles"], told["clusters"], bool(told["vertical"])
    matrix = np.array(told["matrix"], dtype=np.float64).reshape(3, 3)
    flat = bool(np.allclose(matrix, np.eye(3), atol=1e-9))
    text, starts, ends, boxes, at, used = "", [], [], [], [], []
    for before, character, x, y, w, h, number in clusters:
        text += before if text else ""
        style = styles[number]
        face = typefaces[style["family"].split(",")[0].strip("\"' ")]
        box = inked(face.info.key, character, style, (x, y, w, h), scale, flat)
        if box is not None:
            starts.append(len(text))
            ends.append(len(text) + len(character))
            boxes.append(box)
            at.append((x, y, x + w, y + h))
            used.append(number)
        text += character
    main = styles[max(set(used), key=lambda n: (used.count(n), -n))]
    names = dict.fromkeys(typefaces[styles[n]["family"].split(",")[0].strip("\"' ")].info.name for n in used)
    colours = {styles[n]["colour"] for n in used}
    return Placed(
        text=text,
        starts=np.array(starts, dtype=np.int32),
        ends=np.array(ends, dtype=np.int32),
        boxes=_pixels(np.array(boxes)) if flat else np.array(boxes, dtype=np.float32),
        lines=_lines(at, vertical),
        words=_words(text, starts),
        language=main["language"] or "und",
        direction="vertical" if vertical else "horizontal",
        fonts=tuple(names),
        size=main["size"] * scale,
        colour=hexed(colours.pop()) if len(colours) == 1 else None,
        role=told["role"],
        to_image=np.eye(3) if flat else scaling(scale, scale) @ matrix @ scaling(1 / scale, 1 / scale),
    )


def inked(
    key: FaceKey, character: str, style: Mapping[str, Any], advance: Box, scale: float, snapped: bool
) -> Box | None:
    """Bounds of the ink in image pixels; None where there is none. `advance` (x, y, width, height) in CSS pixels.

    In these Chromium rounds a face's ascent and the top of a line (half a pixel goes down), and centres a vertical line
    on its characters; where nothing is turned (`snapped`), Skia rounds the baseline to pixels of the image.
    """
    extents = _extents(key, character, style["vertical"])
    if extents is None:
        return None
    size = style["size"]
    left, top, right, bottom = (v * size * scale for v in extents)
    x, y, width, _ = advance
    if style["vertical"]:
        pen = (x + width / 2) * scale, (y + _rounded(style["top"]) - style["top"]) * scale
    else:
        pen = x * scale, (_rounded(y) + _rounded(open_face(key).ascent * size)) * scale
        if snapped:
            pen = pen[0], _rounded(pen[1])
    return pen[0] + left, pen[1] + top, pen[0] + right, pen[1] + bottom


def _rounded(value: float) -> float:
    return float(np.floor(value + 0.5))


@lru_cache(maxsize=1 << 16)
def _extents(key: FaceKey, character: str, vertical: bool) -> Box | None:
    """In ems, y down, from the pen: on the baseline, or at the top middle of the character in vertical lines."""
    face = open_face(key)
    buffer = hb.Buffer()
    buffer.add_str(character)
    buffer.guess_segment_properties()
    buffer.direction = "ttb" if vertical else "ltr"
    hb.shape(face.hb_font, buffer, FEATURES)
    pen_x = pen_y = 0
    found = []
    for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
        box = face.hb_font.get_glyph_extents(info.codepoint)
        if box is not None and box.width and box.height:
            left, top = pen_x + place.x_offset + box.x_bearing, pen_y + place.y_offset + box.y_bearing
            found.append((left, -top, left + box.width, -(top + box.height)))
        pen_x, pen_y = pen_x + place.x_advance, pen_y + place.y_advance
    if not found:
        return None
    bounds = np.array(found) / face.upem
    x0, y0 = bounds[:, :2].min(axis=0).tolist()
    x1, y1 = bounds[:, 2:].max(axis=0).tolist()
    return x0, y0, x1, y1


def upright(placed: Placed) -> bool:
    """Whether a vertical text has only characters that stand upright in it; the truth of others is not known here."""
    return placed.direction == "horizontal" or all(
        unicodedata.east_asian_width(c) in "WF" for c in placed.text if c.strip()
    )


def overlapping(texts: Sequence[Placed]) -> tuple[str, str] | None:
    """The roles of two texts of which lines stand on one another, None where none do."""
    quads = np.concatenate([t.line_quads() for t in texts]).astype(np.float32)
    owner = np.repeat(np.arange(len(texts)), [len(t.line_quads()) for t in texts])
    low, high = quads.min(axis=1), quads.max(axis=1)
    near = (low[:, None] < high[None] - 0.5).all(-1) & (low[None] < high[:, None] - 0.5).all(-1)
    near &= owner[:, None] < owner[None]
    for a, b in np.argwhere(near).tolist():
        area, _ = cv2.intersectConvexConvex(quads[a], quads[b])
        if area > 1.0:
            return str(texts[owner[a]].role), str(texts[owner[b]].role)
    return None


def hexed(colour: str) -> str:
    """#rrggbb of what CSS computes: rgb(...) in 0..255 or color(srgb ...) in 0..1."""
    numbers = [float(v) for v in re.findall(r"[\d.]+(?:e-?\d+)?", colour.replace("srgb", ""))][:3]
    if colour.startswith("color("):
        numbers = [255 * v for v in numbers]
    return "#" + "".join(f"{min(255, round(v)):02x}" for v in numbers)


def _pixels(boxes: Floats) -> NDArray[np.float32]:
    """The pixels that the ink covers."""
    low, high = np.floor(boxes[:, :2] + FAINT), np.ceil(boxes[:, 2:] - FAINT)
    covered: NDArray[np.float32] = np.concatenate([low, np.maximum(high, low + 1)], axis=1).astype(np.float32)
    return covered


def _lines(at: Sequence[Box], vertical: bool) -> NDArray[np.int32]:
    """A new line begins where the text goes back, or on past the line's far side."""
    numbers = [0] * len(at)
    for n in range(1, len(at)):
        before, here = at[n - 1], at[n]
        if vertical:
            new = here[1] < before[1] or here[2] <= before[0] + 0.5
        else:
            new = here[0] < before[0] - 0.5 or here[1] >= before[3] - 0.5
        numbers[n] = numbers[n - 1] + new
    return np.array(numbers, dtype=np.int32)


def _words(text: str, starts: Sequence[int]) -> NDArray[np.int32]:
    """Runs of letters and digits; each ideograph is one by itself; -1 for marks."""
    number = np.full(len(text), -1, dtype=np.int32)
    for n, found in enumerate(_WORD.finditer(text)):
        number[found.start() : found.end()] = n
    chosen = number[list(starts)]
    _, dense = np.unique(chosen[chosen >= 0], return_inverse=True)
    chosen[chosen >= 0] = dense
    return chosen
