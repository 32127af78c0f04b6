"""Sources: what was delivered, as units of work and samples. `detect` or `open_source`, then `units`, then `read`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from warehouse.errors import UsageError
from warehouse.sources import folder
from warehouse.sources.base import Caption, Delivered, FileState, Source, Unit
from warehouse.sources.files import look, to_uri
from warehouse.sources.folder import FolderSource

__all__ = ["Caption", "Delivered", "FileState", "Source", "Unit", "detect", "open_source", "read"]

_READERS: dict[str, Callable[[Unit], Iterator[Delivered]]] = {"folder": folder.read}


def detect(path: str) -> Source:
    """The source at a path or URL. Raises UsageError."""
    uri = to_uri(path)
    if look(uri) is None:
        raise UsageError(f"no such file or folder: {path}")
    return FolderSource(uri)


def open_source(path: str, kind: str | None = None) -> Source:
    return detect(path)


def read(unit: Unit) -> Iterator[Delivered]:
    """The samples of a unit in order, with their bytes."""
    return _READERS[unit.kind](unit)
