"""Texts to draw: opened once a process, asked for by language and length, chosen by chance alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from synth.corpora.cut import CLAUSES, SENTENCES, WORDS, cut
from synth.corpora.flatten import weights
from synth.corpora.lengths import stratum
from synth.corpora.opening import read_texts
from synth.corpora.phrases import phrases_of
from synth.corpora.store import Store
from warehouse.errors import UsageError

_VERSION = "1"  # of what is done to texts; part of the digest
_TRIES = {SENTENCES: 8, CLAUSES: 24, WORDS: 8}  # paragraphs that are looked at for a text cut no more roughly


@dataclass(frozen=True)
class Text:
    """A text to draw, NFC. `language`: en, zh-Hans, zh-Hant, ja, ar ... or und. `source`: the file it is from."""

    text: str
    language: str
    source: str
    stratum: str


@dataclass(frozen=True)
class _Index:
    """Paragraphs of a language by how many characters can be read from their beginning on."""

    order: NDArray[np.int32]
    reach: NDArray[np.int64]


class Corpus:
    """Cleaned paragraphs of some files, each in a language. Every choice is a function of the generator handed in."""

    def __init__(self, store: Store, skipped: Mapping[str, int]) -> None:
        self._store = store
        self.skipped = dict(sorted(skipped.items()))  #: what was left out, by reason
        self._reach = store.reach()
        self._indices: dict[str, _Index] = {}
        self._weights: dict[str, NDArray[np.int64]] = {}
        self._listed: dict[str, list[str]] = {}
        self._lacking: set[tuple[str, tuple[int, int], bool]] = set()

    @cached_property
    def digest(self) -> str:
        """Names the texts and phrases: equal digests give equal texts to equal generators."""
        found = hashlib.blake2b(f"{_VERSION}\0{self._store.digest()}".encode(), digest_size=16)
        for name in ("phrases_en.toml", "phrases_zh.toml"):
            found.update((resources.files("synth.corpora") / name).read_bytes())
        return found.hexdigest()

    @cached_property
    def languages(self) -> Mapping[str, int]:
        """Characters of each language, the most first."""
        sums = np.bincount(self._store.codes, self._store.sizes, len(self._store.languages)).astype(np.int64)
        found = {name: int(sums[n]) for n, name in enumerate(self._store.languages)}
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def __len__(self) -> int:
        """Paragraphs."""
        return len(self._store)

    def pick(
        self, rng: np.random.Generator, language: str, shortest: int, longest: int, *, breaks: bool = False
    ) -> Text:
        """A text of `shortest` to `longest` characters (both included), whole paragraphs where they fit, else cut.

        `language`: `zh` is zh-Hans or zh-Hant. `breaks`: paragraphs, lines of poems too, are kept apart by newlines;
        otherwise the text is one paragraph. Single words of frequency lists come only where no text fits.
        Raises UsageError where the corpus has no such text.
        """
        eligible = self._eligible(language, shortest, longest)
        return self._chosen(
            rng, language, (shortest, longest), breaks, eligible, lambda: int(rng.integers(len(eligible)))
        )

    def flattened(
        self, rng: np.random.Generator, language: str, shortest: int, longest: int, *, breaks: bool = False
    ) -> Text:
        """As `pick`, but a paragraph comes the less often the more common its characters, or words, are in the corpus:
        see flatten.py. Raises UsageError where the corpus has no such text."""
        eligible = self._eligible(language, shortest, longest)
        sums = self._weight_sums(language)
        below = int(sums[len(sums) - 1 - len(eligible)])

        def choose() -> int:
            return int(np.searchsorted(sums, rng.integers(below, int(sums[-1])), "right")) - (len(sums) - len(eligible))

        return self._chosen(rng, language, (shortest, longest), breaks, eligible, choose)

    def phrase(self, rng: np.random.Generator, language: str, role: str) -> str:
        """A short text of a role (title, sign, price ...), in `en` or `zh`; see phrases.py. Raises UsageError."""
        return phrases_of(language).draw(rng, role)

    def paragraphs(self, language: str) -> Iterator[Text]:
        """Every paragraph in a language, in order."""
        for i in self._store.members(language):
            yield self._text(int(i), self._store.text(i))

    def words(self, language: str) -> Mapping[str, int]:
        """Words of the lists in a language, and how often each is used; there may be none."""
        found: dict[str, int] = {}
        for name, counts in self._store.words.items():
            if name == language or name.startswith(f"{language}-"):
                for word, count in counts.items():
                    found[word] = found.get(word, 0) + count
        return found

    def _eligible(self, language: str, shortest: int, longest: int) -> NDArray[np.int32]:
        """Paragraphs from which `shortest` characters can be read. Raises UsageError for limits that are none."""
        if not 1 <= shortest <= longest:
            raise UsageError(f"a text of {shortest} to {longest} characters cannot be: 1 <= shortest <= longest")
        index = self._index(language)
        return index.order[np.searchsorted(index.reach, shortest) :]

    def _chosen(
        self,
        rng: np.random.Generator,
        language: str,
        limits: tuple[int, int],
        breaks: bool,
        eligible: NDArray[np.int32],
        choose: Callable[[], int],
    ) -> Text:
        """The text of a chosen paragraph; where it has none within the limits some others, then every one in turn."""
        if (language, limits, breaks) not in self._lacking and len(eligible):
            for rough, tries in _TRIES.items():
                for _ in range(tries):
                    found = self._from(int(eligible[choose()]), rng, limits, breaks, rough)
                    if found is not None:
                        return found
            begin = choose()
            for n in range(len(eligible)):
                found = self._from(int(eligible[(begin + n) % len(eligible)]), rng, limits, breaks, WORDS)
                if found is not None:
                    return found
            self._lacking.add((language, limits, breaks))
        if language not in self._listed:
            self._listed[language] = sorted(self.words(language))
        fitting = [word for word in self._listed[language] if limits[0] <= len(word) <= limits[1]]
        if fitting:
            word = fitting[int(rng.integers(len(fitting)))]
            return Text(word, language, "a list of words", stratum(word))
        known = ", ".join(f"{name} ({size} characters)" for name, size in self.languages.items())
        raise UsageError(
            f"the corpus has no text in {language!r} of {limits[0]} to {limits[1]} characters; "
            f"it has {known or 'words alone'}"
        )

    def _from(self, i: int, rng: np.random.Generator, limits: tuple[int, int], breaks: bool, rough: int) -> Text | None:
        """A text that begins in paragraph i and is within the limits, if there is one."""
        shortest, longest = limits
        text = self._store.text(i)
        if len(text) > longest:
            found = cut(text, rng, shortest, longest, rough)
            return None if found is None else self._text(i, found)
        whole = [text] if len(text) >= shortest else []
        for j in range(i + 1, int(self._store.ends[i]) + 1):
            if whole and not breaks:
                break
            further = self._store.text(j)
            text += ("\n" if breaks else glue(text, further)) + further
            if len(text) > longest:
                break
            if len(text) >= shortest:
                whole.append(text)
        if whole:
            return self._text(i, whole[int(rng.integers(len(whole)))])
        found = cut(text, rng, shortest, longest, rough, anywhere=False) if len(text) > longest else None
        return None if found is None else self._text(i, found)

    def _weight_sums(self, language: str) -> NDArray[np.int64]:
        """(paragraphs + 1,): sums of weights in the order of the index, from 0."""
        if language not in self._weights:
            order = self._index(language).order
            members = self._store.members(language)
            by_number = np.zeros(len(self._store), np.int64)
            by_number[members] = weights(lambda: (self._store.text(int(i)) for i in members))
            self._weights[language] = np.concatenate(([0], np.cumsum(by_number[order])))
        return self._weights[language]

    def _text(self, i: int, text: str) -> Text:
        return Text(text, self._store.language(i), self._store.sources[int(self._store.origins[i])], stratum(text))

    def _index(self, language: str) -> _Index:
        if language not in self._indices:
            members = self._store.members(language)
            order = members[np.argsort(self._reach[members], kind="stable")]
            self._indices[language] = _Index(order, self._reach[order])
        return self._indices[language]


def glue(before: str, after: str) -> str:
    """What stands between two paragraphs that become one: nothing after a mark in Chinese or Japanese, else a blank."""
    wide = before[-1] > "\u2e7f" and after[0] > "\u2e7f" and not before[-1].isalpha()
    return "" if wide else " "


@lru_cache(maxsize=4)
def open_corpus(paths: tuple[str, ...] = ()) -> Corpus:
    """The texts of files and folders, or our own small corpus in Chinese and English where none is named.

    Kept in the process by its paths. Raises UsageError for what cannot be read or decoded, and where nothing is left.
    """
    store, skipped = read_texts(paths)
    if not len(store) and not store.words:
        told = "; ".join(f"{reason}: {count}" for reason, count in sorted(skipped.items()))
        raise UsageError(f"there is no text in {' '.join(paths)}" + (f": left out {told}" if told else ": it is empty"))
    return Corpus(store, skipped)
