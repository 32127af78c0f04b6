"""Shards: deterministic tars that other readers open as they are, and that say when they are not what they were."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from warehouse import schema, shards
from warehouse.errors import LakeError, UsageError
from warehouse.shards import (
    ShardError,
    ShardSample,
    WrongBytesError,
    check_shard,
    image_id_of,
    read_index,
    shard_key,
    write_shard,
)


def jpeg(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 12), (shade, 40, 90)).save(buffer, "JPEG")
    return buffer.getvalue()


def samples(count: int = 7) -> list[ShardSample]:
    found = []
    for i in range(count):
        data = jpeg(i * 20)
        caption = None if i in (0, 3) else f"图 {i}: a flat colour"
        found.append(ShardSample(image_id_of(data), data, {"width": 16, "height": 12, "license": ""}, caption))
    return found


def key_of(found: list[ShardSample]) -> str:
    return shard_key(s.image_id for s in found)


@pytest.fixture
def shard(tmp_path: Path) -> tuple[Path, list[shards.Row]]:
    written = write_shard(tmp_path, "jpg", samples(), key=key_of(samples()))
    return tmp_path / written.name, written.rows


def test_the_same_samples_give_the_same_bytes(tmp_path: Path) -> None:
    one = write_shard(tmp_path / "a", "jpg", samples(), key=key_of(samples()))
    two = write_shard(tmp_path / "b", "jpg", iter(samples()), key=key_of(samples()))
    assert (tmp_path / "a" / one.name).read_bytes() == (tmp_path / "b" / two.name).read_bytes()
    assert one == two
    assert key_of(samples()) != key_of(samples()[::-1])
    assert [p.name for p in (tmp_path / "a").iterdir()] == [one.name]


def test_offsets_lead_to_the_original_bytes_and_the_rows_fit_the_table(shard: tuple[Path, list[shards.Row]]) -> None:
    path, rows = shard
    content = path.read_bytes()
    for row, sample in zip(schema.SHARD_INDEX.from_rows(rows).to_pylist(), samples(), strict=True):
        data = content[row["offset"] : row["offset"] + row["size"]]
        assert data == sample.data
        assert row["xxh3"] == xxhash.xxh3_64_intdigest(data)
        if sample.caption is None:
            assert row["txt_offset"] is None
            assert row["txt_size"] is None
        else:
            assert content[row["txt_offset"] : row["txt_offset"] + row["txt_size"]].decode() == sample.caption


def test_tarfile_and_gnu_tar_read_it(shard: tuple[Path, list[shards.Row]]) -> None:
    path, _ = shard
    with tarfile.open(path) as tar:
        members = tar.getmembers()
        assert {(m.mtime, m.uid, m.gid, m.mode) for m in members} == {(0, 0, 0, 0o644)}
        assert [m.name.partition(".")[2] for m in members] == ["jpg", "json", "txt"] * 7
        first = tar.extractfile(members[0])
        assert first is not None
        assert first.read() == samples()[0].data
    listed = subprocess.run(["tar", "-tf", path], check=True, capture_output=True, text=True)
    assert listed.stdout.splitlines() == [m.name for m in members]
    assert listed.stderr == ""


def test_webdataset_reads_it(shard: tuple[Path, list[shards.Row]]) -> None:
    wds = pytest.importorskip("webdataset")
    read = list(wds.WebDataset(str(shard[0]), shardshuffle=False))
    assert [(s["__key__"], s["jpg"]) for s in read] == [(s.image_id, s.data) for s in samples()]
    assert [s["txt"].decode() for s in read] == [s.caption or "" for s in samples()]


def test_datasets_reads_it_with_a_first_sample_that_has_no_caption(
    shard: tuple[Path, list[shards.Row]], tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    more = [
        ShardSample(image_id_of(d), d, {"width": 16, "height": 12, "license": "CC"}) for d in [jpeg(201), jpeg(230)]
    ]
    second = write_shard(tmp_path, "jpg", more, key=key_of(more))
    files = [str(shard[0]), str(tmp_path / second.name)]
    read = datasets.load_dataset("webdataset", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    read = read.cast_column("jpg", datasets.Image(decode=False))
    assert [r["__key__"] for r in read] == [s.image_id for s in samples() + more]
    assert [r["jpg"]["bytes"] for r in read] == [s.data for s in samples() + more]
    assert [r["txt"] for r in read] == [s.caption or "" for s in samples() + more]
    assert [r["json"]["license"] for r in read] == [""] * 7 + ["CC"] * 2


def test_a_rerun_keeps_the_shard_and_rebuilds_its_rows(shard: tuple[Path, list[shards.Row]]) -> None:
    path, rows = shard
    before = path.stat()

    def untouched() -> Iterator[ShardSample]:
        raise AssertionError("a finished shard's samples are not read again")
        yield

    again = write_shard(path.parent, "jpg", untouched(), key=key_of(samples()))
    assert (again.rows, again.bytes, again.fresh) == (rows, before.st_size, False)
    assert path.stat().st_mtime_ns == before.st_mtime_ns


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.binary(min_size=0, max_size=1600), st.text(max_size=40)), min_size=1, max_size=6))
def test_the_index_is_rebuilt_from_any_shard(tmp_path_factory: pytest.TempPathFactory, given_: list) -> None:
    pool = tmp_path_factory.mktemp("pool")
    found = {image_id_of(d): ShardSample(image_id_of(d), d, {"note": text}, text) for d, text in given_}
    written = write_shard(pool, "bin", found.values(), key=shard_key(found))
    assert read_index(pool / written.name) == written.rows
    assert check_shard(pool / written.name, written.rows) == []


def test_damage_is_told(shard: tuple[Path, list[shards.Row]]) -> None:
    path, rows = shard
    whole = path.read_bytes()
    assert check_shard(path, rows) == []
    for at in range(0, len(whole), 512):  # cut at every block: never taken for whole
        path.write_bytes(whole[:at])
        with pytest.raises(ShardError, match="cut off"):
            read_index(path)
    for at in (3, rows[2]["offset"] - 400, rows[2]["offset"] + 7):  # a name, a header, a pixel
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert len(check_shard(path, rows)) == 1
    path.write_bytes(whole)
    wrong = [dict(r) for r in rows]
    wrong[1]["offset"] += 512
    assert [p for p in check_shard(path, wrong) if "offset of" in p and str(wrong[1]["image_id"]) in p]
    assert "is not in the index" in check_shard(path, rows[:-1])[0]
    assert "which the index places there" in check_shard(path, [*rows, {**rows[0], "image_id": "0" * 32}])[0]
    path.unlink()
    assert check_shard(path, rows) == [f"{path.name}: the shard is missing"]


def test_bytes_that_changed_since_the_scan_are_refused(tmp_path: Path) -> None:
    changed = [samples()[0], ShardSample(samples()[1].image_id, b"other bytes", samples()[1].meta)]
    with pytest.raises(WrongBytesError) as caught:
        write_shard(tmp_path, "jpg", changed, key="0" * 32)
    assert caught.value.image_id == samples()[1].image_id
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"width": 1, "height": None}, "NoneType"),
        ({"width": 1, "height": []}, "list"),
        ({"width": 1}, "height"),
        ({"width": 1, "height": 1.5}, "height"),
    ],
)
def test_metadata_that_other_readers_would_lose_is_refused(
    tmp_path: Path, second: dict[str, object], message: str
) -> None:
    pair = [
        ShardSample(image_id_of(b"a"), b"a", {"width": 1, "height": 2}),
        ShardSample(image_id_of(b"b"), b"b", second),
    ]
    with pytest.raises(UsageError, match=message):
        write_shard(tmp_path, "jpg", pair, key="0" * 32)
    assert list(tmp_path.iterdir()) == []


def test_what_a_shard_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="8 GiB"):
        shards.header("a.jpg", 8 * 2**30)
    assert len(shards.header("a.jpg", 8 * 2**30 - 1)) == 512
    with pytest.raises(UsageError, match="suffix"):
        write_shard(tmp_path, "jp/g", samples(), key="0" * 32)
    with pytest.raises(UsageError, match="twice"):
        write_shard(tmp_path, "jpg", [samples()[0], samples()[0]], key="0" * 32)
    with pytest.raises(UsageError, match="no image"):
        write_shard(tmp_path, "jpg", [], key="0" * 32)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open

    def full(path: object, *args: object, **options: object) -> object:
        if str(path).endswith(".tmp"):
            opened(path, "xb").close()  # the name exists, its bytes go to a device that is always full
            return opened("/dev/full", "wb", buffering=4096)
        return opened(path, *args, **options)

    monkeypatch.setattr(shards, "open", full, raising=False)
    with pytest.raises(LakeError, match="disk full while writing shard") as caught:
        write_shard(tmp_path, "jpg", samples(), key="0" * 32)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_source_is_not_told_as_one_of_the_disk(tmp_path: Path) -> None:
    def gone() -> Iterator[ShardSample]:
        yield samples()[0]
        raise FileNotFoundError("source.jpg")

    with pytest.raises(FileNotFoundError):
        write_shard(tmp_path, "jpg", gone(), key="0" * 32)
    assert list(tmp_path.iterdir()) == []
