"""A surface into a photograph: warped, lit, shadowed, and made as soft and as noisy as the picture around it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from synth.compositional.blend import mix, shade, soft_blur, three
from synth.compositional.light import Light, expose, grainy, in_the_open, shading
from synth.compositional.noise import Colour, Field, Rgb, as_colour, toned
from synth.compositional.surface import Surface
from synth.geometry import Floats, apply, translation

SHARPEST = 0.45  # sigma in pixels: what warping leaves of the surface's own sharpness


def outline(h: int, w: int) -> Floats:
    """Corners (4, 2) of a surface of (h, w)."""
    return np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float64)


def around(quad: Floats, shape: tuple[int, int], margin: float) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1: whole pixels of a picture (h, w) around the quad, `margin` pixels wider, within the picture."""
    low = np.maximum(np.floor(quad.min(axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(quad.max(axis=0) + margin), shape[::-1]).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def warp(picture: Field, to_photo: Floats, box: tuple[int, int, int, int]) -> Field:
    """The part of the photograph's plane in `box` on which the surface's pixels fall; 0 where none do.

    Coordinates are of pixels' corners, OpenCV's of their middles: hence the half."""
    x0, y0, x1, y1 = box
    matrix = translation(-x0 - 0.5, -y0 - 0.5) @ to_photo @ translation(0.5, 0.5)
    return cv2.warpPerspective(picture, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)


def warp_surface(rgb: Rgb, alpha: Field, to_photo: Floats, box: tuple[int, int, int, int]) -> tuple[Rgb, Field]:
    x0, y0, x1, y1 = box
    matrix = translation(-x0 - 0.5, -y0 - 0.5) @ to_photo @ translation(0.5, 0.5)
    size = (x1 - x0, y1 - y0)
    colours = cv2.warpPerspective(rgb, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return colours, cv2.warpPerspective(alpha, matrix, size, flags=cv2.INTER_LINEAR)


def lay(
    photo: Rgb, surface: Surface, rgb: Rgb, to_photo: Floats, light: Light, em: float, stance: str, rng: Generator
) -> None:
    """Lays the written surface `rgb` into the photograph, in place. `em`: of its writing in the photograph's pixels,
    which the lens's blur may not drown. `stance`: hangs, lies (its shadow is close), stands or near (in the open)."""
    h, w = photo.shape[:2]
    sh, sw = surface.alpha.shape
    quad = apply(to_photo, outline(sh, sw))
    short = float(min(np.linalg.norm(quad[1] - quad[0]), np.linalg.norm(quad[3] - quad[0])))
    thick = surface.thick * short
    reach = thick * 2 + short * 0.10 + 6 + short * 0.6 * (surface.glow > 0)
    box = around(quad, (h, w), reach)
    x0, y0, x1, y1 = box
    ground = np.ascontiguousarray(photo[y0:y1, x0:x1])
    colours, alpha = warp_surface(rgb, surface.alpha, to_photo, box)
    attached = stance in ("hangs", "lies")
    field, there = shading(light, box, (h, w)) if attached else in_the_open(light, box)
    side = _side(colours, alpha)
    shade(colours, 1 + (field - 1) * np.float32(1 - surface.shines))
    expose(colours, light, there, surface.shines)
    if surface.see_through:
        behind = soft_blur(ground, max(1.5, short * 0.012))
        colours = cv2.addWeighted(colours, 1 - surface.see_through, behind, surface.see_through, 0)
    sigma = float(np.sqrt(max(0.0, (light.blur if stance != "near" else 0.7) ** 2 - SHARPEST**2)))
    sigma = min(sigma, em * 0.035)
    if sigma > 0.25:
        colours = cv2.GaussianBlur(colours, (0, 0), sigma)
        alpha = cv2.GaussianBlur(alpha, (0, 0), sigma)
    if attached:
        _shadow(ground, alpha, thick, short, light.source, stance == "lies")
    if thick >= 1.5:
        _flank(ground, alpha, thick, side, light, there)
    if surface.glow:
        _spill(ground, colours, alpha, short, surface.glow)
    grainy(colours, min(light.noise, 5.0), rng)
    mix(ground, colours, alpha)
    photo[y0:y1, x0:x1] = ground


def _side(colours: Rgb, alpha: Field) -> Colour:
    """The colour of the surface's rim."""
    rim = cv2.subtract(alpha, cv2.erode(alpha, np.ones((5, 5), np.uint8)))
    mean = cv2.mean(colours, rim)[:3]
    return toned(as_colour(mean), 0.55)


def moved(mask: Field, dx: float, dy: float) -> Field:
    h, w = mask.shape
    return cv2.warpAffine(mask, np.array([[1, 0, dx], [0, 1, dy]], np.float64), (w, h))


def _shadow(ground: Rgb, alpha: Field, thick: float, short: float, source: float, lying: bool) -> None:
    """A wide soft shadow away from the light, and a narrow dark one where the surface touches."""
    far = short * (0.012 if lying else 0.03) + thick
    wide = soft_blur(moved(alpha, -source * far * 0.9 + far * 0.25, far * 0.8), max(1.2, far * 0.9))
    close = soft_blur(moved(alpha, -source, 1.0 + thick * 0.3), max(0.9, thick * 0.5 + short * 0.003))
    both = cv2.max(cv2.convertScaleAbs(wide, alpha=0.42), cv2.convertScaleAbs(close, alpha=0.5))
    cv2.multiply(ground, three(cv2.bitwise_not(both)), dst=ground, scale=1 / 255)


def _flank(ground: Rgb, alpha: Field, thick: float, side: Colour, light: Light, there: float) -> None:
    """The board's edge as far as it shows: below, and on the side away from the middle of the light."""
    strip = np.empty((1, 1, 3), np.uint8)
    strip[:] = side
    expose(strip, light, there, 0.0)
    colour: Colour = as_colour(strip[0, 0])
    total, done, thickness = max(1, round(thick)), 0, alpha
    while done < total:  # what is swept over so far is moved by as much again
        step = min(done + 1, total - done)
        thickness = cv2.max(thickness, moved(thickness, -light.source * step * 0.35, step * 0.8))
        done += step
    mix(ground, colour, thickness)


def _spill(ground: Rgb, colours: Rgb, alpha: Field, short: float, glow: float) -> None:
    """Light of the surface on what is around it."""
    shining = cv2.bitwise_and(colours, colours, mask=alpha)
    halo = soft_blur(shining, short * 0.22)
    cv2.add(ground, cv2.convertScaleAbs(halo, alpha=glow * 1.6), dst=ground)


def defocus(photo: Rgb, sigma: float) -> None:
    """The photograph out of focus, in place: bright spots grow to discs, as lenses have it. `sigma` in pixels."""
    h, w = photo.shape[:2]
    factor = max(1, int(sigma / 3))
    small = cv2.resize(photo, (w // factor, h // factor), interpolation=cv2.INTER_AREA)
    radius = max(1, round(sigma * 1.6 / factor))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)).astype(np.float32)
    small = cv2.filter2D(small, -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT)
    small = cv2.GaussianBlur(small, (0, 0), max(0.6, radius * 0.3))
    cv2.resize(small, (w, h), dst=photo, interpolation=cv2.INTER_LINEAR)
