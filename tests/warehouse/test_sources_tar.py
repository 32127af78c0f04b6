"""Tars by their headers, against the standard library's reader, and what is told of damaged ones."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from pathlib import Path

import pytest
from deliveries import picture, write_tar
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.sources.tar import Member, TarDamageError, members, open_tar

_NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=130).filter(
    lambda n: n not in (".", "..")
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(_NAMES, st.binary(max_size=1500)), max_size=8),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    st.booleans(),
)
def test_like_tarfile(entries: list[tuple[str, bytes]], form: int, load: bool) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, data in entries:
            info = tarfile.TarInfo(f"folder/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
            tar.addfile(_folder(f"folder/{name}.d"))
    found = list(members(out, 0, out.tell(), 1 << 20 if load else -1))
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        told = [(m.name, m.offset, m.offset_data, m.size) for m in tar if m.isreg()]
    assert [(m.name, m.header, m.data, m.size) for m in found] == told
    assert [m.content for m in found] == [data if load else None for _, data in entries]
    assert [out.getvalue()[m.data :][: m.size] for m in found] == [data for _, data in entries]


def _folder(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE
    return info


def _read(data: bytes) -> tuple[list[Member], str]:
    found = []
    try:
        for member in members(io.BytesIO(data), 0, len(data)):
            found.append(member)
    except TarDamageError as e:
        return found, str(e)
    return found, ""


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 8000))
def test_cut_anywhere(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = write_tar(tmp_path_factory.mktemp("t") / "a.tar", [(f"{i}.bin", bytes([i]) * 700) for i in range(4)])
    data = path.read_bytes()
    whole = 4 * (512 + 1024)
    found, damage = _read(data[:cut])
    assert len(found) == min(cut, whole) // 1536 + (cut % 1536 >= 512 + 700 and cut < whole)
    assert bool(damage) == (cut < whole + 512)


def test_a_damaged_header_ends_it_with_a_reason(tmp_path: Path) -> None:
    data = bytearray(write_tar(tmp_path / "a.tar", [(f"{i}.bin", b"x") for i in range(3)]).read_bytes())
    data[1024 + 20] ^= 0xFF
    found, damage = _read(bytes(data))
    assert [m.name for m in found] == ["0.bin"]
    assert damage == "tar: damaged header at byte 1024"
    assert _read(b"\x89PNG" * 400)[1] == "tar: not a tar file at byte 0"
    assert _read(b"")[1] == "tar: empty file at byte 0"


def test_tars_put_one_after_the_other(tmp_path: Path) -> None:
    one, two = (write_tar(tmp_path / f"{n}.tar", [(f"{n}.bin", n)]).read_bytes() for n in "ab")
    found, damage = _read(one + two)
    assert [m.name for m in found] == ["a.bin", "b.bin"]
    assert damage == ""


def test_links_and_devices_are_members_with_a_problem(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo("x.jpg")
            info.type, info.linkname = kind, "y.jpg"
            tar.addfile(info)
        info = tarfile.TarInfo("z.jpg")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    found, damage = _read((tmp_path / "a.tar").read_bytes())
    assert [m.problem is None for m in found] == [False, False, False, True]
    assert damage == ""


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed(tmp_path: Path, pack: object) -> None:
    plain = write_tar(tmp_path / "a.tar", [("a.png", picture(1)), ("b.png", picture(2))])
    packed = tmp_path / "b.tar"
    packed.write_bytes(pack(plain.read_bytes()))  # type: ignore[operator]
    file, compressed = open_tar(str(packed))
    assert compressed
    assert [m.content for m in members(file, 0, None, 1 << 20)] == [picture(1), picture(2)]
    file.close()
    packed.write_bytes(packed.read_bytes()[:-20])
    file, _ = open_tar(str(packed))
    with pytest.raises(TarDamageError):
        list(members(file, 0, None, 1 << 20))
    file.close()
