"""Where a lake's files lie: a local folder or an object store, behind the same few operations on whole files.

A place is a `Path` or an `ObjectPath`; both join with `/` and have a name. A file appears under its name only when it
is whole: locally by a rename, on an object store because one PUT (or one completed multipart upload) makes the object.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from warehouse.places import ObjectPath, is_remote

if TYPE_CHECKING:  # a training worker reads shards through here and is not to load what it does not use
    import pyarrow.parquet as pq

    from warehouse.object_store import ObjectStore

T = TypeVar("T")


@dataclass(frozen=True)
class Stored:
    """A file that is there: its bytes, and when it was last written, seconds since 1970."""

    path: PurePath
    size: int
    modified: float


@dataclass(frozen=True)
class Upload:
    """An upload of several parts to an object store that has not ended: its number, and when it began, seconds since
    1970."""

    path: PurePath
    number: str
    began: float


def exists(path: PurePath) -> bool:
    return path.exists() if isinstance(path, Path) else _store().exists(str(path))


def size(path: PurePath) -> int:
    """Bytes of a file; raises FileNotFoundError."""
    return path.stat().st_size if isinstance(path, Path) else _store().size(str(path))


def listing(folder: PurePath) -> list[Stored]:
    """Every file below a folder, in the order of the names; none where there is no folder."""
    if not isinstance(folder, Path):
        return [Stored(ObjectPath(uri), size, modified) for uri, size, modified in _store().listing(str(folder))]
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file():
                info = path.stat()
                found.append(Stored(path, info.st_size, info.st_mtime))
        except FileNotFoundError:
            continue  # its owner finished just now
    return found


def read(path: PurePath) -> bytes:
    """All bytes of a file; raises FileNotFoundError."""
    return path.read_bytes() if isinstance(path, Path) else _store().read(str(path))


def read_ranges(ranges: Sequence[tuple[PurePath, int, int]]) -> list[bytes]:
    """The bytes of each (file, start, length), on an object store many at once; fewer where a file ends before.

    Raises FileNotFoundError.
    """
    if any(is_remote(path) for path, _, _ in ranges):
        return _store().read_ranges([(str(path), start, length) for path, start, length in ranges])
    found = []
    for path, start, length in ranges:
        with open(path, "rb") as file:
            file.seek(start)
            found.append(file.read(length))
    return found


def using(path: PurePath, action: Callable[[BinaryIO], T]) -> T:
    """What `action` gives of the file, opened for reading and seeking; on an object store it may be called again.

    Raises FileNotFoundError.
    """
    if isinstance(path, Path):
        with open(path, "rb") as file:
            return action(file)
    return _store().using(str(path), action)


def parquet_metadata(path: PurePath) -> pq.FileMetaData:
    """The footer of a Parquet file; raises FileNotFoundError."""
    import pyarrow.parquet as pq

    return pq.read_metadata(path) if isinstance(path, Path) else using(path, pq.read_metadata)


def sizes(paths: Sequence[PurePath]) -> list[int]:
    """Bytes of each file; an object store is asked for whole folders at once. Raises FileNotFoundError."""
    if not any(map(is_remote, paths)):
        return [size(path) for path in paths]
    known = {found.path: found.size for folder in {path.parent for path in paths} for found in listing(folder)}
    return [known[path] if path in known else size(path) for path in paths]


@contextmanager
def replacing(path: PurePath, scratch: Path) -> Iterator[Path]:
    """A local temporary path; what was written there is at `path`, whole and durable, on leaving.

    `scratch`: the local folder that holds it where `path` is on an object store.
    """
    if isinstance(path, Path):
        from warehouse import files

        with files.replacing(path) as temporary:
            yield temporary
        return
    scratch.mkdir(parents=True, exist_ok=True)
    temporary = scratch / f"put-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        yield temporary
        _store().put(temporary, str(path))
    finally:
        temporary.unlink(missing_ok=True)


def move(local: Path, path: PurePath) -> None:
    """A finished local file goes to `path`: renamed where that is a folder of the same disk, else sent."""
    if isinstance(path, Path):
        local.rename(path)
    else:
        _store().put(local, str(path))
        local.unlink()


def write(path: PurePath, data: bytes) -> None:
    """A small file, whole or not there."""
    if isinstance(path, Path):
        from warehouse import files

        with files.replacing(path) as temporary:
            temporary.write_bytes(data)
    else:
        _store().write(str(path), data)


def mark(path: PurePath) -> None:
    """An empty file, which need not outlive a power cut."""
    if isinstance(path, Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    else:
        _store().write(str(path), b"")


def same_again(path: PurePath, again: PurePath) -> None:
    """The bytes of a file under another name too."""
    if isinstance(path, Path):
        os.link(path, again)
    else:
        _store().copy(str(path), str(again))


def delete(path: PurePath) -> None:
    """Remove a file; one that is not there is removed already."""
    if isinstance(path, Path):
        path.unlink(missing_ok=True)
    else:
        _store().delete(str(path))


@contextmanager
def local(path: PurePath, scratch: Path) -> Iterator[Path]:
    """The file as a local one: itself, or a copy in `scratch` that is gone on leaving. Raises FileNotFoundError."""
    if isinstance(path, Path):
        if not path.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        yield path
        return
    scratch.mkdir(parents=True, exist_ok=True)
    copy = scratch / f"get-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        _store().get(str(path), copy)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def uploads(folder: PurePath) -> list[Upload]:
    """Every upload below a place of an object store that has not ended."""
    if isinstance(folder, Path):
        return []
    return [Upload(ObjectPath(uri), number, began) for uri, number, began in _store().uploads(str(folder))]


def abort(upload: Upload) -> None:
    """End an upload: what was sent of it is gone, and who was sending it begins anew."""
    _store().abort(str(upload.path), upload.number)


def drop_old_versions(folder: PurePath) -> int:
    """Remove what a bucket with versioning keeps of overwritten and removed objects below a place; how many."""
    return 0 if isinstance(folder, Path) else _store().drop_old_versions(str(folder))


def _store() -> ObjectStore:
    from warehouse.object_store import ObjectStore

    return ObjectStore()
