"""Original bytes, captions and fields come out as they went in; a lake can be moved."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from acceptance_tools import Run, picture

Rows = Callable[..., list[dict[str, object]]]


def _members(pool: Path) -> dict[str, dict[str, bytes]]:
    """Every member of every tar, by image id and suffix."""
    found: dict[str, dict[str, bytes]] = {}
    for path in pool.glob("*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                stem, _, suffix = member.name.partition(".")
                file = tar.extractfile(member)
                assert file is not None
                assert suffix not in found.setdefault(stem, {}), f"{member.name} is stored twice"
                found[stem][suffix] = file.read()
    return found


@pytest.fixture(scope="module")
def curated(corpus: Path, tmp_path_factory: pytest.TempPathFactory, glyphmill: Run) -> Path:
    lake = tmp_path_factory.mktemp("curated") / "lake"
    glyphmill("curate", corpus, "--lake", lake)
    return lake


def test_every_stored_byte_is_original(curated: Path, corpus: Path, rows: Rows) -> None:
    delivered = {hashlib.sha256(f.read_bytes()).hexdigest()[:32]: f.read_bytes() for f in corpus.iterdir()}
    stored = _members(curated / "shards/pool")
    kept = {str(r["image_id"]) for r in rows("SELECT image_id FROM decisions WHERE outcome = 'kept'", curated)}
    assert kept <= stored.keys()
    assert len(kept) > 50
    for image_id, members in stored.items():
        (suffix,) = members.keys() - {"json", "txt"}
        assert members[suffix] == delivered[image_id]
        assert hashlib.sha256(members[suffix]).hexdigest()[:32] == image_id


def test_the_caption_stands_in_the_tar(curated: Path, corpus: Path) -> None:
    captions = {
        hashlib.sha256(image.read_bytes()).hexdigest()[:32]: image.with_suffix(".txt").read_text().strip()
        for image in corpus.iterdir()
        if image.suffix in (".jpg", ".png") and image.with_suffix(".txt").exists()
    }
    stored = {i: m for i, m in _members(curated / "shards/pool").items() if i in captions}
    assert stored
    for image_id, members in stored.items():
        assert members["txt"].decode() == captions[image_id]
        assert [c["text"] for c in json.loads(json.loads(members["json"])["captions"])] == [captions[image_id]]


def test_accounting(curated: Path, corpus: Path, rows: Rows) -> None:
    outcomes = {
        str(r["outcome"]): int(str(r["n"]))
        for r in rows("SELECT outcome, count(*) n FROM outcomes GROUP BY ALL", curated)
    }
    images = [f for f in corpus.iterdir() if f.suffix != ".txt"]
    assert sum(outcomes.values()) == len(images)
    assert outcomes.keys() == {"error", "repeat", "dropped", "duplicate", "kept"}
    assert outcomes["repeat"] == 9  # of ten, one is of a picture that was saved as PNG: a near duplicate
    assert outcomes["error"] == 6  # five cut pictures and a page of HTML


def test_fields_round_trip_through_parquet(tmp_path: Path, glyphmill: Run, rows: Rows) -> None:
    import numpy as np

    rng = np.random.default_rng(3)
    fields = [
        {
            "caption": '一只猫 \U0001f408 "quoted"\nsecond line',
            "url": "https://example.org/1",
            "license": "CC-BY-4.0",
            "score": 1.5,
        },
        {"caption": "ordinary", "url": "https://example.org/2", "license": None, "score": None},
    ]
    table = []
    for score, row in zip((1.5, None), fields, strict=True):
        buffer = io.BytesIO()
        picture(rng).save(buffer, "JPEG", quality=92)
        table.append({"image": {"bytes": buffer.getvalue(), "path": "x.jpg"}, "score": score, **row})
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "in.parquet")
    lake = tmp_path / "lake"
    glyphmill("curate", tmp_path / "in.parquet", "--lake", lake)
    delivered = rows("SELECT row, source_url, license, extra FROM inputs ORDER BY row", lake)
    assert [r["source_url"] for r in delivered] == [f["url"] for f in fields]
    assert [r["license"] for r in delivered] == [f["license"] for f in fields]
    assert [json.loads(str(r["extra"])).get("score") for r in delivered] == [1.5, None]
    captions = rows("SELECT text FROM captions JOIN inputs USING (image_id) ORDER BY row", lake)
    assert [r["text"] for r in captions] == [f["caption"] for f in fields]
    stored = _members(lake / "shards/pool")
    assert {m["jpg"] for m in stored.values()} == {t["image"]["bytes"] for t in table}  # type: ignore[index]


def test_materialized_version_holds_what_was_placed(curated: Path, tmp_path: Path, glyphmill: Run, rows: Rows) -> None:
    out = tmp_path / "version"
    glyphmill("export", "--lake", curated, "--materialize", out)
    placed = {str(r["image_id"]) for r in rows("SELECT image_id FROM placements", curated)}
    assert _members(out).keys() == placed
    first = {p.name: p.stat().st_mtime_ns for p in out.glob("*.tar")}
    glyphmill("export", "--lake", curated, "--materialize", out)
    assert {p.name: p.stat().st_mtime_ns for p in out.glob("*.tar")} == first


def test_moved_lake_opens_verifies_and_takes_the_next_delivery(
    curated: Path, tmp_path: Path, glyphmill: Run, rows: Rows
) -> None:
    import numpy as np

    first = tmp_path / "first"
    shutil.copytree(curated, first)
    moved = tmp_path / "elsewhere" / "moved"
    moved.parent.mkdir()
    shutil.copytree(first, moved)
    shutil.rmtree(first)
    before = glyphmill("digest", "--lake", moved).stdout
    assert before == glyphmill("digest", "--lake", curated).stdout
    glyphmill("verify", "--lake", moved)
    more = tmp_path / "more"
    more.mkdir()
    picture(np.random.default_rng(99)).save(more / "new.jpg", quality=90)
    glyphmill("curate", more, "--lake", moved, "--batch", "next")
    glyphmill("verify", "--lake", moved)
    (row,) = rows("SELECT outcome FROM outcomes WHERE batch = 'next'", moved)
    assert row["outcome"] == "kept"


def test_a_source_that_changed_is_not_stored_under_the_old_name(tmp_path: Path, glyphmill: Run, rows: Rows) -> None:
    import numpy as np

    source, lake = tmp_path / "source", tmp_path / "lake"
    source.mkdir()
    rng = np.random.default_rng(5)
    for name in ("a", "b"):
        picture(rng).save(source / f"{name}.jpg", quality=90)
    glyphmill("scan", source, "--lake", lake)
    glyphmill("near", "--lake", lake)
    glyphmill("decide", "--lake", lake)
    picture(rng).save(source / "b.jpg", quality=90)
    done = glyphmill("export", "--lake", lake, code=1)
    assert "b.jpg" in done.stderr
    assert "changed" in done.stderr
    assert len(_members(lake / "shards/pool")) == 1
    glyphmill("verify", "--lake", lake)
