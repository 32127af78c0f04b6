"""Rewrite: the lake's Parquet files without the rows about forgotten images, those of pinned snapshots too.

A row that is merely deleted is still in its file. Here every file that any snapshot knows and that holds such a row is
written anew without it, under a new name, and the catalog's entry is turned to the new file: row counts, the positions
in delete files, and the smallest and largest values that the catalog keeps of texts. All entries change in one
transaction, and the old files go after it. On an object store each is one new object.
"""

from __future__ import annotations

import os
import secrets
import struct
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import BinaryIO

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse import storage
from warehouse.files import sync, told
from warehouse.forgotten import LISTS, naming
from warehouse.lake import Lake
from warehouse.metadata import METADATA
from warehouse.pack import content_hash
from warehouse.places import place

Positions = npt.NDArray[np.int64]
_TEXTS = ("varchar", "blob")  # of these the catalog keeps values that tell something
_ABOVE_ALL = "\U0010ffff"


@dataclass(frozen=True)
class Known:
    """A data file that some snapshot knows."""

    file_id: int
    table_id: int
    table: str
    path: PurePath
    live: bool


@dataclass(frozen=True)
class _Deletes:
    """A delete file of a data file."""

    delete_id: int
    path: PurePath


@dataclass(frozen=True)
class _File:
    """A new Parquet file: its name, rows, bytes, and those of its footer."""

    name: str
    rows: int
    size: int
    footer: int


@dataclass(frozen=True)
class _New:
    """What stands in an old data file's place, and the smallest and largest value of its columns of texts.

    A `file` that is None had no other rows, a delete file that is None no other deletes.
    """

    old: Known
    file: _File | None
    texts: dict[tuple[str, ...], tuple[object, object]]
    deletes: tuple[tuple[_Deletes, _File | None], ...]


@dataclass
class Rewritten:
    """What was done, or would be: files below the lake by the rows that went from them, of all tables."""

    rows: dict[PurePath, int] = field(default_factory=dict)


def known_data_files(con: duckdb.DuckDBPyConnection, lake: Lake, table: str | None = None) -> list[Known]:
    """Every data file of the lake, or of one table, in whichever snapshot."""
    found = con.execute(
        f"""SELECT f.data_file_id, f.table_id, t.table_name, f.path, f.path_is_relative, f.end_snapshot IS NULL
        FROM {METADATA}.ducklake_data_file f JOIN {METADATA}.ducklake_table t USING (table_id)
        ORDER BY f.table_id, f.data_file_id"""
    ).fetchall()
    return [
        Known(number, table_id, name, lake.files(name) / path if relative else place(path), live)
        for number, table_id, name, path, relative, live in found
        if table in (None, name)
    ]


def positions(path: PurePath, table: str, ids: Sequence[str]) -> Positions:
    """Row numbers of the rows of a Parquet file of the table that name one of the sorted `ids`."""
    return storage.using(path, lambda file: _positions(file, table, ids))


def _positions(opened: BinaryIO, table: str, ids: Sequence[str]) -> Positions:
    wanted = pa.array(ids, pa.string())
    found: list[Positions] = []
    with pq.ParquetFile(opened) as file:
        columns = naming(table, file.schema_arrow.names)
        start = 0
        for number in range(file.num_row_groups if columns else 0):
            rows = file.metadata.row_group(number).num_rows
            if any(_may_hold(file, number, column, ids) for column in columns):
                group = file.read_row_group(number, columns=list(columns))
                hit = np.zeros(rows, bool)
                for column in columns:
                    hit |= _names(group[column].combine_chunks(), wanted)
                found.append(np.flatnonzero(hit) + start)
            start += rows
    return np.concatenate([np.empty(0, np.int64), *found])


def rewrite(
    con: duckdb.DuckDBPyConnection, lake: Lake, ids: Sequence[str], emptied: Sequence[str], *, dry_run: bool = False
) -> Rewritten:
    """Write anew each file with rows about the sorted `ids`. Of the tables `emptied`, whose rows are about many images
    together, all goes that does not count now. `con` must not be in a transaction and be the only one that writes.

    Raises LakeError where the disk is full; the lake is then as it was.
    """
    done = Rewritten()
    deletes = _delete_files(con, lake)
    taken = {known.path for known in known_data_files(con, lake)}
    changes: list[_New] = []
    for known in known_data_files(con, lake):
        if known.table in emptied:
            rows = storage.parquet_metadata(known.path).num_rows
            gone = np.arange(rows) if not known.live else _deleted(deletes.get(known.file_id, []))
        else:
            gone = positions(known.path, known.table, ids)
        if not len(gone):
            continue
        done.rows[known.path.relative_to(lake.root)] = len(gone)
        if not dry_run:
            with told(f"rewriting {known.path.name}", lake.root):
                changes.append(_written(known, gone, deletes.get(known.file_id, []), taken, lake.tmp))
    if not dry_run:
        _turn(con, lake, changes)
        for change in changes:
            for path in (change.old.path, *(old.path for old, _ in change.deletes)):
                storage.delete(path)
    return done


def _may_hold(file: pq.ParquetFile, group: int, column: str, ids: Sequence[str]) -> bool:
    """Whether a row group may name one of the ids, by what its footer says: a list's column is looked at always."""
    place = file.schema_arrow.names.index(column)
    if column in LISTS or any(pa.types.is_nested(t) for t in file.schema_arrow.types[:place]):
        return True
    told_of = file.metadata.row_group(group).column(place).statistics
    if told_of is None or not told_of.has_min_max:
        return True
    at = bisect_left(ids, told_of.min)
    return at < len(ids) and bool(ids[at] <= told_of.max)


def _names(column: pa.Array, wanted: pa.Array) -> npt.NDArray[np.bool_]:
    if pa.types.is_list(column.type):
        hit = np.zeros(len(column), bool)
        inside = pc.is_in(pc.list_flatten(column), value_set=wanted).to_numpy(zero_copy_only=False)
        hit[pc.list_parent_indices(column).to_numpy()[inside]] = True
        return hit
    found: npt.NDArray[np.bool_] = pc.is_in(column, value_set=wanted).to_numpy(zero_copy_only=False)
    return found


def _written(known: Known, gone: Positions, deletes: Sequence[_Deletes], taken: set[PurePath], scratch: Path) -> _New:
    """The file without the rows at these positions, and its delete files, under names that the catalog never had."""
    folder = known.path.parent
    work = folder if isinstance(folder, Path) else scratch
    temporary = work / f".rewrite-{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        with storage.local(known.path, scratch) as old:
            if not _copied_without(old, gone, temporary):
                return _New(known, None, {}, tuple((old, None) for old in deletes))
        sync(temporary)
        new, number = folder / f"{content_hash(temporary)}.parquet", 1
        while new in taken:
            number += 1
            new = folder / f"{new.stem.partition('-')[0]}-{number}.parquet"
        taken.add(new)
        made, texts = _measured(temporary, new.name), dict(_values(temporary))
        storage.move(temporary, new)
        if isinstance(folder, Path):
            sync(folder)
    finally:
        temporary.unlink(missing_ok=True)
    return _New(known, made, texts, tuple((old, _shifted(old.path, new, gone, scratch)) for old in deletes))


def _copied_without(path: Path, gone: Positions, out_path: Path) -> int:
    """Copy a Parquet file without the rows at these positions; the number of rows left. Memory: one row group."""
    left = 0
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        plain = [f.name for f in schema if not pa.types.is_binary(f.type)]
        with pq.ParquetWriter(out_path, schema, compression="zstd", use_dictionary=plain) as out:
            start = 0
            for number in range(file.num_row_groups):
                group = file.read_row_group(number)
                here = gone[(gone >= start) & (gone < start + group.num_rows)] - start
                keep = np.ones(group.num_rows, bool)
                keep[here] = False
                start += group.num_rows
                if keep.any():
                    out.write_table(group.filter(pa.array(keep)), row_group_size=group.num_rows)
                    left += int(keep.sum())
    return left


def _shifted(path: PurePath, data: PurePath, gone: Positions, scratch: Path) -> _File | None:
    """A delete file for the new data file; None: no delete is left."""
    deletes = storage.using(path, pq.read_table)
    at = deletes["pos"].to_numpy()
    kept = deletes.filter(pa.array(~np.isin(at, gone)))
    if not kept.num_rows:
        return None
    at = kept["pos"].to_numpy()
    columns = {"file_path": [str(data)] * kept.num_rows, "pos": at - np.searchsorted(gone, at)}
    for name, values in columns.items():
        at_column = kept.schema.get_field_index(name)
        kept = kept.set_column(at_column, kept.schema.field(name), pa.array(values, kept.schema.field(name).type))
    new = path.with_name(f"ducklake-{secrets.token_hex(16)}-delete.parquet")
    with storage.replacing(new, scratch) as temporary:
        pq.write_table(kept, temporary, compression="zstd")
        return _measured(temporary, new.name)


def _turn(con: duckdb.DuckDBPyConnection, lake: Lake, changes: Sequence[_New]) -> None:
    """The catalog's entries to the new files, in one transaction. What it says of tables is told anew of all of them:
    files that expired are not in it any more, but their values are."""
    con.execute("BEGIN")
    try:
        lake.backend.guard(con, METADATA, lake.token)
        for change in changes:
            for old, deletes in change.deletes:
                _turn_deletes(con, old, deletes)
            if change.file is None:
                for table in ("ducklake_file_column_stats", "ducklake_data_file"):
                    con.execute(f"DELETE FROM {METADATA}.{table} WHERE data_file_id = ?", [change.old.file_id])
                continue
            con.execute(
                f"UPDATE {METADATA}.ducklake_data_file SET path = ?, path_is_relative = true, record_count = ?, "
                "file_size_bytes = ?, footer_size = ? WHERE data_file_id = ?",
                [*_told(change.file), change.old.file_id],
            )
            _tell_values(con, change)
        for (table_id,) in con.execute(
            f"SELECT DISTINCT table_id FROM {METADATA}.ducklake_table_column_stats"
        ).fetchall():
            _tell_table(con, table_id)
        con.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):  # the failure itself may have ended the transaction
            con.execute("ROLLBACK")
        raise


def _turn_deletes(con: duckdb.DuckDBPyConnection, old: _Deletes, new: _File | None) -> None:
    table = f"{METADATA}.ducklake_delete_file"
    if new is None:
        con.execute(f"DELETE FROM {table} WHERE delete_file_id = ?", [old.delete_id])
        return
    con.execute(
        f"UPDATE {table} SET path = ?, path_is_relative = true, delete_count = ?, file_size_bytes = ?, footer_size = ? "
        "WHERE delete_file_id = ?",
        [*_told(new), old.delete_id],
    )


def _tell_values(con: duckdb.DuckDBPyConnection, change: _New) -> None:
    """The smallest and largest texts of the new file. Of numbers the old ones stay: they still are bounds."""
    stated = con.execute(
        f"SELECT column_id FROM {METADATA}.ducklake_file_column_stats WHERE data_file_id = ?", [change.old.file_id]
    ).fetchall()
    ids = _text_columns(con, change.old.table_id)
    for (column_id,) in stated:
        if column_id in ids:
            low, high = change.texts.get(ids[column_id], (None, None))
            con.execute(
                f"UPDATE {METADATA}.ducklake_file_column_stats SET min_value = {_text(low)}, max_value = {_text(high)} "
                "WHERE data_file_id = ? AND column_id = ?",
                [*(v for v in (low, high) if v is not None), change.old.file_id, column_id],
            )


def _tell_table(con: duckdb.DuckDBPyConnection, table_id: int) -> None:
    """What the catalog says of a whole table's texts, from what it says of each file; unknown counts as anything."""
    for column_id in _text_columns(con, table_id):
        row = con.execute(
            f"""SELECT min(min_value), max(max_value), coalesce(bool_or(min_value IS NULL AND value_count > 0), false)
            FROM {METADATA}.ducklake_file_column_stats WHERE table_id = ? AND column_id = ?""",
            [table_id, column_id],
        ).fetchone()
        assert row is not None  # an aggregate always gives a row
        low, high = ("", _ABOVE_ALL) if row[2] else row[:2]
        con.execute(
            f"UPDATE {METADATA}.ducklake_table_column_stats SET min_value = ?, max_value = ? "
            "WHERE table_id = ? AND column_id = ?",
            [low, high, table_id, column_id],
        )


def _text_columns(con: duckdb.DuckDBPyConnection, table_id: int) -> dict[int, tuple[str, ...]]:
    """Path of names of each column of texts or bytes, nested ones too, by its number in the catalog."""
    found = con.execute(
        f"SELECT column_id, parent_column, column_name, column_type FROM {METADATA}.ducklake_column WHERE table_id = ?",
        [table_id],
    ).fetchall()
    parents = {number: (parent, name) for number, parent, name, _ in found}

    def path(number: int | None) -> tuple[str, ...]:
        if number is None:
            return ()
        parent, name = parents[number]
        return (*path(parent), name)

    return {number: path(number) for number, _, _, kind in found if kind in _TEXTS}


def _values(file: Path) -> Iterator[tuple[tuple[str, ...], tuple[object, object]]]:
    """Smallest and largest value of each column of texts or bytes that the file's footer tells of."""
    footer = pq.read_metadata(file)
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    for number in range(footer.num_columns):
        if footer.schema.column(number).physical_type != "BYTE_ARRAY":
            continue
        column = tuple(name for name in footer.schema.column(number).path.split(".") if name != "list")
        stated = [group.column(number).statistics for group in groups]
        if any(s is None for s in stated):
            continue
        filled = [s for s in stated if s.num_values > 0]
        if filled and all(s.has_min_max for s in filled):
            yield column, (min(s.min for s in filled), max(s.max for s in filled))


def _text(value: object) -> str:
    """A placeholder for a value as the catalog writes it: bytes as DuckDB shows them."""
    if value is None:
        return "NULL"
    return "?::BLOB::VARCHAR" if isinstance(value, bytes) else "?"


def _measured(path: Path, name: str) -> _File:
    """A Parquet file that is to have that name."""
    with open(path, "rb") as file:
        file.seek(-8, os.SEEK_END)
        (footer,) = struct.unpack("<I", file.read(4))
    return _File(name, pq.read_metadata(path).num_rows, path.stat().st_size, footer)


def _told(file: _File) -> tuple[str, int, int, int]:
    return file.name, file.rows, file.size, file.footer


def _delete_files(con: duckdb.DuckDBPyConnection, lake: Lake) -> dict[int, list[_Deletes]]:
    found: dict[int, list[_Deletes]] = {}
    for number, data_file, table, path, relative in con.execute(
        f"""SELECT d.delete_file_id, d.data_file_id, t.table_name, d.path, d.path_is_relative
        FROM {METADATA}.ducklake_delete_file d JOIN {METADATA}.ducklake_table t USING (table_id)"""
    ).fetchall():
        found.setdefault(data_file, []).append(_Deletes(number, lake.files(table) / path if relative else place(path)))
    return found


def _deleted(deletes: Sequence[_Deletes]) -> Positions:
    """Positions that any of the delete files names."""
    return np.unique(
        np.concatenate(
            [np.empty(0, np.int64), *(storage.using(d.path, pq.read_table)["pos"].to_numpy() for d in deletes)]
        )
    )
