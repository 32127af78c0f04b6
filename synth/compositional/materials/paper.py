"""Paper: white, cream, coloured, aged, ruled, a sticky note; and cardboard."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from synth.compositional.blend import mix, raise_by, shade
from synth.compositional.inks import painted, printed
from synth.compositional.noise import (
    Colour,
    Field,
    Real,
    Rgb,
    clouds,
    gradient,
    normal,
    plain,
    scratches,
    streaks,
    varied,
)
from synth.compositional.surface import Ink, Surface, edge_distance, inset, whole

SHEETS: tuple[tuple[str, Colour], ...] = (
    ("a sheet of white paper", (246, 245, 241)),
    ("a sheet of cream paper", (243, 234, 212)),
    ("an old yellowed sheet of paper", (226, 205, 160)),
    ("a sheet of squared paper", (247, 247, 243)),
    ("a sheet of ruled paper", (249, 248, 242)),
    ("a yellow sticky note", (252, 226, 104)),
    ("a pink sticky note", (250, 170, 190)),
    ("a light blue sheet of paper", (203, 224, 238)),
    ("a light green sheet of paper", (212, 234, 208)),
    ("a red sheet of festive paper", (186, 28, 30)),
)
DARK: tuple[Colour, ...] = (
    (24, 24, 28),
    (32, 32, 36),
    (20, 40, 96),
    (120, 20, 24),
    (18, 78, 58),
    (70, 30, 96),
    (150, 60, 10),
)
GOLD: tuple[Colour, ...] = ((246, 208, 104), (252, 224, 150), (22, 16, 16))


def fold(rng: Generator, h: int, w: int) -> Real:
    """Light on a sheet that was folded once or twice and smoothed again."""
    light = np.ones((h, w), np.float32)
    for across in (True, False):
        if rng.random() < 0.5:
            continue
        n = w if across else h
        at = n * float(rng.uniform(0.35, 0.65))
        away = (np.arange(n, dtype=np.float32) - np.float32(at)) / np.float32(n)
        bent = np.float32(0.035) * np.sign(away) * np.exp(-np.abs(away) * 5) - 0.10 * np.exp(-((away * n / 1.3) ** 2))
        light += bent[None, :] if across else bent[:, None]
    return light


def paper(rng: Generator, h: int, w: int) -> Surface:
    kind, colour = SHEETS[int(rng.integers(len(SHEETS)))]
    rgb = plain(varied(colour, rng, 5), h, w)
    old, note, red = "old" in kind, "sticky" in kind, "festive" in kind
    light = 1 + clouds(rng, h, w, 3, 2) * (0.05 if old else 0.014) + gradient(h, w, float(rng.uniform(0, 360))) * 0.02
    light += normal(rng, h, w) * np.float32(0.00045)
    if rng.random() < 0.45 and not note:
        light *= fold(rng, h, w)
    if note:  # its lower edge curls away from the wall
        light *= 1 - 0.10 * np.linspace(0, 1, h, dtype=np.float32)[:, None] ** 4
    shade(rgb, light)
    if old:
        far = edge_distance(h, w) / (min(h, w) * 0.16)
        stain = np.clip(255 * (0.5 - far * 0.5 + clouds(rng, h, w, 5, 3) * 0.35), 0, 120).astype(np.uint8)
        mix(rgb, (150, 108, 56), stain)
    if old or rng.random() < 0.3:
        mix(
            rgb,
            (130, 110, 86),
            cv2.convertScaleAbs(scratches(rng, h, w, 60 + h * w // 9000, min(h, w) * 0.03), alpha=0.16),
        )
    if red:
        mix(rgb, (236, 190, 80), cv2.convertScaleAbs(flecks(rng, h, w), alpha=0.55))
    _rule(rgb, rng, kind)
    inks = tuple(
        Ink("printed", c, printed(c)) for c in (GOLD if red else (*DARK[:2], DARK[int(rng.integers(2, len(DARK)))]))
    )
    if note or "ruled" in kind or "squared" in kind:
        pens: tuple[Colour, ...] = ((26, 34, 110), (28, 28, 30), (150, 24, 30))
        inks = tuple(Ink("handwritten", c, printed(c, 0.9, 0.14), kinds=("kai", "hand")) for c in pens)
    return Surface("paper", kind, rgb, whole(h, w), inset(h, w, 0.1), inks, thick=0.004)


def _rule(rgb: Rgb, rng: Generator, kind: str) -> None:
    h, w = rgb.shape[:2]
    step = max(8, round(min(h, w) / float(rng.uniform(11, 17))))
    line = max(1, round(min(h, w) / 420))
    if "ruled" in kind or "squared" in kind:
        tint = (178, 200, 222)
        for y in range(step, h, step):
            rgb[y : y + line] = tint
        if "squared" in kind:
            for x in range(step, w, step):
                rgb[:, x : x + line] = tint
        elif w > 6 * step:
            rgb[:, step : step + line] = (226, 150, 150)


def flecks(rng: Generator, h: int, w: int) -> Field:
    """Specks of gold in festive paper."""
    out = np.zeros((h, w), np.uint8)
    size = max(1.0, min(h, w) / 260)
    for x, y, r in rng.random((max(20, h * w // 2600), 3)):
        cv2.circle(
            out, (int(x * w), int(y * h)), max(1, round(size * (0.3 + r))), (int(90 + 165 * r),), -1, cv2.LINE_AA
        )
    return out


def cardboard(rng: Generator, h: int, w: int) -> Surface:
    """Brown and corrugated: the ridges show as faint bands."""
    rgb = plain(varied((188, 148, 102), rng, 12), h, w)
    ridges = max(5.0, min(h, w) / float(rng.uniform(34, 60)))
    wave = np.cos(np.arange(h, dtype=np.float32) * np.float32(2 * np.pi / ridges))[:, None]
    light = 1 + 0.018 * wave + clouds(rng, h, w, 3, 3) * 0.05 + normal(rng, h, w) * np.float32(0.0009)
    light += (streaks(rng, h, w, w * 0.06).astype(np.float32) - 128) * np.float32(0.0004)
    shade(rgb, light)
    mix(rgb, (116, 82, 48), cv2.convertScaleAbs(scratches(rng, h, w, 40 + h * w // 6000, min(h, w) * 0.02), alpha=0.22))
    edge = np.clip(edge_distance(h, w) / max(2.0, min(h, w) * 0.012), 0, 1)
    raise_by(rgb, ((edge - 1) * 26).astype(np.int16))
    inks = (
        Ink("printed", (30, 24, 20), printed((30, 24, 20), 0.9, 0.16), heavy=True),
        Ink("painted", (244, 240, 230), painted((244, 240, 230), 0.2), heavy=True),
        Ink("printed", (140, 20, 22), printed((140, 20, 22), 0.9, 0.16), heavy=True),
    )
    return Surface("cardboard", "a piece of brown cardboard", rgb, whole(h, w), inset(h, w, 0.1), inks, thick=0.014)
