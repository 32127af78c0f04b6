"""Small fonts for tests, made here: honest ones, ones whose character map lies, and broken ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont

EM = 1000
Box = tuple[int, int, int, int]
HOLLOW: tuple[Box, ...] = ((100, 0, 700, 60), (100, 640, 700, 700), (100, 0, 160, 700), (640, 0, 700, 700))


def write_font(
    path: Path,
    drawn: str = "ABC",
    *,
    blank: str = " ",
    tofu: str = "",
    placeholder: str = "",
    nothing: str = "",
    family: str = "Plain",
    names: Mapping[str, str] | None = None,
    os2: Mapping[str, Any] | None = None,
    marks: bool = True,
) -> Path:
    """Each of `drawn` has a picture of its own; `blank` are mapped to a glyph without ink, `tofu` to a copy of
    .notdef's picture, `placeholder` to one other picture, `nothing` to .notdef itself. `marks`: .notdef has ink."""
    glyphs: dict[str, tuple[Box, ...]] = {".notdef": HOLLOW if marks else (), "blank": (), "tofu": HOLLOW}
    glyphs["placeholder"] = ((50, 50, 850, 120), (50, 500, 850, 570))
    glyphs |= {f"g{ord(c):X}": _picture(ord(c)) for c in drawn}
    cmap = {ord(c): f"g{ord(c):X}" for c in drawn}
    for characters, name in ((blank, "blank"), (tofu, "tofu"), (placeholder, "placeholder"), (nothing, ".notdef")):
        cmap |= {ord(c): name for c in characters}
    builder = FontBuilder(EM, isTTF=True)
    builder.setupGlyphOrder(list(glyphs))
    builder.setupCharacterMap(cmap)
    builder.setupGlyf({name: _outline(boxes) for name, boxes in glyphs.items()})
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (900, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular", **(names or {})})
    builder.setupOS2(**{"sTypoAscender": 800, "sTypoDescender": -200, **(os2 or {})})
    builder.setupPost()
    path.parent.mkdir(parents=True, exist_ok=True)
    builder.save(path)
    return path


def write_collection(path: Path, *members: Path) -> Path:
    collection = TTCollection()
    collection.fonts = [TTFont(member) for member in members]
    collection.save(path)
    return path


def without(source: Path, path: Path, *tables: str) -> Path:
    """A copy without these tables."""
    font = TTFont(source)
    for tag in tables:
        del font[tag]
    font.save(path)
    return path


def _picture(code: int) -> tuple[Box, ...]:
    """One bar for each bit of the code point, long for 1: no two alike."""
    return tuple((80, 40 * bit, 700 if code >> bit & 1 else 320, 40 * bit + 26) for bit in range(18))


def _outline(boxes: tuple[Box, ...]) -> Any:
    pen = TTGlyphPen(None)
    for x0, y0, x1, y1 in boxes:
        pen.moveTo((x0, y0))
        for point in ((x0, y1), (x1, y1), (x1, y0)):
            pen.lineTo(point)
        pen.closePath()
    return pen.glyph()
