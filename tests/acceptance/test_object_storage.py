"""A lake on a real S3 server that fails now and then: the same rows, whatever is killed; loader, verify and clean."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from acceptance_tools import Run, command, picture
from postgres_server import PostgresServer
from s3_server import S3Server
from typer.testing import CliRunner

from glyphmill import app
from pipelines.engines.local import LocalEngine
from pipelines.near.pairs import near
from pipelines.near.search import Sizes
from pipelines.scan import scan
from warehouse import catalogs, storage
from warehouse.dataset import ShardDataset
from warehouse.digest import digests
from warehouse.lake import Lake
from warehouse.object_store import filesystem
from warehouse.places import place
from warehouse.sources import open_source
from warehouse.verify import verify

ROUNDS = 20 if os.environ.get("GLYPHMILL_SOAK") else 1
KILLS_PER_ROUND = 2
DAY = "2026-11-20"
SELECTED = "SELECT image_id FROM samples WHERE outcome = 'kept'"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day's pictures with captions, near copies, a repeat and a broken file."""
    folder = tmp_path_factory.mktemp("drop") / DAY
    folder.mkdir()
    rng = np.random.default_rng(11)
    for number in range(14):
        image = picture(rng)
        image.save(folder / f"{number:02d}.jpg", quality=90)
        (folder / f"{number:02d}.txt").write_text(f"picture number {number}\n", encoding="utf-8")
        if number % 5 == 0:
            image.resize((360, 270)).save(folder / f"{number:02d}-small.jpg", quality=80)
    (folder / "again.jpg").write_bytes((folder / "03.jpg").read_bytes())
    (folder / "cut.jpg").write_bytes((folder / "04.jpg").read_bytes()[:3000])
    return folder


@pytest.fixture(scope="module")
def on_disk(pictures: Path, tmp_path_factory: pytest.TempPathFactory, glyphmill: Run) -> tuple[Path, float]:
    """The lake in a folder, and the seconds it took."""
    lake, began = tmp_path_factory.mktemp("on-disk") / "lake", time.monotonic()
    glyphmill(*night(pictures, lake))
    return lake, time.monotonic() - began


def night(pictures: Path, lake: object, *more: object) -> tuple[object, ...]:
    """The night of `pictures`."""
    where = ("--source", pictures.parent / "{date}", "--source-name", "drop", "--date", DAY)
    return ("nightly", *where, "--lake", lake, "--workers", 2, "--quiet", *more)


@pytest.mark.parametrize(
    "run",
    [
        ("nightly", "--source", "{src}", "--date", "2026-11-20", "--only", "freeze"),
        ("block", "--name", "probes", "--prompts", "{src}/prompts.txt"),
        ("edits", "{src}", "--workers", "1"),
    ],
    ids=lambda run: run[0],
)
def test_a_command_that_makes_a_lake_is_told_its_catalog(run: tuple[str, ...], tmp_path: Path) -> None:
    src, catalog = tmp_path / "src", tmp_path / "elsewhere.sqlite"
    src.mkdir()
    picture(np.random.default_rng(1)).save(src / "a.jpg")
    (src / "prompts.txt").write_text("a sign that says hello\n")
    (src / "edits.jsonl").write_text('{"reference": "none.png", "target": "b.png", "instruction": "darker"}\n')
    line = [part.format(src=src) for part in run]
    done = CliRunner().invoke(app, [*line, "--lake", str(tmp_path / "lake"), "--catalog", str(catalog), "--quiet"])
    assert done.exit_code == 0, done.output
    assert catalogs.recorded(tmp_path / "lake") == f"sqlite:{catalog}"
    assert catalog.exists()
    assert not (tmp_path / "lake" / catalogs.FILE).exists()


def every_object_is_whole(root: str) -> None:
    """Committed or not: what can be seen in the store can be read to its end."""
    for found in storage.listing(place(root)):
        data = storage.read(found.path)
        if found.path.suffix == ".parquet":
            pq.read_table(io.BytesIO(data))
        elif found.path.suffix == ".tar":
            assert data.endswith(bytes(1024))
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                assert len(tar.getnames()) % 3 == 0


def same_and_sound(lake: Lake, other: Lake) -> None:
    with lake.connect(read_only=True) as con, other.connect(read_only=True) as beside:
        assert digests(con) == digests(beside)
    assert not any(check.problems for check in verify(lake))


def test_a_night_is_the_same_as_in_a_folder(
    pictures: Path,
    on_disk: tuple[Path, float],
    faults: S3Server,
    tmp_path: Path,
    glyphmill: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GLYPHMILL_SCRATCH", str(tmp_path / "scratch"))
    lake = "s3://bucket/parity"
    refused = glyphmill(*night(pictures, lake), code=3).stderr
    assert "--catalog" in refused
    assert refused.count("\n") == 1
    glyphmill(*night(pictures, lake, "--catalog", tmp_path / "catalog.sqlite"))
    assert faults.broken
    same_and_sound(Lake.open(lake), Lake.open(on_disk[0]))
    every_object_is_whole(lake)
    assert sorted(p.path.name for p in storage.listing(place(lake) / "shards" / "pool")) == sorted(
        p.name for p in (on_disk[0] / "shards" / "pool").iterdir()
    )

    near = ShardDataset(on_disk[0], SELECTED, batch_size=4, seed=3, cache_dir=tmp_path / "cache")
    far = ShardDataset(lake, SELECTED, batch_size=4, seed=3, cache_dir=tmp_path / "cache")
    read = [[(s.image_id, s.data, s.caption) for b in ds.batches() for s in b.samples] for ds in (near, far)]
    assert read[0] == read[1]
    assert len(read[0]) >= 12
    assert far[0].data == near[0].data

    opened = Lake.open(lake)
    storage.write(opened.pool / "jpg-left.tar", b"of a run that was stopped")
    storage.write(opened.staged("captions") / "left.parquet", b"x")
    monkeypatch.setattr(faults, "faults", 0.0)
    filesystem().call_s3("create_multipart_upload", Bucket="bucket", Key="parity/shards/pool/jpg-half.tar")
    swept = glyphmill("clean", "--lake", lake, "--older-than", "0s").stdout
    assert "jpg-left.tar" in swept
    assert "unfinished  shards/pool/jpg-half.tar" in swept
    assert "3 leftovers" in swept
    assert storage.uploads(opened.root) == []
    assert not any(check.problems for check in verify(opened))
    assert not [p for p in (tmp_path / "scratch").rglob("*") if p.is_file() and p.suffix != ".lock"]


@pytest.mark.parametrize("engine", ["beam", *(["spark"] if ROUNDS > 1 else [])])
def test_a_night_on_another_engine_is_the_same_too(
    engine: str,
    pictures: Path,
    on_disk: tuple[Path, float],
    faults: S3Server,
    tmp_path: Path,
    glyphmill: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GLYPHMILL_SCRATCH", str(tmp_path / "scratch"))
    lake, catalog, before = f"s3://bucket/{engine}", tmp_path / "catalog.sqlite", faults.broken
    glyphmill(*night(pictures, lake, "--catalog", catalog, "--engine", engine), env={})
    assert faults.broken > before
    same_and_sound(Lake.open(lake), Lake.open(on_disk[0]))
    assert not [p for p in (tmp_path / "scratch").rglob("*") if p.is_file() and p.suffix != ".lock"]


def test_workers_find_the_near_pairs_of_a_lake_on_the_object_store(
    pictures: Path, on_disk: tuple[Path, float], faults: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few pictures there are: all of it is sent to workers, and met in their shuffle."""
    monkeypatch.setenv("GLYPHMILL_SCRATCH", str(tmp_path / "scratch"))
    lake = Lake.create("s3://bucket/pairs", catalog=str(tmp_path / "catalog.sqlite"))
    engine = LocalEngine(workers=2)
    scan(lake, open_source(str(pictures)), engine=engine, batch=DAY, source_name="drop")
    little = Sizes(here=0, block=5, sent=5, crowd=3, measured=2, shuffle_above=4)
    assert near(lake, engine=engine, sizes=little).near >= 3
    pairs = "SELECT a, b, link, distance, tile_distance, text_differs FROM near_pairs ORDER BY ALL"
    with lake.connect(read_only=True) as con, Lake.open(on_disk[0]).connect(read_only=True) as beside:
        assert con.execute(pairs).fetchall() == beside.execute(pairs).fetchall()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_killed_and_run_again_is_the_same(
    seed: int,
    pictures: Path,
    on_disk: tuple[Path, float],
    faults: S3Server,
    postgres: PostgresServer,
    tmp_path: Path,
    glyphmill: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a team has it: files on the object store, catalog in PostgreSQL; faults all along, kill -9 now and then."""
    monkeypatch.setenv("GLYPHMILL_SCRATCH", str(tmp_path / "scratch"))
    lake, catalog = f"s3://bucket/killed{seed}", f"postgres:{postgres.database(f'killed{seed}')}"
    moments, run = random.Random(seed), night(pictures, lake, "--catalog", catalog)
    for _ in range(KILLS_PER_ROUND):
        child = subprocess.Popen(command(*run), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            child.wait(timeout=moments.uniform(0.3, 1.5) * on_disk[1])
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
    every_object_is_whole(lake)
    glyphmill(*run)
    same_and_sound(Lake.open(lake), Lake.open(on_disk[0]))
