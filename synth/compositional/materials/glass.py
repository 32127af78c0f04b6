"""Glass and acrylic: what is behind shows through, tinted; bands of reflection, a bright cut edge, steel studs."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from synth.compositional.blend import mix, raise_by
from synth.compositional.inks import etched, painted
from synth.compositional.noise import Colour, Rgb, clouds, coloured, gradient, to_field, toned
from synth.compositional.surface import Ink, Surface, edge_distance, inset, rounded

TINTS: tuple[tuple[str, Colour, bool], ...] = (
    ("a dark glass panel", (34, 42, 48), True),
    ("a green-tinted glass plate", (40, 74, 66), True),
    ("a smoked acrylic plate", (40, 38, 40), True),
    ("a blue-tinted glass panel", (34, 58, 84), True),
    ("a frosted glass panel", (214, 224, 226), False),
    ("a clear acrylic plate", (226, 232, 234), False),
)


def glass(rng: Generator, h: int, w: int) -> Surface:
    kind, tint, dark = TINTS[int(rng.integers(len(TINTS)))]
    low = toned(tint, 0.82)
    field = to_field(gradient(h, w, float(rng.uniform(30, 150))) * 0.6 + clouds(rng, h, w, 2, 1) * 0.25, 128, 110)
    rgb = coloured(field, (low, tint))
    along = gradient(h, w, float(rng.choice((-1, 1))) * float(rng.uniform(20, 40)))
    bands = np.zeros((h, w), np.float32)
    for at in rng.uniform(-0.7, 0.7, int(rng.integers(1, 4))):
        bands += np.clip(1 - np.abs((along - np.float32(at)) / np.float32(rng.uniform(0.04, 0.2))) ** 6, 0, 1)
    fading = np.linspace(1, 0.35, h, dtype=np.float32)[:, None]
    mix(rgb, (255, 255, 255), cv2.convertScaleAbs(np.clip(bands, 0, 1.4) * fading, alpha=20 if dark else 36))
    bevel = 1 - np.clip(edge_distance(h, w) / max(2.0, min(h, w) * 0.010), 0, 1)
    raise_by(rgb, (bevel * 80).astype(np.int16))
    studs(rgb)
    light = ((240, 246, 246), (236, 204, 128)) if dark else ((26, 32, 38), (20, 58, 104), (120, 20, 26))
    inks: list[Ink] = []
    for colour in light:
        inks.append(Ink("vinyl", colour, painted(colour, 0.02)))
        if dark:
            inks.append(Ink("etched", colour, etched(colour)))
    seen = 0.16 if dark else 0.22
    return Surface(
        "glass", kind, rgb, rounded(h, w, round(min(h, w) * 0.02)), inset(h, w, 0.15), tuple(inks),
        shines=0.12, see_through=seen, thick=0.02,
    )  # fmt: skip


def studs(rgb: Rgb) -> None:
    """Steel stand-offs in the corners."""
    h, w = rgb.shape[:2]
    r = max(3, round(min(h, w) * 0.028))
    at = max(r + 3, round(min(h, w) * 0.075))
    for x, y in ((at, at), (w - at, at), (at, h - at), (w - at, h - at)):
        cv2.circle(rgb, (x + r // 3, y + r // 2), r, (20, 22, 24), -1, cv2.LINE_AA)
        for share, tone in ((1.0, 126), (0.8, 190), (0.5, 226)):
            shift = round(r * (1 - share) * 0.4)
            cv2.circle(rgb, (x - shift, y - shift), max(1, round(r * share)), (tone, tone, tone + 4), -1, cv2.LINE_AA)
