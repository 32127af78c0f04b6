"""Gather: many small Parquet files become a few scratch files, each a range of ids small enough to sort at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse import storage
from warehouse.schema import Table

CHUNK = 32 << 20  # bytes read before they are written on
RANGE = 64 << 20  # bytes of rows, as they lie in memory, that make one range
RANGES = 256  # at most: each is an open file


def gather(paths: Sequence[PurePath], table: Table, folder: Path) -> list[Path]:
    """All rows of the files, in files of `folder` that follow each other in the order of the ids.

    A table whose key does not begin with image_id gets one file. A column that a file lacks is NULL. Memory: one chunk.
    """
    count = 1
    if table.key[:1] == ("image_id",):
        count = min(RANGES, 1 + _bytes(paths) // RANGE)
    files = [folder / f"{number:03d}.parquet" for number in range(count)]
    # ids are hashes, so that equal ranges of their first 32 bits hold about as many each
    starts = np.array([f"{(number << 32) // count:08x}" for number in range(count)])
    with ExitStack() as stack:
        writers = [stack.enter_context(_writer(file, table.arrow)) for file in files]
        for chunk in _chunks(paths, table.arrow):
            if count == 1:
                writers[0].write_table(chunk)
                continue
            place = _ranges(chunk, starts)
            order = np.argsort(place, kind="stable")
            ends = np.searchsorted(place[order], np.arange(count + 1))
            for number in range(count):
                mine = order[ends[number] : ends[number + 1]]
                if len(mine):
                    writers[number].write_table(chunk.take(pa.array(mine)))
    return files


def conform(data: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of `schema` in its order and types; one that is not there is NULL."""
    if data.schema.equals(schema):
        return data
    columns = [
        data[f.name].cast(f.type) if f.name in data.column_names else pa.nulls(data.num_rows, f.type) for f in schema
    ]
    return pa.table(columns, schema=schema)


def _bytes(paths: Sequence[PurePath]) -> int:
    """About how many bytes the rows of the files are in memory.

    Told from the sizes on disk and how far a sample of the files is compressed: a million blank sheets are next to
    nothing on disk and gigabytes in a sort.
    """
    sample = paths[:: 1 + len(paths) // 64]
    groups = [(m, n) for m in map(storage.parquet_metadata, sample) for n in range(m.num_row_groups)]
    plain = sum(m.row_group(n).total_byte_size for m, n in groups)
    on_disk = dict(zip(paths, storage.sizes(paths), strict=True))
    return int(sum(on_disk.values()) * max(1.0, plain / max(1, sum(on_disk[path] for path in sample))))


def _chunks(paths: Sequence[PurePath], schema: pa.Schema) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    size = 0
    for path in paths:
        # one read of a small file and no seeking about in it: half the time of opening it by name
        part = pq.ParquetFile(pa.BufferReader(storage.read(path))).read(use_threads=False)
        waiting.append(conform(part, schema))
        size += part.nbytes
        if size >= CHUNK:
            yield pa.concat_tables(waiting)
            waiting, size = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


def _ranges(chunk: pa.Table, starts: npt.NDArray[np.str_]) -> npt.NDArray[np.intp]:
    heads = pc.utf8_slice_codeunits(chunk["image_id"], 0, 8).to_numpy().astype(starts.dtype)
    place: npt.NDArray[np.intp] = np.maximum(np.searchsorted(starts, heads, side="right") - 1, 0)
    return place


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(path, schema, compression="lz4", use_dictionary=False, write_statistics=False)
