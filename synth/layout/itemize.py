"""A text cut into runs that can be shaped: one face, one script, one direction. Which face draws a character is chosen
here, from those that the setting names, and never silently."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from bidi import algorithm
from fontTools import unicodedata as scripts

from synth.fonts.characters import codes, ignorable
from synth.fonts.face import FaceKey, open_face
from synth.layout.block import Base, UndrawableError
from synth.layout.breaks import break_class

_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u200f\U00010800-\U00010fff\U0001e800-\U0001efff]")
#: Explicit embeddings and isolates: the resolved order is what counts, and the stored text is without them.
CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_TOGETHER = {"Hira": "Hani", "Kana": "Hani", "Bopo": "Hani"}
_NEUTRAL = ("Zyyy", "Zinh", "Zzzz")


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


class Character(NamedTuple):
    """What layout asks of a character. `script`: ISO 15924; kana and bopomofo count as Han, which fonts treat alike and
    texts mix. `seen`: neither blank nor ignorable (joiners, selectors, marks of direction). `follows`: stays with the
    face of what is before it. `upright`: stands in vertical lines, as ideographs, kana, Hangul and full-width forms
    do; everything else is turned. `kind`: its break class."""

    script: str
    seen: bool
    follows: bool
    upright: bool
    kind: int


class _Characters(dict[str, Character]):
    def __missing__(self, character: str) -> Character:
        script = scripts.script(character)
        seen = not (character.isspace() or bool(ignorable(codes(character))[0]))
        found = self[character] = Character(
            script=_TOGETHER.get(script, script),
            seen=seen,
            follows=not seen or bool(unicodedata.combining(character)),
            upright=unicodedata.east_asian_width(character) in "WF",
            kind=break_class(character),
        )
        return found


#: Every character met, by itself.
CHARACTERS: dict[str, Character] = _Characters()


class _Inked(dict[int, bool]):
    """Glyph -> whether it has an extent, found out once."""

    def __init__(self, key: FaceKey) -> None:
        super().__init__()
        self.font = open_face(key).hb_font

    def __missing__(self, glyph: int) -> bool:
        extents = self.font.get_glyph_extents(glyph)
        found = self[glyph] = extents is not None and extents.width != 0 and extents.height != 0
        return found


class _Drawn(dict[str, bool]):
    """Character -> whether the face maps it to a glyph that is not blank, found out once."""

    def __init__(self, key: FaceKey) -> None:
        super().__init__()
        self.font, self.inked = open_face(key).hb_font, inked_glyphs(key)

    def __missing__(self, character: str) -> bool:
        glyph = self.font.get_nominal_glyph(ord(character))
        found = self[character] = glyph is not None and self.inked[glyph]
        return found


@lru_cache(maxsize=256)
def inked_glyphs(key: FaceKey) -> dict[int, bool]:
    return _Inked(key)


@lru_cache(maxsize=256)
def drawn_characters(key: FaceKey) -> dict[str, bool]:
    return _Drawn(key)


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


def runs(text: str, faces: tuple[FaceKey, ...], *, vertical: bool, base: Base) -> list[Run]:
    """The runs of `text` in logical order, every paragraph (up to a newline) with its own levels.

    Raises UndrawableError with the characters that none of `faces` has.
    """
    level = [n for line in text.splitlines(keepends=True) for n in levels(line, base)]
    known = [CHARACTERS[c] for c in text]
    chosen = _choose_faces(text, known, faces)
    script = _scripts(known)
    out: list[Run] = []
    start = 0
    standing = [vertical and c.upright for c in known]
    like = list(zip(chosen, script, level, standing, strict=True))
    for n in range(1, len(text) + 1):
        if n < len(text) and like[n] == like[start]:
            continue
        out.append(Run(start, n, chosen[start], script[start], level[start], standing[start]))
        start = n
    return out if text else []


def _choose_faces(text: str, known: list[Character], faces: tuple[FaceKey, ...]) -> list[int]:
    """For each character the first face that has it; a mark stays with its base, a blank with what is before it."""
    drawn = [drawn_characters(key) for key in faces]
    main = drawn[0]
    out: list[int] = []
    lacking: list[str] = []
    before = 0
    for c, character in zip(text, known, strict=True):
        if not (character.follows or main[c]):
            before = next((n for n, face in enumerate(drawn) if face[c]), -1)
            if before < 0:
                lacking.append(c)
        elif not character.follows:
            before = 0
        out.append(before)
    if lacking:
        raise UndrawableError("".join(dict.fromkeys(lacking)))
    return out


def _scripts(known: list[Character]) -> list[str]:
    """Each character's script; what all scripts share takes its neighbour's: that before, at the start that after."""
    out = [c.script for c in known]
    current = next((s for s in out if s not in _NEUTRAL), "Latn")
    for n, s in enumerate(out):
        if s in _NEUTRAL:
            out[n] = current
        else:
            current = s
    return out
