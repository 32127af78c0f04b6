"""Parquet files with the images' bytes in a column: plain bytes, or the {bytes, path} struct that `datasets` writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.sources.base import MAX_BYTES, Delivered, FileState, Unit
from warehouse.sources.captions import Told
from warehouse.sources.files import UnreadableError, check, open_file

KIND = "parquet"
IMAGE_COLUMNS = (
    *("image", "img", "jpg", "jpeg", "png", "webp", "image_bytes", "img_bytes", "jpg_bytes", "image_data"),
    *("image_content", "binary", "bytes", "content", "data", "picture", "photo"),
    *("target", "target_image", "output_image", "edited_image"),
)
BATCH_ROWS = 32
MOST_SLICES = 4
"""A big row group is cut into at most so many units: each must decode the group from its start."""
NAMED = "column_in_uri"
ERRORS = (pa.ArrowException, OSError, UnreadableError)


class NoImagesError(Exception):
    """A Parquet file without a column of image bytes."""


def image_column(schema: pa.Schema, named: str | None = None) -> str:
    """The column that holds the images: the one named, else by usual names, else a {bytes, path} struct, else the only
    column of bytes. Raises NoImagesError."""
    fit: list[str] = [f.name for f in schema if holds_bytes(f.type)]
    if named is not None:
        if named in fit:
            return named
        raise NoImagesError(f"column {named} holds no bytes or is not there; columns: {', '.join(schema.names)}")
    by_name = {name.lower(): name for name in reversed(fit)}
    for name in IMAGE_COLUMNS:
        if name in by_name:
            return by_name[name]
    structs = [name for name in fit if pa.types.is_struct(schema.field(name).type)]
    if structs or len(fit) == 1:
        return (structs or fit)[0]
    raise NoImagesError(f"no column of image bytes; columns: {', '.join(schema.names)}")


def holds_bytes(kind: pa.DataType) -> bool:
    """Whether a column of this type holds a file's bytes: plain, or in the struct that `datasets` writes."""
    if pa.types.is_struct(kind):
        return any(kind.field(i).name == "bytes" and _is_binary(kind.field(i).type) for i in range(kind.num_fields))
    return _is_binary(kind)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


@contextmanager
def opened(uri: str) -> Iterator[pq.ParquetFile]:
    """The Parquet file, read in small pieces. Raises one of ERRORS."""
    with open_file(uri) as file, pq.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False) as parquet:
        yield parquet


def group_starts(parquet: pq.ParquetFile) -> list[int]:
    """First row of each row group, and the number of rows after the last."""
    starts = [0]
    for i in range(parquet.metadata.num_row_groups):
        starts.append(starts[-1] + parquet.metadata.row_group(i).num_rows)
    return starts


def units(
    state: FileState, root: str, max_samples: int, column: str | None = None, *, name_column: bool = False
) -> Iterator[Unit]:
    """Row groups: small ones together, a big one in a few slices. A file that cannot be read is one unit.

    `name_column`: the samples' uris end in `#column`, for files with several columns of images.
    """
    options: tuple[tuple[str, str], ...] = () if column is None else (("image_column", column),)
    if column is not None and name_column:
        options = (*options, (NAMED, column))
    try:
        check(state)
        with opened(state.uri) as parquet:
            image_column(parquet.schema_arrow, column)
            starts = group_starts(parquet)
    except (*ERRORS, NoImagesError):
        yield Unit(KIND, (state,), 0, -1, root, options=options)
        return
    for start, stop in ranges(starts, max_samples):
        yield Unit(KIND, (state,), start, stop, root, options=options)


def ranges(starts: Sequence[int], max_samples: int) -> Iterator[tuple[int, int]]:
    """Row ranges of units from the row groups' first rows."""
    start = 0
    for begin, end in pairwise(starts):
        if end - start > max_samples and begin > start:
            yield start, begin
            start = begin
        if end - begin > max_samples:
            step = max(max_samples, -(-(end - begin) // MOST_SLICES))
            for first in range(begin, end, step):
                yield first, min(first + step, end)
            start = end
    if starts[-1] > start:
        yield start, starts[-1]


def read(unit: Unit) -> Iterator[Delivered]:
    """The rows of a unit in order. A damaged row group gives an error row for each row that it was to give."""
    state = file = unit.files[0]
    if (named := unit.option(NAMED)) is not None:
        state = FileState(f"{file.uri}#{named}", file.size, file.stamp)
    done = unit.start
    try:
        check(file)
        with opened(file.uri) as parquet:
            column = image_column(parquet.schema_arrow, unit.option("image_column"))
            starts = group_starts(parquet)
            stop = starts[-1] if unit.stop < 0 else unit.stop
            for i, (begin, end) in enumerate(pairwise(starts)):
                if end <= unit.start or begin >= stop:
                    continue
                try:
                    for row, fields in _rows(parquet, i, max(done, begin), min(stop, end), begin, None):
                        yield _deliver(row, fields, column, state)
                        done = row + 1
                except (pa.ArrowException, OSError) as e:
                    for row in range(done, min(stop, end)):
                        yield _error(row, state, f"parquet: row group {i} cannot be read: {_one_line(e)}")
                done = min(stop, end)
    except (*ERRORS, NoImagesError) as e:
        reason = str(e) if isinstance(e, UnreadableError) else f"parquet: {_one_line(e)}"
        for row in range(done, max(unit.stop, unit.start + 1)):
            yield _error(row, state, reason)


def _rows(
    parquet: pq.ParquetFile, group: int, start: int, stop: int, begin: int, columns: list[str] | None
) -> Iterator[tuple[int, dict[str, object]]]:
    """(row, fields) of rows [start, stop) of one row group whose first row is `begin`."""
    row = begin
    for batch in parquet.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False):
        skip, take = max(0, start - row), min(batch.num_rows, stop - row)
        if take > skip:
            piece = batch.slice(skip, take - skip)
            values = [_values(piece.column(i)) for i in range(piece.num_columns)]
            names = _unique(piece.schema.names)
            for i in range(piece.num_rows):
                yield row + skip + i, {name: column(i) for name, column in zip(names, values, strict=True)}
        row += batch.num_rows
        if row >= stop:
            return


def _values(column: pa.Array) -> Callable[[int], object]:
    """The column's values one by one: a batch's images are not all copied at once."""

    def value(i: int) -> object:
        try:
            return column[i].as_py()
        except (ValueError, OverflowError, pa.ArrowException):  # a time that Python has no type for
            return str(column[i].cast(pa.string())) if not pa.types.is_nested(column.type) else str(column[i])

    return value


def _unique(names: Sequence[str]) -> list[str]:
    return [name if name not in names[:i] else f"{name}.{i}" for i, name in enumerate(names)]


def _deliver(row: int, fields: dict[str, Any], column: str, state: FileState) -> Delivered:
    told = Told()
    value = fields.pop(column)
    if isinstance(value, dict):
        for name, part in value.items():
            if name != "bytes" and part is not None:
                told.add_extra(f"{column}.{name}", part, "parquet")
        value = value["bytes"]
    told.add_fields(fields, "parquet")
    if not isinstance(value, bytes):
        reason = failure(fields) or f"missing: column {column} is NULL"
        refused(told, reason)
        return told.deliver(row, state.uri, None, None, state.stamp, reason)
    if len(value) > MAX_BYTES:
        reason = f"too large: {len(value)} bytes, the limit for one image is {MAX_BYTES}"
        return told.deliver(row, state.uri, None, None, state.stamp, reason)
    return told.deliver(row, state.uri, None, value, state.stamp)


def failure(fields: dict[str, Any]) -> str | None:
    """What a downloader's status and error_message say went wrong; None where they say success or are not there."""
    status, message = fields.get("status"), fields.get("error_message")
    if not isinstance(status, str) or status == "success":
        return None
    said = [s for s in (status if status != "failed_to_download" else None, message) if s]
    return "download: " + _one_line(": ".join(map(str, said)) or status)


def refused(told: Told, reason: str) -> None:
    """A downloader that obeyed an X-Robots-Tag (noai, noimageai ...) tells of an opt-out."""
    if told.opt_out is None and "x-robots-tag" in reason.lower():
        told.opt_out = True


def _error(row: int, state: FileState, reason: str) -> Delivered:
    return Delivered(row, state.uri, None, None, None, state.stamp, error=reason)


def _one_line(e: object) -> str:
    return " ".join(str(e).split()) or type(e).__name__


class Rows:
    """Image bytes by row, for export: rows asked for in rising order read each row group once."""

    def __init__(self, uri: str, column: str | None = None) -> None:
        self._context = opened(uri)
        self._parquet = self._context.__enter__()
        self._column = image_column(self._parquet.schema_arrow, column)
        self._starts = group_starts(self._parquet)
        self._group = -1
        self._next = 0
        self._found: Iterator[tuple[int, dict[str, object]]] = iter(())

    def read(self, row: int) -> bytes | None:
        """The bytes of a row; None where there are none. Raises one of ERRORS."""
        if not 0 <= row < self._starts[-1]:
            return None
        group = next(i for i, end in enumerate(self._starts[1:]) if row < end)
        if group != self._group or row < self._next:
            begin, end = self._starts[group], self._starts[group + 1]
            self._found = _rows(self._parquet, group, row, end, begin, [self._column])
            self._group = group
        self._next = row + 1
        value = next((f[self._column] for r, f in self._found if r == row), None)
        value = value.get("bytes") if isinstance(value, dict) else value
        return value if isinstance(value, bytes) else None

    def close(self) -> None:
        self._context.__exit__(None, None, None)
