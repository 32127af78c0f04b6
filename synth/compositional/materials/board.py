"""Boards: the chalkboard, the whiteboard, the printed billboard, each in its frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from synth.compositional.blend import mix, raise_by, shade
from synth.compositional.inks import chalked, printed
from synth.compositional.noise import Colour, Rgb, clouds, coloured, gradient, normal, plain, streaks, to_field, varied
from synth.compositional.surface import Ink, Surface, edge_distance, whole

CHALKS: tuple[Colour, ...] = (
    (242, 242, 236),
    (242, 242, 236),
    (250, 226, 130),
    (248, 186, 196),
    (170, 218, 240),
    (190, 232, 180),
)
MARKERS: tuple[Colour, ...] = ((24, 24, 26), (20, 40, 130), (170, 24, 28), (16, 100, 60))


def framed(rgb: Rgb, colour: Colour, share: float, rng: Generator, wooden: bool) -> int:
    """Draws a frame with mitred corners and the shadow that it throws within; gives its width in pixels."""
    h, w = rgb.shape[:2]
    side: int = max(3, round(min(h, w) * share))
    distance = edge_distance(h, w)
    at = distance < side
    x, y = np.arange(w)[None, :], np.arange(h)[:, None]
    level = np.minimum(np.minimum(x, w - 1 - x) > np.minimum(y, h - 1 - y), True)  # the upper and lower rail
    rail = plain(varied(colour, rng, 6), h, w)
    if wooden:
        fibre = (streaks(rng, h, w, w * 0.12).astype(np.float32) - 128) * np.float32(0.0016)
        stile = (streaks(rng, w, h, h * 0.12).astype(np.float32).T - 128) * np.float32(0.0016)
        shade(rail, 1 + np.where(level, fibre, stile))
    profile = np.sin(np.clip(distance / side, 0, 1) * np.float32(np.pi)) * 24 - 10
    facing = np.where(level, np.where(y < h / 2, 16, -20), np.where(x < w / 2, 8, -12))
    raise_by(rail, (profile + facing).astype(np.int16))
    inner = np.clip((distance - side) / max(2.0, side * 0.5), 0, 1)
    shade(rgb, (0.62 + 0.38 * np.sqrt(inner)).astype(np.float32))
    np.copyto(rgb, rail, where=at[:, :, None])
    return side


def chalkboard(rng: Generator, h: int, w: int) -> Surface:
    green = rng.random() < 0.45
    base: Colour = (38, 68, 56) if green else (44, 46, 47)
    rgb = plain(varied(base, rng, 5), h, w)
    wiped = clouds(rng, h, w, 3.5, 3, stretch=float(rng.uniform(1.5, 4)))
    strokes = (streaks(rng, h, w, w * 0.3, max(1.0, h / 90)).astype(np.float32) - 128) * np.float32(0.0016)
    dust = np.clip((wiped * 0.5 + 0.35 + strokes) * 50, 0, 70).astype(np.uint8)
    mix(rgb, (206, 210, 206), dust)
    shade(rgb, 1 + normal(rng, h, w) * np.float32(0.0012))
    wooden = rng.random() < 0.8
    side = framed(rgb, (150, 108, 66) if wooden else (170, 172, 174), 0.045, rng, wooden)
    gap = side + round(min(h, w) * 0.07)
    picked = tuple(dict.fromkeys(CHALKS[int(i)] for i in rng.integers(0, len(CHALKS), 2)))
    inks = tuple(Ink("chalked", c, chalked(c), kinds=("kai", "hand"), smallest=22) for c in picked)
    kind = "a green chalkboard" if green else "a black chalkboard"
    return Surface("chalkboard", kind, rgb, whole(h, w), (gap, gap, w - gap, h - gap), inks, thick=0.02)


def whiteboard(rng: Generator, h: int, w: int) -> Surface:
    rgb = plain(varied((240, 242, 243), rng, 3), h, w)
    sheen = np.exp(-(((gradient(h, w, float(rng.uniform(-40, 40))) - np.float32(rng.uniform(-0.5, 0.5))) / 0.3) ** 2))
    shade(rgb, 0.97 + 0.035 * sheen + clouds(rng, h, w, 3, 2) * np.float32(0.01))
    wiped = np.clip(clouds(rng, h, w, 5, 2, stretch=4) * 50 - 14, 0, 26).astype(np.uint8)
    mix(rgb, MARKERS[int(rng.integers(len(MARKERS)))], wiped)
    side = framed(rgb, (188, 191, 194), 0.03, rng, False)
    gap = side + round(min(h, w) * 0.08)
    inks = tuple(Ink("marker", c, printed(c, 0.92, 0.05), kinds=("kai", "hand")) for c in MARKERS)
    return Surface("whiteboard", "a whiteboard", rgb, whole(h, w), (gap, gap, w - gap, h - gap), inks, thick=0.016)


SCHEMES: tuple[tuple[tuple[Colour, ...], tuple[Colour, ...]], ...] = (
    (((208, 32, 40), (150, 14, 30)), ((255, 255, 255), (255, 226, 110))),
    (((24, 72, 150), (14, 36, 96)), ((255, 255, 255), (255, 214, 70))),
    (((250, 204, 44), (246, 164, 24)), ((28, 22, 18), (150, 12, 20))),
    (((18, 110, 84), (8, 64, 58)), ((255, 255, 255), (250, 228, 150))),
    (((246, 246, 244), (222, 230, 236)), ((20, 40, 90), (190, 24, 32), (24, 24, 26))),
    (((96, 44, 140), (44, 18, 84)), ((255, 255, 255), (255, 206, 90))),
    (((20, 22, 28), (44, 48, 58)), ((255, 206, 70), (250, 250, 248))),
    (((244, 126, 56), (226, 66, 50)), ((255, 255, 255), (50, 14, 10))),
    (((120, 196, 226), (56, 142, 196)), ((255, 255, 255), (12, 42, 84))),
)


def billboard(rng: Generator, h: int, w: int) -> Surface:
    """Printed sheets side by side in a steel frame, lamps above on some."""
    ground, letters = SCHEMES[int(rng.integers(len(SCHEMES)))]
    field = to_field(gradient(h, w, float(rng.uniform(0, 360))), 128, 120)
    rgb = coloured(field, ground)
    _pattern(rgb, rng, ground)
    light = 1 + clouds(rng, h, w, 3, 2) * np.float32(0.02)
    for seam in np.linspace(0, w, int(rng.integers(2, 6)) + 1)[1:-1]:
        away = np.abs(np.arange(w, dtype=np.float32) - np.float32(seam))[None, :]
        light = light * (1 - 0.08 * np.exp(-(away**2) / 3))
    if rng.random() < 0.3:  # lamps on the upper edge
        reach = np.zeros((h, w), np.float32)
        y, x = np.linspace(0, 1, h, dtype=np.float32)[:, None], np.linspace(0, 1, w, dtype=np.float32)[None, :]
        count = int(rng.integers(3, 6))
        for at in (np.arange(count) + 0.5) / count:
            reach += np.exp(-(((x - np.float32(at)) / (0.10 + 0.25 * y)) ** 2) - y * 2.2)
        light = light * (0.84 + 0.34 * reach)
    shade(rgb, light.astype(np.float32))
    side = framed(rgb, (112, 116, 120), 0.018, rng, False)
    gap = side + round(min(h, w) * 0.09)
    inks = tuple(Ink("vinyl", c, printed(c, 1.0, 0.0), kinds=("sans", "display"), heavy=True) for c in letters)
    return Surface("billboard", "a printed billboard", rgb, whole(h, w), (gap, gap, w - gap, h - gap), inks, thick=0.02)


def _pattern(rgb: Rgb, rng: Generator, ground: tuple[Colour, ...]) -> None:
    """A quiet ornament: a swoosh, discs or a band, in a colour near the ground's."""
    h, w = rgb.shape[:2]
    shape = np.zeros((h, w), np.uint8)
    choice = int(rng.integers(5))
    if choice == 0:
        for _ in range(int(rng.integers(2, 5))):
            centre = (int(rng.uniform(0, w)), int(rng.choice((0, h)) + rng.uniform(-0.1, 0.1) * h))
            cv2.circle(shape, centre, int(min(h, w) * rng.uniform(0.2, 0.6)), (255,), -1, cv2.LINE_AA)
    elif choice == 1:
        x = np.linspace(0, w, 60)
        crest = h * (0.8 + 0.1 * np.sin(x / w * 5 + rng.uniform(0, 6)))
        points = np.concatenate([np.stack([x, crest], 1), [[w, h], [0, h]]]).astype(np.int32)
        cv2.fillPoly(shape, [points], (255,), cv2.LINE_AA)
    elif choice == 2:
        slant = int(w * rng.uniform(0.1, 0.3))
        left = int(w * rng.uniform(0.55, 0.8))
        cv2.fillPoly(shape, [np.array([[left + slant, 0], [w, 0], [w, h], [left, h]], np.int32)], (255,), cv2.LINE_AA)
    else:
        return
    light = rng.random() < 0.5
    mix(rgb, (255, 255, 255) if light else (0, 0, 0), cv2.convertScaleAbs(shape, alpha=0.09 if light else 0.10))
