"""Wood: planks with rings, fibres, pores and a knot or two; bare, stained or painted."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from numpy.random import Generator

from synth.compositional.blend import shade
from synth.compositional.inks import burnt, carved, painted
from synth.compositional.noise import Colour, Field, Real, clouds, coloured, grain, less, streaks, to_field
from synth.compositional.surface import Ink, Surface, bevel, inset, rounded

Stops = tuple[Colour, ...]
TIMBER: tuple[tuple[str, Stops], ...] = (
    ("pine", ((176, 124, 66), (214, 168, 108), (230, 190, 134), (238, 204, 152))),
    ("oak", ((128, 86, 46), (168, 122, 72), (190, 146, 94), (204, 164, 112))),
    ("walnut", ((52, 32, 20), (84, 54, 34), (106, 70, 46), (124, 86, 58))),
    ("cherry", ((110, 52, 28), (148, 78, 44), (170, 98, 60), (186, 116, 76))),
    ("weathered", ((98, 92, 84), (136, 130, 120), (160, 154, 144), (178, 172, 162))),
    ("white", ((190, 186, 176), (222, 219, 210), (234, 231, 224), (240, 238, 232))),
    ("green", ((22, 54, 44), (32, 76, 62), (40, 88, 72), (46, 96, 80))),
    ("blue", ((40, 70, 92), (60, 98, 124), (70, 112, 138), (80, 122, 148))),
)


def wood(rng: Generator, h: int, w: int) -> Surface:
    name, stops = TIMBER[int(rng.integers(len(TIMBER)))]
    planks = int(rng.choice((1, 1, 2, 3, 4))) if h > 120 else 1
    bounds = np.linspace(0, h, planks + 1).round().astype(int)
    field = np.empty((h, w), np.uint8)
    for top, bottom in itertools.pairwise(bounds):
        field[top:bottom] = _plank(rng, bottom - top, w)
    rgb = coloured(field, stops)
    short = min(h, w)
    light = 1 + clouds(rng, h, w, 2.5, 2) * 0.05
    gap = max(0.9, short / 240)
    for seam in bounds[1:-1]:
        away = np.abs(np.arange(h) - seam).astype(np.float32)[:, None]
        light *= 1 - 0.6 * np.exp(-((away / gap) ** 2)) - 0.12 * np.exp(-away / (4 * gap))
    shade(rgb, light)
    bevel(rgb, 0.014, 30)
    radius = round(short * float(rng.choice((0.0, 0.0, 0.03, 0.08))))
    dark = name in ("walnut", "green", "blue", "cherry")
    kind = f"a {name} wooden board" if name not in ("weathered", "oak") else f"{_a(name)} {name} wooden board"
    return Surface("wood", kind, rgb, rounded(h, w, radius), inset(h, w, 0.11), _inks(dark), thick=0.03)


def _a(name: str) -> str:
    return "an" if name[0] in "aeiou" else "a"


def _inks(dark: bool) -> tuple[Ink, ...]:
    if dark:
        return (
            Ink("painted", (244, 238, 222), painted((244, 238, 222), 0.16)),
            Ink("painted", (236, 198, 112), painted((236, 198, 112), 0.16)),
        )
    return (
        Ink("burnt", (34, 18, 8), burnt((34, 18, 8))),
        Ink("carved", (44, 24, 12), carved((44, 24, 12)), smallest=20, heavy=True),
        Ink("painted", (26, 30, 34), painted((26, 30, 34), 0.18)),
        Ink("painted", (128, 24, 22), painted((128, 24, 22), 0.18)),
    )


def _plank(rng: Generator, h: int, w: int) -> Field:
    """Rings cut lengthwise (a slow wave drawn out along the plank, bent around knots), fibres and pores on top."""
    y = np.linspace(0, 1, h, dtype=np.float32)[:, None]
    rings = float(rng.uniform(4, 9))
    bend = clouds(rng, h, w, 1.6, 3, stretch=6.0) * np.float32(0.16)
    if rng.random() < 0.4 and h > 60:
        bend += _knot(rng, h, w)
    phase = (y + bend) * np.float32(rings) + np.float32(rng.random())
    ring = phase - np.floor(phase)
    ring = np.minimum(ring * np.float32(1.3), (1 - ring) * np.float32(4.3))  # slow to darken, quick to turn light again
    fibre = streaks(rng, h, w, max(w * 0.22, 60.0), max(1.0, h / 260))
    fine = streaks(rng, h, w, max(w * 0.08, 30.0), 1.0)
    rough = cv2.addWeighted(fibre, 0.5, fine, 0.5, 0)
    base = to_field(ring * np.float32(0.75) - np.float32(0.35), 128, 96)
    field = cv2.addWeighted(base, 1.0, rough, 0.42, -54)
    pores = cv2.resize(grain(rng, h, max(8, w // 14)), (w, h), interpolation=cv2.INTER_LINEAR)
    return cv2.subtract(field, cv2.convertScaleAbs(less(pores, 205), alpha=1.3))


def _knot(rng: Generator, h: int, w: int) -> Real:
    cy, cx = float(rng.uniform(0.15, 0.85)) * h, float(rng.uniform(0.05, 0.95)) * w
    size = h * float(rng.uniform(0.08, 0.16))
    y, x = (
        np.arange(h, dtype=np.float32)[:, None] - np.float32(cy),
        np.arange(w, dtype=np.float32)[None, :] - np.float32(cx),
    )
    near = np.exp(-((x / (size * 2.6)) ** 2) - (y / (size * 1.2)) ** 2)
    bend: Real = near * np.float32(0.26) * np.tanh(y / np.float32(size * 0.5))
    return bend
