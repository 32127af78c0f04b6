"""Shards: plain USTAR tars of original bytes, written once, byte for byte the same for the same samples.

A sample is three members in a row: `{image_id}.{suffix}` (the original bytes), `{image_id}.json` (flat metadata) and
`{image_id}.txt` (the default caption; empty where there is none). One shard holds one suffix, every sample has the same
members and every `.json` the same keys and types: `datasets` takes its columns and their types from the first samples
of the first tar, so a key that comes later is lost there and a null or an empty list at the start fails later rows.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO

import xxhash

from warehouse import storage
from warehouse.errors import LakeError, UsageError
from warehouse.files import sync, told
from warehouse.forgotten_list import TOMBSTONE

FORMAT = "ustar-1"
BLOCK = 512
MAX_MEMBER = 8**11 - 1  # eleven octal digits in a USTAR header
END = b"\0" * (2 * BLOCK)
Row = dict[str, object]

_IMAGE_ID = re.compile(r"[0-9a-f]{32}")
_SUFFIX = re.compile(r"(?!json$|txt$)[a-z0-9]{1,8}")
_SCALARS = (str, int, float, bool)


class ShardError(LakeError):
    """A shard is cut off, or its bytes are not what its names and headers say."""


class WrongBytesError(LakeError):
    """The bytes handed over are not those of the image: the source changed since it was scanned."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"the bytes of image {image_id} changed since they were scanned: scan their source again")
        self.image_id = image_id


@dataclass(frozen=True)
class ShardSample:
    """One image to store: original bytes, flat metadata (str, int, float or bool values), default caption."""

    image_id: str
    data: bytes
    meta: Mapping[str, object]
    caption: str | None = None


@dataclass(frozen=True)
class ShardWritten:
    """A complete shard in the pool: its file name, its rows of `shard_index`, its size in bytes, written just now?"""

    name: str
    rows: list[Row]
    bytes: int
    fresh: bool = True


@dataclass(frozen=True)
class Member:
    """One member as its header tells it; `offset` is where its bytes begin, the header lies 512 bytes before."""

    name: str
    offset: int
    size: int


def image_id_of(data: bytes) -> str:
    """First 128 bits of the SHA-256 of the original bytes, 32 hex digits."""
    return hashlib.sha256(data).hexdigest()[:32]


def shard_key(image_ids: Iterable[str], *more: str) -> str:
    """Name of a shard's content: a hash of its ordered image ids, the format and whatever else decides its bytes."""
    digest = hashlib.sha256(json.dumps([FORMAT, *more]).encode())
    for image_id in image_ids:
        digest.update(image_id.encode() + b"\n")
    return digest.hexdigest()[:32]


def shard_name(suffix: str, key: str) -> str:
    """File name of a shard: media type first, so that `jpg-*.tar` is one data set for other readers."""
    if not _SUFFIX.fullmatch(suffix):
        raise UsageError(f"'{suffix}' cannot be a file suffix in a shard: use 1 to 8 lower-case letters or digits")
    return f"{suffix}-{key}.tar"


def write_shard(
    pool: PurePath, suffix: str, samples: Iterable[ShardSample], *, key: str, scratch: Path | None = None
) -> ShardWritten:
    """Write the samples, in their order, as `pool/{suffix}-{key}.tar`; a shard of that name that is there is kept.

    `samples` is consumed one by one, and not at all where the shard exists, so a killed export loses no finished shard.
    The file appears under its name only when it is complete and on disk. `scratch`: the local folder that it grows in
    where the pool is on an object store.

    Raises WrongBytesError where an image_id is not the hash of its bytes, UsageError for metadata or a member that a
    shard cannot hold, LakeError where the disk refuses.
    """
    name = shard_name(suffix, key)
    path = pool / name
    work = pool if isinstance(pool, Path) else scratch or Path(tempfile.gettempdir())
    if storage.exists(path):
        with storage.local(path, work) as there:
            return ShardWritten(name, read_index(there, name), there.stat().st_size, fresh=False)
    temporary = work / f".{name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        with told(_writing(name)):
            work.mkdir(parents=True, exist_ok=True)
            file = open(temporary, "xb", buffering=1 << 20)  # noqa: SIM115
        try:
            rows = _write_samples(file, name, suffix, samples)
            with told(_writing(name)):
                file.write(END)
                file.flush()
                os.fsync(file.fileno())
                size = file.tell()
        finally:
            with suppress(OSError):  # a full disk fails again when the buffer is flushed on closing: already told
                file.close()
        with told(_writing(name)):
            storage.move(temporary, path)
            if isinstance(pool, Path):
                sync(pool)
    finally:
        temporary.unlink(missing_ok=True)
    return ShardWritten(name, rows, size)


def read_index(path: Path, name: str | None = None) -> list[Row]:
    """Rows of `shard_index` rebuilt from the tar alone; every image is read and hashed. Raises ShardError.

    `name`: the shard's, where the file is a copy under another one.
    """
    rows: list[Row] = []
    name = name or path.name
    with open(path, "rb", buffering=1 << 20) as file:
        row: Row = {}
        for member in walk(file):
            if member.name == TOMBSTONE:
                continue
            image_id, _, suffix = member.name.partition(".")
            if suffix == "json" and row.get("image_id") == image_id:
                row |= {"json_offset": member.offset, "json_size": member.size}
            elif suffix == "txt" and row.get("image_id") == image_id:
                row |= _caption_place(member.offset, member.size)
            else:
                file.seek(member.offset)
                data = file.read(member.size)
                if image_id_of(data) != image_id:
                    raise ShardError(f"{name}: the bytes of {member.name} do not hash to its name")
                row = _image_row(name, image_id, suffix, member.offset, data)
                rows.append(row)
    return rows


def walk(file: BinaryIO) -> Iterator[Member]:
    """Every member of an open shard, by its headers; raises ShardError unless the tar is whole to its last block."""
    name = Path(file.name).name
    end = os.fstat(file.fileno()).st_size
    at = 0
    while True:
        file.seek(at)
        head = file.read(BLOCK)
        if head == END[:BLOCK]:
            if file.read(BLOCK) != END[:BLOCK]:
                raise ShardError(f"{name}: cut off at byte {at}, its end mark is not whole")
            return
        member = parse(head, at, name)
        at = member.offset + member.size + padding(member.size)
        if at > end:
            raise ShardError(f"{name}: cut off within {member.name}, at byte {end}")
        yield member


def check_shard(
    path: Path, rows: Iterable[Mapping[str, object]], forgotten: frozenset[str] = frozenset(), name: str | None = None
) -> list[str]:
    """What is wrong with a shard and its committed rows, one line each; nothing where every byte is accounted for.

    Headers, offsets, sizes, SHA-256 (against the image id) and XXH3 are all compared; an image in the tar without a row
    is told too, unless it is `forgotten` and waits for `clean`.
    """
    name = name or path.name
    if not path.is_file():
        return [f"{name}: the shard is missing"]
    try:
        found = {str(row["image_id"]): row for row in read_index(path, name)}
    except ShardError as damage:
        return [str(damage)]
    problems = []
    for row in rows:
        there = found.pop(str(row["image_id"]), None)
        if there is None:
            problems.append(f"{name}: no image {row['image_id']}, which the index places there")
            continue
        for column, value in there.items():
            if row.get(column) != value:
                problems.append(f"{name}: {column} of {row['image_id']} is {value}, the index says {row.get(column)}")
    problems += [f"{name}: image {image_id} is not in the index" for image_id in found if image_id not in forgotten]
    return problems


def header(name: str, size: int) -> bytes:
    """The 512-byte USTAR header of a regular file: mode 644, no owner, no time. Raises UsageError over 8 GiB."""
    if size > MAX_MEMBER:
        raise UsageError(f"{name} has {size} bytes: a tar member holds at most {MAX_MEMBER} (8 GiB)")
    head = bytearray(BLOCK)
    head[0 : len(name)] = name.encode("ascii")
    head[100:108] = b"0000644\0"
    head[108:116] = head[116:124] = b"0000000\0"
    head[124:136] = b"%011o\0" % size
    head[136:148] = b"%011o\0" % 0
    head[148:156] = b" " * 8
    head[156:157] = b"0"
    head[257:265] = b"ustar\x0000"
    head[329:345] = b"0000000\x000000000\0"
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


def _write_samples(
    file: BinaryIO,
    name: str,
    suffix: str,
    samples: Iterable[ShardSample],
) -> list[Row]:
    rows: list[Row] = []
    shape: dict[str, type] | None = None
    seen: set[str] = set()
    at = 0
    for sample in samples:
        if not _IMAGE_ID.fullmatch(sample.image_id) or image_id_of(sample.data) != sample.image_id:
            raise WrongBytesError(sample.image_id)
        if sample.image_id in seen:
            raise UsageError(f"image {sample.image_id} comes twice: a shard holds each image once")
        seen.add(sample.image_id)
        shape = _meta_shape(sample, shape)
        meta = json.dumps(sample.meta, ensure_ascii=False, sort_keys=True, allow_nan=False).encode()
        text = (sample.caption or "").encode()
        row = _image_row(name, sample.image_id, suffix, at + BLOCK, sample.data)
        places = []
        with told(_writing(name)):
            for kind, data in ((suffix, sample.data), ("json", meta), ("txt", text)):
                places.append(at + BLOCK)
                file.write(header(f"{sample.image_id}.{kind}", len(data)))
                file.write(data)
                file.write(bytes(padding(len(data))))
                at += BLOCK + len(data) + padding(len(data))
        row |= {"json_offset": places[1], "json_size": len(meta), **_caption_place(places[2], len(text))}
        rows.append(row)
    if not rows:
        raise UsageError(f"shard {name} would hold no image")
    return rows


def _image_row(name: str, image_id: str, suffix: str, offset: int, data: bytes) -> Row:
    return {
        "image_id": image_id,
        "shard": name,
        "suffix": suffix,
        "offset": offset,
        "size": len(data),
        "xxh3": xxhash.xxh3_64_intdigest(data),
    }


def _caption_place(offset: int, size: int) -> Row:
    return {"txt_offset": offset if size else None, "txt_size": size or None}


def _meta_shape(sample: ShardSample, first: dict[str, type] | None) -> dict[str, type]:
    shape = {key: type(value) for key, value in sample.meta.items()}
    for key, kind in shape.items():
        if kind not in _SCALARS:
            raise UsageError(
                f"metadata '{key}' of {sample.image_id} is {kind.__name__}: a shard's .json holds str, int, float and "
                "bool only, so that other readers can type it; write a JSON string instead"
            )
    if first is not None and shape != first:
        differing = sorted(str(key) for key, _ in shape.items() ^ first.items())
        raise UsageError(f"metadata of {sample.image_id} has other keys or types than the shard's first: {differing}")
    return shape


def parse(head: bytes, at: int, shard: str) -> Member:
    """The member whose header, at byte `at` of `shard`, is `head`. Raises ShardError unless it is one of ours."""
    if len(head) < BLOCK:
        raise ShardError(f"{shard}: cut off at byte {at + len(head)}, its end mark is missing")
    try:
        stated, size = int(head[148:154], 8), int(head[124:135], 8)
        name = head[:100].rstrip(b"\0").decode("ascii")
    except ValueError as error:
        raise ShardError(f"{shard}: no tar header at byte {at}") from error
    known = name == TOMBSTONE or _IMAGE_ID.fullmatch(name.partition(".")[0])
    if sum(head) - sum(head[148:156]) + 8 * 32 != stated or not known:
        raise ShardError(f"{shard}: the header at byte {at} is damaged")
    return Member(name, at + BLOCK, size)


def _writing(name: str) -> str:
    return f"writing shard {name}"


def padding(size: int) -> int:
    """Bytes that fill a member up to whole blocks."""
    return -size % BLOCK
