"""Tokens of many texts at once: characters of scripts without blanks between words, words of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

_UNSPACED = (
    (0x0E01, 0x0E4E),
    (0x0E81, 0x0EDF),
    (0x1000, 0x109F),
    (0x1780, 0x17D3),
    (0x3041, 0x30FF),
    (0x3400, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xF900, 0xFAFF),
    (0x20000, 0x323AF),
)
_LETTERS = (
    (0x41, 0x5A),
    (0x61, 0x7A),
    (0xC0, 0xD6),
    (0xD8, 0xF6),
    (0xF8, 0x24F),
    (0x300, 0x373),
    (0x37F, 0x52F),
    (0x531, 0x587),
    (0x591, 0x5F2),
    (0x620, 0x65F),
    (0x66E, 0x6D3),
    (0x6D5, 0x6DC),
    (0x700, 0x963),
    (0x970, 0xDFF),
    (0xF00, 0xFFF),
    (0x10A0, 0x10FF),
    (0x1200, 0x139F),
    (0x1E00, 0x1FFF),
)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_WORD = np.uint64(1 << 63)  # set in a word's number, never in a character's
_LONGEST = 64  # letters of a word that count


@cache
def _kinds() -> NDArray[np.uint8]:
    """(0x110000,): 1 for a character that is a token, 2 for a letter of a word."""
    kinds = np.zeros(0x110000, np.uint8)
    for ranges, kind in ((_UNSPACED, 1), (_LETTERS, 2)):
        for first, last in ranges:
            kinds[first : last + 1] = kind
    return kinds


@cache
def _powers() -> NDArray[np.uint64]:
    return np.cumprod(np.full(_LONGEST, _FACTOR, np.uint64), dtype=np.uint64)


def tokens(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """(n,), (n,): a number for each token, equal for equal ones (capitals of A to Z are small), and whose text it is
    in. A word's number is a hash of 63 bits."""
    points = np.frombuffer("\n".join(texts).encode("utf-32-le"), "<u4").astype(np.uint32)
    sizes = np.array([len(text) + 1 for text in texts], np.int64)
    owners = np.repeat(np.arange(len(texts)), sizes)[: len(points)]
    kinds = _kinds()[points]
    alone = kinds == 1
    letters = kinds == 2
    before = np.concatenate(([False], letters[:-1])) if len(letters) else letters
    starts = np.flatnonzero(letters & ~before)
    small = points + np.where((points >= 65) & (points <= 90), 32, 0).astype(np.uint32)
    if len(starts):
        begun = np.zeros(len(points), np.int64)
        begun[starts] = 1
        place = np.arange(len(points)) - starts[np.maximum(np.cumsum(begun) - 1, 0)]
        worth = small.astype(np.uint64) * _powers()[np.clip(place, 0, _LONGEST - 1)]
        worth[~letters] = 0
        hashes = np.add.reduceat(worth, starts)
        hashes ^= hashes >> np.uint64(29)
        words = (hashes * _FACTOR) | _WORD
    else:
        words = np.zeros(0, np.uint64)
    where = np.concatenate((np.flatnonzero(alone), starts))
    return np.concatenate((points[alone].astype(np.uint64), words)), owners[where]


def batches(texts: Iterator[str], most: int = 2_000_000) -> Iterator[list[str]]:
    """The texts in lists of some `most` characters together."""
    held: list[str] = []
    size = 0
    for text in texts:
        held.append(text)
        size += len(text)
        if size >= most:
            yield held
            held, size = [], 0
    if held:
        yield held
