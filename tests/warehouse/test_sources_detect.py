"""Which kind a path is, what lies in several kinds at once, object stores, and errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deliveries import by_name, deliver, fill, picture, texts, write_tar

from warehouse.errors import UsageError
from warehouse.sources import UnreadableError, detect, open_source, read, read_image


def _parquet(path: Path) -> Path:
    pq.write_table(pa.table({"image": [picture(7)]}), path)
    return path


def test_kinds(tmp_path: Path) -> None:
    fill(tmp_path, {"images/x/a.png": picture(1), "shards/.x": "", "rows/.x": "", "images/README.md": "x"})
    write_tar(tmp_path / "shards/a.tar", [("a.png", picture(1))])
    write_tar(tmp_path / "shards/b.tgz", [("b.png", picture(2))])
    _parquet(tmp_path / "rows/a.parquet")
    names = ["images", "shards", "rows", "shards/a.tar", "shards/b.tgz", "rows/a.parquet", "images/x/a.png"]
    kinds = [detect(str(tmp_path / name)).kind for name in names]
    assert kinds == ["folder", "webdataset", "parquet", "webdataset", "webdataset", "parquet", "folder"]


def test_a_mixed_folder_loses_nothing(tmp_path: Path) -> None:
    fill(tmp_path, {"a.png": picture(1), "a.txt": "one", "sub/b.png": picture(2), "notes.doc": "x"})
    write_tar(tmp_path / "c.tar", [("c.png", picture(3))])
    write_tar(tmp_path / "sub/d.tgz", [("d.png", picture(4))])
    _parquet(tmp_path / "e.parquet")
    assert detect(str(tmp_path)).kind == "mixed"
    found = {s.data for s in deliver(tmp_path)}
    assert found == {picture(i) for i in (1, 2, 3, 4, 7)} | {b"x"}
    assert {s.data for s in deliver(tmp_path, kind="webdataset")} == {picture(3), picture(4)}
    assert {s.data for s in deliver(tmp_path, kind="parquet")} == {picture(7)}
    plain = by_name(deliver(tmp_path, kind="folder"))
    assert plain.keys() == {"a.png", "b.png", "c.tar", "d.tgz", "e.parquet", "notes.doc"}
    assert (plain["c.tar"].error or "").startswith("unsupported: a container")


def test_a_table_that_names_a_container_keeps_rows_apart(tmp_path: Path) -> None:
    write_tar(tmp_path / "c.tar", [("c.png", picture(3))])
    fill(tmp_path, {"captions.csv": "file_name,caption\nc.tar,not a picture\n../x.png,outside\n"})
    samples = deliver(tmp_path)
    assert sorted((s.error or "ok").split(":")[0] for s in samples) == ["missing", "ok", "unsupported"]


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("nowhere", None, "no such file or folder"),
        ("empty", None, "is empty: looked for images, .tar"),
        ("hidden", None, "is empty"),
        ("papers", None, "--kind folder"),
        ("papers", "tarball", "unknown kind of source 'tarball': use one of folder, webdataset"),
        ("papers", "webdataset", "holds nothing to read as webdataset"),
        ("empty", "folder", "holds nothing to read as folder"),
    ],
)
def test_errors_say_what_to_do(tmp_path: Path, name: str, kind: str | None, says: str) -> None:
    fill(tmp_path, {"papers/a.docx": "x", "hidden/.DS_Store": "x"})
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=says) as error:
        open_source(str(tmp_path / name), kind)
    assert "\n" not in str(error.value)


def test_any_file_can_be_named_an_image(tmp_path: Path) -> None:
    fill(tmp_path, {"7f3a": picture(1)})
    assert [s.data for s in deliver(tmp_path, kind="folder")] == [picture(1)]
    assert [s.data for s in deliver(tmp_path / "7f3a")] == [picture(1)]
    write_tar(tmp_path / "x.tar", [("a.png", picture(2))]).rename(tmp_path / "shard")
    assert [s.data for s in deliver(tmp_path / "shard", kind="webdataset")] == [picture(2)]


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[str]:
    fill(
        tmp_path,
        {"a.png": picture(1), "a.txt": "one", "sub/b.png": picture(2), "captions.csv": "file,text\nsub/b.png,二\n"},
    )
    write_tar(tmp_path / "c.tar", [(f"{i}.png", picture(i)) for i in range(10, 15)])
    write_tar(tmp_path / "d.tgz", [("d.png", picture(4)), ("e.png", picture(5))])
    _parquet(tmp_path / "e.parquet")
    store = fsspec.filesystem("memory")
    store.put(f"{tmp_path}/", "/bucket/", recursive=True)
    yield "memory://bucket"
    store.rm("/bucket", recursive=True)


def test_an_object_store_reads_as_the_folder_does(bucket: str, tmp_path: Path) -> None:
    remote, local = deliver(bucket, 2), deliver(tmp_path, 2)
    assert [(s.row, s.offset, s.data, texts(s), s.extra, s.error) for s in remote] == [
        (s.row, s.offset, s.data, texts(s), s.extra, s.error) for s in local
    ]
    assert [s.uri.removeprefix(bucket) for s in remote] == [s.uri.removeprefix(str(tmp_path)) for s in local]
    store = fsspec.filesystem("memory")
    units = list(open_source(bucket).units())
    store.pipe("/bucket/a.png", b"other")
    changed = [s for u in units for s in read(u) if s.error]
    assert [(s.uri, (s.error or "")[:8]) for s in changed] == [(f"{bucket}/a.png", "changed:")]


def test_reading_again_what_is_gone_or_shorter(tmp_path: Path) -> None:
    path = str(fill(tmp_path, {"a.png": b"12345"}) / "a.png")
    assert read_image(path, 0, 5, 0) == b"12345"
    assert read_image(path, 1, 2, 0) == b"23"
    with pytest.raises(UnreadableError, match="changed"):
        read_image(path, 0, 6, 0)
    with pytest.raises(UnreadableError, match="read: "):
        read_image(path + "x", 0, 5, 0)
    with pytest.raises(UnreadableError, match="read: "):
        read_image(path + "x", None, 5, 0)
