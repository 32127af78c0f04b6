"""Places and whole files: the same operations on a folder and on a real S3 server, which fails now and then."""

from __future__ import annotations

import pickle
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path, PurePath

import duckdb
import pytest
from botocore.exceptions import ClientError
from fsspec.registry import _registry
from lakes import scan
from s3_server import S3Server
from s3fs.errors import translate_boto_error

import glyphmill
from warehouse import files, object_store, storage
from warehouse.errors import LakeError, MissingDependency, UsageError
from warehouse.lake import Lake
from warehouse.places import is_remote, place

Place = Callable[[str], PurePath]


@pytest.fixture(params=["folder", "object store"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> PurePath:
    if request.param == "folder":
        return tmp_path / "root"
    request.getfixturevalue("faults")
    return place(f"s3://bucket/{tmp_path.name}")


def test_an_object_path_joins_and_prints() -> None:
    lake = place("s3://bucket/a lake/")
    assert is_remote(lake)
    assert str(lake / "tables" / "x.parquet") == "s3://bucket/a lake/tables/x.parquet"
    assert (lake / "tables").parent == lake
    assert place(Path("s3://bucket/a lake")) == lake, "a Path makes one slash of two"
    assert pickle.loads(pickle.dumps(lake / "x")) == lake / "x"
    assert (lake / "a" / "b").relative_to(lake).parts == ("a", "b")
    assert not is_remote(place("/data/lake"))
    assert not is_remote(place("c:odd/name"))
    with pytest.raises(UsageError, match="s3://"):
        place("gs://bucket/lake")


def test_files_are_written_read_listed_copied_and_removed(root: PurePath, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    assert storage.listing(root) == []
    file = root / "staging" / "t" / "字 one.parquet"
    assert not storage.exists(file)
    with storage.replacing(file, scratch) as temporary:
        temporary.write_bytes(bytes(range(256)) * 5000)
        assert not storage.exists(file), "nothing is seen before it is whole"
    storage.write(root / "pins" / "a", b"7\n")
    storage.mark(root / "staging" / "mark")
    assert storage.size(file) == 1_280_000
    assert storage.read(file)[:3] == b"\x00\x01\x02"
    assert storage.read_ranges([(file, n, 2) for n in range(200)]) == [bytes([n, n + 1]) for n in range(200)]
    found = storage.listing(root)
    assert [f.path for f in found] == [root / "pins" / "a", root / "staging" / "mark", file]
    assert [f.size for f in found] == [2, 0, 1_280_000]
    assert storage.sizes([file, root / "pins" / "a"]) == [1_280_000, 2]
    if not isinstance(root, Path):
        assert not list(scratch.iterdir())
    with storage.local(file, scratch) as copy:
        assert copy.read_bytes() == storage.read(file)
    storage.same_again(file, file.with_name("two"))
    assert storage.read(file.with_name("two")) == storage.read(file)
    for _ in range(2):
        storage.delete(file)
    assert not storage.exists(file)
    for missing in (
        lambda: storage.read(file),
        lambda: storage.size(file),
        lambda: storage.read_ranges([(file, 0, 1)]),
    ):
        with pytest.raises(FileNotFoundError):
            missing()
    with pytest.raises(FileNotFoundError), storage.local(file, scratch):
        pass


def test_what_fails_on_the_way_leaves_nothing(root: PurePath, tmp_path: Path) -> None:
    def half() -> None:
        with storage.replacing(root / "x", tmp_path / "scratch") as temporary:
            temporary.write_bytes(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert storage.listing(root) == []
    assert not any(p.is_file() for p in tmp_path.rglob("*"))


def test_a_reader_sees_the_old_object_or_the_new_one(faults: S3Server) -> None:
    path, stop = place("s3://bucket/replaced/x"), threading.Event()
    storage.write(path, b"a" * 100_000)

    def write() -> None:
        for letter in (b"b", b"c", b"d"):
            storage.write(path, letter * 100_000)
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not stop.is_set():
        data = storage.read(path)
        seen.add((len(data), len(set(data))))
    writer.join()
    assert seen == {(100_000, 1)}


def test_a_store_that_stays_away_is_one_line(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "PAUSES_S", (0.01,))
    monkeypatch.setattr(s3, "faults", 1.0)
    with pytest.raises(LakeError, match="the object store failed while writing s3://bucket/away/x") as caught:
        storage.write(place("s3://bucket/away/x"), b"x")
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(s3, "faults", 0.0)
    # some tries were done and only the answer was lost: all of it is there, or nothing
    assert [f.size for f in storage.listing(place("s3://bucket/away"))] in ([], [1])


def test_a_bucket_that_is_not_there_and_an_extra_that_is_not_installed_are_one_line(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for use in (lambda at: storage.read(at), lambda at: storage.write(at, b"x"), lambda at: list(storage.listing(at))):
        with pytest.raises(LakeError, match=r"there is no such bucket while .*s3://nobucket/lake"):
            use(place("s3://nobucket/lake"))
    monkeypatch.setattr(object_store, "_systems", {})
    for protocol in ("s3", "s3a"):
        monkeypatch.delitem(_registry, protocol, raising=False)  # where it was loaded already
    for package in ("s3fs", "aiohttp", "botocore.exceptions"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependency, match=r'pip install "glyphmill\[s3\]"'):
        storage.read(place("s3://bucket/lake"))


def test_what_duckdb_says_of_a_lost_store_is_one_line_too(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLYPHMILL_SCRATCH", str(tmp_path))
    lake = Lake.create("s3://bucket/lost", catalog=str(tmp_path / "catalog.sqlite"))
    with lake.connect() as con:
        scan(lake, con, [("/a", [1, 2])])
        assert con.execute("SELECT sum(width) FROM signals_header").fetchone() == (203,)
        con.execute("SET http_retries = 1; SET enable_external_file_cache = false")
        monkeypatch.setattr(s3, "faults", 1.0)
        with pytest.raises(duckdb.Error) as caught:
            con.execute("SELECT sum(height) FROM signals_header").fetchone()
        told = glyphmill.explain(caught.value)
        assert told is not None
        assert told[0].startswith("the object store cannot be reached")
        assert "\n" not in told[0]
        assert told[1] == 3
        with pytest.raises(LakeError, match="the object store went away while looking"), files.told("looking"):
            con.execute("SELECT sum(height) FROM signals_header").fetchone()


def test_uploads_that_did_not_end_and_old_versions_are_found_and_go(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs, lake = object_store.filesystem(), place("s3://kept/lake")
    fs.call_s3("create_bucket", Bucket="kept")
    fs.call_s3("put_bucket_versioning", Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    for name in ("lake/a", "lake/pool/b", "lakes/c"):
        fs.call_s3("create_multipart_upload", Bucket="kept", Key=name)
        for data in (b"old", b"new"):
            storage.write(place(f"s3://kept/{name}"), data)
    storage.delete(lake / "a")
    monkeypatch.setattr(s3, "faults", 0.05)
    assert [str(upload.path.relative_to(lake)) for upload in storage.uploads(lake)] == ["a", "pool/b"]
    for upload in storage.uploads(lake):
        assert 0 < upload.began < time.time()
        storage.abort(upload)
    assert storage.uploads(lake) == []
    assert len(storage.uploads(place("s3://kept"))) == 1
    assert storage.drop_old_versions(lake) == 3
    assert storage.drop_old_versions(lake) == 0
    assert storage.listing(lake) == [storage.listing(lake / "pool")[0]], "what was removed stays removed"
    assert storage.read(lake / "pool" / "b") == b"new"
    monkeypatch.setattr(s3, "faults", 0.0)
    told = fs.call_s3("list_object_versions", Bucket="kept")
    assert [v["Key"] for v in told["Versions"]] == ["lake/pool/b", "lakes/c", "lakes/c"]
    assert not told.get("DeleteMarkers")
    assert (storage.uploads(tmp_path), storage.drop_old_versions(tmp_path)) == ([], 0)


def test_an_upload_that_is_ended_by_a_sweep_begins_anew(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs, tries = object_store.filesystem(), []

    def put_file(file: str, uri: str) -> None:
        tries.append(uri)
        if len(tries) == 1:
            raise translate_boto_error(ClientError({"Error": {"Code": "NoSuchUpload"}}, "CompleteMultipartUpload"))
        fs.pipe_file(uri, Path(file).read_bytes())

    monkeypatch.setattr(fs, "put_file", put_file)
    (tmp_path / "shard").write_bytes(b"whole")
    storage.move(tmp_path / "shard", place("s3://bucket/ended/shard"))
    assert storage.read(place("s3://bucket/ended/shard")) == b"whole"
    assert len(tries) == 2
