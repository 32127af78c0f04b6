"""Keywords of a taxonomy found in captions: which leaves a text speaks of, and how much. Pure; English and Chinese.

English is matched word by word (plurals included), Chinese by characters, the longest keyword first in both, so that a
hot dog is no dog. The earlier a keyword stands, the more it counts: captions name their subject first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pipelines.categories.taxonomy import Taxonomy

NAME, HINT = 1.0, 0.5  # what a keyword that names the subject, and one that goes with it, counts
ALONE = 0.3  # what is left of a hint in a text that does not name the leaf's subject
FADE = 0.65  # each further keyword of a text counts this much of the one before

_WORD = re.compile(r"[a-z]+")
_HAN = re.compile(r"[㐀-鿿]+")

Entry = tuple[tuple[int, float], ...]
Vocabulary = dict[str, Entry]


class Matcher:
    """Keywords of all leaves, ready to be looked up. Scores are by place of the leaf in the taxonomy."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.leaves = len(taxonomy.leaves)
        self.en = _vocabulary((_english(w), n, weight) for w, n, weight in _listed(taxonomy, "en"))
        self.zh = _vocabulary(_listed(taxonomy, "zh"))
        self._en_reach = max((key.count(" ") + 1 for key in self.en), default=0)
        self._zh_reach = max(map(len, self.zh), default=0)

    def score(self, text: str) -> list[float]:
        """Score of each leaf for one text: 0 where none of its keywords stands in it."""
        hits = self._hits(text)
        named = {leaf for entry in hits for leaf, counts in entry if counts == NAME}
        found = [0.0] * self.leaves
        weight = 1.0
        for entry in hits:
            for leaf, counts in entry:
                found[leaf] += weight * (counts if leaf in named else counts * ALONE)
            weight *= FADE
        return found

    def total(self, texts: Iterable[str]) -> list[float]:
        """Mean of the scores of the texts in which some keyword stands; zeros where there is none."""
        scores = [score for score in map(self.score, texts) if any(score)]
        return [sum(column) / len(scores) for column in zip(*scores, strict=True)] if scores else [0.0] * self.leaves

    def _hits(self, text: str) -> list[Entry]:
        """Keywords of the text in their order, each once."""
        words = [_singular(word) for word in _WORD.findall(text.lower())]
        found: dict[str, Entry] = {}
        place = 0
        while place < len(words):
            place += self._longest(words, place, found)
        for run in _HAN.findall(text):
            place = 0
            while place < len(run):
                for length in range(min(self._zh_reach, len(run) - place), 0, -1):
                    key = run[place : place + length]
                    if key in self.zh:
                        found.setdefault(key, self.zh[key])
                        break
                else:
                    length = 1
                place += length
        return list(found.values())

    def _longest(self, words: list[str], place: int, found: dict[str, Entry]) -> int:
        """Put the longest keyword that begins at this word to `found`; returns how many words to go on."""
        for length in range(min(self._en_reach, len(words) - place), 0, -1):
            key = " ".join(words[place : place + length])
            entry = self.en.get(key)
            if entry is not None:
                found.setdefault(key, entry)
                return length
        return 1


def _listed(taxonomy: Taxonomy, language: str) -> Iterable[tuple[str, int, float]]:
    for place, leaf in enumerate(taxonomy.leaves):
        for word in getattr(leaf, language):
            yield word, place, NAME
        for word in getattr(leaf, f"{language}_hint"):
            yield word, place, HINT


def _vocabulary(listed: Iterable[tuple[str, int, float]]) -> Vocabulary:
    found: dict[str, dict[int, float]] = {}
    for word, leaf, weight in listed:
        entry = found.setdefault(word, {})
        entry[leaf] = max(weight, entry.get(leaf, 0.0))
    return {word: tuple(sorted(entry.items())) for word, entry in found.items()}


def _english(phrase: str) -> str:
    return " ".join(_singular(word) for word in _WORD.findall(phrase.lower()))


def _singular(word: str) -> str:
    """A word without the ending of its plural, roughly: the same for both forms is all that matching needs."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        if word.endswith("ies") and len(word) > 4:
            return word[:-3] + "y"
        if word.endswith(("ches", "shes", "xes", "sses", "zes")):
            return word[:-2]
        return word[:-1]
    return word


IRREGULAR: Mapping[str, str] = {
    "men": "man", "women": "woman", "children": "child", "people": "person", "feet": "foot", "geese": "goose",
    "wolves": "wolf", "leaves": "leaf", "knives": "knife", "buses": "bus", "mice": "mouse", "gloves": "glove",
}  # fmt: skip
