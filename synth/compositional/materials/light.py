"""What shines: neon tubes on a dark wall, LED panels and flat screens."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from synth.compositional.blend import mix, raise_by, shade
from synth.compositional.inks import PIXEL, glowing, lamp, lit_cells, printed
from synth.compositional.noise import (
    Colour,
    Rgb,
    as_colour,
    clouds,
    coloured,
    gradient,
    grain,
    normal,
    plain,
    to_field,
    varied,
)
from synth.compositional.surface import Ink, Surface, edge_distance, inset, rounded, whole

TUBES: tuple[Colour, ...] = (
    (255, 60, 96),
    (255, 92, 40),
    (64, 196, 255),
    (255, 84, 220),
    (90, 255, 150),
    (255, 208, 90),
    (170, 110, 255),
)
LAMPS: tuple[Colour, ...] = ((255, 52, 32), (255, 150, 24), (70, 255, 90), (240, 248, 255), (80, 170, 255))
PAGES: tuple[tuple[tuple[Colour, ...], Colour], ...] = (
    (((12, 18, 34), (24, 38, 74)), (240, 246, 255)),
    (((248, 250, 252), (228, 236, 246)), (22, 30, 46)),
    (((6, 60, 82), (14, 110, 128)), (250, 253, 253)),
    (((34, 10, 54), (94, 24, 96)), (255, 240, 252)),
    (((16, 16, 18), (30, 30, 34)), (255, 208, 92)),
)


def neon(rng: Generator, h: int, w: int) -> Surface:
    rgb, kind = (_bricks(rng, h, w), "a neon sign on a dark brick panel")
    if rng.random() < 0.6:
        rgb = plain(varied((20, 20, 26), rng, 6), h, w)
        shade(rgb, 1 + clouds(rng, h, w, 3, 2) * np.float32(0.2) + gradient(h, w, 70) * np.float32(0.2))
        bevel = 1 - np.clip(edge_distance(h, w) / max(2.0, min(h, w) * 0.01), 0, 1)
        raise_by(rgb, (bevel * 34).astype(np.int16))
        kind = "a neon sign on a black panel"
    picked = [TUBES[int(i)] for i in rng.permutation(len(TUBES))[:2]]
    inks = tuple(Ink("glowing", c, glowing(c), smallest=26, heavy=False) for c in picked)
    return Surface(
        "neon",
        kind,
        rgb,
        rounded(h, w, round(min(h, w) * 0.03)),
        inset(h, w, 0.16),
        inks,
        shines=0.85,
        thick=0.02,
        glow=0.55,
    )


def _bricks(rng: Generator, h: int, w: int) -> Rgb:
    """Courses of dark brick, every second one shifted by half."""
    tall = max(8, round(min(h, w) / float(rng.uniform(7, 11))))
    wide = round(tall * 2.6)
    joint = max(1, tall // 11)
    rows, columns = -(-h // tall), -(-w // wide) + 2
    tones = rng.integers(60, 200, (rows, columns), dtype=np.uint8)
    big = np.repeat(np.repeat(tones, tall, axis=0), wide, axis=1)
    y, x = np.arange(h), np.arange(w)
    shift = (y // tall % 2) * (wide // 2)
    columns_at = x[None, :] + shift[:, None]
    field = big[y[:, None], columns_at]
    mortar = (y[:, None] % tall < joint) | (columns_at % wide < joint)
    field = cv2.addWeighted(field, 0.7, cv2.GaussianBlur(grain(rng, h, w), (0, 0), 1.0), 0.6, -10)
    rgb = coloured(field, ((40, 22, 20), (66, 36, 32), (84, 50, 44)))
    rgb[mortar] = (46, 42, 42)
    seams = cv2.GaussianBlur(mortar.astype(np.float32), (0, 0), max(0.8, joint * 0.5))
    shade(
        rgb,
        (1 - 0.35 * seams + clouds(rng, h, w, 3, 3) * 0.18 + normal(rng, h, w) * np.float32(0.002)).astype(np.float32),
    )
    return rgb


def screen(rng: Generator, h: int, w: int) -> Surface:
    return _panel(rng, h, w) if rng.random() < 0.55 and min(h, w) > 40 * PIXEL else _display(rng, h, w)


def _panel(rng: Generator, h: int, w: int) -> Surface:
    """Dark lamps in a grid within a black case; those that are lit come with the writing."""
    rgb = plain((13, 13, 15), h, w)
    dots = np.tile(lamp(PIXEL), (-(-h // PIXEL), -(-w // PIXEL)))[:h, :w]
    mix(rgb, (34, 34, 37), cv2.convertScaleAbs(dots, alpha=0.8))
    shade(rgb, 1 + gradient(h, w, 80) * np.float32(0.12) + clouds(rng, h, w, 2, 1) * np.float32(0.06))
    side = max(4, round(min(h, w) * 0.035))
    _case(rgb, side, (26, 27, 29))
    gap = side + round(min(h, w) * 0.05)
    inks = tuple(
        Ink("lit", LAMPS[int(i)], lit_cells(LAMPS[int(i)]), smallest=30, kinds=("sans",))
        for i in rng.permutation(len(LAMPS))[:2]
    )
    return Surface(
        "screen",
        "an LED display panel",
        rgb,
        whole(h, w),
        (gap, gap, w - gap, h - gap),
        inks,
        shines=0.9,
        thick=0.02,
        glow=0.18,
    )


def _display(rng: Generator, h: int, w: int) -> Surface:
    """A flat screen: a page in even light, a narrow bezel, a window mirrored in it."""
    ground, letters = PAGES[int(rng.integers(len(PAGES)))]
    rgb = coloured(to_field(gradient(h, w, float(rng.uniform(20, 160))), 128, 120), ground)
    short = min(h, w)
    side = max(3, round(short * 0.028))
    if rng.random() < 0.5:  # a bar as windows have it
        bar = max(4, round(short * 0.05))
        mix(rgb[side : side + bar], as_colour([c * 0.5 + 90 for c in ground[-1]]), np.full((bar, w), 150, np.uint8))
    along = gradient(h, w, float(rng.choice((-1, 1)) * rng.uniform(20, 40)))
    glare = np.clip(1 - np.abs((along - np.float32(rng.uniform(-0.6, 0.6))) / 0.22) ** 8, 0, 1)
    mix(rgb, (255, 255, 255), cv2.convertScaleAbs(glare * np.linspace(1, 0.2, h, dtype=np.float32)[:, None], alpha=14))
    _case(rgb, side, (22, 22, 24))
    gap = side + round(short * 0.11)
    ink = Ink("displayed", letters, printed(letters, 1.0, 0.0), kinds=("sans",))
    return Surface(
        "screen", "a flat screen", rgb, rounded(h, w, round(short * 0.02)), (gap, gap, w - gap, h - gap), (ink,),
        shines=0.75, thick=0.03, glow=0.08,
    )  # fmt: skip


def _case(rgb: Rgb, side: int, colour: Colour) -> None:
    h, w = rgb.shape[:2]
    distance = edge_distance(h, w)
    case = plain(colour, h, w)
    bevel = 1 - np.clip(distance / max(1.5, side * 0.3), 0, 1)
    raise_by(case, (bevel * 46).astype(np.int16))
    np.copyto(rgb, case, where=(distance < side)[:, :, None])
