"""Writing put straight on what the photograph shows: its shading and texture stay, as if the wall had been painted."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from synth.compositional.blend import mix, three
from synth.compositional.compose import around, outline, warp
from synth.compositional.light import Light
from synth.compositional.noise import Colour, Field, Rgb, as_colour, clouds, grain, to_field
from synth.geometry import Floats, apply
from synth.palettes import contrast

PAINTS: tuple[Colour, ...] = (
    (242, 240, 232), (28, 28, 30), (178, 28, 32), (24, 60, 140), (240, 196, 50), (20, 96, 64), (232, 110, 36),
    (88, 36, 110),
)  # fmt: skip


def no_surface(rgb: Rgb, mask: Field, em: float, rng: Generator) -> None:
    """The way of writing on what is no surface of ours: see `paint`."""
    raise AssertionError("text on a photograph is painted by `paint`")


def paint_for(photo: Rgb, quad: Floats, rng: Generator) -> Colour | None:
    """A paint that shows on this ground, None where none does: there it is grey and uneven."""
    x0, y0, x1, y1 = around(quad, photo.shape[:2], 0)
    mean = cv2.mean(photo[y0:y1, x0:x1])[:3]
    ground: Colour = as_colour(mean)
    good = [p for p in PAINTS if contrast(p, ground) > 3.2]
    return good[int(rng.integers(len(good)))] if good else None


def paint(
    photo: Rgb, mask: Field, to_photo: Floats, colour: Colour, light: Light, poisson: bool, rng: Generator
) -> None:
    """In place. `poisson`: gradients of the paint's edge are set into the photograph's own (Perez et al., 2003), which
    keeps all of its texture; otherwise the paint is multiplied by the brightness of what is under it."""
    h, w = mask.shape
    quad = apply(to_photo, outline(h, w))
    box = around(quad, photo.shape[:2], 6)
    x0, y0, x1, y1 = box
    ground = np.ascontiguousarray(photo[y0:y1, x0:x1])
    ink = warp(mask, to_photo, box)
    if light.blur > 0.6:
        ink = cv2.GaussianBlur(ink, (0, 0), min(light.blur, 1.0) * 0.6)
    gh, gw = ink.shape
    grey = cv2.cvtColor(ground, cv2.COLOR_RGB2GRAY)
    mean = max(20.0, float(np.median(grey)))
    texture = np.clip(grey.astype(np.float32) / mean, 0.45, 1.5)
    exposed = [
        c * float(wh) / 255 * (0.75 + 0.25 * min(1.0, mean / 140)) for c, wh in zip(colour, light.white, strict=True)
    ]
    coat = cv2.multiply(np.full((gh, gw, 3), exposed, np.float32), three(texture))
    painted = cv2.convertScaleAbs(coat)
    worn = to_field(clouds(rng, gh, gw, 9, 3), 244, 26)
    speckle = cv2.convertScaleAbs(cv2.blur(grain(rng, gh, gw), (2, 2)), alpha=0.12, beta=228)
    alpha = cv2.multiply(cv2.multiply(ink, worn, scale=1 / 255), speckle, scale=1 / 245)
    result = ground.copy()
    mix(result, painted, alpha)
    if poisson and min(gh, gw) > 16 and cv2.countNonZero(ink):
        region = np.zeros((gh, gw), np.uint8)
        region[4:-4, 4:-4] = cv2.dilate((ink > 8).astype(np.uint8) * 255, np.ones((9, 9), np.uint8))[4:-4, 4:-4]
        bx, by, bw, bh = cv2.boundingRect(region)
        centre = (bx + bw // 2, by + bh // 2)
        result = cv2.seamlessClone(result, ground, region, centre, cv2.MIXED_CLONE)
    photo[y0:y1, x0:x1] = result
