"""What surfaces are grown from: grain, clouds, streaks; fields of one channel at any size, quick to draw.

A field is (h, w) uint8 unless said otherwise. White noise is cut from one fixed tile at a place chosen by chance: that
is ten times quicker than drawing it anew, and nobody sees a tile of a million pixels come back turned over.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import NDArray

# OpenCV's own types fit no exact array type of numpy's, so these are names for people.
Field = NDArray[Any]  # (h, w) uint8
Rgb = NDArray[Any]  # (h, w, 3) uint8
Real = NDArray[Any]  # (h, w) float32
Colour = tuple[int, int, int]

_SIDE = 1024  # of the tile, which is kept once more around so that pieces of it are cut at once
_LARGEST = 2048


@cache
def _tile() -> Field:
    drawn = Generator(Philox(key=20261121)).integers(0, 256, (_SIDE, _SIDE), dtype=np.uint8)
    return np.tile(drawn, (3, 3))


@cache
def _normal_tile() -> Field:
    drawn = Generator(Philox(key=20261122)).standard_normal((_SIDE, _SIDE), dtype=np.float32)
    return np.tile(np.clip(np.rint(drawn * 32), -127, 127).astype(np.int8), (3, 3))


def _cut(tile: NDArray[Any], rng: Generator, h: int, w: int) -> Field:
    """(h, w) of a tile that goes on for ever, turned over or not."""
    y, x = (int(v) for v in rng.integers(0, _SIDE, 2))
    down, across = (int(v) for v in rng.choice((-1, 1), 2))
    if max(h, w) > _LARGEST:
        rows, columns = (np.arange(y, y + h) % _SIDE), (np.arange(x, x + w) % _SIDE)
        part = tile[rows[:, None], columns[None, :]]
    else:
        part = tile[y : y + h, x : x + w]
    out: Field = np.ascontiguousarray(part[::down, ::across])
    return out


def grain(rng: Generator, h: int, w: int) -> Field:
    """White noise, all of 0..255 equally often."""
    return _cut(_tile(), rng, h, w)


def normal(rng: Generator, h: int, w: int) -> Field:
    """White Gaussian noise (h, w) int8, standard deviation 32."""
    return _cut(_normal_tile(), rng, h, w)


def clouds(rng: Generator, h: int, w: int, cells: float, octaves: int = 3, stretch: float = 1.0) -> Real:
    """Smooth noise (h, w) float32 of about -1..1: `cells` bumps across the shorter side, halved in size and strength
    each octave; `stretch` > 1 draws them out along x. It is made at a quarter of the size and enlarged."""
    small_h, small_w = max(h // 4, 8), max(w // 4, 8)
    out = np.zeros((small_h, small_w), np.float32)
    short = min(h, w)
    strength = 1.0
    for octave in range(octaves):
        down = max(2, min(small_h, round(h / short * cells * 2**octave)))
        across = max(2, min(small_w, round(w / short * cells * 2**octave / stretch)))
        bumps = rng.standard_normal((down, across), dtype=np.float32)
        out += strength * cv2.resize(bumps, (small_w, small_h), interpolation=cv2.INTER_CUBIC)
        strength /= 2
    return cv2.resize(out * 0.45, (w, h), interpolation=cv2.INTER_LINEAR)


def streaks(rng: Generator, h: int, w: int, length: float, width: float = 1.0) -> Field:
    """Lines along x, `length` and `width` pixels long and thick: brushed metal, fibres of wood. Mean 128."""
    rows, columns = max(8, round(h / width)), max(8, round(w * 8 / max(length, 8.0)))
    lines = grain(rng, rows, columns)
    return cv2.resize(lines, (w, h), interpolation=cv2.INTER_CUBIC)


def scratches(rng: Generator, h: int, w: int, count: int, length: float, bend: float = 0.4) -> Field:
    """Thin curved strokes (255 on 0): fibres in paper, scratches on metal."""
    out = np.zeros((h, w), np.uint8)
    starts = rng.random((count, 2)) * (w, h)
    angles = rng.random((count, 1)) * 2 * np.pi + np.cumsum(rng.normal(0, bend, (count, 4)), axis=1)
    steps = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * length / 4
    lines = np.concatenate([starts[:, None], starts[:, None] + np.cumsum(steps, axis=1)], axis=1)
    cv2.polylines(out, list(np.rint(lines * 8).astype(np.int32)), False, (255,), 1, cv2.LINE_AA, 3)
    return out


def to_field(values: Real, middle: float = 128.0, reach: float = 127.0) -> Field:
    """-1..1 as 0..255, what lies outside cut off."""
    return cv2.convertScaleAbs(np.maximum(values, np.float32(-middle / reach)), alpha=reach, beta=middle)


def coloured(field: Field, stops: Sequence[Colour]) -> Rgb:
    """(h, w, 3): the field through a ramp of colours, evenly spaced from 0 to 255."""
    places = np.linspace(0, 255, len(stops))
    ramp = np.stack([np.interp(np.arange(256), places, [s[c] for s in stops]) for c in range(3)], axis=-1)
    return cv2.applyColorMap(field, np.rint(ramp).astype(np.uint8).reshape(256, 1, 3))


def plain(colour: Colour, h: int, w: int) -> Rgb:
    out = np.empty((h, w, 3), np.uint8)
    out[:] = colour
    return out


def gradient(h: int, w: int, degrees: float) -> Real:
    """(h, w) float32 from -1 to 1 in the direction given, clockwise from x."""
    angle = np.deg2rad(degrees)
    x, y = np.linspace(-1, 1, w, dtype=np.float32)[None, :], np.linspace(-1, 1, h, dtype=np.float32)[:, None]
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return (x * cos + y * sin) / (abs(cos) + abs(sin))


def varied(colour: Colour, rng: Generator, by: int) -> Colour:
    """The colour, each channel up to `by` away, all of them together at most as much again."""
    together, apart = int(rng.integers(-by, by + 1)), rng.integers(-by // 2, by // 2 + 1, 3)
    r, g, b = (int(np.clip(c + together + d, 0, 255)) for c, d in zip(colour, apart, strict=True))
    return r, g, b


def toned(colour: Colour, by: float) -> Colour:
    """The colour, brighter or darker."""
    return as_colour([c * by for c in colour])


def as_colour(values: Sequence[float] | Real) -> Colour:
    """Three numbers as a colour, rounded, what lies outside 0..255 cut off."""
    r, g, b = (int(np.clip(round(float(v)), 0, 255)) for v in values)
    return r, g, b


def spread(field: Field) -> Field:
    """Stretched to all of 0..255."""
    low, high = int(field.min()), max(int(field.max()), int(field.min()) + 1)
    return cv2.convertScaleAbs(field - np.uint8(low), alpha=255 / (high - low))


def less(field: Field, by: int) -> Field:
    """The field less a number, never below 0."""
    out: Field = np.maximum(field, np.uint8(by)) - np.uint8(by)
    return out
