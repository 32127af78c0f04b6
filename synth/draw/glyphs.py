"""Bitmaps of glyphs, unhinted, drawn once by FreeType and kept: what comes again at the same size is copied."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import lru_cache

import freetype
import numpy as np
from numpy.typing import NDArray

from synth.fonts.face import FaceKey, open_face

#: Sizes below this are drawn at quarters of a pixel, larger ones at whole pixels: nobody sees the difference there.
FINE_BELOW = 28.0
PARTS = 4
KEPT_BYTES = 192 << 20

_FLAGS = freetype.FT_LOAD_NO_HINTING | freetype.FT_LOAD_NO_BITMAP | freetype.FT_LOAD_NO_AUTOHINT
_QUARTER = freetype.Matrix(0, 0x10000, -0x10000, 0)  # a quarter clockwise, y up


@dataclass(frozen=True)
class Bitmap:
    """Coverage (h, w), 0..255, trimmed to its ink; `left`, `top`: of its corner from the pen, y down. h = 0: no ink."""

    coverage: NDArray[np.uint8]
    left: int
    top: int


_EMPTY = Bitmap(np.zeros((0, 0), np.uint8), 0, 0)


class _Held:
    """Bytes of all bitmaps of this process. They are let go when they are too many; only speed depends on it."""

    bytes = 0


class _Sized(dict[tuple[int, int, bool], Bitmap]):
    """Bitmaps of one face at one size by (glyph, part, turned): the pen is `part` quarters of a pixel to the right;
    `turned`: a quarter clockwise."""

    def __init__(self, key: FaceKey, size: float) -> None:
        super().__init__()
        self.key, self.size = key, size

    def __missing__(self, name: tuple[int, int, bool]) -> Bitmap:
        found = self[name] = _draw(self.key, self.size, *name)
        _Held.bytes += found.coverage.nbytes + 400
        return found


@lru_cache(maxsize=4096)
def _sized(key: FaceKey, size: float) -> _Sized:
    return _Sized(key, size)


def bitmaps(key: FaceKey, size: float) -> dict[tuple[int, int, bool], Bitmap]:
    """The bitmaps of a face at an em of `size` pixels, by (glyph, part, turned), drawn as they are asked for."""
    if _Held.bytes > KEPT_BYTES:
        _sized.cache_clear()
        _Held.bytes = 0
    return _sized(key, size)


def _draw(key: FaceKey, size: float, glyph: int, part: int, turned: bool) -> Bitmap:
    face = open_face(key)
    face.set_size(size)
    face.ft_face.load_glyph(glyph, _FLAGS)
    slot = face.ft_face.glyph
    outline = slot.outline
    if turned:
        freetype.FT_Outline_Transform(ctypes.byref(outline._FT_Outline), ctypes.byref(_QUARTER))
    if part:
        freetype.FT_Outline_Translate(ctypes.byref(outline._FT_Outline), part * 64 // PARTS, 0)
    freetype.FT_Render_Glyph(slot._FT_GlyphSlot, freetype.FT_RENDER_MODE_NORMAL)
    bitmap = slot._FT_GlyphSlot.contents.bitmap
    rows, width, pitch = bitmap.rows, bitmap.width, bitmap.pitch
    if not rows or not width:
        return _EMPTY
    raw = ctypes.string_at(bitmap.buffer, rows * pitch)  # bitmap.buffer of freetype-py is a list, ten times slower
    coverage = np.frombuffer(raw, np.uint8).reshape(rows, pitch)[:, :width]
    return _trimmed(coverage, slot.bitmap_left, -slot.bitmap_top)


def _trimmed(coverage: NDArray[np.uint8], left: int, top: int) -> Bitmap:
    """Without rows and columns at the edges in which nothing can be seen."""
    seen = coverage >= 8
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if not len(rows):
        return _EMPTY
    y0, y1, x0, x1 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    return Bitmap(np.ascontiguousarray(coverage[y0:y1, x0:x1]), left + int(x0), top + int(y0))
