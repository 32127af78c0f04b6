"""Verify: every committed byte accounted for. Reads everything: packed files, every shard, every count."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse import storage
from warehouse.catalog import DataFile, data_files, known_files
from warehouse.erase import only_tombstones
from warehouse.forgotten import anything_forgotten
from warehouse.forgotten_list import read_listing
from warehouse.lake import Lake
from warehouse.metadata import stored_columns
from warehouse.pack import content_hash
from warehouse.schema import KNOWN
from warehouse.shards import check_shard

NAMED_BY_CONTENT = re.compile(r"([0-9a-f]{32})(-\d+)?\.parquet")
SHOWN = 20  # problems listed per check


@dataclass
class Check:
    """One thing that was checked: how many of what, what is wrong with them, and what is merely worth knowing."""

    name: str
    unit: str
    counted: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify(lake: Lake) -> list[Check]:
    """Check the whole lake as it is now; a lake without problems has none in any check."""
    checks = [check_catalog(lake)]
    with lake.connect(read_only=True) as con:
        con.execute("BEGIN")  # one snapshot for all of it, whatever a run commits meanwhile
        for name, unit, look in (
            ("packed files", "files", check_files),
            ("tables", "rows", check_rows),
            ("shards", "images", check_shards),
            ("references", "columns", check_references),
            ("accounting", "inputs", check_accounting),
            ("orphans", "files", check_orphans),
        ):
            checks.append(Check(name, unit))
            try:
                look(lake, con, checks[-1])
            except duckdb.Error as error:  # a file that cannot be read ends the transaction too
                checks[-1].problems.append(f"cannot be checked ({_line(error)})")
                con.execute("ROLLBACK")
                con.execute("BEGIN")
    return checks


def check_catalog(lake: Lake) -> Check:
    """The catalog's own pages."""
    pages, problems = lake.backend.check()
    return Check("catalog", "pages", pages, problems)


def check_files(lake: Lake, con: duckdb.DuckDBPyConnection, check: Check) -> None:
    """Each packed file is there, hashes to its name, opens, and holds the rows that the catalog says."""
    for file in data_files(con, lake):
        check.counted += 1
        check.problems += _file_problems(lake, file)


def _signal_key(con: duckdb.DuckDBPyConnection, table: str) -> tuple[str, ...]:
    """A signal table has a row per image, or per image and caption."""
    return ("image_id", "caption_id") if "caption_id" in stored_columns(con).get(table, {}) else ("image_id",)


def check_rows(lake: Lake, con: duckdb.DuckDBPyConnection, check: Check) -> None:
    """Each table has the rows of its files less the deleted ones, and each key once."""
    expected: dict[str, int] = {}
    for file in data_files(con, lake):
        expected[file.table] = expected.get(file.table, 0) + file.rows - file.deleted
    for table, rows in expected.items():
        keys = KNOWN[table].key if table in KNOWN else _signal_key(con, table)
        found = _number(con, f'SELECT count(*) FROM lake."{table}"')
        if found != rows:
            check.problems.append(f"{table}: {found} rows, its files have {rows}")
        check.counted += found
        if keys:
            listed = ", ".join(f'"{k}"' for k in keys)
            twice = f'SELECT {listed} FROM lake."{table}" GROUP BY {listed} HAVING count(*) > 1'
            for row in con.execute(f"{twice} ORDER BY ALL LIMIT {SHOWN}").fetchall():
                check.problems.append(f"{table}: {', '.join(map(str, row))} is there more than once")


def check_shards(lake: Lake, con: duckdb.DuckDBPyConnection, check: Check) -> None:
    """Each image in the pool: header, offsets, sizes, SHA-256 and XXH3 of its bytes are what the index says."""
    forgotten = read_listing(lake.pool)
    for shard in _column(con, "SELECT DISTINCT shard FROM shard_index ORDER BY 1"):
        rows = con.execute("SELECT * FROM shard_index WHERE shard = ?", [shard]).to_arrow_table().to_pylist()
        try:
            with storage.local(lake.pool / str(shard), lake.tmp) as file:
                check.problems += check_shard(file, rows, forgotten, str(shard))
        except FileNotFoundError:
            check.problems.append(f"{shard}: the shard is missing")
        check.counted += len(rows)


def check_references(lake: Lake, con: duckdb.DuckDBPyConnection, check: Check) -> None:
    """Every id that another table names was delivered; every placed image is in the pool."""
    delivered = "SELECT image_id FROM inputs WHERE image_id IS NOT NULL"
    for table, column, known in (
        ("captions", "image_id", delivered),
        ("decisions", "image_id", delivered),
        ("shard_index", "image_id", delivered),
        ("near_pairs", "a", delivered),
        ("near_pairs", "b", delivered),
        ("placements", "image_id", "SELECT image_id FROM shard_index"),
    ):
        lost = _number(con, f"SELECT count(DISTINCT {column}) FROM {table} WHERE {column} NOT IN ({known})")
        check.counted += 1
        if lost:
            what = "in no shard" if table == "placements" else "not in inputs"
            check.problems.append(f"{table}: {lost} values of {column} are {what}")


def check_accounting(lake: Lake, con: duckdb.DuckDBPyConnection, check: Check) -> None:
    """For each recipe: error + repeat + pending + dropped + duplicate + kept are the inputs it was decided on."""
    check.counted = _number(con, "SELECT count(*) FROM inputs")
    for status in _column(con, "SELECT DISTINCT status FROM inputs WHERE status NOT IN ('ok', 'repeat', 'error')"):
        check.problems.append(f"inputs: status {status} is none of ok, repeat, error")
    if unnamed := _number(con, "SELECT count(*) FROM inputs WHERE status = 'error' AND coalesce(error, '') = ''"):
        check.problems.append(f"inputs: {unnamed} error rows do not name their reason")
    for recipe in map(str, _column(con, "SELECT DISTINCT recipe FROM decisions ORDER BY 1")):
        where = f"recipe = '{recipe}'"
        stray = f"SELECT count(*) FROM decisions WHERE {where} AND image_id NOT IN (SELECT image_id FROM inputs WHERE "
        if astray := _number(con, stray + "status = 'ok')"):
            check.problems.append(f"recipe {recipe}: {astray} decided images have no delivery with status ok")
        outcomes = "outcome NOT IN ('kept', 'dropped', 'pending', 'duplicate')"
        if odd := _number(con, f"SELECT count(*) FROM decisions WHERE {where} AND {outcomes}"):
            check.problems.append(f"recipe {recipe}: {odd} outcomes are none of kept, dropped, pending, duplicate")
        decided = _number(con, f"SELECT count(*) FROM decisions WHERE {where}")
        undecided = _number(con, "SELECT count(*) FROM inputs WHERE status = 'ok'") - decided
        read = _read_by_last_decide(con, recipe)
        if read is not None and read != decided:
            check.problems.append(f"recipe {recipe}: {decided} decisions on {read} images that were there to decide on")
        elif undecided:
            check.notes.append(f"recipe {recipe}: {undecided} images came after it was last decided; run decide")


def check_orphans(lake: Lake, con: duckdb.DuckDBPyConnection, check: Check) -> None:
    """Files that count for nothing. None of them is harmful; `glyphmill clean` sweeps them."""
    known = known_files(con, lake)
    packed = [f.path for f in storage.listing(lake.tables) if f.path not in known]
    staged = [f.path for f in storage.listing(lake.staging)]
    shards = set(map(str, _column(con, "SELECT DISTINCT shard FROM shard_index")))
    unnamed = [f.path for f in storage.listing(lake.pool) if f.path.name not in shards]
    pool = [p for p in unnamed if not only_tombstones(p, lake.tmp)]
    for found, what in ((packed, "packed files of no snapshot"), (staged, "staged parts"), (pool, "shards of no run")):
        check.counted += len(found)
        if found:
            check.notes.append(f"{len(found)} {what}, {found[0].name} say: left by a run that was stopped, or in use")


def _file_problems(lake: Lake, file: DataFile) -> Iterator[str]:
    name = f"{file.table}/{file.path.name}"
    try:
        size = storage.size(file.path)
        if size != file.size:
            yield f"{name}: {size} bytes, the catalog says {file.size}"
            return
        with storage.local(file.path, lake.tmp) as path:
            named = NAMED_BY_CONTENT.fullmatch(file.path.name)
            if named is not None and content_hash(path) != named[1]:
                yield f"{name}: its bytes do not hash to its name"
            elif (rows := pq.read_metadata(path).num_rows) != file.rows:
                yield f"{name}: {rows} rows, the catalog says {file.rows}"
        if file.deletes is not None and (gone := _rows(file.deletes)) != file.deleted:
            yield f"{file.table}/{file.deletes.name}: {gone} deleted rows, the catalog says {file.deleted}"
    except FileNotFoundError as error:
        yield f"{file.table}/{Path(error.filename or file.path).name}: the file is missing"
    except (OSError, pa.ArrowInvalid) as error:
        yield f"{name}: cannot be read ({_line(error)})"


def _rows(path: PurePath) -> int:
    return int(storage.parquet_metadata(path).num_rows)


def _read_by_last_decide(con: duckdb.DuckDBPyConnection, recipe: str) -> int | None:
    """Images that the last decide of the recipe had to decide on; None where its snapshot is not known any more."""
    run = con.execute(
        "SELECT snapshot FROM runs WHERE command = 'decide' AND recipe = ? ORDER BY finished_at DESC LIMIT 1", [recipe]
    ).fetchone()
    kept = set(_column(con, "SELECT snapshot_id FROM ducklake_snapshots('lake')"))
    if run is None or run[0] not in kept:
        return None
    there = f"SELECT count(*) FROM inputs AT (VERSION => {run[0]}) WHERE status = 'ok'"
    forgotten = " AND image_id NOT IN (SELECT image_id FROM forgotten)" if anything_forgotten(con) else ""
    return _number(con, there + forgotten)


def _number(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = con.execute(sql).fetchone()
    assert row is not None
    return int(row[0])


def _column(con: duckdb.DuckDBPyConnection, sql: str) -> list[object]:
    return [row[0] for row in con.execute(sql).fetchall()]


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
