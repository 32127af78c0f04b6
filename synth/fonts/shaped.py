"""Does a face draw a text once HarfBuzz has shaped it? The last word where a character's own glyph is not."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import uharfbuzz as hb

from synth.fonts.characters import BREAKING, blank, codes, control, ignorable, script_of
from synth.fonts.coverage import Coverage
from synth.fonts.face import Face

#: Of these a character's own glyph tells all: nothing is joined, reordered or taken apart.
_SIMPLE = frozenset({"Zyyy", "Latn", "Grek", "Cyrl", "Hani", "Hira", "Kana", "Bopo", "Armn", "Geor", "Hebr"})
_BREAKS = re.compile(f"[{BREAKING}]")


@lru_cache(maxsize=65536)
def soft(character: str) -> bool:
    """Whether a face without a glyph of its own for it may draw it yet: composed, taken apart, or by another blank."""
    if unicodedata.category(character)[0] in "MZ" or character == "\u2011":
        return True
    return unicodedata.decomposition(character)[:1] not in ("", "<")


@lru_cache(maxsize=65536)
def _complex(character: str) -> bool:
    """Whether its own glyph does not tell whether it is drawn."""
    if character == " " or character in BREAKING or ignorable(codes(character))[0]:
        return False
    return soft(character) or (script_of(character) not in _SIMPLE and not 0xAC00 <= ord(character) < 0xD7A4)


def needs_shaping(text: str) -> bool:
    """Whether some character may be drawn though the face has no glyph of its own for it, or not though it has."""
    return any(_complex(c) for c in set(text))


def undrawn(face: Face, covered: Coverage, text: str) -> str:
    """The characters of the text (NFC) that are not drawn, each once, in the text's order."""
    bad: dict[str, None] = {}
    for run in _runs(text):
        for cluster in _bad_clusters(face, covered, run):
            bad.update(dict.fromkeys(cluster))
    points = codes(text)
    bad.update(dict.fromkeys(chr(p) for p in points[np.isin(points, covered.lies)].tolist()))
    return "".join(c for c in dict.fromkeys(text) if c in bad)


def _runs(text: str) -> Iterator[str]:
    """Of one script each, within a line; what is common or inherited stays with what stands before."""
    for line in _BREAKS.split(text):
        start, current = 0, ""
        for at, character in enumerate(line):
            script = script_of(character)
            if script in ("Zyyy", "Zinh") or script == current:
                continue
            if current:
                yield line[start:at]
                start = at
            current = script
        if start < len(line):
            yield line[start:]


def _bad_clusters(face: Face, covered: Coverage, run: str) -> Iterator[str]:
    buffer = hb.Buffer()
    buffer.add_str(run)
    buffer.guess_segment_properties()
    hb.shape(face.hb_font, buffer)
    glyphs: dict[int, list[int]] = {}
    for info in buffer.glyph_infos:
        glyphs.setdefault(info.cluster, []).append(info.codepoint)
    starts = sorted(glyphs)
    false = set(covered.false_glyphs.tolist())
    for start, end in zip(starts, [*starts[1:], len(run)], strict=True):
        characters = _visible(run[start:end])
        ids = glyphs[start]
        shown = "".join(c for c in run[start:end] if not ignorable(codes(c))[0])
        if (shown and 0 in ids) or false.intersection(ids) or (characters and not any(has_ink(face, g) for g in ids)):
            yield shown


def has_ink(face: Face, glyph: int) -> bool:
    extents = face.hb_font.get_glyph_extents(glyph)
    return extents is not None and extents.width != 0 and extents.height != 0


def _visible(text: str) -> str:
    points = codes(text)
    seen = ~(ignorable(points) | blank(points) | control(points))
    return "".join(chr(p) for p in points[seen].tolist())
