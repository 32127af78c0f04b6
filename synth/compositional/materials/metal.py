"""Metal: brushed steel, brass and copper, and enamelled plates as streets and houses have."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from synth.compositional.blend import mix, shade
from synth.compositional.inks import carved, painted, printed, raised
from synth.compositional.noise import (
    Colour,
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
from synth.compositional.surface import Ink, Surface, bevel, edge_distance, inset, rounded

BARE: tuple[tuple[str, Colour], ...] = (
    ("a brushed steel plate", (186, 190, 194)),
    ("a brass plate", (204, 170, 96)),
    ("a copper plate", (196, 128, 92)),
    ("a dark anodised metal plate", (58, 62, 68)),
)
ENAMEL: tuple[tuple[str, Colour, Colour], ...] = (
    ("a blue enamel sign", (22, 62, 138), (246, 246, 242)),
    ("a green enamel sign", (18, 96, 66), (246, 246, 242)),
    ("a white enamel sign", (238, 238, 232), (26, 30, 40)),
    ("a yellow enamel sign", (246, 198, 36), (24, 22, 20)),
    ("a red enamel sign", (176, 26, 30), (248, 246, 240)),
)


def metal(rng: Generator, h: int, w: int) -> Surface:
    return _bare(rng, h, w) if rng.random() < 0.55 else _enamel(rng, h, w)


def _bare(rng: Generator, h: int, w: int) -> Surface:
    kind, colour = BARE[int(rng.integers(len(BARE)))]
    rgb = plain(varied(colour, rng, 6), h, w)
    brushed = streaks(rng, h, w, w * 0.35, 1.0).astype(np.float32) - 128
    light = 1 + brushed * np.float32(0.0009) + _sheen(rng, h, w) * np.float32(0.13)
    light += clouds(rng, h, w, 3, 2, stretch=3) * np.float32(0.03)
    shade(rgb, light)
    mix(
        rgb,
        (255, 255, 255),
        cv2.convertScaleAbs(scratches(rng, h, w, int(rng.integers(3, 14)), min(h, w) * 0.3, 0.05), alpha=0.13),
    )
    bevel(rgb, 0.014, 46)
    _screws(rgb, rng)
    radius = round(min(h, w) * float(rng.choice((0.0, 0.02, 0.06))))
    if colour[0] < 100:
        inks: tuple[Ink, ...] = (
            Ink("engraved", (232, 234, 236), carved((232, 234, 236), 0.6, 0.94)),
            Ink("engraved", (226, 196, 120), carved((226, 196, 120), 0.6, 0.94)),
        )
    else:
        inks = (
            Ink("engraved", (30, 28, 26), carved((30, 28, 26), 0.7, 0.88)),
            Ink("engraved", (24, 24, 28), carved((24, 24, 28), 0.9, 0.84)),
            Ink("raised", (40, 34, 30), raised((40, 34, 30)), smallest=20, heavy=True),
        )
    return Surface("metal", kind, rgb, rounded(h, w, radius), inset(h, w, 0.14), inks, thick=0.012)


def _enamel(rng: Generator, h: int, w: int) -> Surface:
    kind, colour, ink = ENAMEL[int(rng.integers(len(ENAMEL)))]
    rgb = plain(varied(colour, rng, 5), h, w)
    shade(
        rgb,
        1
        + _sheen(rng, h, w) * np.float32(0.05)
        + clouds(rng, h, w, 2, 2) * 0.02
        + normal(rng, h, w) * np.float32(0.0003),
    )
    short = min(h, w)
    radius = round(short * 0.07)
    if rng.random() < 0.75:
        line, gap = max(2, round(short * 0.018)), max(3, round(short * 0.045))
        frame = np.zeros((h, w), np.uint8)
        inner = rounded(h - 2 * gap, w - 2 * gap, radius)
        frame[gap : h - gap, gap : w - gap] = inner
        hole = rounded(h - 2 * (gap + line), w - 2 * (gap + line), max(2, radius - line))
        frame[gap + line : h - gap - line, gap + line : w - gap - line] -= hole
        mix(rgb, ink, frame)
    bevel(rgb, 0.010, 40)
    _rust(rgb, rng)
    _screws(rgb, rng)
    inks = (Ink("enamelled", ink, painted(ink, 0.03)), Ink("printed", ink, printed(ink, 0.98, 0.02)))
    return Surface("metal", kind, rgb, rounded(h, w, radius), inset(h, w, 0.16), inks, thick=0.012)


def _sheen(rng: Generator, h: int, w: int) -> Real:
    """Bands of light that a window leaves on a smooth plate."""
    along = gradient(h, w, float(rng.uniform(-35, 35)))
    at, width = float(rng.uniform(-0.6, 0.6)), float(rng.uniform(0.2, 0.5))
    band: Real = np.exp(-(((along - at) / width) ** 2)) - np.float32(0.4)
    return band


def _screws(rgb: Rgb, rng: Generator) -> None:
    h, w = rgb.shape[:2]
    r = max(2, round(min(h, w) * 0.018))
    at = max(r + 2, round(min(h, w) * 0.075))
    spots = [(at, at), (w - at, at), (at, h - at), (w - at, h - at)]
    if rng.random() < 0.25:
        return
    if rng.random() < 0.3:
        spots = [(at, h // 2), (w - at, h // 2)]
    for x, y in spots:
        cv2.circle(rgb, (x + max(1, r // 3), y + max(1, r // 3)), r, (30, 28, 26), -1, cv2.LINE_AA)
        cv2.circle(rgb, (x, y), r, (150, 150, 148), -1, cv2.LINE_AA)
        cv2.circle(rgb, (x - r // 4, y - r // 4), max(1, r // 2), (206, 206, 202), -1, cv2.LINE_AA)
        turn = float(rng.uniform(0, np.pi))
        dx, dy = round(np.cos(turn) * r * 0.8), round(np.sin(turn) * r * 0.8)
        cv2.line(rgb, (x - dx, y - dy), (x + dx, y + dy), (70, 68, 66), max(1, r // 4), cv2.LINE_AA)


def _rust(rgb: Rgb, rng: Generator) -> None:
    """Where enamel has chipped at the rim."""
    if rng.random() < 0.5:
        return
    h, w = rgb.shape[:2]
    near = np.clip(1 - edge_distance(h, w) / (min(h, w) * 0.07), 0, 1)
    spots = np.clip((clouds(rng, h, w, 10, 3) + near * 1.2 - 1.25) * 900, 0, 225).astype(np.uint8)
    mix(rgb, (104, 58, 30), spots)
