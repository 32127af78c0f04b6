"""Cloth: threads woven over and under, hung in soft folds; a banner, canvas, linen, a flag."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from synth.compositional.blend import mix, shade
from synth.compositional.inks import embroidered, printed
from synth.compositional.noise import Colour, Rgb, as_colour, clouds, normal, plain, streaks, varied
from synth.compositional.surface import Ink, Surface, inset, whole

LIGHT, DARK = (248, 244, 232), (30, 30, 38)
CLOTHS: tuple[tuple[str, Colour, tuple[Colour, ...]], ...] = (
    ("a white cotton banner", (240, 238, 232), (DARK, (150, 22, 30), (20, 52, 120))),
    ("a piece of natural linen", (208, 192, 162), (DARK, (96, 34, 26), (26, 62, 50))),
    ("a red fabric banner", (182, 26, 34), ((252, 220, 90), LIGHT)),
    ("a navy blue fabric banner", (26, 42, 88), (LIGHT, (240, 204, 110))),
    ("a piece of dark green cloth", (24, 76, 58), (LIGHT, (236, 206, 124))),
    ("a piece of denim", (62, 86, 124), (LIGHT, (246, 190, 80))),
    ("a piece of black canvas", (36, 36, 40), (LIGHT, (240, 200, 80))),
    ("a piece of beige canvas", (222, 208, 180), (DARK, (130, 24, 26))),
)


def cloth(rng: Generator, h: int, w: int) -> Surface:
    kind, colour, threads = CLOTHS[int(rng.integers(len(CLOTHS)))]
    rgb = plain(varied(colour, rng, 7), h, w)
    pitch = float(rng.uniform(3.2, 4.6)) * max(1.0, min(h, w) / 520)
    x, y = np.arange(w, dtype=np.float32)[None, :], np.arange(h, dtype=np.float32)[:, None]
    turn = np.float32(2 * np.pi / pitch)
    over = np.cos(x * turn) * np.cos(y * turn)
    uneven = (streaks(rng, h, w, w * 0.2, pitch / 2).astype(np.float32) - 128) * np.float32(0.00045)
    uneven += (streaks(rng, w, h, h * 0.2, pitch / 2).astype(np.float32).T - 128) * np.float32(0.00045)
    folds = clouds(rng, w, h, float(rng.uniform(2.0, 4.5)), 2, stretch=float(rng.uniform(3, 7))).T
    light = 1 + np.float32(0.06) * over + uneven + folds * np.float32(rng.uniform(0.06, 0.14))
    light += normal(rng, h, w) * np.float32(0.0007)
    shade(rgb, light)
    _hem(rgb, rng)
    inks: list[Ink] = []
    for c in threads:
        inks.append(Ink("screen-printed", c, printed(c, 0.93, 0.08)))
        inks.append(Ink("embroidered", c, embroidered(c), smallest=24, heavy=True))
    return Surface("cloth", kind, rgb, whole(h, w), inset(h, w, 0.12), tuple(inks), thick=0.006)


def _hem(rgb: Rgb, rng: Generator) -> None:
    """A sewn border: a faint step and a row of stitches."""
    h, w = rgb.shape[:2]
    at = max(4, round(min(h, w) * 0.035))
    line = np.zeros((h, w), np.uint8)
    cv2.rectangle(line, (at, at), (w - at - 1, h - at - 1), 255, max(1, at // 8), cv2.LINE_AA)
    mix(rgb, (0, 0, 0), cv2.convertScaleAbs(cv2.GaussianBlur(line, (0, 0), max(0.8, at / 7)), alpha=0.30))
    dash = max(4, at // 2)
    on = ((np.arange(w)[None, :] + np.arange(h)[:, None]) // dash) % 2 == 0
    light = as_colour(rgb[h // 2, w // 2].astype(np.float32) * 1.2 + 30)
    mix(rgb, light, cv2.convertScaleAbs(line * on.astype(np.uint8), alpha=0.55))
