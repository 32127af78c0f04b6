"""Banding: every pair within the radius, each once, and nothing else; whatever the hashes look like."""

from __future__ import annotations

import hashlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipelines.near.banding import BANDS, RADIUS, TABLES, Hashes, Tally, cut, keys, meetings, near

Found = dict[tuple[int, int], int]


def search(hashes: Hashes, fresh: int | None = None) -> Found:
    found: Found = {}
    for pairs in near(hashes, fresh=fresh):
        for a, b, d in zip(pairs.a.tolist(), pairs.b.tolist(), pairs.distance.tolist(), strict=True):
            assert a < b
            assert (a, b) not in found, "a pair was found twice"
            found[a, b] = d
    return found


def every_pair(hashes: Hashes, fresh: int | None = None) -> Found:
    bits = np.unpackbits(hashes, axis=1).astype(np.int32)
    apart = bits @ (1 - bits).T
    apart = apart + apart.T
    fresh = len(hashes) if fresh is None else fresh
    a, b = np.nonzero(np.triu(apart <= RADIUS, 1))
    return {(i, j): int(apart[i, j]) for i, j in zip(a.tolist(), b.tolist(), strict=True) if i < fresh}


def flipped(base: NDArray[np.uint8], count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    bits = np.unpackbits(base)
    bits[rng.choice(256, count, replace=False)] ^= 1
    return np.packbits(bits)


def clusters(seed: int, centres: int, members: int, spread: int) -> Hashes:
    rng = np.random.default_rng(seed)
    bases = rng.integers(0, 256, (centres, 32), dtype=np.uint8)
    rows = [flipped(base, int(rng.integers(0, spread + 1)), rng) for base in bases for _ in range(members)]
    return np.stack(rows)


def test_tables_are_all_threes_of_each_group() -> None:
    assert len(TABLES) == len(set(TABLES)) == 168
    assert all(t[0] // 8 == t[2] // 8 for t in TABLES)


def test_bands_hold_every_bit_once() -> None:
    one_bit = np.packbits(np.eye(256, dtype=np.uint8), axis=1)
    assert np.bitwise_count(cut(one_bit)).sum(axis=0).tolist() == [1] * 256
    assert len({tuple(column) for column in cut(one_bit).T.tolist()}) == 256
    assert cut(one_bit).shape == (BANDS, 256)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_pair_within_the_radius_shares_a_key(data: st.DataObject) -> None:
    base = np.frombuffer(data.draw(st.binary(min_size=32, max_size=32)), np.uint8)
    places = data.draw(st.sets(st.integers(0, 255), max_size=RADIUS))
    bits = np.unpackbits(base)
    bits[list(places)] ^= 1
    assert search(np.stack([base, np.packbits(bits)])) == {(0, 1): len(places)}


@pytest.mark.parametrize("spread", [4, 9, 14, 40])
def test_all_pairs_are_found_and_no_other(spread: int) -> None:
    hashes = clusters(spread, 12, 25, spread)
    assert search(hashes) == every_pair(hashes)


def test_distances_at_the_very_radius() -> None:
    rng = np.random.default_rng(5)
    bases = rng.integers(0, 256, (300, 32), dtype=np.uint8)
    at = [flipped(base, RADIUS, rng) for base in bases]
    beyond = [flipped(base, RADIUS + 1, rng) for base in bases]
    assert search(np.concatenate([bases, at])) == {(i, i + 300): RADIUS for i in range(300)}
    assert search(np.concatenate([bases, beyond])) == {}


@pytest.mark.parametrize("fresh", [0, 1, 40, 150, 300])
def test_only_pairs_with_a_fresh_one(fresh: int) -> None:
    hashes = clusters(7, 12, 25, 8)
    assert search(hashes, fresh) == every_pair(hashes, fresh)


def test_order_of_rows_plays_no_part() -> None:
    hashes = clusters(8, 6, 10, 8)
    order = np.random.default_rng(1).permutation(len(hashes))
    back = {(min(order[a], order[b]), max(order[a], order[b])): d for (a, b), d in search(hashes[order]).items()}
    assert back == search(hashes)


def test_equal_hashes_are_pairs_too() -> None:
    hashes = np.repeat(np.random.default_rng(2).integers(0, 256, (1, 32), dtype=np.uint8), 6, axis=0)
    assert search(hashes) == {(a, b): 0 for b in range(6) for a in range(b)}


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_hashes(count: int) -> None:
    assert search(np.zeros((count, 32), np.uint8)) == every_pair(np.zeros((count, 32), np.uint8))


def test_template_cluster_costs_comparisons_but_no_memory() -> None:
    """4,000 hashes of one key in a table, eight million candidates: looked at a chunk at a time."""
    key = np.zeros(4000, np.uint64)
    tracemalloc.start()
    seen = sum(len(a) for a, _ in meetings(key, 4000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == 4000 * 3999 // 2
    assert peak < 100 << 20


def test_meetings_of_random_keys_are_those_of_a_dictionary() -> None:
    key = np.random.default_rng(3).integers(0, 50, 200).astype(np.uint64)
    got = sorted((int(x), int(y)) for a, b in meetings(key, 120) for x, y in zip(a, b, strict=True))
    assert got == [(i, j) for i in range(120) for j in range(i + 1, 200) if key[i] == key[j]]


def test_unrelated_hashes_hardly_ever_meet() -> None:
    hashes = np.random.default_rng(4).integers(0, 256, (20_000, 32), dtype=np.uint8)
    tally = Tally()
    assert list(near(hashes, tally=tally)) == []
    assert tally.candidates < 20_000 * 0.01


def test_same_keys_on_any_machine() -> None:
    digests = b"".join(hashlib.sha256(name).digest() for name in (b"a", b"b"))
    bands = cut(np.frombuffer(digests, np.uint8).reshape(2, 32))
    assert [int(k) for k in keys(bands, TABLES[0])] == KEYS


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8 hashes"):
        search(np.zeros((3, 8), np.uint8))


KEYS = [6268020432, 599377430]
