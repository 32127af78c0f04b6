"""The light and the lens of a photograph, measured, so that what is put into it can be given the same."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from synth.compositional.blend import three
from synth.compositional.noise import Field, Real, Rgb, normal

SMALL = 160  # longer side, in pixels, at which light is measured


@dataclass(frozen=True)
class Light:
    """`white` (3,): what a white sheet looks like in it, 0..255 a channel; `black`: its darkest tone. `grey`:
    brightness at a small size, float32, smoothed. `blur`: the lens's, as a Gaussian's sigma in pixels. `noise`:
    standard deviation in its even parts, 0..255. `source`: -1..1, from which side more light comes (left is -1).
    `colours`: mean chroma; below 3 it is black and white."""

    white: Real
    black: float
    grey: Real
    blur: float
    noise: float
    source: float
    colours: float


def measure(photo: Rgb) -> Light:
    """Of a photograph (h, w, 3)."""
    h, w = photo.shape[:2]
    scale = SMALL / max(h, w)
    small = cv2.resize(photo, (max(8, round(w * scale)), max(8, round(h * scale))), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    level = np.float32(np.percentile(grey, 98.5))
    bright = small[grey >= np.percentile(grey, 90)].astype(np.float32).mean(axis=0)
    world = small.reshape(-1, 3).astype(np.float32).mean(axis=0)
    cast = 0.7 * bright / max(1.0, float(bright.mean())) + 0.3 * world / max(1.0, float(world.mean()))
    cast = np.clip(1 + (cast - 1) * 0.6, 0.86, 1.14)
    white = np.clip(np.clip(level, 120, 250) * cast, 0, 255).astype(np.float32)
    full = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 7)
    half = smooth.shape[1] // 2
    left, right = float(smooth[:, :half].mean()), float(smooth[:, half:].mean())
    source = (right - left) / max(20.0, right + left)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)[:, :, 1:].astype(np.float32) - 128
    chroma = float(np.hypot(lab[:, :, 0], lab[:, :, 1]).mean())
    darkest, side = float(np.percentile(grey, 1)), float(np.clip(source * 4, -1, 1))
    return Light(white, darkest, smooth, blur_of(full), noise_of(full), side, chroma)


def blur_of(grey: Field) -> float:
    """Sigma in pixels of the sharpest edges: how much a known further blur flattens them (Zhuo and Sim, 2011)."""
    h, w = grey.shape
    middle = grey[h // 8 : h - h // 8, w // 8 : w - w // 8]
    again = cv2.GaussianBlur(middle, (0, 0), 1.5)
    first, second = (_steepness(g) for g in (middle, again))
    if second < 1.0 or first <= second * 1.02:
        return 2.0
    return float(np.clip(1.5 / np.sqrt((first / second) ** 2 - 1), 0.3, 2.0))


def _steepness(grey: Field) -> float:
    dx = cv2.Sobel(grey, cv2.CV_16S, 1, 0, ksize=3)
    strong = np.partition(np.abs(dx[::2]).reshape(-1), -max(1, dx.size // 800))
    return float(strong[-max(1, dx.size // 800) :].mean())


def noise_of(grey: Field) -> float:
    """Immerkaer's estimator (1996), median instead of mean: edges do not count."""
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    answer = np.abs(cv2.filter2D(grey[::2], cv2.CV_16S, mask))
    return float(np.clip(np.median(answer) / 0.6745 / 6, 0.0, 10.0))


def shading(light: Light, box: tuple[int, int, int, int], shape: tuple[int, int]) -> tuple[Real, float]:
    """How light falls across the box (x0, y0, x1, y1) of a photograph of `shape` (h, w): (box h, box w) float32 with
    mean about 1, and how bright it is there beside the whole, 0..1."""
    x0, y0, x1, y1 = box
    sy, sx = light.grey.shape[0] / shape[0], light.grey.shape[1] / shape[1]
    part = light.grey[
        max(0, int(y0 * sy)) : max(int(y0 * sy) + 2, int(np.ceil(y1 * sy))),
        max(0, int(x0 * sx)) : max(int(x0 * sx) + 2, int(np.ceil(x1 * sx))),
    ]
    mean = float(part.mean())
    field = np.clip(part / max(mean, 12.0), 0.6, 1.5) ** np.float32(0.75)
    there = float(np.clip(mean / max(30.0, float(np.percentile(light.grey, 95))), 0, 1))
    return cv2.resize(field, (x1 - x0, y1 - y0), interpolation=cv2.INTER_CUBIC), there


def in_the_open(light: Light, box: tuple[int, int, int, int]) -> tuple[Real, float]:
    """The same for what stands before everything else: brighter towards the light, whatever is behind it."""
    x0, y0, x1, y1 = box
    across = np.linspace(-1, 1, x1 - x0, dtype=np.float32)[None, :] * np.float32(light.source * 0.07)
    down = np.linspace(0.04, -0.06, y1 - y0, dtype=np.float32)[:, None]
    return 1 + across + down, 0.9


def expose(rgb: Rgb, light: Light, there: float, shines: float) -> None:
    """Turns a surface that was made in plain white light into one in the photograph's, in place."""
    lit = light.white / 255 * (0.8 + 0.2 * there)
    gain = (1 - shines) * lit + shines * np.float32(1.0)
    lift = min(light.black, 22.0) * (1 - 0.5 * shines)
    steps = np.arange(256, dtype=np.float32)[:, None]
    table = np.clip(lift + steps * gain[None, :] * (1 - lift / 255), 0, 255)
    rgb[:] = cv2.LUT(rgb, np.rint(table).astype(np.uint8).reshape(256, 1, 3))


def grainy(rgb: Rgb, noise: float, rng: Generator) -> None:
    """Adds noise as cameras leave it: of brightness, a little soft; in place."""
    if noise < 0.35:
        return
    h, w = rgb.shape[:2]
    field = cv2.GaussianBlur(normal(rng, h, w).astype(np.float32), (0, 0), 0.6) * np.float32(noise / 32 * 1.6)
    cv2.add(rgb, three(field), dst=rgb, dtype=cv2.CV_8U)
