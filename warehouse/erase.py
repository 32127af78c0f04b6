"""Erase: what the pool holds of forgotten images is overwritten where it stands, so that every other offset stays true.

On an object store nothing can be overwritten in part: a copy is, and takes the object's place by one PUT.

An image's three members become one, a tombstone of the same length full of zeros. The tar stays a tar: readers of
WebDataset pass over the member's name, and our own know it. Each step may be repeated: a run that was killed half-way
is done again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path, PurePath
from typing import BinaryIO

from warehouse import storage
from warehouse.files import replacing, sync, told
from warehouse.forgotten_list import TOMBSTONE
from warehouse.shards import BLOCK, END, Member, ShardError, header, padding, parse, walk

ZEROS = bytes(1 << 20)


def erase_image(shard: Path, image_id: str, offset: int, name: str | None = None) -> bool:
    """Overwrite the members of the image whose bytes begin at `offset`; False where it was done before.

    `name`: the shard's, where the file is a copy under another one. Raises ShardError where another image stands there,
    LakeError where the shard cannot be written.
    """
    with told(f"erasing in {shard.name}", shard.parent), open(shard, "r+b", buffering=0) as file:
        start = offset - BLOCK
        end = os.fstat(file.fileno()).st_size
        first = _member(file, start)
        if first.name == TOMBSTONE:
            _zero(file, first.offset, first.offset + first.size)
            return False
        stop = start
        while stop + BLOCK <= end and (member := _next(file, stop)) and member.name.startswith(f"{image_id}."):
            stop = member.offset + member.size + padding(member.size)
        if stop == start:
            raise ShardError(f"{name or shard.name}: {first.name} at byte {start}, not image {image_id}")
        # the name first: who reads meanwhile sees a whole image or a tombstone
        _write(file, start, header(TOMBSTONE, stop - start - BLOCK))
        _zero(file, start + BLOCK, stop)
        os.fsync(file.fileno())
    return True


def erase_captions(shard: Path, row: Mapping[str, int | None], texts: Collection[str]) -> bool:
    """Take `texts` out of a stored image's .json and .txt members, by its row of `shard_index`: an image carries the
    captions of its duplicates. False where none of them is in it.

    The members keep their lengths: JSON ends in blanks, and the caption is another one, or none, followed by blanks.
    """
    with told(f"erasing in {shard.name}", shard.parent), open(shard, "r+b", buffering=0) as file:
        at, size = int(row["json_offset"] or 0), int(row["json_size"] or 0)
        meta = json.loads(_read(file, at, size))
        listed = json.loads(meta.get("captions") or "[]")
        kept = [caption for caption in listed if caption.get("text") not in texts]
        txt_at, txt_size = row["txt_offset"], int(row["txt_size"] or 0)
        caption = "" if txt_at is None else _read(file, txt_at, txt_size).decode().rstrip(" ")
        if len(kept) == len(listed) and caption not in texts:
            return False
        if txt_at is not None and caption in texts:
            fitting = [c["text"] for c in kept if len(c["text"].encode()) <= txt_size]
            _write(file, txt_at, max(fitting, key=len, default="").encode().ljust(txt_size))
        meta["captions"] = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
        written = json.dumps(meta, ensure_ascii=False, sort_keys=True, allow_nan=False).encode()
        if len(written) > size:
            meta["captions"] = "[]"
            written = json.dumps(meta, ensure_ascii=False, sort_keys=True, allow_nan=False).encode()
        _write(file, at, written.ljust(size))
        os.fsync(file.fileno())
    return True


def holds_any(shard: Path, ids: Collection[str]) -> bool:
    """Whether a tar, or the beginning of one, has a member of one of these images; one that cannot be read counts."""
    try:
        with open(shard, "rb") as file:
            return any(member.name.partition(".")[0] in ids for member in walk(file))
    except ShardError:
        return True


def only_tombstones(shard: PurePath, scratch: Path) -> bool:
    """Whether every image of a tar was forgotten. It is kept all the same: an epoch that was planned before then reads
    on through it. `scratch`: a local folder for a copy of one on an object store that may be such."""
    if storage.size(shard) < BLOCK:
        return False
    (head,) = storage.read_ranges([(shard, 0, BLOCK)])
    if not head.startswith(TOMBSTONE.encode() + b"\0"):
        return False
    with storage.local(shard, scratch) as copy, open(copy, "rb") as file:
        try:
            return all(member.name == TOMBSTONE for member in walk(file))
        except ShardError:
            return False


def thin(shard: Path) -> None:
    """Write a tar of tombstones anew as a sparse file: of the same length, next to nothing on disk."""
    with open(shard, "rb") as file:
        members = list(walk(file))
        size = os.fstat(file.fileno()).st_size
    with told(f"thinning {shard.name}", shard.parent), replacing(shard) as temporary, open(temporary, "xb") as file:
        for member in members:
            file.seek(member.offset - BLOCK)
            file.write(header(member.name, member.size))
        file.truncate(size - len(END))
        file.seek(0, os.SEEK_END)
        file.write(END)
    sync(shard)


def _next(file: BinaryIO, at: int) -> Member | None:
    """The member whose header is at byte `at`; None at the tar's end."""
    head = _read(file, at, BLOCK)
    return None if head == END[:BLOCK] else parse(head, at, Path(file.name).name)


def _member(file: BinaryIO, at: int) -> Member:
    return parse(_read(file, at, BLOCK), at, Path(file.name).name)


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    return os.pread(file.fileno(), size, at)


def _write(file: BinaryIO, at: int, data: bytes) -> None:
    while data:
        done = os.pwrite(file.fileno(), data, at)
        data, at = data[done:], at + done


def _zero(file: BinaryIO, start: int, stop: int) -> None:
    for at in range(start, stop, len(ZEROS)):
        _write(file, at, ZEROS[: min(len(ZEROS), stop - at)])
