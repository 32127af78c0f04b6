"""Ways of putting writing on a surface: each takes a mask of coverage and changes the surface in place.

`em` is the size of the writing in pixels of the surface: strokes are about a tenth of it, so depths and frayed edges
are measured by it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from synth.compositional.blend import mix, raise_by, relief, shade, soft_blur, three, tinted
from synth.compositional.noise import Colour, Field, Rgb, as_colour, clouds, grain, less, normal, spread, to_field
from synth.compositional.surface import Put

PIXEL = 5  # side of one cell of an LED panel, in pixels of the surface


def scaled(mask: Field, by: float) -> Field:
    return cv2.convertScaleAbs(mask, alpha=by)


def times(mask: Field, other: Field) -> Field:
    return cv2.multiply(mask, other, scale=1 / 255)


def printed(colour: Colour, cover: float = 0.94, worn: float = 0.06) -> Put:
    """Ink soaked in: the grain of what is under it shows a little."""

    def put(rgb: Rgb, mask: Field, em: float, rng: Generator) -> None:
        h, w = mask.shape
        uneven = cv2.convertScaleAbs(cv2.blur(grain(rng, h, w), (3, 3)), alpha=worn * 2, beta=255 * (1 - worn) - 12)
        ground = cv2.cvtColor(cv2.multiply(rgb, three(mask), scale=1 / 255), cv2.COLOR_RGB2GRAY)
        level = max(1.0, float(ground[mask > 200].mean())) if (mask > 200).any() else 128.0
        texture = cv2.convertScaleAbs(
            cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (0, 0), 0.7), alpha=128 / level
        )
        paint = cv2.multiply(
            np.full_like(rgb, colour), three(cv2.addWeighted(texture, 0.6, texture, 0, 51)), scale=1 / 128
        )
        mix(rgb, paint, times(scaled(mask, cover), uneven))

    return put


def painted(colour: Colour, worn: float = 0.25) -> Put:
    """Paint with a body: a faint relief, thin where the brush ran dry or time has worn it."""

    def put(rgb: Rgb, mask: Field, em: float, rng: Generator) -> None:
        h, w = mask.shape
        gone = to_field(clouds(rng, h, w, 30, 3), 235, 60 * worn * 4)
        speckle = cv2.convertScaleAbs(cv2.blur(grain(rng, h, w), (3, 3)), alpha=worn, beta=255 - 160 * worn)
        coat = times(times(mask, gone), speckle)
        texture = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        level = max(1.0, float(cv2.mean(texture)[0]))
        body = cv2.addWeighted(texture, 0.35 * 128 / level, texture, 0, 128 * 0.65)
        mix(rgb, cv2.multiply(np.full_like(rgb, colour), three(body), scale=1 / 128), scaled(coat, 0.96))
        raise_by(rgb, (relief(coat, max(1.0, em * 0.02)) // 9).astype(np.int16))

    return put


def burnt(colour: Colour) -> Put:
    """Branded: charred within, scorched brown around."""

    def put(rgb: Rgb, mask: Field, em: float, rng: Generator) -> None:
        h, w = mask.shape
        halo = soft_blur(mask, em * 0.07)
        mix(rgb, (92, 52, 24), scaled(halo, 0.5))
        uneven = to_field(clouds(rng, h, w, 24, 3), 225, 40)
        mix(rgb, colour, times(mask, uneven))
        raise_by(rgb, -(relief(mask, max(1.0, em * 0.03)) // 7).astype(np.int16))

    return put


def carved(colour: Colour, depth: float = 1.0, fill: float = 0.75) -> Put:
    """Cut in: the side away from the light is lit, the other lies in shadow; darker at the bottom."""

    def put(rgb: Rgb, mask: Field, em: float, rng: Generator) -> None:
        wide = max(1.2, em * 0.045 * depth)
        deep = cv2.GaussianBlur(mask, (0, 0), wide * 0.5)
        tint = rgb.copy()
        mix(tint, colour, np.full(mask.shape, round(255 * fill), np.uint8))
        mix(rgb, tint, cv2.addWeighted(mask, 0.7, deep, 0.3, 0))
        raise_by(rgb, (-relief(mask, wide).astype(np.float32) * 0.32 * depth).astype(np.int16))

    return put


def raised(colour: Colour, depth: float = 1.0) -> Put:
    """Letters of metal or plastic fixed on: a lit edge, and a shadow below."""

    def put(rgb: Rgb, mask: Field, em: float, rng: Generator) -> None:
        h, w = mask.shape
        gap = max(1, round(em * 0.035 * depth))
        fallen = np.zeros_like(mask)
        fallen[gap:, gap:] = mask[: h - gap, : w - gap]
        mix(rgb, (0, 0, 0), scaled(soft_blur(fallen, em * 0.03), 0.5))
        sheen = 1 + 0.08 * clouds(rng, h, w, 3, 1)
        face = np.full_like(rgb, colour)
        shade(face, sheen)
        raise_by(face, (relief(mask, max(1.0, em * 0.03)) // 4).astype(np.int16))
        mix(rgb, face, mask)

    return put


def embroidered(colour: Colour) -> Put:
    """Satin stitch: threads side by side across the strokes, each lit on top, the whole raised off the cloth."""

    def put(rgb: Rgb, mask: Field, em: float, rng: Generator) -> None:
        h, w = mask.shape
        pitch = max(2.6, em * 0.045)
        angle = np.deg2rad(float(rng.choice((62.0, 45.0, -55.0))))
        x, y = np.arange(w, dtype=np.float32)[None, :], np.arange(h, dtype=np.float32)[:, None]
        wave = np.cos((x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))) * np.float32(2 * np.pi / pitch))
        light = 0.9 + 0.16 * wave
        light += normal(rng, h, w) * np.float32(0.0012)
        thread = np.full_like(rgb, colour)
        shade(thread, light)
        raise_by(thread, (relief(mask, max(1.5, em * 0.05)) // 5).astype(np.int16))
        mix(rgb, (0, 0, 0), scaled(soft_blur(mask, em * 0.04), 0.35))
        mix(rgb, thread, mask)

    return put


def chalked(colour: Colour) -> Put:
    """Chalk: it catches the grain of the board, leaves gaps, and dust around."""

    def put(rgb: Rgb, mask: Field, em: float, rng: Generator) -> None:
        h, w = mask.shape
        tooth = spread(cv2.GaussianBlur(grain(rng, h, w), (0, 0), max(0.7, em * 0.012)))
        press = to_field(clouds(rng, h, w, 14, 2), 205, 55)
        soft = cv2.GaussianBlur(mask, (0, 0), max(0.6, em * 0.012))
        kept = cv2.convertScaleAbs(less(cv2.addWeighted(soft, 1.25, tooth, 0.55, -45), 128), alpha=2.2, beta=40)
        kept = times(times(kept, cv2.convertScaleAbs(soft, alpha=1.6)), press)
        mix(rgb, colour, scaled(soft_blur(mask, em * 0.12), 0.10))
        mix(rgb, colour, kept)

    return put


def glowing(colour: Colour) -> Put:
    """A lit tube: nearly white within, its colour around, light thrown on the wall."""

    def put(rgb: Rgb, mask: Field, em: float, rng: Generator) -> None:
        for sigma, much in ((em * 0.55, 0.42), (em * 0.16, 0.55), (em * 0.05, 0.6)):
            lit = soft_blur(mask, sigma)
            cv2.add(rgb, tinted(scaled(lit, much), colour), dst=rgb)
        mix(rgb, colour, mask)
        heart = cv2.GaussianBlur(mask, (0, 0), max(0.6, em * 0.022))
        core = cv2.convertScaleAbs(less(heart, 120), alpha=1.9)
        white = as_colour([255 - (255 - c) * 0.22 for c in colour])
        mix(rgb, white, times(core, mask))

    return put


def etched(colour: Colour, cover: float = 0.86) -> Put:
    """Frosted by sand: a fine bright bloom with a soft edge."""

    def put(rgb: Rgb, mask: Field, em: float, rng: Generator) -> None:
        h, w = mask.shape
        frost = cv2.convertScaleAbs(grain(rng, h, w), alpha=0.16, beta=255 * cover - 20)
        mix(rgb, colour, times(mask, frost))
        raise_by(rgb, -(relief(mask, max(1.0, em * 0.02)) // 10).astype(np.int16))

    return put


def lit_cells(colour: Colour, cell: int = PIXEL) -> Put:
    """Lamps in a grid: each takes the mask's mean over its cell, is round, and shines a little on its neighbours."""

    def put(rgb: Rgb, mask: Field, em: float, rng: Generator) -> None:
        h, w = mask.shape
        across, down = max(1, w // cell), max(1, h // cell)
        means = cv2.resize(mask, (across, down), interpolation=cv2.INTER_AREA)
        means = cv2.convertScaleAbs(less(means, 40), alpha=1.35)
        lit = cv2.resize(means, (w, h), interpolation=cv2.INTER_NEAREST)
        dot = lamp(cell)
        dots = np.tile(dot, (-(-h // cell) + 1, -(-w // cell) + 1))[:h, :w]
        bright = times(lit, dots)
        spill = scaled(soft_blur(lit, cell * 1.2), 0.35)
        glow = cv2.max(bright, spill)
        cv2.add(rgb, tinted(glow, colour), dst=rgb)

    return put


def lamp(cell: int) -> Field:
    """One round lamp (cell, cell)."""
    at = (np.arange(cell) - (cell - 1) / 2) / (cell / 2)
    reach = np.sqrt(at[:, None] ** 2 + at[None, :] ** 2)
    return np.clip(255 * (1.25 - reach) / 0.4, 70, 255).astype(np.uint8)
