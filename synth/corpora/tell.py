"""The language of a paragraph: by its script, by small words in Latin script, by forms in Chinese characters."""

from __future__ import annotations

import re
from functools import cache

from annotate.captions.language import contradicts, count_han, detect
from synth.corpora.source import words
from synth.hanzi import levels

#: A language for each script that is not Latin or Chinese: the one with most readers of it.
_SCRIPTS: tuple[tuple[str, str], ...] = (
    ("ja", "\u3041-\u3096\u30a1-\u30fa"),
    ("ko", "\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3"),
    ("ar", "\u0620-\u064a\u066e-\u06d3\u06fa-\u06ff\u0750-\u077f"),
    ("hi", "\u0900-\u0963\u0970-\u097f"),
    ("ru", "\u0400-\u052f"),
    ("th", "\u0e01-\u0e4e"),
    ("el", "\u0370-\u03ff\u1f00-\u1fff"),
    ("he", "\u05d0-\u05ea"),
    ("bn", "\u0980-\u09ff"),
    ("pa", "\u0a00-\u0a7f"),
    ("gu", "\u0a80-\u0aff"),
    ("or", "\u0b00-\u0b7f"),
    ("ta", "\u0b80-\u0bff"),
    ("te", "\u0c00-\u0c7f"),
    ("kn", "\u0c80-\u0cff"),
    ("ml", "\u0d00-\u0d7f"),
    ("si", "\u0d80-\u0dff"),
    ("lo", "\u0e81-\u0ede"),
    ("bo", "\u0f00-\u0fff"),
    ("my", "\u1000-\u109f"),
    ("ka", "\u10a0-\u10ff"),
    ("am", "\u1200-\u139f"),
    ("km", "\u1780-\u17ff"),
    ("mn", "\u1800-\u18af"),
    ("hy", "\u0531-\u0587"),
)
_ANY = re.compile("|".join(f"([{letters}])" for _, letters in _SCRIPTS))
_SAMPLE = 160  # characters that are looked at
_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_](?:[A-Za-z]{2,4}|\d{3}))*")


def language_of(text: str, declared: str | None = None) -> str:
    """`en`, `zh`, `ja`, `ko`, `ar` ...; `und` for Latin script of no language that is known, and where no letter is.

    A declared language is believed where neither the script nor small words contradict it.
    """
    sample = text[:_SAMPLE]
    told = detect(sample)
    primary = (declared or "").replace("_", "-").split("-")[0].lower()
    if primary in ("yue", "wuu", "lzh", "cmn"):
        primary = "zh"
    if told == "zh":
        return "ja" if primary == "ja" else "zh"
    if told != "other" and primary in ("", "en", "zh"):
        return told
    found = script_language(sample) if not sample.isascii() else None
    if found is None:  # Latin script
        other_script = primary in {code for code, _ in _SCRIPTS} | {"zh"}
        latin = bool(primary) and not other_script and not contradicts(primary, sample)
        return primary if latin else "und" if told == "other" else told
    return primary if primary and primary not in ("en", "zh") and _shares_script(primary, found) else found


def script_language(text: str) -> str | None:
    """The language that stands for the script most of its letters are of; None for Latin and for Chinese alone."""
    counts = [0] * len(_SCRIPTS)
    for found in _ANY.finditer(text):
        counts[(found.lastindex or 1) - 1] += 1
    most = max(counts)
    return _SCRIPTS[counts.index(most)][0] if most else None


def _shares_script(declared: str, found: str) -> bool:
    own = {code for code, _ in _SCRIPTS}
    return declared == found or declared not in own


def is_tag(name: str) -> bool:
    """Whether a column or key is named by a language: `en`, `zh_hant`, `pt-BR`."""
    parts = re.split("[-_]", name.lower())
    return bool(_TAG.fullmatch(name)) and parts[0] in _LANGUAGES


_LANGUAGES = {code for code, _ in _SCRIPTS} | words(
    "en zh yue cmn lzh de fr es it pt nl sv da nb nn fi pl cs sk sl hr sr bs bg uk be ro hu tr az kk uz vi ms tl "
    "et lv lt ga cy eu ca gl sq mk fa ur ug ps ne mr sa sw af"
)
_LANGUAGES -= {"or", "am"}  # words that name other things too, as `id`, `no` and `is`, which are left out above


@cache
def _forms() -> tuple[frozenset[str], frozenset[str]]:
    """Characters that only simplified, and that only traditional writing has: what one old code set of each side has
    and the other lacks; the standard of today is on the simplified side."""
    simplified, traditional = _code_set("gb2312", 0xA1), _code_set("big5", 0x40)
    return frozenset(simplified - traditional), frozenset(traditional - simplified - set("".join(levels())))


def _code_set(codec: str, first: int) -> set[str]:
    pairs = (bytes((lead, trail)) for lead in range(0xA1, 0xFF) for trail in range(first, 0xFF))
    text = "".join(pair.decode(codec, errors="ignore") for pair in pairs)
    return {c for c in text if count_han(c)}


def forms(text: str) -> int:
    """Above 0: more characters of simplified than of traditional forms; below: the other way; 0: it cannot be told."""
    simplified, traditional = _forms()
    sample = text[:_SAMPLE]
    return sum(c in simplified for c in sample) - sum(c in traditional for c in sample)
