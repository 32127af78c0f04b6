"""A slide's pixels: shapes painted with smooth edges, gradients and pictures, and what text already stands there."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from synth.draw.paint import Layer, over
from synth.geometry import Floats, apply
from synth.template.deck.colour import Tone
from synth.template.deck.errors import DeckError
from synth.template.deck.outlines import Path
from synth.template.deck.scene import Drawing, Fill, Gradient, Picture, Stroke
from synth.template.deck.strokes import arrow_heads, dashed

FINE = 4  # subpixels along a side
MOST_PIXELS = 40_000_000
Mask = NDArray[np.uint8]
Box = tuple[int, int, int, int]


class Canvas:
    """`pixels` (h, w, 3) uint8; `to_pixels` (3, 3) takes the slide's EMU to them. `ink` (h, w): the text so far."""

    def __init__(self, width: int, height: int, to_pixels: Floats) -> None:
        self.pixels = np.full((height, width, 3), 255, np.uint8)
        self.ink = np.zeros((height, width), np.uint8)
        self.to_pixels = to_pixels
        self.scale = float(to_pixels[0, 0])

    def draw(self, drawing: Drawing) -> None:
        """Paint a shape. Raises DeckError where a picture cannot be read, or the shape would hide text."""
        matrix = self.to_pixels @ drawing.matrix
        filled = [_ring(apply(matrix, p.points)) for p in drawing.paths if p.filled]
        if drawing.fill is not None and filled:
            if drawing.shadow is not None and not isinstance(drawing.fill, Picture):
                self._shadow(drawing, filled)
            box = self._box(filled, 1)
            if box is not None:
                self._paint(box, coverage(filled, box), drawing.fill, matrix, drawing.width, drawing.height)
        if drawing.stroke is not None:
            self._stroke(drawing, drawing.stroke, matrix)

    def _shadow(self, drawing: Drawing, rings: Sequence[Floats]) -> None:
        cast = drawing.shadow
        assert cast is not None
        moved = [ring + np.array([cast.x, cast.y]) * self.scale for ring in rings]
        sigma = cast.blur * self.scale / 2
        box = self._box(moved, math.ceil(3 * sigma) + 1)
        if box is None:
            return
        mask = coverage(moved, box)
        if sigma > 0.3:
            mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.uint8)
        self._blend(box, cast.tone.rgb, _thinned(mask, cast.tone.alpha), hides=False)

    def _paint(self, box: Box, mask: Mask, fill: Fill, matrix: Floats, width: float, height: float) -> None:
        if isinstance(fill, Tone):
            self._blend(box, fill.rgb, _thinned(mask, fill.alpha), hides=True)
        elif isinstance(fill, Gradient):
            rgb, alpha = _gradient(fill, box, np.linalg.inv(matrix), width, height)
            self._blend(box, rgb, _times(mask, alpha), hides=True)
        else:
            rgb, alpha = _picture(fill, box, matrix, width, height)
            self._blend(box, rgb, _times(mask, alpha), hides=True)

    def _stroke(self, drawing: Drawing, stroke: Stroke, matrix: Floats) -> None:
        thick = max(stroke.width * self.scale, 0.75)
        for path in drawing.paths:
            if not path.stroked or len(path.points) < 2:
                continue
            points = apply(matrix, path.points)
            pieces = dashed(points, path.closed, [d * thick for d in stroke.dash])
            box = self._box([points], math.ceil(thick) + 2 + (math.ceil(4 * thick) if any(stroke.arrows) else 0))
            if box is None:
                continue
            mask = _stroked(pieces, path.closed and not stroke.dash, thick, box)
            heads = arrow_heads(points, stroke.arrows, thick)
            if heads:
                mask = np.maximum(mask, coverage(heads, box))
            self._blend(box, stroke.tone.rgb, _thinned(mask, stroke.tone.alpha), hides=True)

    def _blend(self, box: Box, colours: tuple[int, int, int] | Mask, mask: Mask, hides: bool) -> None:
        x0, y0, x1, y1 = box
        if hides and bool(((mask > 96) & (self.ink[y0:y1, x0:x1] > 0)).any()):
            raise DeckError("text covered", "a shape lies over text")
        rgb = np.broadcast_to(np.asarray(colours, np.uint8), (*mask.shape, 3))
        over(self.pixels[y0:y1, x0:x1], Layer(np.ascontiguousarray(rgb), mask))

    def _box(self, rings: Sequence[Floats], margin: int) -> Box | None:
        """Whole pixels around, within the canvas; None where nothing is to be seen."""
        points = np.concatenate(rings)
        if not np.isfinite(points).all():
            raise DeckError("broken XML", "a shape without a place")
        h, w = self.ink.shape
        low = np.floor(points.min(axis=0)) - margin
        high = np.ceil(points.max(axis=0)) + margin
        x0, y0 = int(max(low[0], 0)), int(max(low[1], 0))
        x1, y1 = int(min(high[0], w)), int(min(high[1], h))
        return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def whole_slide(width: float, height: float, fill: Fill) -> Drawing:
    outline = Path(np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float64))
    return Drawing(width, height, np.eye(3), (outline,), fill)


def coverage(rings: Sequence[Floats], box: Box) -> Mask:
    """How much of each pixel of `box` lies within the rings, 0..255; where they overlap is a hole."""
    if len(rings) == 1 and (upright := _upright(rings[0])) is not None:
        return _rectangle(upright, box)
    x0, y0, x1, y1 = box
    fine = np.zeros(((y1 - y0) * FINE, (x1 - x0) * FINE), np.uint8)
    # fillPoly fills all that the edge touches, half a subpixel too much on either side: the edge counts half.
    edges = [_fixed(ring, box) for ring in rings]
    cv2.fillPoly(fine, edges, (255.0,), cv2.LINE_8, 4)
    cv2.polylines(inner := fine.copy(), edges, True, (0.0,), 1, cv2.LINE_8, 4)
    halved = cv2.addWeighted(fine, 0.5, inner, 0.5, 0)
    return np.asarray(cv2.resize(halved, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA), np.uint8)


def _stroked(pieces: Sequence[Floats], closed: bool, thick: float, box: Box) -> Mask:
    x0, y0, x1, y1 = box
    out = np.zeros((y1 - y0, x1 - x0), np.uint8)
    straight = [s for piece in pieces for s in _segments(piece, closed)]
    if all(abs(a[0] - b[0]) < 1e-3 or abs(a[1] - b[1]) < 1e-3 for a, b in straight) and len(straight) <= 64:
        half = thick / 2
        corner = half if closed else 0.0
        for a, b in straight:
            low, high = np.minimum(a, b), np.maximum(a, b)
            upright = abs(a[0] - b[0]) < 1e-3
            pad = np.array([half, corner] if upright else [corner, half])
            np.maximum(out, _rectangle((*(low - pad), *(high + pad)), box), out=out)
        return out
    fine = np.zeros((out.shape[0] * FINE, out.shape[1] * FINE), np.uint8)
    width = max(1, round(thick * FINE))
    cv2.polylines(fine, [_fixed(piece, box) for piece in pieces], closed, (255.0,), width, cv2.LINE_8, 4)
    return np.asarray(cv2.resize(fine, out.shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def _segments(points: Floats, closed: bool) -> list[tuple[Floats, Floats]]:
    pairs = list(pairwise(points))
    return [*pairs, (points[-1], points[0])] if closed else pairs


def _fixed(points: Floats, box: Box) -> NDArray[np.int32]:
    """Points in sixteenths of a subpixel, moved so that a whole number is a subpixel's middle, as cv2 counts."""
    local = (points - np.array(box[:2], dtype=np.float64)) * FINE - 0.5
    return np.rint(np.clip(local, -1e5, 1e5) * 16).astype(np.int32)


def _ring(points: Floats) -> Floats:
    return np.round(points, 3)


def _upright(ring: Floats) -> tuple[float, float, float, float] | None:
    """The edges of a ring that is a rectangle with upright sides, else None."""
    if len(ring) != 4:
        return None
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = ring.tolist()
    flat = ay == by and bx == cx and cy == dy and dx == ax
    steep = ax == bx and by == cy and cx == dx and dy == ay
    return (min(ax, cx), min(ay, cy), max(ax, cx), max(ay, cy)) if flat or steep else None


def _rectangle(edges: Sequence[float], box: Box) -> Mask:
    x0, y0, x1, y1 = edges
    xs, ys = np.arange(box[0], box[2]), np.arange(box[1], box[3])
    across = np.clip(np.minimum(xs + 1, x1) - np.maximum(xs, x0), 0, 1)
    down = np.clip(np.minimum(ys + 1, y1) - np.maximum(ys, y0), 0, 1)
    return np.asarray(np.rint(np.outer(down, across) * 255), np.uint8)


def _thinned(mask: Mask, alpha: float) -> Mask:
    return mask if alpha >= 1 else np.asarray(cv2.convertScaleAbs(mask, alpha=alpha), np.uint8)


def _times(mask: Mask, alpha: Mask | None) -> Mask:
    return mask if alpha is None else np.asarray(cv2.multiply(mask, alpha, scale=1 / 255), np.uint8)


def _gradient(
    fill: Gradient, box: Box, to_local: NDArray[np.floating], width: float, height: float
) -> tuple[Mask, Mask]:
    """Colours (h, w, 3) and opacity (h, w) of a gradient over the shape's own box, by a table of 512 steps."""
    xs, ys = np.arange(box[0], box[2]) + 0.5, np.arange(box[1], box[3]) + 0.5
    u = np.add.outer(to_local[0, 1] * ys, to_local[0, 0] * xs) + to_local[0, 2]
    v = np.add.outer(to_local[1, 1] * ys, to_local[1, 0] * xs) + to_local[1, 2]
    if fill.angle is None:
        across, down = np.abs(u / max(width, 1) * 2 - 1), np.abs(v / max(height, 1) * 2 - 1)
        share = np.hypot(across, down) / math.sqrt(2) if fill.round else np.maximum(across, down)
    else:
        angle = math.radians(fill.angle)
        along = u * math.cos(angle) + v * math.sin(angle)
        ends = [x * math.cos(angle) + y * math.sin(angle) for x in (0, width) for y in (0, height)]
        share = (along - min(ends)) / max(max(ends) - min(ends), 1.0)
    steps = np.rint(np.clip(share, 0, 1) * 511).astype(np.int32)
    places = [place for place, _ in fill.stops]
    table = np.stack(
        [
            np.interp(np.arange(512) / 511, places, [(*t.rgb, t.alpha * 255)[c] for _, t in fill.stops])
            for c in range(4)
        ],
        axis=1,
    )
    looked_up = np.rint(table).astype(np.uint8)[steps]
    return looked_up[..., :3], np.ascontiguousarray(looked_up[..., 3])


def _picture(fill: Picture, box: Box, matrix: Floats, width: float, height: float) -> tuple[Mask, Mask]:
    """Colours and opacity of a picture stretched over the shape's box."""
    try:
        with Image.open(io.BytesIO(fill.data)) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise DeckError("too large", f"a picture of {opened.width}x{opened.height} pixels")
            pixels = np.asarray(opened.convert("RGBA"))
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DeckError("missing media", "a picture that cannot be decoded") from error
    h, w = pixels.shape[:2]
    left, top, right, bottom = fill.crop
    x0, y0, x1, y1 = left * w, top * h, w - right * w, h - bottom * h
    if x0 < 0 or y0 < 0 or x1 > w or y1 > h:
        raise DeckError("cannot draw", "a picture smaller than its frame")
    pixels = pixels[int(y0) : max(math.ceil(y1), int(y0) + 1), int(x0) : max(math.ceil(x1), int(x0) + 1)]
    scale = np.linalg.norm(matrix[:2, :2], axis=0)
    size = (max(1, round(float(scale[0]) * width)), max(1, round(float(scale[1]) * height)))
    size = (min(size[0], 4096), min(size[1], 4096))
    shrinks = size[0] * size[1] < pixels.shape[0] * pixels.shape[1]
    resized = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    to_box = matrix @ np.diag([width / size[0], height / size[1], 1.0])
    to_box = np.array([[1, 0, -box[0]], [0, 1, -box[1]], [0, 0, 1.0]]) @ to_box
    # cv2 counts from the middle of a pixel.
    shift = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
    warp = (np.linalg.inv(shift) @ to_box @ shift)[:2]
    moved = cv2.warpAffine(
        resized, warp, (box[2] - box[0], box[3] - box[1]), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    moved = np.asarray(moved, np.uint8)
    return np.ascontiguousarray(moved[..., :3]), _thinned(np.ascontiguousarray(moved[..., 3]), fill.alpha)
