"""A surface seen straight on, before anything is written on it, and the ways in which writing gets there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.random import Generator

from synth.compositional.blend import raise_by
from synth.compositional.noise import Colour, Field, Real, Rgb
from synth.fonts.facts import Kind

#: Writes the mask (h, w) on the surface (h, w, 3) in place; `em` is the size of the writing in pixels.
Put = Callable[[Rgb, Field, float, Generator], None]


@dataclass(frozen=True)
class Ink:
    """How writing is put down. `way`: printed, burnt, carved ... (synth/captions.py has words for each). `colour`: the
    one that a reader would name. `kinds`: fonts that suit it, any where empty. `smallest`: the least em, in pixels of
    the final picture, at which it can still be read. `weight`: the heaviest or lightest stroke that suits."""

    way: str
    colour: Colour
    put: Put
    kinds: tuple[Kind, ...] = ()
    smallest: float = 16.0
    heavy: bool | None = None


@dataclass(frozen=True)
class Surface:
    """`rgb` (h, w, 3); `alpha` (h, w): its outline; `room`: x0, y0, x1, y1 in pixels, where writing may stand.

    `shines`: 0 (lit by the room alone, as paper) to 1 (by itself alone, as a screen). `see_through` 0..1: how much of
    what is behind it shows. `thick`: its edge, as a share of its shorter side. `kind` names it in captions.
    """

    material: str
    kind: str
    rgb: Rgb
    alpha: Field
    room: tuple[int, int, int, int]
    inks: tuple[Ink, ...]
    shines: float = 0.0
    see_through: float = 0.0
    thick: float = 0.01
    glow: float = 0.0  # how far its light spills on what is around it, 0..1
    facts: Mapping[str, str] = field(default_factory=dict)


#: Makes a surface of height and width in pixels.
Make = Callable[[Generator, int, int], Surface]


def whole(h: int, w: int) -> Field:
    return np.full((h, w), 255, np.uint8)


def rounded(h: int, w: int, radius: int) -> Field:
    """The outline of a plate with round corners."""
    out = np.zeros((h, w), np.uint8)
    r = max(0, min(radius, h // 2 - 1, w // 2 - 1))
    if r < 2:
        return whole(h, w)
    out[r : h - r] = 255
    out[:, r : w - r] = 255
    for x, y in ((r, r), (w - r - 1, r), (r, h - r - 1), (w - r - 1, h - r - 1)):
        cv2.circle(out, (x, y), r, (255,), -1, cv2.LINE_AA)
    return out


def inset(h: int, w: int, share: float) -> tuple[int, int, int, int]:
    """The room left within a margin that is a share of the shorter side."""
    margin = max(2, round(min(h, w) * share))
    return margin, margin, w - margin, h - margin


def edge_distance(h: int, w: int) -> Real:
    """(h, w) float32: pixels to the nearest side."""
    y = np.minimum(np.arange(h), np.arange(h)[::-1]).astype(np.float32)[:, None]
    x = np.minimum(np.arange(w), np.arange(w)[::-1]).astype(np.float32)[None, :]
    out: Real = np.minimum(y, x)
    return out


def bevel(rgb: Rgb, share: float, amount: int) -> None:
    """A rim lit from the top left, in place: `share` of the shorter side wide, `amount` brighter or darker."""
    h, w = rgb.shape[:2]
    side = max(2.0, min(h, w) * share)
    x, y = np.arange(w, dtype=np.float32)[None, :], np.arange(h, dtype=np.float32)[:, None]
    near = np.minimum(x, y)
    lit = near <= np.minimum(w - 1 - x, h - 1 - y)
    step = np.clip(1 - edge_distance(h, w) / np.float32(side), 0, 1) * np.where(lit, amount, -amount * 1.2)
    raise_by(rgb, step.astype(np.int16))
