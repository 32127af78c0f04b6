"""Near pairs over units, by block or by shuffle, however cut and skewed, on any engine: the pairs of brute force."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from near_hashes import BY_BLOCK, BY_SHUFFLE, SPLIT, Shuffler, brute, clusters, searched

from pipelines.engines import Engine
from pipelines.engines.local import LocalEngine
from pipelines.near.banding import Tally, between, near
from pipelines.near.blocks import Block, blocks, fixed, read
from pipelines.near.search import Sizes, search
from pipelines.near.shuffle import SENT, meet
from pipelines.progress import silent
from warehouse.errors import EngineError


def candidates_of(hashes: np.ndarray, fresh: int) -> int:
    tally = Tally()
    list(near(hashes, fresh=fresh, tally=tally))
    return tally.candidates


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    centres=st.integers(1, 5),
    members=st.integers(1, 20),
    spread=st.sampled_from([0, 6, 12, 30]),
    share=st.floats(0, 1),
    block=st.integers(1, 60),
    sent=st.integers(1, 60),
    crowd=st.sampled_from([2, 5, 1000]),
    buckets=st.integers(1, 5),
    shuffle=st.booleans(),
)
def test_any_cut_gives_the_pairs_of_brute_force(
    seed: int,
    centres: int,
    members: int,
    spread: int,
    share: float,
    block: int,
    sent: int,
    crowd: int,
    buckets: int,
    shuffle: bool,
) -> None:
    hashes = clusters(seed, centres, members, spread)
    fresh = round(share * len(hashes))
    sizes = Sizes(here=0, block=block, sent=sent, crowd=crowd, shuffle_above=0 if shuffle else len(hashes))
    with tempfile.TemporaryDirectory() as folder:
        found, candidates = searched(Shuffler(buckets), hashes, fresh, sizes, Path(folder))
    assert found == brute(hashes, fresh)
    assert candidates == candidates_of(hashes, fresh)


@pytest.mark.parametrize("sizes", [BY_BLOCK, BY_SHUFFLE, SPLIT], ids=["block", "shuffle", "split"])
@pytest.mark.parametrize("engine", [Shuffler(1), Shuffler(4), Shuffler(3, tries=2)], ids=["one", "four", "retried"])
def test_skewed_keys_are_split_and_nothing_is_found_twice(sizes: Sizes, engine: Engine, tmp_path: Path) -> None:
    """A crowd of one template beside others: every key of the crowd is shared by most of it."""
    hashes = np.concatenate([clusters(1, 1, 150, 10), clusters(2, 20, 2, 16)])
    hashes = hashes[np.random.default_rng(3).permutation(len(hashes))]
    found, candidates = searched(engine, hashes, 60, sizes, tmp_path)
    assert found == brute(hashes, 60)
    assert candidates == candidates_of(hashes, 60)


@pytest.mark.parametrize("sizes", [BY_BLOCK, SPLIT], ids=["block", "split"])
def test_worker_processes_find_the_same(sizes: Sizes, tmp_path: Path) -> None:
    hashes = clusters(4, 6, 20, 10)
    found, _ = searched(LocalEngine(workers=2), hashes, 50, sizes, tmp_path)
    assert found == brute(hashes, 50)


def test_no_reducer_holds_more_than_two_crowds_of_a_key(tmp_path: Path) -> None:
    """Of 300 hashes that share keys, each key of the shuffle has 2 * 2 * crowd rows at most, and some are many."""
    seen: list[int] = []

    class Watched(Shuffler):
        def group(self, rows, units, *, key, reduce, setup=None):  # type: ignore[no-untyped-def]
            def watch(table: pa.Table) -> object:
                seen.extend(np.unique(table[key].to_numpy(), return_counts=True)[1].tolist())
                return reduce(table)

            return super().group(rows, units, key=key, reduce=watch)

    sizes = Sizes(here=0, block=100, sent=50, crowd=32, shuffle_above=0)
    hashes = clusters(5, 1, 300, 4)
    found, _ = searched(Watched(), hashes, 300, sizes, tmp_path)
    assert found == brute(hashes, 300)
    assert 16 < max(seen) <= 128


def test_no_new_hash_no_pair(tmp_path: Path) -> None:
    for sizes in (BY_BLOCK, BY_SHUFFLE):
        assert searched(Shuffler(), clusters(6, 2, 10, 4), 0, sizes, tmp_path) == ({}, 0)
    assert meet(str(tmp_path), SENT.empty_table()).path is None


def test_between_finds_what_near_does() -> None:
    hashes = clusters(7, 10, 30, 12)
    among = {(a, b) for p in near(hashes, fresh=100) for a, b in zip(p.a.tolist(), p.b.tolist(), strict=True)}
    across = {
        (a, 100 + b)
        for p in between(hashes[:100], hashes[100:])
        for a, b in zip(p.a.tolist(), p.b.tolist(), strict=True)
    }
    assert across == {(a, b) for a, b in among if b >= 100}
    assert list(between(hashes[:0], hashes)) == list(between(hashes, hashes[:0])) == []


def test_unit_that_keeps_failing_ends_the_search(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="uint8 hashes"):
        list(between(np.zeros((3, 8), np.uint8), np.zeros((3, 32), np.uint8)))
    table = pa.table({"id": [b"x" * 16], "phash": [b"short"]})
    pq.write_table(table, tmp_path / "bad.parquet")
    with pytest.raises(EngineError, match=r"searching failed: ArrowInvalid"):
        search(
            LocalEngine(workers=0),
            (tmp_path / "bad.parquet", 1),
            (tmp_path / "bad.parquet", 1),
            tmp_path,
            BY_BLOCK,
            silent,
        )


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(0, 50), group=st.integers(1, 9), size=st.integers(1, 20))
def test_blocks_hold_every_row_once(rows: int, group: int, size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        pq.write_table(pa.table({"n": pa.array(range(rows), pa.int64())}), path, row_group_size=group)
        cut = blocks(path, rows, size)
        assert all(0 < block.rows <= size for block in cut)
        assert [n for block in cut for n in read(block)["n"].to_pylist()] == list(range(rows))
        assert read(Block(str(path), rows, rows)).num_rows == 0


def test_values_of_other_widths_are_refused() -> None:
    assert fixed(pa.chunked_array([], pa.binary()), 4).shape == (0, 4)
    with pytest.raises(pa.ArrowInvalid):
        fixed(pa.chunked_array([[b"four", b"three"]]), 4)
