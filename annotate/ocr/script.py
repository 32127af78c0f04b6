"""Which script a text is written in: English, Chinese, other, or none.

English stands for the Latin script, as in the split of the Qwen-Image report. What counts is the room that characters
take: a Chinese one is twice as wide as a letter. Digits and signs belong to no script.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Script = Literal["english", "chinese", "other", "none"]

KANA_SHARE = 0.1  # of Han and kana: with more, the Han characters are Japanese


@dataclass(frozen=True)
class ScriptShares:
    """Shares of each script in the width of the letters, 0 to 1; all 0 where there are no letters."""

    english: float
    chinese: float
    other: float

    @property
    def dominant(self) -> Script:
        """The largest; `other` where nothing but digits and signs is written. Of equals English, then Chinese."""
        shares: dict[Script, float] = {"english": self.english, "chinese": self.chinese, "other": self.other}
        if not any(shares.values()):
            return "other"
        return max(shares, key=lambda name: shares[name])


def script_of(text: str) -> Script:
    """Dominant script of a line: `none` where it is empty, `other` where it has digits and signs only."""
    return shares([text]).dominant if text.strip() else "none"


def shares(lines: Iterable[str]) -> ScriptShares:
    """Shares of the scripts over some lines; whether Han characters are Chinese or Japanese is told line by line."""
    width = {"english": 0.0, "chinese": 0.0, "other": 0.0}
    for line in lines:
        kinds = [_kind(c) for c in unicodedata.normalize("NFKC", line)]
        han, kana = kinds.count("han"), kinds.count("kana")
        japanese = kana > KANA_SHARE * (han + kana)
        width["english"] += kinds.count("latin")
        width["other"] += kinds.count("letter") + 2 * kana + (2 * han if japanese else 0)
        width["chinese"] += 0 if japanese else 2 * han
    total = sum(width.values())
    if not total:
        return ScriptShares(0.0, 0.0, 0.0)
    return ScriptShares(*(round(width[name] / total, 4) for name in ("english", "chinese", "other")))


@lru_cache(1 << 16)
def _kind(character: str) -> Literal["latin", "han", "kana", "letter", "sign"]:
    if not character.isalpha():
        return "sign"
    name = unicodedata.name(character, "")
    if name.startswith("LATIN"):
        return "latin"
    if name.startswith("CJK"):
        return "han"
    return "kana" if name.startswith(("HIRAGANA", "KATAKANA")) else "letter"
