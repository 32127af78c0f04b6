"""Paragraphs packed: their UTF-8 in one block, and numbers beside it; some 30 bytes a paragraph more than the text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from mmap import mmap

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Store:
    """n paragraphs in order. A run is a stretch of paragraphs of one document and language: what may be read on.

    `starts` (n + 1,): bytes of `data`. `sizes` (n,): characters. `ends` (n,): the last paragraph of its run. `codes`
    (n,): numbers of `languages`. `origins` (n,): numbers of `sources`. `words`: by language, a word's number of uses.
    """

    data: bytes | mmap
    starts: NDArray[np.int64]
    sizes: NDArray[np.int32]
    ends: NDArray[np.int32]
    codes: NDArray[np.int16]
    origins: NDArray[np.int32]
    languages: tuple[str, ...]
    sources: tuple[str, ...]
    words: Mapping[str, Mapping[str, int]]

    def __len__(self) -> int:
        return len(self.sizes)

    def text(self, i: int) -> str:
        return self.data[int(self.starts[i]) : int(self.starts[i + 1])].decode("utf-8")

    def language(self, i: int) -> str:
        return self.languages[int(self.codes[i])]

    def reach(self) -> NDArray[np.int64]:
        """(n,) characters from the beginning of a paragraph to the end of its run, a character between paragraphs."""
        before = np.concatenate(([0], np.cumsum(self.sizes, dtype=np.int64)))
        numbers = np.arange(len(self))
        reach: NDArray[np.int64] = before[self.ends + 1] - before[:-1] + (self.ends - numbers)
        return reach

    def members(self, language: str) -> NDArray[np.int32]:
        """Paragraphs in a language; `zh` is both of its writings. None of it: an empty array."""
        wanted = [n for n, name in enumerate(self.languages) if name == language or name.startswith(f"{language}-")]
        return np.flatnonzero(np.isin(self.codes, wanted)).astype(np.int32)

    def digest(self) -> str:
        """Of the texts, their order, runs and languages; not of where they came from."""
        first, last = int(self.starts[0]), int(self.starts[-1])
        found = hashlib.blake2b(memoryview(self.data)[first:last], digest_size=16)
        for part in (self.starts - first, self.ends):
            found.update(part.astype("<i8").tobytes())
        found.update(self.codes.astype("<i2").tobytes())
        found.update(repr((self.languages, [(k, sorted(v.items())) for k, v in sorted(self.words.items())])).encode())
        return found.hexdigest()


@dataclass(frozen=True)
class Run:
    """Paragraphs that follow one another, in one language, from one source."""

    paragraphs: Sequence[str]
    language: str
    source: str


def pack(runs: Iterable[Run], words: Mapping[str, Mapping[str, int]]) -> Store:
    """The store of the runs, in the order they come in."""
    data = bytearray()
    starts = [0]
    sizes: list[int] = []
    ends: list[int] = []
    codes: list[int] = []
    origins: list[int] = []
    languages: dict[str, int] = {}
    sources: dict[str, int] = {}
    for run in runs:
        last = len(sizes) + len(run.paragraphs) - 1
        for text in run.paragraphs:
            data += text.encode("utf-8")
            starts.append(len(data))
            sizes.append(len(text))
            ends.append(last)
            codes.append(languages.setdefault(run.language, len(languages)))
            origins.append(sources.setdefault(run.source, len(sources)))
    return Store(
        bytes(data),
        np.array(starts, np.int64),
        np.array(sizes, np.int32),
        np.array(ends, np.int32),
        np.array(codes, np.int16),
        np.array(origins, np.int32),
        tuple(languages),
        tuple(sources),
        words,
    )
