"""A tar's members by their headers: names, where the bytes lie, and where the damage begins.

`tarfile` takes a damaged header, or a file cut short, for the end of the archive; here each of them is an error,
because samples that were there must not vanish.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from warehouse.sources.base import MAX_BYTES
from warehouse.sources.files import open_file

BLOCK = 512
SUFFIXES = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
STREAM_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)


class TarDamageError(Exception):
    """The archive cannot be read on. `offset` is the byte (of the uncompressed tar) where the damage begins."""

    def __init__(self, why: str, offset: int) -> None:
        super().__init__(f"tar: {why} at byte {offset}")
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Member:
    """One entry. `header` and `data` are byte offsets in the tar; `problem` is set where it holds no plain bytes.

    `content` is there only when asked for, and None for members above the limit.
    """

    name: str
    header: int
    data: int
    size: int
    problem: str | None = None
    content: bytes | None = None


def is_tar(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def open_tar(uri: str) -> tuple[BinaryIO, bool]:
    """(the tar's bytes, whether they come out of a compressed file). Raises files.UnreadableError, TarDamageError."""
    file = open_file(uri)
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, _Owning(gzip.GzipFile(fileobj=file), file)), True
    if magic.startswith(b"BZh"):
        return cast(BinaryIO, _Owning(bz2.BZ2File(file), file)), True
    if magic == b"\xfd7zXZ\x00":
        return cast(BinaryIO, _Owning(lzma.LZMAFile(file), file)), True
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        file.close()
        raise TarDamageError("zstd compression is not read, store it as .tar or .tar.gz:", 0)
    return file, False


class _Owning:
    """A decompressing file that closes the file under it too."""

    def __init__(self, outer: gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile, inner: BinaryIO) -> None:
        self.read, self.seek = outer.read, outer.seek
        self._outer, self._inner = outer, inner

    def close(self) -> None:
        self._outer.close()
        self._inner.close()


def members(file: BinaryIO, at: int = 0, size: int | None = None, load_up_to: int = -1) -> Iterator[Member]:
    """Members from byte `at` on, folders left out, with the content of those up to `load_up_to` bytes.

    `size` is the file's size where it is known. Zero blocks between members are passed over, so tars that were simply
    put one after the other are read to the end. Raises TarDamageError once the members before the damage are out.
    """
    long_name: str | None = None
    long_size: int | None = None
    sparse = ended = False
    start = offset = at
    while True:
        block = _read(file, offset, BLOCK)
        if len(block) < BLOCK or not block.strip(b"\0"):
            if len(block) == BLOCK:
                ended, offset = True, _skip_zeros(file, offset)
                start = offset
                continue
            if block or not ended:
                why = "truncated in a header" if block else "empty file" if offset == 0 else "truncated: no end mark"
                raise TarDamageError(why, offset)
            return
        ended = False
        kind, length = _check(block, offset), _number(block[124:136], offset)
        data = offset + BLOCK
        if kind in b"123456":
            length = 0
        if kind == b"S":
            data = _after_sparse_map(file, block, data)
        if kind in b"LKxg":
            body = _load(file, data, length, size, MAX_BYTES)
            if kind == b"L":
                long_name = _text(body)
            elif kind == b"x":
                records = dict(_pax(body, offset))
                long_name = records.get("path", long_name)
                long_size = int(records["size"]) if records.get("size", "").isdigit() else None
                sparse = any(k.startswith("GNU.sparse") for k in records)
            offset = data + _padded(length)
            continue
        length = long_size if long_size is not None else length
        name = long_name if long_name is not None else _name(block)
        if size is not None and data + length > size:
            raise TarDamageError(f"truncated in {name}", start)
        problem = _problem(kind, sparse)
        if kind != b"5" and not (name.endswith("/") and kind in b"\0" + b"0") and kind not in b"VDM":
            content = None
            if problem is None and 0 <= length <= load_up_to:
                content = _load(file, data, length, size, load_up_to, start)
            yield Member(name.removeprefix("./"), start, data, length, problem, content)
        offset = start = data + _padded(length)
        long_name = long_size = None
        sparse = False


def _problem(kind: bytes, sparse: bool) -> str | None:
    if kind in b"12":
        return "unsupported: a link in a tar"
    if kind in b"346":
        return "unsupported: a device in a tar"
    if kind == b"S" or sparse:
        return "unsupported: a sparse file in a tar"
    return None


def _after_sparse_map(file: BinaryIO, block: bytes, data: int) -> int:
    """Old GNU sparse files may have more blocks of their map between header and data."""
    more = block[482]
    while more:
        block = _read(file, data, BLOCK)
        if len(block) < BLOCK:
            raise TarDamageError("truncated in a header", data)
        more, data = block[504], data + BLOCK
    return data


def _padded(length: int) -> int:
    return (length + BLOCK - 1) // BLOCK * BLOCK


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    try:
        file.seek(offset)
        return file.read(length)
    except STREAM_ERRORS as e:
        raise TarDamageError(f"unreadable ({e or type(e).__name__})", offset) from e


def _load(file: BinaryIO, offset: int, length: int, size: int | None, limit: int, start: int | None = None) -> bytes:
    if length > limit or (size is not None and offset + length > size):
        raise TarDamageError("truncated", offset if start is None else start)
    data = _read(file, offset, length)
    if len(data) < length:
        raise TarDamageError("truncated", offset if start is None else start)
    return data


def _skip_zeros(file: BinaryIO, offset: int) -> int:
    """Offset of the next block that is not all zeros, or of the end."""
    while chunk := _read(file, offset, 128 * BLOCK):
        rest = chunk.lstrip(b"\0")
        if rest:
            return offset + (len(chunk) - len(rest)) // BLOCK * BLOCK
        offset += len(chunk)
    return offset


def _check(block: bytes, offset: int) -> bytes:
    """The type flag of a header whose checksum holds."""
    told = _number(block[148:156], offset)
    if told != sum(block) - sum(block[148:156]) + 8 * 32:
        high = sum(b >= 128 for b in block[:148] + block[156:])  # old tars sum signed bytes
        if told != sum(block) - sum(block[148:156]) + 8 * 32 - 256 * high:
            raise TarDamageError("not a tar file" if offset == 0 else "damaged header", offset)
    return block[156:157]


def _number(field: bytes, offset: int) -> int:
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip()
    try:
        return int(digits or b"0", 8)
    except ValueError as e:
        raise TarDamageError("not a tar file" if offset == 0 else "damaged header", offset) from e


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _name(block: bytes) -> str:
    name = _text(block[:100])
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _pax(body: bytes, offset: int) -> Iterator[tuple[str, str]]:
    """Records "length key=value\\n" of an extended header."""
    at = 0
    while at < len(body) and body[at]:
        digits, space, _ = body[at : at + 24].partition(b" ")
        if not space or not digits.isdigit() or not int(digits):
            raise TarDamageError("damaged extended header", offset)
        key, _, value = body[at + len(digits) + 1 : at + int(digits) - 1].partition(b"=")
        yield key.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")
        at += int(digits)
