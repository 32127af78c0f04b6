"""ShardDataset on a real lake: the images asked for, each verified, in an order that any rank and worker can resume."""

from __future__ import annotations

import json
import pickle
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse.buckets import ASPECT_BUCKETS, nearest, nearest_sql
from warehouse.dataset import Blocks, Sample, ShardDataset
from warehouse.errors import LakeError, UsageError
from warehouse.lake import Lake
from warehouse.parts import key
from warehouse.schema import CAPTIONS, SHARD_INDEX, Column, signal_table
from warehouse.selection import RECORD
from warehouse.shards import ShardSample, image_id_of, shard_key, write_shard

REPO = Path(__file__).resolve().parent.parent.parent
HEADER = signal_table("header", (Column("width", pa.int32(), "px"), Column("height", pa.int32(), "px")), "sizes")
SIZES = [(100, 100), (160, 90), (90, 160), (101, 100), (300, 100), (640, 480)]
ALL = "SELECT image_id FROM signals_header"


class Made(NamedTuple):
    root: Path
    data: dict[str, bytes]
    captions: dict[str, list[tuple[str, str]]]
    sizes: dict[str, tuple[int, int]]
    unstored: str

    def __repr__(self) -> str:
        return f"Made({self.root})"  # hypothesis prints its arguments


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A lake with 240 images in 7 shards, and one image that is not stored; every fourth image has no caption."""
    root = tmp_path_factory.mktemp("dataset") / "lake"
    lake, draw = Lake.create(root), random.Random(7)
    data = {image_id_of(d): d for d in (draw.randbytes(draw.randint(0, 3000)) for _ in range(240))}
    captions: dict[str, list[tuple[str, str]]] = {}
    sizes = {}
    for i, image_id in enumerate(data):
        sizes[image_id] = SIZES[i % 6]
        captions[image_id] = [] if i % 4 == 0 else [("raw", f"picture {i} 图像")]
        if i % 4 == 2:
            captions[image_id] += [("recaption", f"a better word on {i}"), ("recaption", f"another word on {i}, 第二")]
    ids = list(data)
    rows: list[dict[str, object]] = []
    for start in range(0, 240, 37):
        group = [ShardSample(i, data[i], {"width": 1}, None) for i in ids[start : start + 37]]
        rows += write_shard(lake.pool, "bin", group, key=shard_key(s.image_id for s in group)).rows
    unstored = "f" * 32
    with lake.connect() as con:
        lake.ensure_tables(con, [HEADER])
        headers = [{"image_id": i, "width": w, "height": h} for i, (w, h) in [*sizes.items(), (unstored, (9, 9))]]
        texts = [
            {"image_id": i, "caption_id": f"{n}", "kind": kind, "text": text, "lang": "en", "origin": "test"}
            for i, found in captions.items()
            for n, (kind, text) in enumerate(found)
        ]
        for table, content in ((HEADER, headers), (SHARD_INDEX, rows), (CAPTIONS, texts)):
            con.register("content", table.from_rows(content))
            con.execute(f"INSERT INTO {table.name} SELECT * FROM content")
            con.unregister("content")
    return Made(root, data, captions, sizes, unstored)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def dataset(made: Made, cache: Path, sql: str = ALL, **options: Any) -> ShardDataset:
    """By SQL the first time, then by the selection that it made, which is much faster."""
    known = cache / f"{key(sql, str(made.root))}.known"
    if "captions_sql" not in options and known.exists():
        return ShardDataset(made.root, selection=known.read_text(), **{"batch_size": 8, **options})
    found = ShardDataset(made.root, sql, cache_dir=cache, **{"batch_size": 8, **options})
    if "captions_sql" not in options:
        known.write_text(str(found.selection.folder))
    return found


def ids_of(batches: Iterator[Any]) -> list[tuple[int, str, list[tuple[str, str | None]]]]:
    return [(b.step, b.bucket, [(s.image_id, s.caption) for s in b.samples]) for b in batches]


def test_random_access_gives_every_stored_image_as_it_is(made: Made, cache: Path) -> None:
    found = dataset(made, cache)
    assert len(found) == 240
    assert {s.image_id: s.data for s in found} == made.data
    for i in (0, 17, 239):
        sample = found[i]
        assert sample.record == i
        assert sample.bucket == nearest(*made.sizes[sample.image_id])
        best = [t for k, t in made.captions[sample.image_id] if k == "recaption"]
        assert found.captions(i) == (sorted(best) or [t for _, t in made.captions[sample.image_id]])
        assert sample.caption == (found.captions(i) or [None])[0]
    assert found[-1] == found[239]
    for outside in (240, -241):
        with pytest.raises(IndexError):
            found[outside]


def test_an_epoch_gives_each_image_once_but_for_the_tails(made: Made, cache: Path) -> None:
    found = dataset(made, cache)
    report = found.report()
    assert (report["selected"], report["stored"], report["unstored"]) == (241, 240, 1)
    assert set(report["buckets"]) == {"1:1", "16:9", "9:16", "3:1", "4:3"}
    assert report["buckets"]["1:1"] == {"images": 80, "copies": 80, "batches": 10, "dropped": 0}
    seen: Counter[str] = Counter()
    for batch in found.batches():
        assert len(batch.samples) == 8
        assert {nearest(*made.sizes[s.image_id]) for s in batch.samples} == {batch.bucket}
        for sample in batch.samples:
            assert sample.data == made.data[sample.image_id]
        seen.update(s.image_id for s in batch.samples)
    assert set(seen.values()) == {1}
    assert len(seen) + report["dropped"] == 240
    assert (found.epoch, found.step) == (1, 0)


def test_captions_are_drawn_anew_each_epoch_from_the_best_kind(made: Made, cache: Path) -> None:
    found = dataset(made, cache, batch_size=1)
    drawn: dict[str, set[str | None]] = {}
    for epoch in range(8):
        for batch in found.batches(epoch):
            drawn.setdefault(batch.samples[0].image_id, set()).add(batch.samples[0].caption)
    for image_id, captions in made.captions.items():
        best = {t for k, t in captions if k == "recaption"} or {t for _, t in captions} or {None}
        assert drawn[image_id] <= best
    both = [i for i, c in made.captions.items() if len(c) == 3 and len(drawn[i]) == 2]
    assert len(both) > 50  # of 60 with two captions, in 8 epochs nearly all showed both


def test_captions_that_are_none_give_way_to_usable_ones(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.root, tmp_path / "lake")
    with Lake.open(tmp_path / "lake").connect() as con:
        con.execute(
            "CREATE TABLE signals_captions AS SELECT image_id, caption_id, CASE WHEN starts_with(text, 'another') "
            "OR starts_with(text, 'picture') OR text = 'a better word on 2' THEN 'repeated' END AS invalid "
            "FROM captions"
        )
    found = dataset(made._replace(root=tmp_path / "lake"), tmp_path / "cache")
    texts = {found[i].image_id: found.captions(i) for i in range(len(found))}
    for number, (image_id, captions) in enumerate(made.captions.items()):
        told = [t for _, t in captions]
        if number == 2:  # none is usable: the best kind's
            told = told[1:]
        elif len(told) == 3:
            told = told[1:2]
        assert sorted(texts[image_id]) == sorted(told)


def test_captions_can_be_any_query(made: Made, cache: Path) -> None:
    sql = "SELECT image_id, upper(text) AS text FROM captions WHERE kind = 'raw'"
    found = dataset(made, cache, captions_sql=sql)
    texts = {s.image_id: s.caption for s in found}
    assert texts == {i: (c[0][1].upper() if c else None) for i, c in made.captions.items()}


def test_weights_and_buckets_come_from_the_query(made: Made, cache: Path) -> None:
    sql = """SELECT image_id, CASE WHEN width = 100 THEN 2.5 WHEN width = 640 THEN 0 ELSE 1 END AS weight,
             CASE WHEN width > height THEN 'wide' ELSE 'other' END AS bucket FROM signals_header"""
    found = dataset(made, cache, sql, batch_size={"wide": 4, "other": 6})
    counts: Counter[str] = Counter()
    for epoch in range(30):
        for batch in found.batches(epoch):
            assert len(batch.samples) == {"wide": 4, "other": 6}[batch.bucket]
            counts.update(s.image_id for s in batch.samples)
    by_width: dict[int, list[int]] = {}
    for image_id, (width, _) in made.sizes.items():
        by_width.setdefault(width, []).append(counts[image_id])
    assert sum(by_width[640]) == 0
    assert 2.3 * 30 < sum(by_width[100]) / len(by_width[100]) < 2.6 * 30
    assert 0.93 * 30 < sum(by_width[160]) / len(by_width[160]) <= 30


def test_ranks_of_any_world_see_the_same_global_batches_and_the_same_bucket(made: Made, cache: Path) -> None:
    whole = ids_of(dataset(made, cache).batches())
    for world in (2, 4, 8):
        ranks = [ids_of(dataset(made, cache, rank=r, world_size=world).batches()) for r in range(world)]
        joined = [
            (parts[0][0], parts[0][1], [s for part in parts for s in part[2]]) for parts in zip(*ranks, strict=True)
        ]
        assert joined == whole
        assert all(len({part[1] for part in parts}) == 1 for parts in zip(*ranks, strict=True))


@given(
    stop=st.integers(0, 29), order=st.sampled_from(["shuffle", "block", "sequential"]), world=st.sampled_from([1, 2])
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_resume_at_any_step_goes_on_to_the_very_sample(
    made: Made, cache: Path, stop: int, order: Any, world: int
) -> None:
    options: dict[str, Any] = {"order": order, "blocks": Blocks(length=5, window=2), "seed": 3}
    straight = dataset(made, cache, **options)
    expected = [*ids_of(straight.batches()), *ids_of(straight.batches())]
    first = dataset(made, cache, **options)
    got = ids_of(islice(first.batches(), stop))
    state = json.loads(json.dumps(first.state_dict()))
    assert (state["epoch"], state["step"]) == (0, stop)
    assert all(type(v) is int for v in state.values())
    assert len(state) <= 6
    for rank in range(world):
        second = dataset(made, cache, rank=rank, world_size=world, **options)
        second.load_state_dict(state)
        rest = [*ids_of(second.batches()), *ids_of(second.batches())]
        share = 8 // world
        assert rest == [(s, b, rows[rank * share :][:share]) for s, b, rows in expected[stop:]]
    assert got == expected[:stop]


def test_the_state_counts_the_batches_handed_out(made: Made, cache: Path) -> None:
    found = dataset(made, cache)
    assert found.state_dict()["step"] == 0
    running = found.batches()
    next(running)
    next(running)
    assert (found.state_dict()["epoch"], found.state_dict()["step"]) == (0, 2)
    found.set_epoch(0)
    assert found.state_dict()["step"] == 2  # a resumed loop calls set_epoch with the epoch it is in
    found.set_epoch(4)
    assert (found.state_dict()["epoch"], found.state_dict()["step"]) == (4, 0)


def test_a_state_from_elsewhere_is_refused_in_one_line(made: Made, cache: Path) -> None:
    state = dataset(made, cache).state_dict()
    for other, message in (
        (dataset(made, cache, ALL + " WHERE width <> 300"), "another selection"),
        (dataset(made, cache, batch_size=4), "another plan"),
        (dataset(made, cache, order="block"), "another plan"),
        (dataset(made, cache, seed=1), "seed 0"),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            other.load_state_dict(state)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="no state"):
        dataset(made, cache).load_state_dict({"step": 3})


def test_a_flipped_bit_and_a_missing_shard_are_told(made: Made, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    shutil.copytree(made.root, root)
    found = ShardDataset(root, ALL, batch_size=8, cache_dir=tmp_path / "cache")
    victim = found[100]
    row = found.selection.records[100]
    shard = root / "shards" / "pool" / found.selection.header.shards[row["shard"]]
    content = bytearray(shard.read_bytes())
    content[int(row["block"]) * 512 + 512 + 3] ^= 4
    shard.write_bytes(content)
    with pytest.raises(LakeError, match=f"{victim.image_id} in shard {shard.name} .* does not match its checksum"):
        found[100]
    with pytest.raises(LakeError, match=victim.image_id):
        list(ShardDataset(root, ALL, batch_size=1, cache_dir=tmp_path / "cache").batches())
    shard.write_bytes(content[: int(row["block"]) * 512 + 600])
    with pytest.raises(LakeError, match=f"{victim.image_id} .* cut off"):
        found[100]
    shard.unlink()
    missing = pickle.loads(pickle.dumps(found))
    with pytest.raises(LakeError, match=f"shard {shard.name} is not in"):
        missing[100]


def test_what_does_not_fit_is_one_line(made: Made, cache: Path, tmp_path: Path) -> None:
    queries: list[tuple[str, str]] = [
        ("must give image_id", "SELECT 1 AS x"),
        ("cannot be run", "SELECT image_id FROM no_such_table"),
        ("cannot be run", "SELEC image_id"),
        ("cannot be run", "SELECT image_id, 'heavy' AS weight FROM signals_header"),
        ("2 times", f"{ALL} UNION ALL {ALL}"),
        ("weight -1", "SELECT image_id, -1 AS weight FROM signals_header"),
        ("weight nan", "SELECT image_id, 'nan'::FLOAT AS weight FROM signals_header"),
        ("weight None", "SELECT image_id, NULL::FLOAT AS weight FROM signals_header"),
        ("is empty", f"{ALL} WHERE false"),
        ("glyphmill export", f"SELECT '{made.unstored}' AS image_id"),
    ]
    for message, sql in queries:
        with pytest.raises(UsageError, match=message) as caught:
            dataset(made, cache, sql)
        assert "\n" not in str(caught.value)
    options: list[tuple[str, dict[str, Any]]] = [
        ("image_id and text", {"captions_sql": "SELECT image_id FROM captions"}),
        ("multiple of the world size 3", {"world_size": 3}),
        ("ranks count from 0", {"rank": 2, "world_size": 2}),
        ("no size for bucket", {"batch_size": {"1:1": 4}}),
        ("not one of", {"order": "random"}),
    ]
    for message, wrong in options:
        with pytest.raises(UsageError, match=message) as caught:
            dataset(made, cache, **wrong)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="either `sql`"):
        ShardDataset(made.root, batch_size=8)
    with pytest.raises(UsageError, match="no selection at"):
        ShardDataset(made.root, selection=tmp_path, batch_size=8)
    with pytest.raises(UsageError, match="no bucket fills a batch"):
        next(dataset(made, cache, batch_size=1000).batches())
    unscanned = Lake.create(tmp_path / "unscanned")
    with pytest.raises(UsageError, match="no aspect buckets"):
        ShardDataset(unscanned.root, "SELECT image_id FROM shard_index", batch_size=8, cache_dir=cache)
    with pytest.raises(LakeError, match="no lake"):
        ShardDataset(tmp_path / "nowhere", ALL, batch_size=8, cache_dir=cache)


def test_the_selection_is_small_made_once_and_needs_no_database_later(
    made: Made, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = ALL + " -- with a comment"
    found = ShardDataset(made.root, sql, batch_size=8, cache_dir=cache)
    folder = found.selection.folder
    assert RECORD.itemsize <= 24
    assert (folder / "records").stat().st_size == RECORD.itemsize * 240
    before = (folder / "records").stat().st_mtime_ns
    again = ShardDataset(made.root, sql, batch_size=8, cache_dir=cache)
    assert again.selection.folder == folder
    assert (folder / "records").stat().st_mtime_ns == before
    assert [p.name for p in cache.iterdir() if p.name.startswith(".")] == []
    monkeypatch.setattr(Lake, "connect", None)
    direct = ShardDataset(made.root, selection=folder, batch_size=8)
    assert ids_of(direct.batches()) == ids_of(again.batches())
    direct.load_state_dict(again.state_dict())


def test_a_new_snapshot_is_a_new_selection_and_the_old_one_can_still_be_resumed(made: Made, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    shutil.copytree(made.root, root)
    old = ShardDataset(root, ALL, batch_size=8, cache_dir=tmp_path / "cache")
    state = old.state_dict()
    with Lake.open(root).connect() as con:
        con.execute("DELETE FROM shard_index WHERE image_id = ?", [old[0].image_id])
    new = ShardDataset(root, ALL, batch_size=8, cache_dir=tmp_path / "cache")
    assert len(new) == 239
    with pytest.raises(UsageError, match="another selection"):
        new.load_state_dict(state)
    ShardDataset(root, selection=old.selection.folder, batch_size=8).load_state_dict(state)


def test_a_worker_loads_neither_the_database_nor_torch(made: Made, cache: Path, tmp_path: Path) -> None:
    found = dataset(made, cache)
    (tmp_path / "dataset.pickle").write_bytes(pickle.dumps(found))
    code = (
        "import pickle, sys; found = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(next(found.batches()).samples[0].image_id)\n"
        "assert not {'duckdb', 'pyarrow', 'torch'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "dataset.pickle"], cwd=REPO, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == next(found.batches()).samples[0].image_id


def test_few_files_are_open_at_once(made: Made, cache: Path) -> None:
    few = dataset(made, cache, max_open_files=2)
    assert ids_of(few.batches()) == ids_of(dataset(made, cache).batches())
    assert len(few._reader._open) <= 2


def test_a_transform_is_applied_to_each_sample(made: Made, cache: Path) -> None:
    found = dataset(made, cache, transform=size_of)
    assert found[3] == size_of(dataset(made, cache)[3])
    assert next(found.batches()).samples == [size_of(s) for s in next(dataset(made, cache).batches()).samples]


def size_of(sample: Sample) -> tuple[str, int]:
    return sample.image_id, len(sample.data)


@given(st.integers(1, 5000), st.integers(1, 5000))
@settings(max_examples=300, deadline=None)
def test_the_nearest_bucket_mirrors(width: int, height: int) -> None:
    mirrored = ":".join(reversed(nearest(width, height).split(":")))
    ratio = width / height
    if all(abs(ratio / edge - 1) > 1e-6 for edge in (1.2247448, 0.8164966)):  # on an edge the list's order decides
        assert nearest(height, width) == mirrored


def test_buckets_in_sql_are_the_buckets_in_python() -> None:
    import duckdb

    sizes = [(w, h) for w in range(1, 90) for h in range(1, 90)]
    for buckets in (ASPECT_BUCKETS, ("1:1",), ("1:4", "1:1", "4:1"), ("4:1", "1:1", "1:4")):
        con = duckdb.connect()
        con.execute("CREATE TABLE t (w INTEGER, h INTEGER)")
        con.register("s", pa.table({"w": [w for w, _ in sizes], "h": [h for _, h in sizes]}))
        rows = con.execute(f"SELECT w, h, {nearest_sql('w', 'h', buckets)} FROM s").fetchall()
        assert all(label == nearest(w, h, buckets) for w, h, label in rows)
    assert con.execute(f"SELECT {nearest_sql('0', '5')}, {nearest_sql('NULL', '5')}").fetchone() == (None, None)
    assert nearest(1, 1000) == "1:3"
    for wrong in ("", "1", "0:1", "a:b", "1:0", "-1:2"):
        with pytest.raises(ValueError, match="aspect bucket"):
            nearest(1, 1, [wrong])
