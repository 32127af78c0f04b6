"""What stands in a page's places: words of our own lists, phrases and passages of the corpus, generated numbers."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources
from typing import Protocol

import numpy as np

from synth.corpora.phrases import phrases_of
from synth.template.html.generated import GENERATED, Item
from warehouse.errors import UsageError

Rng = np.random.Generator
ROLES = frozenset(
    ("title", "subtitle", "heading", "name", "place", "date", "dish", "slogan", "sign", "button", "sentence")
)
_PART = re.compile(r"\{([^{}]+)\}")
_NOT_UPRIGHT = re.compile(r"[^\u3000-\u303f\u3400-\u9fff\uff01-\uff5e]")


class Passages(Protocol):
    """Running text of a language, of a length in characters."""

    def __call__(self, rng: Rng, language: str, shortest: int, longest: int) -> str: ...


class Writer:
    """Writes one page, in `language` and where asked in `other` (each `en` or `zh`), nothing twice if it can be
    helped."""

    def __init__(self, language: str, other: str, passages: Passages) -> None:
        self.language, self.other, self._passages = language, other, passages
        self.drawings: dict[str, str] = {}  #: by the name under which a page shows one again
        self._said: set[str] = set()
        self._mark: str | None = None

    def tag(self, language: str) -> str:
        """BCP 47."""
        return "zh-Hans" if language == "zh" else language

    def resolve(self, told: str | None) -> str:
        return {"other": self.other, "en": "en", "zh": "zh"}.get(told or "", self.language)

    def take_mark(self, before: str | None = None) -> str | None:
        """What the words of a repeated part were marked with, if any were; `before` stands in its place again."""
        mark, self._mark = self._mark, before
        return mark

    def text(self, told: str, rng: Rng, language: str | None, item: Item, case: str | None) -> str:
        """`told`: alternatives parted by |; each the name of a list in words/ (`ordered NAME`: in the list's order), or
        of a generated text, a role of phrases, `passage LOW HIGH` (in Chinese characters; in Latin ones 2.4 times as
        many), or a pattern with {NAME} inside.
        """
        speech = self.resolve(language)
        options = told.split("|")
        chosen = options[int(rng.integers(len(options)))].strip()
        for _ in range(12):
            if "{" in chosen:
                text = _PART.sub(lambda found: self._named(found.group(1), rng, speech, item), chosen)
            else:
                text = self._named(chosen, rng, speech, item)
            if self._fits(text, chosen, case):
                break
        self._said.add(text)
        return text.upper() if case == "upper" else text

    def _fits(self, text: str, told: str, case: str | None) -> bool:
        """New on the page, from a sentence's beginning, and upright where lines are vertical."""
        if text in self._said and told not in GENERATED:
            return False
        if case == "vertical" and _NOT_UPRIGHT.search(text):
            return False
        return not (told.startswith("passage") and (text[0].islower() or text[0] in "，。、；：！？”’）,.;:!?)"))

    def _named(self, name: str, rng: Rng, language: str, item: Item) -> str:
        kind, *ends = name.split()
        if kind == "passage":
            stretch = 1.0 if language == "zh" else 2.4
            low, high = (round(stretch * int(v)) for v in ends)
            return self._passages(rng, language, low, high)
        if kind in GENERATED:
            return GENERATED[kind](rng, language, item)
        lists = words(language)
        if kind == "ordered" and ends and ends[0] in lists:  # parts follow the list's order
            kind, listed = ends[0], lists[ends[0]]
            mark, _, text = listed[int((item.number + rng.random()) / item.count * len(listed))].partition("|")
            self._mark = mark if text else self._mark
            return text or mark
        if kind in lists:
            entry = lists[kind][int(rng.integers(len(lists[kind])))]
            mark, _, text = entry.partition("|")
            if text:
                self._mark = mark
            return text or mark
        if kind in ROLES:
            return phrases_of(language).draw(rng, kind)
        known = ", ".join(sorted({*lists, *GENERATED, *ROLES, "passage LOW HIGH"}))
        raise UsageError(f"data-text={name!r}: there is no such text; there are {known}")


@cache
def words(language: str) -> dict[str, list[str]]:
    """Our lists of words by name; an entry `mark|text` names what is drawn beside it."""
    file = resources.files("synth.template.html") / "words" / f"{language}.toml"
    found: dict[str, list[str]] = tomllib.loads(file.read_text(encoding="utf-8"))
    return found
