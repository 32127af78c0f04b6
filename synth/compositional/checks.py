"""Whether what was drawn can be read, by measure: sizes from the truth, contrast from the picture itself."""

from __future__ import annotations

import unicodedata

import cv2
import numpy as np

from synth.compositional.noise import Field, as_colour
from synth.geometry import Floats
from synth.palettes import luminance
from synth.placed import Placed
from synth.sample import Rejected

SMALLEST = 10.0  # pixels: the larger side of a letter or ideograph
LEAST_CONTRAST = 1.7  # luminance ratio of the 15 % darkest and brightest pixels in a line's box


def judge(picture: Field, placed: Placed) -> Rejected | None:
    """None where all is well."""
    quads = placed.character_quads()
    h, w = picture.shape[:2]
    if not len(quads):
        return Rejected("no ink", "nothing of the text has ink")
    if (quads < -0.5).any() or (quads > (w + 0.5, h + 0.5)).any():
        return Rejected("outside", "letters would leave the picture")
    size = smallest_letter(placed, quads)
    if size < SMALLEST:
        return Rejected("too small", f"the smallest letter is {size:.1f} pixels high")
    worst = min(line_contrast(picture, quad) for quad in placed.line_quads())
    if worst < LEAST_CONTRAST:
        return Rejected("low contrast", f"a line's contrast is {worst:.2f}")
    return None


def smallest_letter(placed: Placed, quads: Floats) -> float:
    """The larger side of the smallest letter, digit or ideograph in pixels; marks and punctuation do not count."""
    sides = np.stack([np.linalg.norm(quads - np.roll(quads, -1, axis=1), axis=2)[:, i] for i in (0, 1)], axis=1).max(
        axis=1
    )
    counted = [unicodedata.category(placed.text[s])[0] in "LN" for s in placed.starts.tolist()]
    kept = sides[np.array(counted, dtype=bool)]
    return float(kept.min()) if len(kept) else float(sides.max())


def line_contrast(picture: Field, quad: Floats) -> float:
    """Ratio of the brightest to the darkest parts within the quad, as WCAG counts it; hues count through luminance, and
    a colour step of equal brightness by its distance instead."""
    x0, y0 = np.maximum(np.floor(quad.min(axis=0)), 0).astype(int)
    x1, y1 = np.ceil(quad.max(axis=0)).astype(int)
    part = picture[y0:y1, x0:x1]
    if part.size < 48:
        return 1.0
    step = max(1, int(np.sqrt(part.shape[0] * part.shape[1] / 4000)))
    some = part[::step, ::step].reshape(-1, 3)
    grey = cv2.cvtColor(some[None], cv2.COLOR_RGB2GRAY)[0]
    low, high = np.percentile(grey, (12, 88))
    dark, bright = some[grey <= low].mean(axis=0), some[grey >= high].mean(axis=0)
    a, b = luminance(as_colour(bright)), luminance(as_colour(dark))
    return float((a + 0.05) / (b + 0.05))
