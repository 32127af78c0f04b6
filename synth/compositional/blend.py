"""Quick arithmetic on pictures of 8 bits. `canvas` (h, w, 3) uint8 is changed in place where it is named so."""

from __future__ import annotations

import cv2
import numpy as np

from synth.compositional.noise import Colour, Field, Real, Rgb


def three(field: Real) -> Real:
    return cv2.merge([field, field, field])


def mix(canvas: Rgb, colour: Colour | Rgb, alpha: Field) -> None:
    """Lays a colour, or another picture, over the canvas as thick as `alpha` (h, w) says."""
    opaque = three(alpha)
    under = cv2.multiply(canvas, cv2.bitwise_not(opaque), scale=1 / 255)
    if isinstance(colour, tuple):
        above = tinted(alpha, colour)
    else:
        above = cv2.multiply(colour, opaque, scale=1 / 255)
    cv2.add(under, above, dst=canvas)


def tinted(field: Field, colour: Colour) -> Rgb:
    """(h, w, 3): the colour as bright as the field says."""
    steps = np.arange(256)[:, None] / 255 * np.array(colour)
    return cv2.applyColorMap(field, np.rint(steps).astype(np.uint8).reshape(256, 1, 3))


def shade(canvas: Rgb, light: Real) -> None:
    """Multiplies by `light` (h, w) float32, 1 changes nothing."""
    field = cv2.convertScaleAbs(light, alpha=128)
    cv2.multiply(canvas, three(field), dst=canvas, scale=1 / 128)


def raise_by(canvas: Rgb, amount: Real) -> None:
    """Adds signed steps of brightness (h, w) int16."""
    cv2.add(canvas, three(amount), dst=canvas, dtype=cv2.CV_8U)


def relief(mask: Field, depth: float) -> Real:
    """Light on a relief of the mask seen from above, lit from the top left: positive where it faces the light.

    (h, w) int16, about -255..255. `depth` in pixels is how wide its slopes are.
    """
    soft = cv2.GaussianBlur(mask, (0, 0), max(depth * 0.5, 0.5))
    gap = max(1, round(depth * 0.7))
    padded = cv2.copyMakeBorder(soft, gap, gap, gap, gap, cv2.BORDER_REPLICATE)
    h, w = mask.shape
    return cv2.subtract(padded[2 * gap : 2 * gap + h, 2 * gap : 2 * gap + w], padded[:h, :w], dtype=cv2.CV_16S)


def soft_blur(field: Field, sigma: float) -> Field:
    """A wide Gaussian, made small first: the cost does not grow with sigma."""
    factor = max(1, int(sigma / 2))
    h, w = field.shape[:2]
    if factor == 1:
        return cv2.GaussianBlur(field, (0, 0), max(sigma, 0.3))
    small = cv2.resize(field, (max(1, w // factor), max(1, h // factor)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / factor)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
