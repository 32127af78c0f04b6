"""Short texts by what they are for (a title, a price, a sign ...), our own words, in Chinese and in English."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from warehouse.errors import UsageError

_SLOT = re.compile(r"\{(?:(\d+)-(\d+)|([a-z]+))\}")
_FILES = {"en": "phrases_en.toml", "zh": "phrases_zh.toml", "zh-Hans": "phrases_zh.toml"}


@dataclass(frozen=True)
class Phrases:
    """Patterns by role. `{3-99}` stands for a number, `{01-12}` for one of two digits, `{name}` for one of a slot."""

    roles: Mapping[str, tuple[str, ...]]
    slots: Mapping[str, tuple[str, ...]]

    def draw(self, rng: np.random.Generator, role: str) -> str:
        """A phrase of the role. Raises UsageError for a role that there is not."""
        if role not in self.roles:
            raise UsageError(f"there are no phrases for {role!r}; roles are {', '.join(self.roles)}")

        def filled(found: re.Match[str]) -> str:
            first, last, slot = found.groups()
            if slot:
                return _one(rng, self.slots[slot])
            number = str(int(rng.integers(int(first), int(last) + 1)))
            return number.zfill(len(first)) if first.startswith("0") else number

        return _SLOT.sub(filled, _one(rng, self.roles[role]))


def phrases_of(language: str) -> Phrases:
    """The phrases of `en`, or of `zh` (simplified; also `zh-Hans`). Raises UsageError for any other language."""
    if language not in _FILES:
        raise UsageError(f"there are phrases in en and zh, none in {language!r}")
    return _load(_FILES[language])


@cache
def _load(file: str) -> Phrases:
    found = tomllib.loads((resources.files("synth.corpora") / file).read_text(encoding="utf-8"))
    return Phrases(
        {role: tuple(texts) for role, texts in found["phrases"].items()},
        {slot: tuple(texts) for slot, texts in found["slots"].items()},
    )


def _one(rng: np.random.Generator, texts: Sequence[str]) -> str:
    return texts[int(rng.integers(len(texts)))]
