"""Which face may draw a script that the main face is not made for. Chosen by rule, so that it can be told and told
again: never by what happens to have the character.

A Latin face that meets Chinese gets a Chinese one beside it; a Chinese face that lacks one Han character gets nothing,
since two hands in one word are worse than no word.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from synth.fonts.characters import script_of
from synth.fonts.face import FaceKey
from synth.fonts.facts import FontInfo, Kind

if TYPE_CHECKING:
    from synth.fonts.book import FontBook

#: Kinds that stand well beside a kind, best first.
_BESIDE: dict[Kind, tuple[Kind, ...]] = {
    "sans": ("sans", "mono", "serif"),
    "serif": ("serif", "kai", "sans"),
    "kai": ("kai", "serif", "sans"),
    "mono": ("mono", "sans", "serif"),
    "hand": ("hand", "kai", "serif", "sans"),
    "display": ("display", "sans", "serif"),
    "symbol": ("symbol", "sans", "serif", "mono"),
}
_SYMBOLS: tuple[Kind, ...] = ("sans", "symbol", "serif", "mono")


def choose_fall_backs(book: FontBook, main: FontInfo, text: str, language: str) -> tuple[FaceKey, ...]:
    """For each script of the text that `main` is not made for, in the order of the text, one face that draws all of
    that script's characters: of a kind that suits, of the nearest weight and slant, of a family whose name begins
    alike (Noto Sans Arabic beside Noto Sans CJK SC: made to stand together), then by the book's order.
    Symbols that `main` lacks go to a sans or symbol face. A face once chosen serves further scripts if it can."""
    groups: dict[str, str] = {}
    for character in book.missing(main.key, text):
        group = _group(character, main)
        if group is not None:
            groups[group] = groups.get(group, "") + character
    chosen: list[FaceKey] = []
    for group, characters in groups.items():
        if any(book.draws(key, characters) for key in chosen):
            continue
        kinds = _SYMBOLS if group == "symbols" else _BESIDE[_text_kind(main)]
        fitting = [f for f in book.drawing(characters, language) if f.kind in kinds]
        if fitting:
            chosen.append(min(fitting, key=lambda f: _distance(f, main, kinds)).key)
    return tuple(chosen)


def _group(character: str, main: FontInfo) -> str | None:
    """The script to find another face for; None where the main face is to draw it or nothing is."""
    script = script_of(character)
    if script not in ("Zyyy", "Zinh"):
        return None if script in main.scripts else script
    if unicodedata.category(character) in ("Sm", "Sc", "Sk", "So", "No"):
        return "symbols"
    return None if "Latn" in main.scripts else "Latn"  # digits and punctuation go with Latin


def _text_kind(main: FontInfo) -> Kind:
    """Faces for large sizes are sans or serif as well."""
    return "serif" if main.kind == "display" and "serif" in main.family.lower() else main.kind


def _distance(font: FontInfo, main: FontInfo, kinds: tuple[Kind, ...]) -> tuple[int, int, bool, int]:
    alike = 0
    for ours, theirs in zip(font.family.split(), main.family.split(), strict=False):
        if ours != theirs:
            break
        alike += 1
    return kinds.index(font.kind), abs(font.weight - main.weight), font.italic != main.italic, -alike
