"""A material that fills the picture, for want of a photograph: the camera a little askew, its light, lens and noise."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from synth.compositional.blend import shade
from synth.compositional.compose import outline
from synth.compositional.light import grainy
from synth.compositional.noise import Rgb, clouds, gradient
from synth.geometry import Floats, homography, translation

OUTSIDE, LEAN = 0.08, 0.04  # shares of the picture's shorter side by which each corner of the surface lies outside it


def fill_frame(rgb: Rgb, shape: tuple[int, int], rng: Generator) -> tuple[Rgb, Floats]:
    """The surface (somewhat larger than the picture `shape`) seen from nearby, and what takes it to the picture (3, 3).

    The surface's rim, its frame and studs, lie outside the picture.
    """
    h, w = shape
    sh, sw = rgb.shape[:2]
    over = OUTSIDE * min(h, w)
    lean = rng.uniform(0.0, LEAN, (4, 2)) * min(h, w)
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    quad = outline(h, w) + signs * (over + lean)
    matrix = homography(outline(sh, sw), quad)
    to_pixels = translation(-0.5, -0.5) @ matrix @ translation(0.5, 0.5)
    seen = cv2.warpPerspective(rgb, to_pixels, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    x, y = np.linspace(-1, 1, w, dtype=np.float32)[None, :], np.linspace(-1, 1, h, dtype=np.float32)[:, None]
    light = np.float32(rng.uniform(0.9, 1.02)) + gradient(h, w, float(rng.uniform(0, 360))) * np.float32(
        rng.uniform(0.03, 0.14)
    )
    light = light + clouds(rng, h, w, 1.5, 1) * np.float32(0.03) - np.float32(rng.uniform(0.02, 0.12)) * (x**2 + y**2)
    shade(seen, light.astype(np.float32))
    warmth = float(rng.normal(0, 0.022))
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    steps = np.arange(256)[:, None] * tint
    seen = cv2.LUT(seen, np.clip(np.rint(steps), 0, 255).astype(np.uint8).reshape(256, 1, 3))
    soft = float(rng.uniform(0.3, 0.75))
    seen = cv2.GaussianBlur(seen, (0, 0), soft)
    grainy(seen, float(rng.uniform(0.5, 3.0)), rng)
    return seen, matrix
