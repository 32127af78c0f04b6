"""The corpus as slides ask it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.corpora.corpus import Corpus
from synth.template.deck.errors import DeckError
from warehouse.errors import UsageError

TRIES = 6
_GAPS = "□■�○◎"  # what corpora write where a character is missing: it would be drawn as if it were tofu


@dataclass(frozen=True)
class CorpusTexts:
    corpus: Corpus

    def pick(self, rng: np.random.Generator, language: str, shortest: int, longest: int) -> str:
        """Raises DeckError where the corpus has nothing so short."""
        for least in (shortest, max(shortest // 3, 1), 1):
            try:
                for _ in range(TRIES):
                    text = self.corpus.pick(rng, language, least, max(longest, least)).text
                    if not set(text) & set(_GAPS):
                        return text
            except UsageError:
                continue
        raise DeckError("no text fits", f"the corpus has no {language} text of {longest} characters or less")

    def phrase(self, rng: np.random.Generator, language: str, role: str) -> str:
        return self.corpus.phrase(rng, "zh" if language.startswith("zh") else language, role)
