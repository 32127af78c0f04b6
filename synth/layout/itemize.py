"""A text cut into runs that can be shaped: one face, one script, one direction. Which face draws a character is chosen
here, from those that the setting names, and never silently."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from bidi import algorithm
from fontTools import unicodedata as scripts

from synth.fonts.face import FaceKey, open_face
from synth.layout.block import Base, UndrawableError

_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u200f\U00010800-\U00010fff\U0001e800-\U0001efff]")
#: Explicit embeddings and isolates: the resolved order is what counts, and the stored text is without them.
CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_TOGETHER = {"Hira": "Hani", "Kana": "Hani", "Bopo": "Hani"}
_NEUTRAL = ("Zyyy", "Zinh", "Zzzz")
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u180b-\u180e\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]"
)


@dataclass(frozen=True)
class Run:
    """`text[start:end]`. `face`: index into the faces given; `level`: of bidi, odd is right to left; `upright`: in a
    vertical line, a character that stands; others lie on their side."""

    start: int
    end: int
    face: int
    script: str
    level: int
    upright: bool


@lru_cache(maxsize=65536)
def script_of(character: str) -> str:
    """Its ISO 15924 script; kana and bopomofo count as Han, which fonts treat alike and texts mix."""
    found: str = scripts.script(character)
    return _TOGETHER.get(found, found)


@lru_cache(maxsize=65536)
def stands_upright(character: str) -> bool:
    """In vertical lines: ideographs, kana, Hangul and full-width forms stand, everything else is turned."""
    return unicodedata.east_asian_width(character) in "WF"


def is_ignorable(character: str) -> bool:
    """Nothing is seen of it: joiners, selectors, marks of direction."""
    return bool(_IGNORABLE.match(character))


def levels(text: str, base: Base) -> list[int]:
    """Bidi level of each character (Unicode Standard Annex 9), `text` being one paragraph without CONTROLS."""
    start = {"auto": None, "ltr": 0, "rtl": 1}[base]
    if start != 1 and not _RIGHT_TO_LEFT.search(text):
        return [0] * len(text)
    if start is None:
        start = algorithm.get_base_level(text)
    storage = algorithm.get_empty_storage()
    storage["base_level"], storage["base_dir"] = start, "LR"[start]
    algorithm.get_embedding_levels(text, storage)
    algorithm.explicit_embed_and_overrides(storage)
    algorithm.resolve_weak_types(storage)
    algorithm.resolve_neutral_types(storage, False)
    algorithm.resolve_implicit_levels(storage, False)
    found = [int(c["level"]) for c in storage["chars"]]
    assert len(found) == len(text), "the text has bidi controls"
    return found


@lru_cache(maxsize=1 << 18)
def has_ink(key: FaceKey, glyph: int) -> bool:
    """Whether the glyph has an extent."""
    extents = open_face(key).hb_font.get_glyph_extents(glyph)
    return extents is not None and extents.width != 0 and extents.height != 0


@lru_cache(maxsize=1 << 18)
def has_character(key: FaceKey, character: str) -> bool:
    """Whether the face maps the character to a glyph that is not blank."""
    glyph = open_face(key).hb_font.get_nominal_glyph(ord(character))
    return glyph is not None and has_ink(key, glyph)


def runs(text: str, faces: tuple[FaceKey, ...], *, vertical: bool, base: Base) -> list[Run]:
    """The runs of `text` in logical order, every paragraph (up to a newline) with its own levels.

    Raises UndrawableError with the characters that none of `faces` has.
    """
    level = [n for line in text.splitlines(keepends=True) for n in levels(line, base)]
    chosen = _choose_faces(text, faces)
    script = _scripts(text)
    out: list[Run] = []
    start = 0
    standing = [vertical and stands_upright(c) for c in text]
    for n in range(1, len(text) + 1):
        if (
            n < len(text)
            and chosen[n] == chosen[start]
            and script[n] == script[start]
            and level[n] == level[start]
            and standing[n] == standing[start]
        ):
            continue
        out.append(Run(start, n, chosen[start], script[start], level[start], standing[start]))
        start = n
    return out if text else []


def _choose_faces(text: str, faces: tuple[FaceKey, ...]) -> list[int]:
    """For each character the first face that has it; a mark stays with its base, a blank with what is before it."""
    out: list[int] = []
    lacking: list[str] = []
    for n, c in enumerate(text):
        if n and (unicodedata.combining(c) or is_ignorable(c) or c.isspace()):
            out.append(out[-1])
            continue
        if c.isspace() or is_ignorable(c):
            out.append(0)
            continue
        found = next((i for i, face in enumerate(faces) if has_character(face, c)), None)
        if found is None:
            lacking.append(c)
        out.append(found or 0)
    if lacking:
        raise UndrawableError("".join(dict.fromkeys(lacking)))
    return out


def _scripts(text: str) -> list[str]:
    """Each character's script; what all scripts share takes its neighbour's: that before, at the start that after."""
    out = [script_of(c) for c in text]
    known = next((s for s in out if s not in _NEUTRAL), "Latn")
    for n, s in enumerate(out):
        if s in _NEUTRAL:
            out[n] = known
        else:
            known = s
    return out
