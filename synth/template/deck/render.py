"""Our own renderer: a filled scene to pixels, and the truth of every paragraph from what was drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.draw.ink import ink, ink_bounds
from synth.draw.paint import Paint, paint
from synth.geometry import Floats, rotation, scaling, translation
from synth.layout.block import Block
from synth.placed import Placed
from synth.template.deck.canvas import Canvas, whole_slide
from synth.template.deck.errors import DeckError
from synth.template.deck.fill import Filled
from synth.template.deck.scene import Drawing, Scene
from synth.template.deck.setting import Line

NUMBERING = "numbering"  # of a list: 1. 2. 3.; it is read, but no caption tells of it
LOWEST_CONTRAST = 2.5  # of the ink against nine tenths of the pixels around it, WCAG 2.2's ratio
#: What a role is called outside of slides.
_TOLD = {
    "point": "body",
    "sentence": "body",
    "passage": "body",
    "text": "body",
    "citation": "body",
    "cost": "price",
    "footer": "label",
    "page": "number",
    "figure": "number",
    "clock": "date",
    "era": "date",
    "day": "date",
    "span": "date",
    "cell": "label",
}
_LUMINANCE = np.where(
    np.arange(256) / 255 <= 0.04045, np.arange(256) / 255 / 12.92, ((np.arange(256) / 255 + 0.055) / 1.055) ** 2.4
)


@dataclass(frozen=True)
class Rendered:
    image: NDArray[np.uint8]
    texts: tuple[Placed, ...]


def render(scene: Scene, filled: Sequence[Filled], width: int, height: int) -> Rendered:
    """Draw the slide at `width` x `height` pixels. Raises DeckError where it would not come out well."""
    canvas = Canvas(width, height, scaling(width / scene.width, height / scene.height))
    canvas.draw(whole_slide(scene.width, scene.height, scene.background))
    written = {id(f.frame): f for f in filled}
    texts: list[Placed] = []
    taken: list[tuple[float, float, float, float]] = []
    for item in scene.items:
        if isinstance(item, Drawing):
            canvas.draw(item)
        else:
            for line in written[id(item)].lines:
                texts += _write(canvas, line, _to_pixels(canvas, written[id(item)]), taken)
    return Rendered(canvas.pixels, tuple(texts))


def _to_pixels(canvas: Canvas, filled: Filled) -> Floats:
    """From the pixels that the frame's text was set in to the canvas."""
    frame, scale = filled.frame, canvas.scale
    matrix = canvas.to_pixels @ frame.matrix @ scaling(1 / scale, 1 / scale)
    if frame.direction == "vert":
        matrix = matrix @ translation(frame.width * scale, 0) @ rotation(90)
    elif frame.direction == "vert270":
        matrix = matrix @ translation(0, frame.height * scale) @ rotation(-90)
    out: Floats = matrix
    return out


def _write(canvas: Canvas, line: Line, matrix: Floats, taken: list[tuple[float, float, float, float]]) -> list[Placed]:
    written = line.written
    out = []
    if line.marker is not None:
        drawn = _ink(canvas, line.marker, line.marker_x, line.y, matrix, written.style.bullet_tone.rgb)
        if written.style.bullet == "1.":
            out.append(replace(drawn, role=NUMBERING))
    drawn = _ink(canvas, line.block, line.x, line.y, matrix, written.style.tone.rgb)
    for quad in drawn.line_quads():
        box = (*quad.min(axis=0).tolist(), *quad.max(axis=0).tolist())
        if any(box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3] for t in taken):
            raise DeckError("texts overlap", written.text[:40])
        out_of = box[0] < 0 or box[1] < 0 or box[2] > canvas.ink.shape[1] or box[3] > canvas.ink.shape[0]
        if out_of:
            raise DeckError("text off the slide", written.text[:40])
        taken.append(box)
    return [*out, replace(drawn, role=_TOLD.get(written.role, written.role))]


def _ink(canvas: Canvas, block: Block, x: float, y: float, matrix: Floats, rgb: tuple[int, int, int]) -> Placed:
    """Draw one block; straight onto the canvas where it stands upright, else turned into place."""
    bounds = ink_bounds(block)
    if bounds[2] <= bounds[0]:
        raise DeckError("no text fits", "a text without ink")
    pad = 4
    left, top = min(bounds[0], 0) - pad, min(bounds[1], 0) - pad
    shape = (bounds[3] - top + pad, bounds[2] - left + pad)
    mask, placed = ink(block, shape, (-left, -top))
    to_canvas = matrix @ translation(x + left, y + top)
    h, w = canvas.ink.shape
    if np.allclose(to_canvas[:2, :2], np.eye(2), atol=1e-6):
        dx, dy = round(float(to_canvas[0, 2])), round(float(to_canvas[1, 2]))
        to_canvas = translation(dx, dy)
        x0, y0, x1, y1 = max(dx, 0), max(dy, 0), min(dx + shape[1], w), min(dy + shape[0], h)
        if x1 <= x0 or y1 <= y0:
            raise DeckError("text off the slide", block.text[:40])
        part = np.ascontiguousarray(mask[y0 - dy : y1 - dy, x0 - dx : x1 - dx])
    else:
        x0, y0, x1, y1, part = _turned(mask, to_canvas, (w, h), block.text)
    there = canvas.pixels[y0:y1, x0:x1]
    _require_contrast(there, part, rgb, block.text)
    paint(there, part, Paint(rgb))
    np.maximum(canvas.ink[y0:y1, x0:x1], part, out=canvas.ink[y0:y1, x0:x1])
    return replace(placed.moved(to_canvas), colour="#{:02x}{:02x}{:02x}".format(*rgb))


def _turned(
    mask: NDArray[np.uint8], matrix: Floats, size: tuple[int, int], text: str
) -> tuple[int, int, int, int, NDArray[np.uint8]]:
    h, w = mask.shape
    corners = (matrix @ np.array([[0, w, w, 0], [0, 0, h, h], [1, 1, 1, 1.0]]))[:2]
    x0, y0 = max(math.floor(corners[0].min()), 0), max(math.floor(corners[1].min()), 0)
    x1, y1 = min(math.ceil(corners[0].max()), size[0]), min(math.ceil(corners[1].max()), size[1])
    if x1 <= x0 or y1 <= y0:
        raise DeckError("text off the slide", text[:40])
    # cv2 counts from the middle of a pixel, we from its corner.
    half = translation(0.5, 0.5)
    warp = (np.linalg.inv(half) @ translation(-x0, -y0) @ matrix @ half)[:2]
    turned = cv2.warpAffine(mask, warp, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    return x0, y0, x1, y1, np.asarray(turned, np.uint8)


def _require_contrast(ground: NDArray[np.uint8], mask: NDArray[np.uint8], rgb: tuple[int, int, int], text: str) -> None:
    """Raises DeckError where a tenth of the ink or more can hardly be told from what is below it."""
    below = ground[mask > 64]
    if not len(below):
        return
    light = _LUMINANCE[below] @ np.array([0.2126, 0.7152, 0.0722])
    own = float(_LUMINANCE[list(rgb)] @ np.array([0.2126, 0.7152, 0.0722]))
    ratio = (np.maximum(light, own) + 0.05) / (np.minimum(light, own) + 0.05)
    if float(np.quantile(ratio, 0.1)) < LOWEST_CONTRAST:
        raise DeckError("low contrast", text[:40])
