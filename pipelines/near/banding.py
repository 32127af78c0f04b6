"""Search for hashes within a Hamming distance, by bands: nothing within it is missed, and little else is looked at.

256 bits are cut into 24 bands in 3 groups of 8. Two hashes that differ in at most 16 bits agree in at least 8 whole
bands, so by the pigeonhole principle some group has 3 bands in which they agree. Each 3 bands of a group are the key of
one table (3 x 56 = 168 tables, keys of 32 bits), and two hashes within the distance meet under some key. Of N even
hashes, a probe meets some 168 N / 2^32 others by chance: 0.004 of 10^5, 0.04 of 10^6, 44 of 10^9.

Multi-index hashing: Norouzi, Punjani, Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012,
section 3 (bands and pigeonhole); keys of several bands as in Manku, Jain, Sarma, "Detecting Near-Duplicates for Web
Crawling", WWW 2007, section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

BITS = 256
WORDS = BITS // 64
RADIUS = 16  # bits: all pairs within it are found
BANDS = 24
GROUPS = 3
KEY_BANDS = 3
assert BANDS - RADIUS > GROUPS * (KEY_BANDS - 1), "the pigeonhole principle must hold"

BAND_BITS = -(-BITS // BANDS)  # at most; a third of the bands has one less
INDEX_BITS = 64 - KEY_BANDS * BAND_BITS  # what a 64-bit number has left beside a key
CHUNK = 1 << 18  # pairs compared at a time
SLICE = 1 << 16  # hashes whose keys are made at a time: these stay in the cache

Hashes = NDArray[np.uint8]  # (n, 32)
Bands = NDArray[np.uint16]  # (bands, n)
Keys = NDArray[np.uint64]  # (n,)
Table = tuple[int, ...]  # its bands, ascending

# Neighbouring bits, which tend to agree, go to different bands, and every group gets its share of the narrow bands.
_BAND_OF_BIT = tuple((i % GROUPS) * (BANDS // GROUPS) + i % BANDS // GROUPS for i in range(BITS))
_OF_GROUP = tuple(tuple(range(g * BANDS // GROUPS, (g + 1) * BANDS // GROUPS)) for g in range(GROUPS))
TABLES: tuple[Table, ...] = tuple(table for group in _OF_GROUP for table in combinations(group, KEY_BANDS))


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows `a` < `b` of the hashes searched, and their distances in bits."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    distance: NDArray[np.int16]


@dataclass(frozen=True)
class Searched:
    """Hashes as they are searched: (n, 4) words of 64 bits, and their bands; made when asked for where None."""

    words: NDArray[np.uint64]
    bands: Bands | None = None

    @classmethod
    def of(cls, hashes: Hashes) -> Searched:
        """Without bands. Raises ValueError for hashes that are not (n, 32) uint8, or more than 2^31 of them."""
        if hashes.ndim != 2 or hashes.shape[1] * 8 != BITS or hashes.dtype != np.uint8 or len(hashes) >> INDEX_BITS:
            raise ValueError(
                f"expected (n < 2^{INDEX_BITS}, {BITS // 8}) uint8 hashes, got {hashes.shape} {hashes.dtype}"
            )
        return cls(np.ascontiguousarray(hashes).view(np.uint64))

    def cut_of(self, rows: NDArray[np.int64]) -> tuple[Bands, NDArray[np.int64]]:
        """Bands, and where in them those rows are."""
        if self.bands is not None:
            return self.bands, rows
        used, places = np.unique(rows, return_inverse=True)
        return cut(self.words[used].view(np.uint8).reshape(len(used), BITS // 8)), places


@dataclass
class Tally:
    """Candidates compared, those of them that were too far apart after all, and the pairs found.

    A pair within RADIUS meets in many tables: it is compared in each and found in the first.
    """

    candidates: int = 0
    rejected: int = 0
    found: int = 0


def near(
    hashes: Hashes,
    *,
    fresh: int | None = None,
    tally: Tally | None = None,
    step: Callable[[int, int], None] | None = None,
) -> Iterator[Pairs]:
    """Every pair of rows within RADIUS, once, in chunks; with `fresh`, only those with one of the first `fresh` rows.

    Memory is some 120 bytes a hash. `step` is told tables done and their number. Raises ValueError for hashes that are
    not (n, 32) uint8, or more than 2^31 of them.
    """
    fresh = len(hashes) if fresh is None else fresh
    tally = tally or Tally()
    searched, bands = _with_bands(hashes)
    for number, table in enumerate(TABLES):
        for a, b in meetings(keys(bands, table), fresh):
            found = confirmed(searched, searched, table, a, b, tally)
            if len(found.a):
                yield found
        if step is not None:
            step(number + 1, len(TABLES))


def between(
    few: Hashes,
    many: Hashes,
    *,
    tally: Tally | None = None,
    step: Callable[[int, int], None] | None = None,
) -> Iterator[Pairs]:
    """Every pair within RADIUS of a row of `few` (`a`) and one of `many` (`b`), once, in chunks.

    `many` is hardly sorted: only those of it that agree with one of `few` in two bands, which is what makes it cheap to
    compare a night with a large lake. Memory is some 100 bytes a hash. Raises ValueError as `near` does.
    """
    tally = tally or Tally()
    (left, few_bands), (right, many_bands) = _with_bands(few), _with_bands(many)
    for table, a, b in _lookups(few_bands, many_bands, step):
        found = confirmed(left, right, table, a, b, tally)
        if len(found.a):
            yield found


def _with_bands(hashes: Hashes) -> tuple[Searched, Bands]:
    searched = Searched.of(hashes)
    bands = cut(hashes)
    return Searched(searched.words, bands), bands


def expected_candidates(count: int) -> float:
    """Unrelated even hashes, of `count`, that a probe meets over all tables."""
    width = [_BAND_OF_BIT.count(band) for band in range(BANDS)]
    return count * sum(2.0 ** -sum(width[band] for band in table) for table in TABLES)


def cut(hashes: Hashes) -> Bands:
    """The bands of the hashes: every bit is in one of them."""
    bands = np.zeros((BANDS, len(hashes)), np.uint16)
    for start in range(0, len(hashes), SLICE):
        columns = np.ascontiguousarray(hashes[start : start + SLICE].T)  # each step below runs along the hashes
        part = bands[:, start : start + SLICE]
        for bit, band in enumerate(_BAND_OF_BIT):
            part[band] <<= 1
            part[band] |= (columns[bit // 8] >> (7 - bit % 8)) & 1
    return bands


def keys(bands: Bands, table: Table) -> Keys:
    """The key of each hash in one table; hashes with equal keys are candidates."""
    key = np.zeros(bands.shape[1], np.uint64)
    for band in table:
        key = (key << np.uint64(BAND_BITS)) | bands[band]
    return key


def meetings(key: Keys, fresh: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows `a` < `b` with equal keys, `a` among the first `fresh`: each pair once, at most CHUNK at a time.

    However many rows share a key, what is in memory at a time is a chunk.
    """
    ordered, row = _ordered(key)
    starts = np.flatnonzero(ordered[1:] == ordered[:-1])  # places that have a next one with the same key
    starts = starts[row[starts] < fresh]  # rows ascend within a key: what follows is greater
    ends = np.searchsorted(ordered, ordered[starts], side="right")
    for which, nth in _spread(ends - starts - 1):
        yield row[starts[which]], row[starts[which] + 1 + nth]


def _lookups(
    few: Bands, many: Bands, step: Callable[[int, int], None] | None
) -> Iterator[tuple[Table, NDArray[np.int64], NDArray[np.int64]]]:
    """Tables, and rows `a` of `few` and `b` of `many` with equal keys in them, at most CHUNK at a time.

    Which of the many agree with any of the few in two bands is asked once for all tables that have these two, of a
    small table of bits. The few that do are sorted, and only their keys are looked up.
    """
    taken = np.empty(1 << 2 * BAND_BITS, bool)
    done = 0
    for pair, tables in groupby(sorted(TABLES, key=itemgetter(1, 2)), key=itemgetter(1, 2)):
        taken[:] = False
        taken[_two(few, pair)] = True
        slices = range(0, many.shape[1], SLICE)
        hit = [at + np.flatnonzero(taken[_two(many[:, at : at + SLICE], pair)]) for at in slices]
        rows = np.concatenate([np.empty(0, np.int64), *hit])
        for table in tables:
            key, row = _ordered(keys(few, table))
            asked, place = _ordered(keys(many[:, rows], table))
            first = np.searchsorted(key, asked, side="left")
            last = np.searchsorted(key, asked, side="right")
            for which, nth in _spread(last - first):
                yield table, row[first[which] + nth], rows[place[which]]
            done += 1
            if step is not None:
                step(done, len(TABLES))


def _two(bands: Bands, pair: tuple[int, int]) -> NDArray[np.uint32]:
    both: NDArray[np.uint32] = (bands[pair[0]].astype(np.uint32) << np.uint32(BAND_BITS)) | bands[pair[1]]
    return both


def _ordered(key: Keys) -> tuple[Keys, NDArray[np.int64]]:
    """Keys, ascending, and their rows; rows ascend within a key."""
    ordered = (key << np.uint64(INDEX_BITS)) | np.arange(len(key), dtype=np.uint64)
    ordered.sort()
    row = (ordered & np.uint64((1 << INDEX_BITS) - 1)).astype(np.int64)
    ordered >>= np.uint64(INDEX_BITS)
    return ordered, row


def _spread(counts: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(i, n) for every n below counts[i], in order, at most CHUNK at a time."""
    total = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    done = 0
    while done < total[-1]:
        stop = min(done + CHUNK, int(total[-1]))
        first, last = np.searchsorted(total, [done, stop - 1], side="right") - 1
        place = np.arange(first, last + 1)
        low = np.maximum(total[place], done)
        high = np.minimum(total[place + 1], stop)
        which = np.repeat(place, high - low)
        yield which, np.arange(done, stop) - total[which]
        done = stop


def confirmed(
    left: Searched, right: Searched, table: Table, a: NDArray[np.int64], b: NDArray[np.int64], tally: Tally
) -> Pairs:
    """Those candidates of a table, rows of `left` and of `right`, within RADIUS that no table before it has found.

    So a pair that meets under many keys is found once, wherever these keys are looked at.
    """
    distance = np.bitwise_count(left.words[a] ^ right.words[b]).sum(axis=1, dtype=np.int16)
    within = np.flatnonzero(distance <= RADIUS)
    tally.candidates += len(a)
    tally.rejected += len(a) - len(within)
    a, b, distance = a[within], b[within], distance[within]
    first = _first_met(*left.cut_of(a), *right.cut_of(b), table)
    tally.found += int(np.count_nonzero(first))
    return Pairs(a[first], b[first], distance[first])


def _first_met(x: Bands, a: NDArray[np.int64], y: Bands, b: NDArray[np.int64], table: Table) -> NDArray[np.bool_]:
    """Which pairs of columns `a` of `x` and `b` of `y`, equal in a table's bands, are so in those of none before it."""

    def same(band: int) -> NDArray[np.bool_]:
        equal: NDArray[np.bool_] = x[band][a] == y[band][b]
        return equal

    first = np.ones(len(a), bool)
    for group in _OF_GROUP:
        if group[-1] < table[0]:  # met there if it has a key's worth of equal bands
            first &= sum((same(band).astype(np.int8) for band in group), np.int8(0)) < KEY_BANDS
        elif group[0] <= table[0]:  # met before if a smaller band of its own group is equal too
            for band in range(group[0], table[-1]):
                if band not in table:
                    first &= ~same(band)
    return first
