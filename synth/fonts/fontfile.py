"""One font file, read whole: its usable faces with what they draw, and why the others are not used."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from synth.fonts.coverage import Coverage, Pictures, coverage
from synth.fonts.face import Face, FaceKey, FontError
from synth.fonts.facts import FontInfo, facts

_COLOUR = {"CBDT", "sbix", "COLR", "SVG "}
_OUTLINES = ("glyf", "CFF ", "CFF2")


@dataclass(frozen=True)
class Skipped:
    """A file, or one face of it, that is not used. `index` is None for the whole file."""

    path: str
    index: int | None
    reason: str


@dataclass(frozen=True)
class FontFile:
    """The faces of a file that draw something, with their coverage, and those that are not used."""

    faces: tuple[tuple[FontInfo, Coverage], ...]
    skipped: tuple[Skipped, ...]


def read_font_file(path: Path, data: bytes, digest: str) -> FontFile:
    """`data`: the file's bytes, of which the table directories are read here. Never raises for a broken font.

    A variable font is used at its default instance. Colour fonts are not used, nor are fonts of bitmaps alone: their
    pictures are not outlines in the text's colour. Of faces that draw the same in all respects the first is used.
    """
    try:
        directories = _directories(data)
    except struct.error:
        return FontFile((), (Skipped(str(path), None, "broken: its table directory is cut off"),))
    except ValueError as error:
        return FontFile((), (Skipped(str(path), None, f"broken: {error}"),))
    faces: list[tuple[FontInfo, Coverage]] = []
    skipped: list[Skipped] = []
    pictures: dict[int, Pictures] = {}
    seen: dict[tuple[int, ...], int] = {}
    for index, tables in enumerate(directories):
        reason = _refused(tables, len(data))
        if reason is None:
            drawing = tuple(tables.get(t, (0, 0))[0] for t in (*_OUTLINES, "cmap", "hmtx", "GSUB", "GPOS", "vmtx"))
            if drawing in seen:
                reason = f"draws just what face {seen[drawing]} does"
            else:
                seen[drawing] = index
        if reason is None:
            outlines = next(tables[t][0] for t in _OUTLINES if t in tables)
            try:
                face = Face(FaceKey(str(path), index))
                covered = coverage(face, pictures.setdefault(outlines, Pictures()))
                if covered.drawn.size:
                    faces.append((facts(face, covered, digest), covered))
                    continue
                reason = "draws no character"
            except FontError as error:
                reason = f"broken: {error.__cause__ or 'no glyphs'}"
        skipped.append(Skipped(str(path), index if len(directories) > 1 else None, reason))
    return FontFile(tuple(faces), tuple(skipped))


def _directories(data: bytes) -> list[dict[str, tuple[int, int]]]:
    """Of each face: tag -> offset, length. OpenType 1.9, "Organization of an OpenType font"."""
    if data[:4] != b"ttcf":
        return [_directory(data, 0)]
    count = struct.unpack_from(">I", data, 8)[0]
    if not 1 <= count <= 256:
        raise ValueError(f"a collection of {count} faces")
    return [_directory(data, offset) for offset in struct.unpack_from(f">{count}I", data, 12)]


def _directory(data: bytes, at: int) -> dict[str, tuple[int, int]]:
    kind, count = struct.unpack_from(">4sH", data, at)
    if kind not in (b"\0\1\0\0", b"OTTO", b"true"):
        raise ValueError("it does not begin as a font does")
    rows = (struct.unpack_from(">4s4xII", data, at + 12 + 16 * i) for i in range(count))
    return {tag.decode("latin-1"): (offset, length) for tag, offset, length in rows}


def _refused(tables: dict[str, tuple[int, int]], size: int) -> str | None:
    short = sorted(tag for tag, (offset, length) in tables.items() if offset + length > size)
    if short:
        return f"broken: table {short[0]!r} ends beyond the end of the file"
    if _COLOUR & set(tables):
        return "a colour font: its pictures are not drawn here"
    if not any(t in tables for t in _OUTLINES):
        return "no outlines: bitmaps alone are not drawn here"
    missing = [t for t in ("cmap", "head", "hhea", "hmtx", "maxp") if t not in tables]
    return f"broken: no table {missing[0]!r}" if missing else None
