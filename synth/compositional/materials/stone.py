"""Stone: veined marble, speckled granite, slate, sandstone; cut into, or with letters set on."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from synth.compositional.blend import mix, shade
from synth.compositional.inks import carved, raised
from synth.compositional.noise import Colour, Real, Rgb, clouds, coloured, grain, normal, spread, to_field
from synth.compositional.surface import Ink, Surface, bevel, inset, whole

GILT: Colour = (214, 172, 84)


def stone(rng: Generator, h: int, w: int) -> Surface:
    kind, rgb, dark = (_marble, _granite, _black_granite, _sandstone)[int(rng.integers(4))](rng, h, w)
    bevel(rgb, 0.02, 36)
    if dark:
        inks: tuple[Ink, ...] = (
            Ink("carved", GILT, carved(GILT, 0.8, 0.95)),
            Ink("carved", (232, 232, 228), carved((232, 232, 228), 0.8, 0.95)),
        )
    else:
        inks = (
            Ink("carved", (44, 40, 36), carved((44, 40, 36), 1.0, 0.82)),
            Ink("carved", (150, 24, 24), carved((150, 24, 24), 1.0, 0.88)),
            Ink("raised", (52, 46, 42), raised((52, 46, 42)), smallest=22, heavy=True),
        )
    return Surface("stone", kind, rgb, whole(h, w), inset(h, w, 0.12), inks, thick=0.03)


def _vein(rng: Generator, h: int, w: int, cells: float) -> Real:
    """Thin dark lines where smooth noise crosses zero, bent by more noise."""
    wild = clouds(rng, h, w, cells, 4)
    return np.exp(-np.abs(wild) * np.float32(16)) * np.clip(clouds(rng, h, w, 2, 1) + np.float32(0.55), 0, 1)


def _marble(rng: Generator, h: int, w: int) -> tuple[str, Rgb, bool]:
    field = to_field(
        clouds(rng, h, w, 2.5, 3) * 0.5 + 0.3 - _vein(rng, h, w, 2.2) * 0.8 - _vein(rng, h, w, 4.5) * 0.3, 128, 110
    )
    rgb = coloured(field, ((142, 142, 146), (214, 213, 211), (236, 235, 232), (244, 243, 240)))
    return "a white marble slab", rgb, False


def _granite(rng: Generator, h: int, w: int) -> tuple[str, Rgb, bool]:
    rgb = _speckled(rng, h, w, ((88, 84, 82), (150, 146, 142), (186, 182, 176), (208, 204, 198)))
    return "a grey granite slab", rgb, False


def _black_granite(rng: Generator, h: int, w: int) -> tuple[str, Rgb, bool]:
    rgb = _speckled(rng, h, w, ((16, 16, 18), (30, 30, 32), (38, 38, 41), (74, 74, 78)))
    mix(rgb, (255, 255, 255), cv2.convertScaleAbs(np.maximum(clouds(rng, h, w, 1.5, 2), 0), alpha=16))
    return "a polished black granite slab", rgb, True


def _speckled(rng: Generator, h: int, w: int, stops: tuple[Colour, ...]) -> Rgb:
    size = max(0.8, min(h, w) / 420)
    coarse = spread(cv2.GaussianBlur(grain(rng, h, w), (0, 0), size * 1.6))
    fine = spread(cv2.GaussianBlur(grain(rng, h, w), (0, 0), size * 0.7))
    return coloured(cv2.addWeighted(coarse, 0.6, fine, 0.5, -10), stops)


def _sandstone(rng: Generator, h: int, w: int) -> tuple[str, Rgb, bool]:
    layers = clouds(rng, h, w, 5, 3, stretch=6) * 0.5 + clouds(rng, h, w, 2, 2) * 0.3
    rgb = coloured(to_field(layers, 128, 110), ((170, 138, 98), (202, 172, 130), (216, 190, 150), (226, 204, 168)))
    shade(rgb, 1 + normal(rng, h, w) * np.float32(0.0016))
    return "a sandstone slab", rgb, False
