"""The sources' only door to files: local paths by plain `os` calls, anything with a scheme (`s3://`) through fsspec.

A local file's uri is its absolute path; a path that is no UTF-8 is written as a percent-encoded `file://` URL, so that
every uri is text.
"""

from __future__ import annotations

import datetime
import errno
import os
import re
import stat as stat_module
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import quote, unquote_to_bytes

from warehouse.sources.base import MAX_BYTES, FileState

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_STAMPS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created")


class UnreadableError(OSError):
    """A file that cannot be read now; the message is the error row's: "read: ...", "changed: ..."."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder. `kind` is file, folder or other (a pipe, a broken link); `problem` says why it is other."""

    name: str
    uri: str
    kind: str
    size: int = -1
    stamp: str = ""
    problem: str | None = None

    @property
    def state(self) -> FileState:
        return FileState(self.uri, self.size, self.stamp)


def is_remote(uri: str) -> bool:
    return _SCHEME.match(uri) is not None and not uri.startswith("file://")


def to_uri(path: str) -> str:
    """The uri of a local path or URL as a user writes it."""
    if is_remote(path):
        return path.rstrip("/")
    path = to_path(path)
    return _uri(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111 (a link is not resolved)


def to_path(uri: str) -> str:
    """The local path of a uri."""
    return os.fsdecode(unquote_to_bytes(uri[7:])) if uri.startswith("file://") else uri


def join(folder: str, name: str) -> str:
    """The uri of a name (or relative path) in a folder."""
    if is_remote(folder):
        return f"{folder}/{name}"
    return _uri(os.path.join(to_path(folder), name))  # noqa: PTH118 (hot)


def file_name(uri: str) -> str:
    return to_path(uri).rsplit("/", 1)[-1]


def _uri(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        return "file://" + quote(os.fsencode(path))
    return path


def _filesystem(uri: str) -> tuple[Any, str]:
    import fsspec

    fs, path = fsspec.core.url_to_fs(uri)
    return fs, path


def _local_stamp(info: os.stat_result) -> str:
    return f"{info.st_size}:{info.st_mtime_ns}"


def _remote_stamp(info: dict[str, Any]) -> str:
    """Size and etag or time of an object; a store may give the same time as a number here and as a datetime there."""
    value = next((info[k] for k in _STAMPS if info.get(k) is not None), "")
    value = value.timestamp() if isinstance(value, datetime.datetime) else value
    return f"{info.get('size')}:{f'{value:.6f}' if isinstance(value, float) else value}"


def look(uri: str) -> Entry | None:
    """What lies at a uri; None where there is nothing. Raises UnreadableError."""
    name = file_name(uri)
    try:
        if is_remote(uri):
            fs, path = _filesystem(uri)
            if not fs.exists(path):
                return None
            info = fs.info(path)
            if info["type"] == "directory":
                return Entry(name, uri, "folder")
            return Entry(name, uri, "file", int(info["size"]), _remote_stamp(info))
        return _entry(name, uri, Path(to_path(uri)).stat())
    except FileNotFoundError:
        return None
    except OSError as e:
        raise UnreadableError(_reason(e)) from e


def _entry(name: str, uri: str, info: os.stat_result) -> Entry:
    if stat_module.S_ISREG(info.st_mode):
        return Entry(name, uri, "file", info.st_size, _local_stamp(info))
    if stat_module.S_ISDIR(info.st_mode):
        return Entry(name, uri, "folder")
    return Entry(name, uri, "other", problem="unsupported: no regular file")


def list_folder(uri: str) -> list[Entry]:
    """The names in a folder, sorted. Raises UnreadableError."""
    try:
        if is_remote(uri):
            return sorted(_list_remote(uri), key=lambda e: e.name)
        with os.scandir(to_path(uri)) as found:
            return [_list_local(e) for e in sorted(found, key=lambda e: os.fsencode(e.name))]
    except OSError as e:
        raise UnreadableError(_reason(e)) from e


def list_names(uri: str) -> list[tuple[str, bool]]:
    """(name, whether it is a folder) of all in a folder, sorted, without a look at each. Raises UnreadableError."""
    if is_remote(uri):
        return [(e.name, e.kind == "folder") for e in list_folder(uri)]
    try:
        with os.scandir(to_path(uri)) as found:
            return sorted((e.name, e.is_dir()) for e in found)
    except OSError as e:
        raise UnreadableError(_reason(e)) from e


def _list_local(found: os.DirEntry[str]) -> Entry:
    uri = _uri(found.path)
    try:
        return _entry(found.name, uri, found.stat())
    except OSError as e:
        return Entry(found.name, uri, "other", problem=_reason(e))


def _list_remote(uri: str) -> Iterator[Entry]:
    fs, path = _filesystem(uri)
    for info in fs.ls(path, detail=True):
        name = info["name"].rstrip("/").rsplit("/", 1)[-1]
        if not name or info["name"].rstrip("/") == path.rstrip("/"):
            continue  # object stores may list the folder's own marker
        if info["type"] == "directory":
            yield Entry(name, join(uri, name), "folder")
        else:
            yield Entry(name, join(uri, name), "file", int(info["size"]), _remote_stamp(info))


def folder_identity(uri: str) -> tuple[int, int] | None:
    """What tells a folder reached through a link from its own ancestors; None for object stores."""
    if is_remote(uri):
        return None
    info = Path(to_path(uri)).stat()
    return info.st_dev, info.st_ino


def read_file(state: FileState) -> bytes:
    """The file's bytes, if it still is what was listed. Raises UnreadableError."""
    if state.size < 0:
        raise UnreadableError(state.stamp)
    if state.size > MAX_BYTES:
        raise UnreadableError(f"too large: {state.size} bytes, the limit for one image is {MAX_BYTES}")
    if is_remote(state.uri):
        check(state)
        return read_range(state.uri, 0, state.size)
    try:
        fd = os.open(to_path(state.uri), os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _local_stamp(os.fstat(fd)) != state.stamp:
                raise UnreadableError(_CHANGED)
            return _read_fully(fd, 0, state.size)
        finally:
            os.close(fd)
    except OSError as e:
        raise UnreadableError(_reason(e)) from e


_CHANGED = "changed: the file was rewritten after it was listed; run again"


def check(state: FileState) -> None:
    """Raises UnreadableError where the file is gone or is no longer what was listed."""
    now = look(state.uri)
    if now is None:
        raise UnreadableError("read: the file is gone")
    if now.stamp != state.stamp:
        raise UnreadableError(_CHANGED)


def _read_fully(fd: int, offset: int, length: int) -> bytes:
    data = os.pread(fd, length, offset)
    if len(data) == length:
        return data
    pieces = [data]
    got = len(data)
    while got < length and data:  # a network file system may give less than asked for
        data = os.pread(fd, length - got, offset + got)
        pieces.append(data)
        got += len(data)
    if got < length:
        raise UnreadableError(_CHANGED)
    return b"".join(pieces)


def read_range(uri: str, offset: int, length: int) -> bytes:
    """`length` bytes from `offset`. Raises UnreadableError where there are fewer."""
    try:
        if is_remote(uri):
            fs, path = _filesystem(uri)
            data = cast(bytes, fs.cat_file(path, start=offset, end=offset + length)) if length else b""
            if len(data) != length:
                raise UnreadableError(_CHANGED)
            return data
        fd = os.open(to_path(uri), os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _read_fully(fd, offset, length)
        finally:
            os.close(fd)
    except OSError as e:
        raise UnreadableError(_reason(e)) from e


def open_file(uri: str) -> BinaryIO:
    """The file, open for reading and seeking. Raises UnreadableError."""
    try:
        if is_remote(uri):
            fs, path = _filesystem(uri)
            return cast(BinaryIO, fs.open(path, "rb"))
        return open(to_path(uri), "rb")
    except OSError as e:
        raise UnreadableError(_reason(e)) from e


def _reason(e: OSError) -> str:
    if isinstance(e, UnreadableError):
        return str(e)
    if isinstance(e, FileNotFoundError):
        return "read: the file is gone or its link leads nowhere"
    if e.errno in (errno.EACCES, errno.EPERM):
        return "read: permission denied"
    return f"read: {e.strerror or e}"
