"""One image's original bytes again, by what `inputs` says of it: uri, offset, length, row."""

from __future__ import annotations

import os
from collections import OrderedDict
from types import TracebackType
from typing import Protocol

from warehouse.sources.base import PARQUET_SUFFIXES
from warehouse.sources.files import UnreadableError, is_remote, read_range, to_path
from warehouse.sources.tar import STREAM_ERRORS, TarDamageError

KEPT_OPEN = 8


class _Container(Protocol):
    def read(self, row: int, /) -> bytes | None: ...

    def close(self) -> None: ...


class ImageReader:
    """Reads many images; asked in order of (uri, offset, row) it opens each file once and reads it forwards once.

    `image_column` names the image column of Parquet files where `open_source` was told one. Every read gives exactly
    `length` bytes or raises UnreadableError; whether they are the right ones the caller's checksum says.
    """

    def __init__(self, image_column: str | None = None) -> None:
        self._column = image_column
        self._files: OrderedDict[str, int] = OrderedDict()
        self._containers: OrderedDict[str, _Container] = OrderedDict()

    def read(self, uri: str, offset: int | None, length: int | None, row: int) -> bytes:
        """The bytes of one image; `length` None: however many there are (containers without offsets only)."""
        if offset is not None:
            if length is None:
                raise ValueError("an offset needs a length")
            return read_range(uri, offset, length) if is_remote(uri) else self._pread(uri, offset, length)
        data = self._from_container(uri, row)
        if data is None or (length is not None and len(data) != length):
            got = "no image" if data is None else f"{len(data)} bytes"
            raise UnreadableError(f"changed: row {row} of {uri} gives {got}, {length} bytes were scanned")
        return data

    def _pread(self, uri: str, offset: int, length: int) -> bytes:
        try:
            fd = self._files.pop(uri, -1)
            if fd < 0:
                fd = os.open(to_path(uri), os.O_RDONLY | os.O_CLOEXEC)
            self._files[uri] = fd
            if len(self._files) > KEPT_OPEN:
                os.close(self._files.popitem(last=False)[1])
            data = os.pread(fd, length, offset)
            while len(data) < length and (more := os.pread(fd, length - len(data), offset + len(data))):
                data += more
        except OSError as e:
            raise UnreadableError(f"read: {uri}: {e.strerror}") from e
        if len(data) != length:
            raise UnreadableError(f"changed: {uri} gives {len(data)} bytes at {offset}, {length} were scanned")
        return data

    def _from_container(self, uri: str, row: int) -> bytes | None:
        from warehouse.sources.parquet import ERRORS, NoImagesError

        try:
            container = self._containers.pop(uri, None)
            if container is None:
                container = _open(uri, self._column)
            self._containers[uri] = container
            if len(self._containers) > KEPT_OPEN:
                self._containers.popitem(last=False)[1].close()
            return container.read(row)
        except UnreadableError:
            raise
        except (*ERRORS, *STREAM_ERRORS, NoImagesError, TarDamageError) as e:
            raise UnreadableError(f"read: {uri}: {' '.join(str(e).split())}") from e

    def close(self) -> None:
        for fd in self._files.values():
            os.close(fd)
        for container in self._containers.values():
            container.close()
        self._files.clear()
        self._containers.clear()

    def __enter__(self) -> ImageReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open(uri: str, column: str | None) -> _Container:
    """A container without byte offsets: Parquet, which begins with its own mark, or a compressed tar."""
    from warehouse.sources import parquet, webdataset

    file, _, named = uri.rpartition("#")
    if file.lower().endswith(PARQUET_SUFFIXES):  # one of several columns of images
        return parquet.Rows(file, named)
    if read_range(uri, 0, 4) == b"PAR1":
        return parquet.Rows(uri, column)
    return webdataset.Stream(uri)


def read_image(uri: str, offset: int | None, length: int | None, row: int, image_column: str | None = None) -> bytes:
    """One image's bytes. Raises UnreadableError. For many, an ImageReader is far cheaper."""
    with ImageReader(image_column) as reader:
        return reader.read(uri, offset, length, row)
