"""Texts with words that can be exchanged, the same in English and Chinese."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

import numpy as np

from synth.quoting import Language

_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Pattern:
    """One text in both languages, `{slot}` where a word of that slot goes."""

    role: str
    en: str
    zh: str

    @property
    def slots(self) -> tuple[str, ...]:
        return tuple(_SLOT.findall(self.en))


@dataclass(frozen=True)
class Phrase:
    """A pattern with a word chosen for each of its slots: `chosen` are places in the slots' lists."""

    pattern: Pattern
    chosen: tuple[int, ...]

    def text(self, language: Language) -> str:
        words = iter(self.words(language))
        at = dict(zip(self.pattern.slots, words, strict=True))
        return _SLOT.sub(lambda found: at[found[1]], getattr(self.pattern, language))

    def words(self, language: Language) -> tuple[str, ...]:
        """The words in its slots, in the order of the English text."""
        slots = _load()[1]
        return tuple(slots[slot][language][n] for slot, n in zip(self.pattern.slots, self.chosen, strict=True))

    def with_other_word(self, rng: np.random.Generator) -> tuple[Phrase, int]:
        """The phrase with another word in one slot, and which slot."""
        slots = _load()[1]
        n = int(rng.integers(len(self.chosen)))
        count = len(slots[self.pattern.slots[n]]["en"])
        other = (self.chosen[n] + int(rng.integers(1, count))) % count
        return replace(self, chosen=(*self.chosen[:n], other, *self.chosen[n + 1 :])), n


@cache
def _load() -> tuple[tuple[Pattern, ...], Mapping[str, Mapping[str, tuple[str, ...]]]]:
    told = tomllib.loads((resources.files("synth.edits") / "patterns.toml").read_text(encoding="utf-8"))
    slots = {name: {code: tuple(words) for code, words in both.items()} for name, both in told["slots"].items()}
    return tuple(Pattern(**pattern) for pattern in told["pattern"]), slots


def patterns(role: str) -> tuple[Pattern, ...]:
    """All of a role, `title` or `line`."""
    return tuple(p for p in _load()[0] if p.role == role)


def draw_phrase(rng: np.random.Generator, role: str) -> Phrase:
    """A phrase of the role, every slot filled."""
    found = patterns(role)
    pattern = found[int(rng.integers(len(found)))]
    slots = _load()[1]
    return Phrase(pattern, tuple(int(rng.integers(len(slots[slot]["en"]))) for slot in pattern.slots))
