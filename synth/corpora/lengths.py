"""Lengths of texts, in characters: the strata that texts are asked for and told by."""

from __future__ import annotations

from collections.abc import Mapping

#: Shortest and longest. The numbers are those of TextAtlas's evaluation: `256` is what is longer than 128 up to 256.
STRATA: Mapping[str, tuple[int, int]] = {
    "short": (1, 16),
    "line": (17, 40),
    "medium": (41, 100),
    "paragraph": (101, 400),
    "page": (401, 1200),
    "document": (1201, 6000),
    "64": (1, 64),
    "128": (65, 128),
    "256": (129, 256),
    "512": (257, 512),
    "1024": (513, 1024),
}
_BY_LENGTH = ("short", "line", "medium", "paragraph", "page")


def stratum(text: str) -> str:
    """What length it has: short, line, medium, paragraph, page or document; `word` for one word without a blank."""
    size = len(text)
    if size <= 24 and text.isalpha() and (text.isascii() or size <= 4):
        return "word"
    return next((name for name in _BY_LENGTH if size <= STRATA[name][1]), "document")
