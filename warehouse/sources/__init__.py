"""Sources: what was delivered, as units of work and samples. `detect` or `open_source`, then `units`, then `read`.

A folder is read whole, whatever lies in it: images as files, tars as WebDataset shards, Parquet by its image column,
img2dataset's tables for their failed URLs. The kind that `detect` names tells what it is mostly; naming a kind narrows
the reading to it (see `open_source`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial

from warehouse.errors import UsageError
from warehouse.sources import folder, tables
from warehouse.sources.base import IMAGE_SUFFIXES, PARQUET_SUFFIXES, Caption, Delivered, FileState, Source, Unit
from warehouse.sources.files import Entry, UnreadableError, join, list_names, look, to_uri
from warehouse.sources.folder import FolderSource, is_litter, suffix_of
from warehouse.sources.reader import ImageReader, read_image
from warehouse.sources.tar import is_tar

__all__ = [
    "KINDS",
    "Caption",
    "Delivered",
    "FileState",
    "ImageReader",
    "Source",
    "Unit",
    "UnreadableError",
    "detect",
    "open_source",
    "read",
    "read_image",
]

KINDS = ("folder", "webdataset", "img2dataset", "parquet")
LOOKED_FOR = "images, .tar/.tgz shards, .parquet files"
PEEK = 20_000


def open_source(path: str, kind: str | None = None, image_column: str | None = None) -> Source:
    """The source at a path or URL, its kind detected unless named.

    `folder` reads every file as an image and opens no container; `webdataset` reads the tars alone, `parquet` the
    Parquet files alone; `img2dataset` reads everything, as no kind does. `image_column` names the column of Parquet
    files that holds the images. Raises UsageError where there is nothing, or nothing that can be read.
    """
    if kind is not None and kind not in KINDS:
        raise UsageError(f"unknown kind of source {kind!r}: use one of {', '.join(KINDS)}, or leave it out")
    uri = to_uri(path)
    try:
        entry = look(uri)
        if entry is None:
            raise UsageError(f"no such file or folder: {path}")
        if entry.kind == "other":
            raise UsageError(f"{path} is neither a file nor a folder")
        found = kind or _kind_of(entry, path)
        if kind is not None and entry.kind == "folder" and not _any(entry, kind):
            raise UsageError(f"{path} holds nothing to read as {kind}")
    except UnreadableError as e:
        raise UsageError(f"{path}: {e}") from e
    if found == "folder" and kind is not None:
        return FolderSource(uri, found)
    opener = partial(_containers, uri, kind if entry.kind == "file" else None, image_column)
    only = {"webdataset": is_tar, "parquet": _is_parquet}.get(kind or "") if entry.kind == "folder" else None
    return FolderSource(uri, found, opener, only)


def detect(path: str) -> Source:
    """The source at a path or URL; see `open_source`. Raises UsageError."""
    return open_source(path)


def read(unit: Unit) -> Iterator[Delivered]:
    """The samples of a unit in order, with their bytes."""
    if unit.kind == "folder":
        return folder.read(unit)
    from warehouse.sources import img2dataset, parquet, webdataset

    readers = {"webdataset": webdataset.read, "parquet": parquet.read, "img2dataset": img2dataset.read}
    return readers[unit.kind](unit)


def _is_parquet(name: str) -> bool:
    return name.lower().endswith(PARQUET_SUFFIXES)


def _containers(
    root: str, kind: str | None, column: str | None, entries: Sequence[Entry], max_samples: int
) -> tuple[Iterator[Unit], set[str]]:
    """Units of the containers among one folder's files, and the names they cover; `kind` is that of a single file."""
    tars = [e for e in entries if kind == "webdataset" or (kind is None and is_tar(e.name))]
    parquets = [e for e in entries if kind in ("parquet", "img2dataset") or (kind is None and _is_parquet(e.name))]
    stems = {e.name.rpartition(".")[0] for e in parquets}
    stats = {e.name for e in entries if e.name.endswith("_stats.json") and e.name[: -len("_stats.json")] in stems}
    covered = {e.name for e in (*tars, *parquets)} | stats
    return _units(root, column, tars, parquets, max_samples), covered


def _units(
    root: str, column: str | None, tars: Sequence[Entry], parquets: Sequence[Entry], max_samples: int
) -> Iterator[Unit]:
    if not tars and not parquets:
        return  # a folder of images needs no Arrow
    from warehouse.sources import img2dataset, parquet, webdataset

    for entry in tars:
        yield from webdataset.units(entry.state, root, max_samples)
    shards = {e.name.partition(".")[0]: e.state for e in tars}
    for entry in parquets:
        stem = entry.name.rpartition(".")[0]
        if column is None and img2dataset.is_status_table(entry.state):
            yield from img2dataset.units(entry.state, shards.get(stem), root)
        else:
            yield from parquet.units(entry.state, root, max_samples, column)


def _class(name: str) -> str | None:
    """The kind that a file's name speaks for."""
    if is_tar(name):
        return "webdataset"
    if _is_parquet(name):
        return "parquet"
    return "folder" if suffix_of(name) in IMAGE_SUFFIXES or tables.is_table(name) else None


def _peek(uri: str) -> Iterator[list[str]]:
    """The names of the files of the folders at and under `uri`, nearest first, until enough were seen."""
    waiting = deque([uri])
    seen = 0
    while waiting and seen < PEEK:
        here = waiting.popleft()
        try:
            found = [(name, is_folder) for name, is_folder in list_names(here) if not is_litter(name)]
        except UnreadableError:
            continue
        seen += len(found)
        waiting.extend(join(here, name) for name, is_folder in found if is_folder)
        yield [name for name, is_folder in found if not is_folder]


def _kind_of(entry: Entry, path: str) -> str:
    """What a file or folder is mostly: the folder's kind is that of the nearest files whose names say one."""
    if entry.kind == "file":
        return _class(entry.name) or "folder"
    anything = False
    for files in _peek(entry.uri):
        anything = anything or bool(files)
        kinds = {k for name in files if (k := _class(name))}
        if kinds == {"webdataset", "parquet"} or ({"parquet"} <= kinds and _has_stats(files)):
            return "img2dataset"
        if kinds:
            return kinds.pop() if len(kinds) == 1 else "mixed"
    if not anything:
        raise UsageError(f"{path} is empty: looked for {LOOKED_FOR} in it and its folders")
    raise UsageError(f"{path} holds no {LOOKED_FOR}; --kind folder takes every file for an image")


def _has_stats(files: Sequence[str]) -> bool:
    return any(name.endswith("_stats.json") for name in files)


def _any(entry: Entry, kind: str) -> bool:
    """Whether a folder holds anything that a named kind would read."""
    wanted = {"webdataset": is_tar, "parquet": _is_parquet, "img2dataset": _is_parquet}.get(kind, bool)
    return any(wanted(name) for files in _peek(entry.uri) for name in files)
