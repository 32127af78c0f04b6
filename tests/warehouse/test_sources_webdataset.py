"""WebDataset tars: samples, units, damage, and what `webdataset` itself writes and reads."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import webdataset
from deliveries import deliver, picture, texts, write_tar
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.sources import open_source, read
from warehouse.sources.tar import Member, members


def _samples(count: int) -> list[tuple[str, bytes | str]]:
    entries: list[tuple[str, bytes | str]] = []
    for i in range(count):
        entries += [(f"{i:05}.png", picture(i)), (f"{i:05}.txt", f"caption {i}"), (f"{i:05}.json", f'{{"n": {i}}}')]
    return entries


def test_written_by_webdataset(tmp_path: Path) -> None:
    with webdataset.TarWriter(str(tmp_path / "a.tar")) as writer:
        for i in range(20):
            writer.write(
                {
                    "__key__": f"sub/{i:03}",
                    "jpg": picture(i, "JPEG"),
                    "txt": f"标题 {i}",
                    "json": {"n": i, "fused": "", "none": None, "url": f"http://x/{i}"},
                    "cls": i,
                    "embedding.npy": bytes([i, 255] * 100),
                }
            )
    samples = deliver(tmp_path / "a.tar")
    tar = (tmp_path / "a.tar").read_bytes()
    theirs = webdataset.WebDataset(str(tmp_path / "a.tar"), shardshuffle=False, empty_check=False)
    for i, (sample, peer) in enumerate(zip(samples, theirs, strict=True)):
        assert sample.data == peer["jpg"] == picture(i, "JPEG")
        assert sample.row == i
        assert sample.offset is not None
        assert tar[sample.offset :][: sample.length] == sample.data
        assert texts(sample) == [("raw", f"标题 {i}", "zh")]
        assert sample.source_url == f"http://x/{i}"
        assert {k: sample.extra[k] for k in ("n", "fused", "none", "cls")} == {
            "n": i,
            "fused": "",
            "none": None,
            "cls": i,
        }
        assert sample.extra["member"] == f"sub/{i:03}.jpg"
        assert sample.extra["embedding.npy"].keys() == {"bytes", "sha256"}  # type: ignore[attr-defined]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["jpg", "png", "in.png", "txt", "json", "cls", "mp"]), max_size=4), max_size=12),
    st.integers(1, 6),
)
def test_rows_do_not_depend_on_units(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[str]], size: int
) -> None:
    path = tmp_path_factory.mktemp("t") / "a.tar"
    entries = [(f"{i}.{suffix}", f'"{i} {j}"') for i, g in enumerate(groups) for j, suffix in enumerate(g)]
    write_tar(path, entries)
    whole = deliver(path)
    assert deliver(path, size) == whole
    assert [s.row for s in whole] == list(range(len(whole)))
    images = [content for name, content in entries if name.endswith(("jpg", "png"))]
    assert [s.data.decode() for s in whole if s.data and str(s.extra["member"]).endswith(("jpg", "png"))] == images


def test_two_images_of_one_sample_share_its_captions(tmp_path: Path) -> None:
    entries = [("1.input.png", picture(1)), ("1.output.png", picture(2)), ("1.txt", "make it blue"), ("2.png", b"")]
    before, after, empty = deliver(write_tar(tmp_path / "a.tar", entries))
    assert (before.data, after.data) == (picture(1), picture(2))
    assert texts(before) == texts(after) == [("raw", "make it blue", "und")]
    assert (empty.data, empty.length, empty.error) == (b"", 0, None)


def test_same_name_twice_is_two_samples(tmp_path: Path) -> None:
    entries = [("a.png", picture(1)), ("a.png", picture(2)), ("b.png", picture(3)), ("a.png", picture(4))]
    assert [s.data for s in deliver(write_tar(tmp_path / "a.tar", entries))] == [picture(i) for i in (1, 2, 3, 4)]


def test_samples_without_an_image(tmp_path: Path) -> None:
    entries = [("a.txt", "only words"), ("b.mp", b"\x80"), ("._c.png", b"x"), ("__MACOSX/d.png", b"x"), ("e.png", "x")]
    words, other, image = deliver(write_tar(tmp_path / "a.tar", entries))
    assert (words.data, words.error) == (None, "missing: sample a holds no image")
    assert texts(words) == [("raw", "only words", "und")]
    assert (other.data, other.error) == (b"\x80", None)  # what it is, its content says
    assert image.data == b"x"


def _members(path: Path) -> list[Member]:
    with open(path, "rb") as file:
        return list(members(file))


@pytest.mark.parametrize("size", [1, 3, 512])
def test_truncated(tmp_path: Path, size: int) -> None:
    whole = write_tar(tmp_path / "whole.tar", _samples(10))
    (found,) = [m.data for m in _members(whole) if m.name == "00006.png"]
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole.read_bytes()[: found + 10])
    *good, damage = deliver(cut, size)
    assert [s.data for s in good] == [picture(i) for i in range(6)]
    assert (damage.row, damage.data) == (6, None)
    assert damage.error == f"tar: truncated in 00006.png at byte {found - 512}, after 6 images"


def test_a_sample_cut_after_its_image_is_delivered(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "whole.tar", _samples(2))
    (found,) = [m.header for m in _members(whole) if m.name == "00001.txt"]
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole.read_bytes()[: found + 100])
    samples = deliver(cut)
    assert [s.data for s in samples] == [picture(0), picture(1), None]
    assert samples[2].error is not None
    assert samples[2].error.startswith("tar: truncated")


def test_truncated_gzip(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar.gz", [(f"{i}.png", picture(i) + bytes(range(256)) * i) for i in range(50)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    *good, damage = deliver(path)
    assert 0 < len(good) < 50
    assert all(s.error is None and s.offset is None for s in good)
    assert damage.error is not None
    assert damage.error.startswith("tar: ")


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 100, b"\x28\xb5\x2f\xfd123456"])
def test_no_tar(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    write_tar(tmp_path / "b.tar", _samples(3))
    bad, *good = deliver(tmp_path)
    assert bad.error is not None
    assert bad.error.startswith("tar: ")
    assert len(good) == 3


def test_rewritten_and_vanished(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", _samples(5))
    write_tar(tmp_path / "b.tar", _samples(4))
    units = list(open_source(str(tmp_path)).units(2))
    write_tar(tmp_path / "a.tar", _samples(6))
    (tmp_path / "b.tar").unlink()
    samples = [s for u in units for s in read(u)]
    codes = [(s.uri[-5:], s.row, s.error and s.error.split(":")[0]) for s in samples]
    assert codes == [("a.tar", i, "changed") for i in range(5)] + [("b.tar", i, "read") for i in range(4)]


def test_listing_reads_headers_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tar(tmp_path / "a.tar", [(f"{i}.bmp", bytes(1 << 20)) for i in range(20)])
    read_bytes = 0

    class Counting(io.FileIO):
        def readinto(self, buffer: object) -> int | None:  # type: ignore[override]
            nonlocal read_bytes
            got = super().readinto(buffer)  # type: ignore[arg-type]
            read_bytes += got or 0
            return got

    monkeypatch.setattr("warehouse.sources.tar.open_file", lambda uri: io.BufferedReader(Counting(uri)))
    assert [(u.start, u.stop) for u in open_source(str(path)).units(8)] == [(0, 8), (8, 16), (16, 20)]
    assert read_bytes < 1 << 20


def test_peers_shards(shared_data: Path) -> None:
    root = shared_data / "peer_suites" / "webdataset_shards"
    samples = deliver(root / "sample.tgz")
    with tarfile.open(root / "sample.tgz") as tar:
        theirs = {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]
    assert [str(s.extra["member"]) for s in samples] == [n for n in theirs if n.endswith("png")]
    for sample in samples:
        name = str(sample.extra["member"])
        assert sample.data == theirs[name]
        assert sample.extra["cls"] == int(theirs[name.replace("png", "cls")])
    packed = deliver(root / "mpdata.tar", 7)
    assert [s.row for s in packed] == list(range(len(packed)))
    assert len(packed) == 100
    assert len(deliver(root / "compressed.tar")) == 3
