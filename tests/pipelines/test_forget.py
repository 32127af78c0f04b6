"""Forget: at once out of every view and loader, never in again; after clean, in no file of the lake."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from balance_lakes import put
from decision_lakes import fill, image_id, new_lake
from kept_lakes import curated, deliver, found_in, found_in_bucket
from postgres_server import USER, PostgresServer
from s3_server import S3Server

from annotate import store
from annotate.backends.base import Answer, Status
from annotate.cache import AnswerCache
from pipelines.keeping.forget import forget, read_ids
from pipelines.why import why
from warehouse.clean import clean, pin
from warehouse.dataset import ShardDataset
from warehouse.errors import LakeBusy, UsageError
from warehouse.lake import Lake
from warehouse.object_store import filesystem
from warehouse.shards import read_index
from warehouse.verify import verify

PLANTED = b"PLANTED-IN-THE-PICTURE-7f3a"
WORD = "zqxvorple"
NOW = timedelta(0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, str]]:
    """Delivered files, the lake made of them, and image ids by name."""
    base = tmp_path_factory.mktemp("forget")
    ids = deliver(base / "photos", planted=PLANTED, word=WORD)
    lake = curated(base / "photos", base / "lake")
    _say(lake, ids)
    return base / "photos", base / "lake", ids


def _say(lake: Lake, ids: dict[str, str]) -> None:
    """Everything else that may repeat the words of an image."""
    victim, other = ids["1"], ids["2"]
    said = {"captions": [{"language": "en", "short": WORD, "long": f"long {WORD}"}], "scene": WORD}
    common = {"annotator": "rules", "model": "m", "prompt_version": "1", "status": "success"}
    put(lake, "annotations", [{"image_id": victim, "annotation": said, "raw": f"raw {WORD}", **common}])
    put(lake, "audits", [{"rule": "clear", "image_id": victim, "verdict": "right", "note": f"note {WORD}"}])
    pair = {"source": "s", "batch": "b", "uri": "/p", "row": 0, "pair_id": "p", "status": "ok"}
    put(lake, "edits", [{**pair, "reference_ids": [other, victim], "target_id": other, "instruction_en": WORD}])
    put(lake, "signals_ocr", [{"image_id": victim, "version": "1", "status": "ok", "ocr_text": f"{WORD} sign"}])
    words = [{"recipe": "r", "kind": "word", "chosen": 1, "copies": 1.0}] * 2
    put(
        lake,
        "text_tokens",
        [{**w, "token": t, "images": n} for w, t, n in zip(words, (WORD, "sign"), (1, 2), strict=True)],
    )
    with closing(store.connect(lake.local / store.FILE)) as db:
        AnswerCache(db, "m", "1").put(victim, "x", Answer(Status.SUCCESS, f"answer {WORD}"))


@pytest.fixture
def lake(made: tuple[Path, Path, dict[str, str]], tmp_path: Path) -> Lake:
    shutil.copytree(made[1], tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


def epoch(dataset: ShardDataset) -> list[list[str]]:
    return [[sample.image_id for sample in batch.samples] for batch in dataset.batches(epoch=0)]


def test_nothing_of_a_forgotten_image_is_left(
    lake: Lake, made: tuple[Path, Path, dict[str, str]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos, _, ids = made
    gone = [ids["1"], ids["copy"]]
    with lake.connect(read_only=True) as con:
        assert con.execute("SELECT outcome FROM decisions WHERE image_id = ?", [ids["copy"]]).fetchall() == [
            ("duplicate",)
        ]
        pinned = lake.snapshot(con)
    pin(lake, "training", pinned)
    cache = tmp_path / "selections"
    kept = "SELECT image_id, 'all' AS bucket FROM samples WHERE outcome = 'kept'"
    running = ShardDataset(lake.root, sql=kept, batch_size=2, seed=3, cache_dir=cache)
    before = epoch(running)
    pieces = _slices(photos / "1.jpg") + _slices(photos / "copy.jpg")
    needles = [PLANTED, WORD.encode(), *pieces]
    assert all(found_in(lake.root, [PLANTED, WORD.encode()]).values()), "the search finds what is there"
    (lake.tmp / "work-99999999-ab").mkdir(parents=True)
    (lake.tmp / "work-99999999-ab" / "spilled").write_bytes(PLANTED)
    (lake.pool / ".jpg-x.tar.tmp").write_bytes(PLANTED)

    would = forget(lake, "", ids=gone, dry_run=True)
    assert would.rows["captions"] == 2
    assert set(would.alike) == {ids["0"]}
    done = forget(lake, "a letter", ids=gone)
    assert done.rows == would.rows
    for name in ("samples", "inputs", "captions", "annotations", "shard_index", "placements", "near_pairs", "edits"):
        with lake.connect(read_only=True) as con:
            rows = con.execute(f"SELECT * FROM {name}").fetchall()
        assert not any(image_id in str(rows) for image_id in gone), name
    with lake.connect(read_only=True) as con:
        assert con.execute("SELECT image_id, reason FROM forgotten ORDER BY ALL").fetchall() == [
            (image_id, "a letter") for image_id in sorted(gone)
        ]
        assert con.execute("SELECT token, images FROM text_tokens").fetchall() == [("sign", 1)]
    _no_problems(lake)
    caplog.clear()
    assert epoch(running) == [[i for i in batch if i not in gone] for batch in before], "the slot is skipped"
    assert running.report()["forgotten"] == 1
    assert "forgotten" in caplog.text

    planned = clean(lake, older_than=NOW, selections=[cache], dry_run=True)
    assert planned.purged.rows
    assert found_in(lake.root, [PLANTED])[PLANTED], "a dry run leaves all as it is"
    swept = clean(lake, older_than=NOW, selections=[cache])
    assert (swept.purged.images, swept.purged.erased, swept.purged.captions) == (2, 1, 1)
    assert found_in(lake.root, needles) == {needle: [] for needle in needles}
    assert not found_in(cache, [WORD.encode()])[WORD.encode()]
    for victim in gone:
        named = found_in(lake.root, [victim.encode()])[victim.encode()]
        assert all(path.startswith(("tables/main/forgotten/", "catalog.sqlite")) for path in named), named
    _no_problems(lake)
    assert epoch(running) == [[i for i in batch if i not in gone] for batch in before], "and so after clean"
    with lake.connect(read_only=True) as con:
        at = f"AT (VERSION => {pinned})"
        assert con.execute(f"SELECT count(*) FROM captions {at}").fetchone() == (5,)
        assert con.execute(f"SELECT count(*) FROM captions {at} WHERE image_id = ?", [gone[0]]).fetchone() == (0,)
        text = con.execute(f"SELECT text FROM captions {at} WHERE image_id = ?", [ids["3"]]).fetchone()
        assert text == ("a photograph, 3",)
        assert con.execute("SELECT count(*) FROM captions WHERE text = 'a photograph, 5'").fetchone() == (1,)
    again = clean(lake, older_than=NOW)
    assert not again.purged.images
    assert not again.purged.rows


def _slices(file: Path) -> list[bytes]:
    data = file.read_bytes()
    return [data[at : at + 24] for at in range(2000, len(data) - 24, len(data) // 9)]


def _no_problems(lake: Lake) -> None:
    assert [problem for check in verify(lake) for problem in check.problems] == []


def test_a_forgotten_image_stays_out(lake: Lake, made: tuple[Path, Path, dict[str, str]], tmp_path: Path) -> None:
    photos, _, ids = made
    forget(lake, "a letter", sql=f"SELECT image_id FROM captions WHERE text LIKE '%{WORD}%'")
    shutil.copytree(photos, tmp_path / "again")
    (tmp_path / "again" / "1.txt").write_text(f"another {WORD}")
    for step in ("forgotten", "cleaned"):
        curated(tmp_path / "again", lake.root, batch=step)
        with lake.connect(read_only=True) as con:
            delivered = con.execute("SELECT count(*) FROM inputs WHERE image_id = ?", [ids["1"]]).fetchone()
            assert delivered == (0,)
            assert con.execute(f"SELECT count(*) FROM captions WHERE text LIKE '%{WORD}%'").fetchone() == (0,)
            repeats = con.execute(
                "SELECT count(*) FROM inputs WHERE batch = ? AND status = 'repeat'", [step]
            ).fetchone()
            assert repeats == (5,)
        clean(lake, older_than=NOW)
    _no_problems(lake)
    assert not found_in(lake.root, [WORD.encode()])[WORD.encode()]


def test_a_shard_of_forgotten_images_only(lake: Lake, made: tuple[Path, Path, dict[str, str]], tmp_path: Path) -> None:
    kept = "SELECT image_id, 'all' AS bucket FROM samples WHERE outcome = 'kept'"
    running = ShardDataset(lake.root, sql=kept, batch_size=2, cache_dir=tmp_path / "selections")
    steps = len(epoch(running))
    forget(lake, "all of it", sources=["photos"])
    clean(lake, older_than=NOW, expire=NOW)
    assert epoch(running) == [[]] * steps
    (shard,) = lake.pool.glob("*.tar")
    assert read_index(shard) == []
    assert shard.stat().st_blocks * 512 < shard.stat().st_size / 2, "zeros are not stored"
    _no_problems(lake)
    with lake.connect(read_only=True) as con:
        assert con.execute("SELECT count(*) FROM samples").fetchone() == (0,)


def test_plain_readers_pass_over_the_tombstone(lake: Lake, made: tuple[Path, Path, dict[str, str]]) -> None:
    import webdataset

    ids = made[2]
    forget(lake, "x", ids=[ids["1"]])
    clean(lake, older_than=NOW)
    (shard,) = lake.pool.glob("*.tar")
    samples = list(webdataset.WebDataset(str(shard), shardshuffle=False))
    assert {sample["__key__"] for sample in samples} == {ids[str(n)] for n in (0, 2, 3, 4, 5)}
    for sample in samples:
        assert json.loads(sample["json"])["image_id"] == sample["__key__"]


def test_a_purge_killed_anywhere_is_done_by_the_next(
    lake: Lake, made: tuple[Path, Path, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, cache = made[2], tmp_path / "selections"
    kept = "SELECT image_id, 'all' AS bucket FROM samples WHERE outcome = 'kept'"
    running = ShardDataset(lake.root, sql=kept, batch_size=1, cache_dir=cache)
    with lake.connect(read_only=True) as con:
        pin(lake, "training", lake.snapshot(con))

    def killed(*_: object, **__: object) -> None:
        raise InterruptedError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("warehouse.forget.commit", killed)
        with pytest.raises(InterruptedError):
            forget(lake, "x", ids=[ids["1"]])
    assert [ids["1"]] not in epoch(running), "the loader is told first"
    clean(lake)
    assert [ids["1"]] in epoch(running), "but what did not commit is not forgotten"
    forget(lake, "x", ids=[ids["1"], ids["copy"]])
    for step in ("purge._sweep_stopped", "purge.rewrite", "rewrite._turn", "clean.finish"):
        with monkeypatch.context() as patch:
            patch.setattr(f"warehouse.{step}", killed)
            with pytest.raises(InterruptedError):
                clean(lake, older_than=NOW, selections=[cache])
        assert [ids["1"]] not in epoch(running)
    _no_problems(lake)
    monkeypatch.setattr("warehouse.sqlite_catalog.BUSY_MS", 100)
    with closing(sqlite3.connect(lake.catalog)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM ducklake_table").fetchone()
        with pytest.raises(LakeBusy, match="run glyphmill clean again"):
            clean(lake, older_than=NOW, selections=[cache])
    assert clean(lake, older_than=NOW, selections=[cache]).purged.images == 2
    assert found_in(lake.root, [PLANTED, WORD.encode()]) == {PLANTED: [], WORD.encode(): []}
    assert not list(lake.root.rglob("*.tmp"))
    _no_problems(lake)


def test_nothing_is_left_in_a_bucket_with_versions_nor_in_postgresql(
    made: tuple[Path, Path, dict[str, str]],
    s3: S3Server,
    postgres: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a team has it; every twentieth request fails while it is cleaned, and the run is killed on its way."""
    photos, _, ids = made
    monkeypatch.setenv("GLYPHMILL_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setattr("warehouse.reader.LISTED_S", 0.0)
    fs = filesystem()
    fs.call_s3("create_bucket", Bucket="versioned")
    fs.call_s3("put_bucket_versioning", Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    root, dsn = "s3://versioned/lakes/one", postgres.database("forgetting")
    lake = curated(photos, root, catalog=f"postgres:{dsn}")
    _say(lake, ids)
    with lake.connect(read_only=True) as con:
        pinned = lake.snapshot(con)
    pin(lake, "training", pinned)
    kept = "SELECT image_id, 'all' AS bucket FROM samples WHERE outcome = 'kept'"
    running = ShardDataset(root, sql=kept, batch_size=2, seed=3, cache_dir=tmp_path / "selections")
    before = epoch(running)
    begun = fs.call_s3("create_multipart_upload", Bucket="versioned", Key="lakes/one/shards/pool/jpg-x.tar")
    part = {"Key": begun["Key"], "UploadId": begun["UploadId"], "PartNumber": 1}
    fs.call_s3("upload_part", Bucket="versioned", Body=PLANTED, **part)
    elsewhere = fs.call_s3("create_multipart_upload", Bucket="versioned", Key="lakes/one-more/x")
    postgres.sql("ANALYZE", "forgetting")  # the planner's samples hold words too
    said = WORD.encode()
    needles = [PLANTED, said, *_slices(photos / "1.jpg"), *_slices(photos / "copy.jpg")]
    assert all(len(found_in_bucket("versioned", [needle])[needle]) > 2 for needle in (PLANTED, said))
    assert said in _database(postgres, "forgetting")

    gone = [ids["1"], ids["copy"]]
    forget(lake, "a letter", ids=gone)
    skipped = [[i for i in batch if i not in gone] for batch in before]
    assert epoch(running) == skipped != before
    monkeypatch.setattr(s3, "faults", 0.05)
    monkeypatch.setattr("warehouse.postgres_catalog.BUSY_MS", 300)

    def killed(*_: object, **__: object) -> None:
        raise InterruptedError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("warehouse.rewrite._turn", killed)
        with pytest.raises(InterruptedError):
            clean(lake, older_than=NOW, selections=[tmp_path / "selections"])
    assert epoch(running) == skipped
    with Lake.open(root).connect(read_only=True) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM captions").fetchall()
        with pytest.raises(LakeBusy, match="run glyphmill clean again"):
            clean(lake, older_than=NOW, selections=[tmp_path / "selections"])
    assert clean(lake, older_than=NOW, selections=[tmp_path / "selections"]).purged.images == 2
    assert s3.broken
    monkeypatch.setattr(s3, "faults", 0.0)

    fs.call_s3("abort_multipart_upload", Bucket="versioned", Key="lakes/one-more/x", UploadId=elsewhere["UploadId"])
    assert found_in_bucket("versioned", needles) == {needle: [] for needle in needles}
    postgres.sql("CHECKPOINT", "forgetting")  # what was dropped leaves the disk
    assert said not in _database(postgres, "forgetting")
    assert not found_in(tmp_path / "scratch", needles[:2])[said]
    assert not found_in(tmp_path / "selections", [said])[said]
    assert epoch(running) == skipped
    _no_problems(lake)
    with lake.connect(read_only=True) as con:
        at = f"AT (VERSION => {pinned})"
        assert con.execute(f"SELECT count(*) FROM captions {at}").fetchone() == (5,)
        assert con.execute("SELECT count(*) FROM captions WHERE text = 'a photograph, 5'").fetchone() == (1,)
    assert not clean(lake, older_than=NOW).purged.images


def _database(postgres: PostgresServer, name: str) -> bytes:
    """All that pg_dump tells of a database, and the bytes of every one of its files."""
    dumped = subprocess.run(
        [str(postgres.bin / "pg_dump"), "-h", "127.0.0.1", "-p", str(postgres.port), "-U", USER, name],
        check=True,
        capture_output=True,
        cwd="/",
    ).stdout
    oid = postgres.sql(f"SELECT oid FROM pg_database WHERE datname = '{name}'", "postgres")
    files = [p for p in (postgres.data / "base" / oid).rglob("*") if p.is_file()]
    return dumped + b"".join(path.read_bytes() for path in files)


def test_what_is_forgotten_must_be_named_rightly(lake: Lake, tmp_path: Path) -> None:
    listed = tmp_path / "ids.csv"
    listed.write_text(f"image_id,why\n{'ab' * 16},x\n")
    assert forget(lake, "before it comes", ids=read_ids(listed)).unknown == 1
    assert forget(lake, "again", ids=read_ids(listed)).before == 1
    with pytest.raises(UsageError, match=r"was forgotten on .* \(before it comes\)"):
        why(lake, "ab" * 8)
    for wrong in (
        {"ids": ["3f2a"]},
        {"ids": []},
        {"uris": ["/nowhere"]},
        {"sources": ["nobody"]},
        {"sql": "SELECT 1 AS x"},
    ):
        with pytest.raises(UsageError):
            forget(lake, "x", **wrong)
    with pytest.raises(UsageError, match="--reason"):
        forget(lake, " ", ids=["cd" * 16])
    (tmp_path / "ids.jsonl").write_text('{"image": "x"}\n')
    with pytest.raises(UsageError, match="image_id"):
        read_ids(tmp_path / "ids.jsonl")


def test_what_stood_behind_a_forgotten_image_is_compared_again(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    fill(lake, ["leader", "behind", "other"], pairs=[{"a": "leader", "b": "behind", "link": "same"}])
    put(lake, "near_compared", [{"image_id": image_id(n), "version": "1"} for n in ("leader", "behind", "other")])
    forget(lake, "x", ids=[image_id("leader")])
    with lake.connect(read_only=True) as con:
        assert con.execute("SELECT image_id FROM near_compared").fetchall() == [(image_id("other"),)]
        assert con.execute("SELECT count(*) FROM near_pairs").fetchone() == (0,)
