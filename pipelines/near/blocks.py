"""Hashes in scratch files, cut into blocks that workers read, and the parts that they write there.

DuckDB streams the hashes from the lake into Parquet files of a scratch folder; a block is a range of rows of one. What
workers find they write beside it, and hand back only the file's name and its number of rows: no rows pass through the
process that asked.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.engines import Engine, R, U
from pipelines.near.banding import BITS, Hashes
from pipelines.progress import Progress
from warehouse.errors import EngineError
from warehouse.files import told
from warehouse.lake import quoted

ID_BYTES = 16
HASH_BYTES = BITS // 8
GROUP_ROWS = 1 << 15  # of a row group of a scratch file

Ids = NDArray[np.uint8]  # (n, 16)

PAIRS = pa.schema([("a", pa.binary(ID_BYTES)), ("b", pa.binary(ID_BYTES)), ("distance", pa.int16())])


@dataclass(frozen=True)
class Block:
    """Rows `start` to `stop` of a scratch file."""

    path: str
    start: int
    stop: int

    @property
    def rows(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Written:
    """A part in the scratch folder, None where there was nothing to write, and candidates compared for it."""

    path: str | None
    rows: int
    candidates: int = 0


def copy_out(con: duckdb.DuckDBPyConnection, sql: str, path: Path) -> int:
    """Stream the rows of `sql` into a Parquet file; returns their number. Raises LakeError where the disk is full."""
    with told("writing scratch files", path.parent):
        row = con.execute(
            f"COPY ({sql}) TO {quoted(path)} (FORMAT parquet, COMPRESSION lz4_raw, ROW_GROUP_SIZE {GROUP_ROWS})"
        ).fetchone()
    assert row is not None
    return int(row[0])


def blocks(path: Path, count: int, size: int) -> list[Block]:
    """The file's `count` rows in blocks of equal length, `size` rows at most."""
    number = -(-count // size)
    edges = [count * n // number for n in range(number + 1)] if number else []
    return [Block(str(path), start, stop) for start, stop in pairwise(edges)]


def read(block: Block, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a block; only the row groups that it touches are read."""
    file = pq.ParquetFile(block.path)
    groups: list[int] = []
    first, seen = 0, 0
    for number in range(file.num_row_groups):
        rows = file.metadata.row_group(number).num_rows
        if seen < block.stop and block.start < seen + rows:
            if not groups:
                first = seen
            groups.append(number)
        seen += rows
    if not groups:
        return file.schema_arrow.empty_table().select(columns or file.schema_arrow.names)
    return file.read_row_groups(groups, columns=columns).slice(block.start - first, block.rows)


def read_hashes(block: Block) -> tuple[Ids, Hashes]:
    """Image ids, as 16 bytes each, and hashes of a block."""
    table = read(block, ["id", "phash"])
    return fixed(table["id"], ID_BYTES), fixed(table["phash"], HASH_BYTES)


def fixed(column: pa.ChunkedArray, width: int) -> NDArray[np.uint8]:
    """A binary column whose values all have `width` bytes as (n, width) uint8. Raises ArrowInvalid for others."""
    values = column.cast(pa.binary(width)).combine_chunks()
    if isinstance(values, pa.ChunkedArray):  # of no rows: there is no chunk
        return np.zeros((0, width), np.uint8)
    buffer = values.buffers()[1]
    return np.frombuffer(buffer, np.uint8, len(values) * width, values.offset * width).reshape(len(values), width)


def as_binary(values: NDArray[np.uint8]) -> pa.FixedSizeBinaryArray:
    """(n, width) uint8 as a column of `width` bytes each."""
    flat = np.ascontiguousarray(values)
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(values.shape[1]), len(flat), [None, pa.py_buffer(flat)])


class Writer:
    """A part in `folder` that appears under its name when it is whole; `written` says which. Empty parts leave none.

    Its name is new each time: a worker that dies on the way leaves a file that nobody names.
    """

    def __init__(self, folder: str, schema: pa.Schema) -> None:
        self._path = Path(folder) / f"part-{secrets.token_hex(8)}.parquet"
        self._temporary = self._path.with_suffix(".tmp")
        self._schema = schema
        self._out: pq.ParquetWriter | None = None
        self._rows = 0

    def write(self, table: pa.Table) -> None:
        if not table.num_rows:
            return
        if self._out is None:
            self._out = pq.ParquetWriter(self._temporary, self._schema, compression="lz4", use_dictionary=False)
        self._out.write_table(table)
        self._rows += table.num_rows

    def written(self, candidates: int = 0) -> Written:
        if self._out is None:
            return Written(None, 0, candidates)
        self._out.close()
        self._temporary.rename(self._path)
        return Written(str(self._path), self._rows, candidates)


def rows_of(parts: Sequence[Written], schema: pa.Schema) -> str:
    """SQL that reads the parts' rows; their columns, and no row, where there is no part."""
    paths = [part.path for part in parts if part.path is not None]
    if not paths:
        types = ", ".join(f'NULL::{_SQL[f.type]} AS "{f.name}"' for f in schema)
        return f"(SELECT {types} WHERE false)"
    return f"read_parquet([{', '.join(map(quoted, paths))}])"


def finished(engine: Engine, work: Callable[[U], R], units: Iterable[U], progress: Progress, note: str) -> Iterator[R]:
    """What `work` made of each unit. Raises EngineError, with the first line of what was seen, where one failed."""
    units = units if isinstance(units, Sequence) else list(units)
    progress(0, len(units), note)
    for done, result in enumerate(engine.map(work, units), 1):
        if result.failure is not None or result.value is None:
            raise EngineError(f"{note} failed: {(result.error or 'no result').splitlines()[0]}")
        yield result.value
        progress(done, len(units), note)


_SQL = {
    pa.int16(): "SMALLINT",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.string(): "VARCHAR",
    pa.binary(): "BLOB",
    pa.binary(ID_BYTES): "BLOB",
}
