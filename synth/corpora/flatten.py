"""Frequency flattening: how much less a text is drawn, the more common its characters and words are.

A token that stands n times in the corpus weighs w = min(1, (t / n) ** a), as in the balance of real images
(pipelines/balancing/tokens.py; Mikolov et al., 2013, subsampling of frequent words); t is the median of n. A text
weighs what its tokens do in the mean, to the power SHARPNESS: means of many tokens lie close together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from synth.corpora.tokens import batches, tokens

EXPONENT = 0.5
SHARPNESS = 2.0
MILLIONTHS = 1_000_000


def weights(texts: Callable[[], Iterator[str]]) -> NDArray[np.int64]:
    """(texts,): what each weighs, in whole millionths, 1 at least; sums of them do not depend on any order.

    `texts` is called twice, and gives the same texts each time.
    """
    known, counts = _counted(texts())
    if not len(known):
        return np.full(sum(1 for _ in texts()), MILLIONTHS, np.int64)
    threshold = float(np.sort(counts)[(len(counts) - 1) // 2])
    light = np.round(MILLIONTHS * np.minimum(1.0, (threshold / counts) ** EXPONENT)).astype(np.int64)
    found: list[NDArray[np.int64]] = []
    for batch in batches(texts()):
        numbers, owners = tokens(batch)
        sums = np.zeros(len(batch), np.int64)
        np.add.at(sums, owners, light[np.searchsorted(known, numbers)])
        mean = sums / np.maximum(1, np.bincount(owners, minlength=len(batch))) / MILLIONTHS
        found.append(np.maximum(1, np.round(MILLIONTHS * mean**SHARPNESS)).astype(np.int64))
    return np.concatenate(found)


def _counted(texts: Iterator[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Tokens, sorted, and how often each stands in all texts."""
    known, counts = np.zeros(0, np.uint64), np.zeros(0, np.int64)
    for batch in batches(texts):
        here, times = np.unique(tokens(batch)[0], return_counts=True)
        both = np.concatenate((known, here))
        merged, place = np.unique(both, return_inverse=True)
        sums = np.zeros(len(merged), np.int64)
        np.add.at(sums, place, np.concatenate((counts, times)))
        known, counts = merged, sums
    return known, counts
