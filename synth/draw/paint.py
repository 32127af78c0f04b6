"""Ink to colour: fills, gradients, outlines and shadows, blended with whole numbers and only where there is ink."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Gradient:
    """From `start` to `end` across the ink, `degrees` clockwise from left to right."""

    start: Colour
    end: Colour
    degrees: float = 0.0


@dataclass(frozen=True)
class Outline:
    """`width` pixels around the ink."""

    width: int
    colour: Colour


@dataclass(frozen=True)
class Shadow:
    """The ink's shape moved by (dx, dy) pixels and blurred by a Gaussian of `blur` pixels, 0 to 1 opaque."""

    dx: int
    dy: int
    blur: float
    colour: Colour = (0, 0, 0)
    opacity: float = 0.5


@dataclass(frozen=True)
class Paint:
    """How ink looks: a shadow below, an outline around, the fill on top."""

    fill: Colour | Gradient
    outline: Outline | None = None
    shadow: Shadow | None = None


@dataclass(frozen=True)
class Layer:
    """A picture with transparency: `rgb` (h, w, 3), `alpha` (h, w), not premultiplied."""

    rgb: Pixels
    alpha: Pixels


def over(canvas: Pixels, layer: Layer) -> None:
    """Lay `layer` on `canvas` (h, w, 3), in place."""
    box = _inked(layer.alpha)
    if box is not None:
        _blend(canvas[box], layer.rgb[box], layer.alpha[box])


def paint(canvas: Pixels, mask: Pixels, how: Paint) -> None:
    """Paint ink of coverage `mask` (h, w) on `canvas` (h, w, 3), in place."""
    box = _inked(mask, _reach(how))
    if box is None:
        return
    there, ink = canvas[box], np.ascontiguousarray(mask[box])
    for colour, coverage in _coats(ink, how):
        _blend(there, colour, coverage)


def layer(mask: Pixels, how: Paint) -> Layer:
    """Ink of coverage `mask` (h, w) as a layer of the same size."""
    rgb, alpha = np.zeros((*mask.shape, 3), np.uint8), np.zeros(mask.shape, np.uint8)
    box = _inked(mask, _reach(how))
    if box is None:
        return Layer(rgb, alpha)
    colours: NDArray[np.floating] = np.zeros((*mask[box].shape, 3), np.float32)  # premultiplied
    seen: NDArray[np.floating] = np.zeros(mask[box].shape, np.float32)
    for colour, coverage in _coats(np.ascontiguousarray(mask[box]), how):
        share = coverage.astype(np.float32) / 255
        colours = colours * (1 - share)[..., None] + np.asarray(colour, np.float32) * share[..., None]
        seen = seen * (1 - share) + share
    rgb[box] = np.rint(colours / np.maximum(seen, 1e-6)[..., None])
    alpha[box] = np.rint(seen * 255)
    return Layer(rgb, alpha)


def on_plain(mask: Pixels, ground: Colour, ink: Colour) -> Pixels:
    """(h, w, 3): ink of one colour on a ground of one colour, by a table of the 256 mixtures: the quickest there is."""
    share = np.arange(256, dtype=np.float64)[:, None] / 255
    if len({*ground}) == len({*ink}) == 1:  # greys: one channel is looked up, not three
        greys = np.rint(ground[0] * (1 - share) + ink[0] * share).astype(np.uint8)
        grey: Pixels = cv2.cvtColor(cv2.LUT(mask, greys), cv2.COLOR_GRAY2RGB)  # type: ignore[assignment]
        return grey
    table = np.rint(np.array(ground) * (1 - share) + np.array(ink) * share).astype(np.uint8)
    out: Pixels = cv2.applyColorMap(mask, table[:, None, :])  # type: ignore[assignment]
    return out


def _reach(how: Paint) -> int:
    """Pixels by which what is painted goes beyond the ink."""
    outline = how.outline.width if how.outline else 0
    shadow = max(abs(how.shadow.dx), abs(how.shadow.dy)) + round(3 * how.shadow.blur) if how.shadow else 0
    return max(outline, shadow + outline)


def _coats(ink: Pixels, how: Paint) -> list[tuple[Colour | Pixels, Pixels]]:
    """What is laid over the ground, lowest first: a colour or colours (h, w, 3), and its coverage (h, w)."""
    coats: list[tuple[Colour | Pixels, Pixels]] = []
    shape = ink
    if how.outline:
        side = 2 * how.outline.width + 1
        shape = np.asarray(cv2.dilate(ink, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))), np.uint8)
    if how.shadow:
        moved = _moved(shape, how.shadow.dx, how.shadow.dy)
        if how.shadow.blur > 0:
            moved = np.asarray(cv2.GaussianBlur(moved, (0, 0), how.shadow.blur), np.uint8)
        coats.append((how.shadow.colour, np.asarray(cv2.convertScaleAbs(moved, alpha=how.shadow.opacity), np.uint8)))
    if how.outline:
        coats.append((how.outline.colour, shape))
    fill = _ramp(ink, how.fill) if isinstance(how.fill, Gradient) else how.fill
    coats.append((fill, ink))
    return coats


def _ramp(ink: Pixels, gradient: Gradient) -> Pixels:
    """(h, w, 3): the gradient over the whole of `ink`."""
    height, width = ink.shape
    angle = np.deg2rad(gradient.degrees)
    along = np.add.outer(np.arange(height) * np.sin(angle), np.arange(width) * np.cos(angle))
    share = ((along - along.min()) / max(float(np.ptp(along)), 1.0))[..., None]
    ramp: Pixels = np.rint(np.array(gradient.start) * (1 - share) + np.array(gradient.end) * share).astype(np.uint8)
    return ramp


def _blend(canvas: Pixels, colour: Colour | Pixels, coverage: Pixels) -> None:
    """canvas * (1 - coverage) + colour * coverage, rounded, in place."""
    three = cv2.cvtColor(coverage, cv2.COLOR_GRAY2RGB)
    paint = np.full(canvas.shape, colour, np.uint8) if isinstance(colour, tuple) else colour
    kept = cv2.multiply(np.ascontiguousarray(canvas), cv2.bitwise_not(three), scale=1 / 255)
    canvas[:] = cv2.add(kept, cv2.multiply(paint, three, scale=1 / 255))


def _moved(mask: Pixels, dx: int, dy: int) -> Pixels:
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
    return np.asarray(cv2.warpAffine(mask, matrix, mask.shape[::-1], flags=cv2.INTER_NEAREST), np.uint8)


def _inked(mask: Pixels, margin: int = 0) -> tuple[slice, slice] | None:
    """The part of the picture with ink, `margin` pixels wider; None where there is none."""
    x, y, width, height = cv2.boundingRect(mask)
    if not width or not height:
        return None
    bottom, right = min(mask.shape[0], y + height + margin), min(mask.shape[1], x + width + margin)
    return slice(max(0, y - margin), bottom), slice(max(0, x - margin), right)
