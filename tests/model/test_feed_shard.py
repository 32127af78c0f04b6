"""Shards: what is written is read, bit for bit and without a copy; what is damaged is noticed."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from model.feed.fetch import Fetcher
from model.feed.manifest import Source
from model.feed.messages import Dtype, Encoding, Located, Place, ShardAt, Spot
from model.feed.server import serving
from model.feed.shard import TORCH, DamagedError, Mapped, read_manifest, write_shard
from model.feed.store import Store

ENCODING = Encoding("aa", "bb", "rule", 4, 8, 8)
KEYS = st.text("0123456789abcdef", min_size=32, max_size=32)
SHAPES = st.lists(st.integers(0, 5), min_size=1, max_size=3).map(tuple)


def values(shape: tuple[int, ...], seed: int, dtype: Dtype) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(TORCH[dtype])


@given(
    st.dictionaries(KEYS, SHAPES, max_size=6),
    st.dictionaries(KEYS, st.text(max_size=20), max_size=2),
    st.sampled_from(("float32", "bfloat16")),
)
def test_what_is_written_is_read(shapes: dict[str, tuple[int, ...]], absent: dict[str, str], dtype: Dtype) -> None:
    encoding = Encoding("aa", "bb", "rule", 4, 8, 8, latent_dtype=dtype)
    tensors = [(key, values(shape, at, dtype)) for at, (key, shape) in enumerate(shapes.items())]
    sources = {key: Source((640, 480), (0.5, 0.0, 479.5, 480.0)) for key in shapes}
    with TemporaryDirectory() as folder:
        name, manifest = write_shard(Path(folder), "latent", (64, 48), encoding, tensors, absent, sources)
        path = Path(folder) / name
        again, start = read_manifest(path)
        assert again == manifest
        assert manifest.absent == absent
        assert manifest.sources == sources
        assert name.startswith("latent-48x64-")
        assert start % 64 == 0
        mapped = Mapped(path)
        by_key = {entry.key: entry for entry in manifest.entries}
        with safe_open(str(path), "pt") as peer:
            assert set(peer.keys()) == set(shapes)
            for key, tensor in tensors:
                entry = by_key[key]
                found = mapped.tensor(start + entry.offset, entry.shape, dtype, entry.check)
                assert found.dtype == tensor.dtype
                assert torch.equal(found, tensor)
                assert torch.equal(peer.get_tensor(key), tensor)


def test_the_same_work_gives_the_same_file(tmp_path: Path) -> None:
    tensors = [(f"{at:032x}", values((4, 2, 2), at, "float32")) for at in range(3)]
    one, _ = write_shard(tmp_path / "a", "latent", (16, 16), ENCODING, tensors, {}, {})
    two, _ = write_shard(tmp_path / "b", "latent", (16, 16), ENCODING, tensors[::-1], {}, {})
    assert one == two
    assert (tmp_path / "a" / one).read_bytes() == (tmp_path / "b" / two).read_bytes()
    three, _ = write_shard(tmp_path / "b", "latent", (16, 16), ENCODING, tensors[:2], {}, {})
    assert three != one


def spots(path: Path) -> Located:
    manifest, start = read_manifest(path)
    found = {e.key: Spot(path.name, start + e.offset, e.shape, e.check) for e in manifest.entries}
    return Located(found, {path.name: ShardAt(manifest.dtype, (Place(str(path.parent), ""),))}, {})


def test_local_entries_are_views_of_the_file(tmp_path: Path) -> None:
    tensors = [(f"{at:032x}", values((4, 8, 8), at, "float32")) for at in range(3)]
    name, manifest = write_shard(tmp_path, "latent", (16, 16), ENCODING, tensors, {}, {})
    located = spots(tmp_path / name)
    fetcher = Fetcher()
    found = fetcher.fetch(located)
    first = manifest.entries[0]
    for entry in manifest.entries:
        assert found[entry.key].data_ptr() - found[first.key].data_ptr() == entry.offset - first.offset
        assert found[entry.key].untyped_storage().nbytes() >= math.prod(entry.shape) * 4
    # the page belongs to the file: what is written to the file is seen through the view
    with open(tmp_path / name, "r+b") as file:
        file.seek(located.spots[first.key].offset)
        file.write(torch.tensor([42.0]).numpy().tobytes())
    assert found[first.key].flatten()[0] == 42.0
    # and what is written to the view stays out of the file
    before = (tmp_path / name).read_bytes()
    found[manifest.entries[1].key].zero_()
    assert (tmp_path / name).read_bytes() == before
    fetcher.close()


@pytest.mark.parametrize("where", ["header", "name", "end", "length"])
def test_a_damaged_file_is_no_shard(tmp_path: Path, where: str) -> None:
    tensors = [(f"{at:032x}", values((4, 8, 8), at, "float32")) for at in range(3)]
    name, _ = write_shard(tmp_path, "latent", (16, 16), ENCODING, tensors, {"f" * 32: "forgotten"}, {})
    path = tmp_path / name
    data = bytearray(path.read_bytes())
    if where == "header":
        data[data.index(b"forgotten")] ^= 1
    elif where == "length":
        data[3] ^= 1
    path.write_bytes(data[:-1] if where == "end" else data)
    if where == "name":
        path = path.rename(tmp_path / name.replace("latent-16x16", "latent-16x32"))
    with pytest.raises(DamagedError, match=path.name):
        read_manifest(path)
    store = Store(tmp_path)
    keys, told = store.scan(Place(str(tmp_path), ""), ENCODING)
    assert not keys
    assert [path.name in one for one in told] == [True]
    assert not path.exists()
    assert store.entries == 0


@given(st.data())
def test_any_flipped_bit_of_the_data_is_noticed(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        tensors = [(f"{at:032x}", values((3, 2), at, "float32")) for at in range(3)]
        name, manifest = write_shard(Path(folder), "latent", (16, 16), ENCODING, tensors, {}, {})
        path = Path(folder) / name
        located = spots(path)
        _, start = read_manifest(path)
        content = bytearray(path.read_bytes())
        at = data.draw(st.integers(start, len(content) - 1))
        content[at] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(content)
        mapped = Mapped(path)
        hurt = []
        for key, spot in located.spots.items():
            try:
                mapped.tensor(spot.offset, spot.shape, manifest.dtype, spot.check)
            except DamagedError:
                hurt.append(key)
        assert hurt == [e.key for e in manifest.entries if e.offset <= at - start < e.offset + 24]


def test_half_a_shard_never_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("warehouse.files.sync", full)
    with pytest.raises(OSError, match="No space"):
        write_shard(tmp_path, "latent", (16, 16), ENCODING, [("0" * 32, torch.zeros(4))], {}, {})
    assert not list(tmp_path.iterdir())


def test_ranges_over_http(tmp_path: Path) -> None:
    tensors = [(f"{at:032x}", values((40, 40), at, "float32")) for at in range(20)]
    name, _ = write_shard(tmp_path, "latent", (16, 16), ENCODING, tensors, {}, {})
    located = spots(tmp_path / name)
    with serving(tmp_path, None) as url:
        fetcher = Fetcher(url, local=False)
        wanted = {key: located.spots[key] for key, _ in tensors[::7]}
        found = fetcher.fetch(Located(wanted, located.shards, {}))
        assert set(found) == set(wanted)
        assert all(torch.equal(found[key], dict(tensors)[key]) for key in wanted)
        assert fetcher.pulled_bytes == len(wanted) * 6400
        fetcher.close()


@pytest.mark.parametrize("path", ["/shard/../secret", "/shard/%2e%2e/secret", "/etc/passwd", "/shard/x.txt"])
def test_nothing_but_shards_is_served(tmp_path: Path, path: str) -> None:
    from model.feed.client import connect

    (tmp_path / "secret").write_text("x", encoding="utf-8")
    (tmp_path / "shards").mkdir()
    with serving(tmp_path / "shards", None) as url:
        connection = connect(url)
        connection.request("GET", path)
        assert connection.getresponse().status == 404
        connection.close()
