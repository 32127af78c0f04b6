"""What a face truly draws. A character map promises; only pixels keep.

Each glyph is drawn once by FreeType, small and unhinted. A character is drawn where its glyph has ink and its pixels
are not those of .notdef, nor of a placeholder that the face shows for many characters.
"""

from __future__ import annotations

import ctypes
import unicodedata
from dataclasses import dataclass

import freetype
import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from synth.fonts.characters import Codes, blank, control, ignorable
from synth.fonts.face import Face

PIXELS = 24  # an em; what differs here differs at every larger size
ALIKE = 10  # one picture for more characters than this is a placeholder (those that NFKC makes one count once)
FLAGS = freetype.FT_LOAD_RENDER | freetype.FT_LOAD_NO_HINTING | freetype.FT_LOAD_NO_BITMAP

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Coverage:
    """Of one face, all sorted: `drawn`, the code points that it draws, blanks that it maps among them; `lies`, those
    that it maps and does not draw; `false_glyphs`, the ids of glyphs that show a placeholder."""

    drawn: Codes
    lies: Codes
    false_glyphs: Codes


class Pictures:
    """Hashes of the glyphs' pixels, drawn when first asked for. Faces of a collection that share outlines share it."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}

    def of(self, face: Face, glyphs: Codes) -> tuple[Hashes, Hashes]:
        """(n,), (n,): hashes of the pixels, and of the pixels and where they stand. 0: no ink, or not drawable."""
        known = self._known
        missing = [g for g in np.unique(glyphs).tolist() if g not in known]
        if missing:
            face.ft_face.set_pixel_sizes(0, PIXELS)
            known.update((g, _picture(face.ft_face, g)) for g in missing)
        both = np.array([known[g] for g in glyphs.tolist()], dtype=np.uint64).reshape(-1, 2)
        return both[:, 0], both[:, 1]


def coverage(face: Face, pictures: Pictures) -> Coverage:
    """Of an open face; some 15 microseconds a glyph that was not drawn before."""
    points = np.array(sorted(face.hb_face.unicodes), dtype=np.uint32)
    points = points[~control(points)]
    nominal = face.hb_font.get_nominal_glyph
    glyphs = np.array([nominal(p) or 0 for p in points.tolist()], dtype=np.uint32)
    pixels, placed = pictures.of(face, glyphs)
    notdef = pictures.of(face, np.zeros(1, np.uint32))[0][0]

    quiet = blank(points) | ignorable(points)
    false = (glyphs == 0) | ((pixels == notdef) & (pixels != 0)) | _placeholders(points, placed)
    drawn = np.where(quiet, glyphs != 0, ~false & (pixels != 0))
    lies = ~drawn & ~quiet
    return Coverage(points[drawn], points[lies], np.unique(glyphs[false & ~quiet & (pixels != 0)]))


def _picture(ft_face: freetype.Face, glyph: int) -> tuple[int, int]:
    if freetype.FT_Load_Glyph(ft_face._FT_Face, glyph, FLAGS):
        return 0, 0
    slot = ft_face._FT_Face.contents.glyph.contents
    bitmap = slot.bitmap
    pixels = ctypes.string_at(bitmap.buffer, bitmap.rows * abs(bitmap.pitch)) if bitmap.rows else b""
    if not pixels.strip(b"\0"):
        return 0, 0
    shape = bitmap.rows << 32 | bitmap.width
    seen = xxh3_64_intdigest(pixels, seed=shape) | 1  # never the 0 of no ink
    return seen, seen ^ ((slot.bitmap_left & 0xFFFF) << 48 | (slot.bitmap_top & 0xFFFF) << 32)


def _placeholders(points: Codes, placed: Hashes) -> NDArray[np.bool_]:
    """(n,): whether its picture stands for too many characters to be one of theirs."""
    pictures, inverse, counts = np.unique(placed, return_inverse=True, return_counts=True)
    many = (counts > ALIKE) & (pictures != 0)
    for number in np.flatnonzero(many).tolist():
        characters = {unicodedata.normalize("NFKC", chr(p)) for p in points[inverse == number].tolist()}
        many[number] = len(characters) > ALIKE
    found: NDArray[np.bool_] = many[inverse]
    return found
