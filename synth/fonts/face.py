"""One face of a font file, opened: HarfBuzz shapes with it, FreeType draws with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import freetype
import uharfbuzz as hb

from warehouse.errors import UsageError


class FontError(UsageError):
    """A font file that cannot be read, or has no such face."""


@dataclass(frozen=True, order=True)
class FaceKey:
    """Names one face: a collection (.ttc) has several, numbered from 0; index 0 of a Chinese one may be Japanese."""

    path: str
    index: int = 0


class Face:
    """An open face. `name`: family and style, unless the style is plain. `upem`: font units in an em. `hb_font` is
    scaled to `upem`: advances and extents are font units."""

    def __init__(self, key: FaceKey) -> None:
        try:
            blob = hb.Blob.from_file_path(key.path)
            self.hb_face = hb.Face(blob, key.index)
            self.ft_face = freetype.Face(key.path, key.index)
        except (OSError, hb.HarfBuzzError, freetype.FT_Exception) as error:
            raise FontError(f"{key.path}: face {key.index} cannot be read as a font: {error}") from error
        if self.hb_face.glyph_count == 0:
            raise FontError(f"{key.path}: face {key.index} has no glyphs, or is no font")
        self.key = key
        self.hb_font = hb.Font(self.hb_face)
        self.upem: int = self.hb_face.upem
        extents = self.hb_font.get_font_extents("ltr")
        self.family: str = self.told(16) or self.told(1) or f"{key.path}#{key.index}"
        self.style: str = (self.told(16) and self.told(17)) or self.told(2) or "Regular"
        plain = self.style.lower() in ("regular", "book", "normal", "roman")
        self.name = self.family if plain else f"{self.family} {self.style}"
        self._size = 0
        self.ascent, self.descent = extents.ascender / self.upem, -extents.descender / self.upem  # ems, both positive

    def told(self, number: int) -> str:
        """What the name table says in English, else in the language that comes first; empty where it says nothing."""
        return (self.hb_face.get_name(number, "en") or self.hb_face.get_name(number) or "").strip()

    def set_size(self, size: float) -> None:
        """FreeType draws at an em of `size` pixels from now on, to a 64th of a pixel."""
        wanted = round(size * 64)
        if wanted != self._size:
            self.ft_face.set_char_size(wanted, wanted, 72, 72)
            self._size = wanted


@lru_cache(maxsize=256)
def open_face(key: FaceKey) -> Face:
    """The face, opened once a process. Raises FontError."""
    return Face(key)
