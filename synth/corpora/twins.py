"""Texts that are in a corpus twice: the same but for marks and capitals, or nearly the same.

Near twins are nominated by minhash (Broder, 1997) over shingles of eight characters, and judged by the shingles.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from synth.corpora.store import Run
from synth.corpora.tokens import batches

REPEATED = 32  # characters of a paragraph that is dropped for standing elsewhere; shorter ones may be refrains
COMPARED = 60  # characters of a paragraph that is compared for near twins
ALIKE = 0.7  # share of shingles in common (Jaccard) from which two paragraphs are near twins
_SHINGLE = 8
_BANDS, _ROWS = 4, 2
_LOOSE = re.compile("[\\s.,;:!?…·，。、；：！？“”‘’「」『』\"'()（）\\[\\]【】《》〈〉*_—–-]+")
_FACTORS = (np.arange(1, _BANDS * _ROWS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)
_BASE = 0x100000001B3


def without_twins(runs: Iterable[Run], skipped: Counter[str]) -> list[Run]:
    """The runs without what is a twin of something before it; what goes is counted."""
    kept = _without_exact(runs, skipped)
    places = [(r, p) for r, run in enumerate(kept) for p, t in enumerate(run.paragraphs) if len(t) >= COMPARED]
    gone = near_twins([_bare(kept[r].paragraphs[p]) for r, p in places])
    if not gone:
        return kept
    skipped["paragraph: nearly the same as another"] += len(gone)
    lost: dict[int, set[int]] = {}
    for n in gone:
        lost.setdefault(places[n][0], set()).add(places[n][1])
    found = []
    for r, run in enumerate(kept):
        left = [t for p, t in enumerate(run.paragraphs) if p not in lost[r]] if r in lost else run.paragraphs
        if left:
            found.append(replace(run, paragraphs=left))
    return found


def near_twins(texts: Sequence[str]) -> list[int]:
    """Numbers of the texts that share ALIKE of their shingles with one before them that is not itself such a twin."""
    if len(texts) < 2:
        return []
    keys = np.concatenate([_keys(batch) for batch in batches(iter(texts))])
    gone: set[int] = set()
    for band in range(keys.shape[1]):
        order = np.argsort(keys[:, band], kind="stable")
        equal = keys[order[1:], band] == keys[order[:-1], band]
        for at in np.flatnonzero(equal).tolist():
            one, other = int(order[at]), int(order[at + 1])  # in a stable order the first is the earlier
            if other not in gone and _alike(texts[one], texts[other]):
                gone.add(other)
    return sorted(gone)


def _without_exact(runs: Iterable[Run], skipped: Counter[str]) -> list[Run]:
    whole: set[bytes] = set()
    seen: set[bytes] = set()
    kept: list[Run] = []
    for run in runs:
        bare = [_bare(text) for text in run.paragraphs]
        key = _hash("\n".join(bare))
        if key in whole:
            skipped["text: the same as another"] += 1
            continue
        whole.add(key)
        left = []
        for text, mark in zip(run.paragraphs, bare, strict=True):
            if len(text) >= REPEATED:
                paragraph = _hash(mark)
                if paragraph in seen:
                    skipped["paragraph: the same as another"] += 1
                    continue
                seen.add(paragraph)
            left.append(text)
        if left:
            kept.append(replace(run, paragraphs=left))
    return kept


def _bare(text: str) -> str:
    return _LOOSE.sub("", text).casefold()


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _keys(texts: Sequence[str]) -> NDArray[np.uint64]:
    """(texts, bands): texts alike have a key of some band in common most likely."""
    padded = [text.ljust(_SHINGLE, "\0") for text in texts]
    points = np.frombuffer("".join(padded).encode("utf-32-le"), "<u4").astype(np.uint64)
    sizes = np.array([len(text) for text in padded], np.int64)
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    rolled = np.zeros(len(points) - _SHINGLE + 1, np.uint64)
    for offset in range(_SHINGLE):
        rolled = rolled * np.uint64(_BASE) + points[offset : len(points) - _SHINGLE + 1 + offset]
    rolled ^= rolled >> np.uint64(31)
    across = np.ones(len(rolled), np.bool_)  # shingles that run over into the next text
    ends = starts + sizes
    for back in range(1, _SHINGLE):
        spots = ends - back
        across[spots[spots < len(rolled)]] = False
    least = []
    for factor in _FACTORS:
        mixed = rolled * factor
        mixed ^= mixed >> np.uint64(32)
        mixed[~across] = np.iinfo(np.uint64).max
        least.append(np.minimum.reduceat(mixed, starts))
    bands = [least[b * _ROWS] * np.uint64(_BASE) + least[b * _ROWS + 1] for b in range(_BANDS)]
    return np.stack(bands, axis=1)


def _alike(one: str, other: str) -> bool:
    a, b = _shingles(one), _shingles(other)
    return len(a & b) >= ALIKE * len(a | b)


def _shingles(text: str) -> set[str]:
    return {text[i : i + _SHINGLE] for i in range(max(1, len(text) - _SHINGLE + 1))}
