"""The General Standard Chinese Characters (State Council of China, 2013): 8,105 characters in three levels of use."""

from __future__ import annotations

from functools import cache
from importlib import resources

SIZES = (3500, 3000, 1605)


@cache
def levels() -> tuple[str, ...]:
    """The characters of level 1, 2 and 3, in the standard's order."""
    text = (resources.files("recipes") / "hanzi_levels.txt").read_text(encoding="utf-8")
    found = tuple(line for line in text.splitlines() if line and not line.startswith("#"))
    assert tuple(map(len, found)) == SIZES, "recipes/hanzi_levels.txt is damaged"
    return found


def level_of(character: str) -> int | None:
    """1, 2 or 3; None for what the standard does not have."""
    return next((n for n, characters in enumerate(levels(), 1) if character in characters), None)
