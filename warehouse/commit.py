"""Commit: one transaction over all tables registers a run's packed files. The run is in the lake, or it is not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePath

import duckdb
import pyarrow as pa

from warehouse import fence, storage, views
from warehouse.files import sync, told
from warehouse.lake import Lake, quoted
from warehouse.merge import state_columns, superseded
from warehouse.metadata import METADATA
from warehouse.pack import pack, pack_query, store
from warehouse.parts import Part, key, part_path
from warehouse.schema import PARTS, RUNS, Table

__all__ = ["CommitResult", "RunInfo", "commit", "commit_parts", "forget_staged", "pack", "pack_query", "uncommitted"]

_AGAIN = r"-\d+\.parquet$"
ASKED = pa.schema([("table_name", pa.string()), ("part", pa.string())])


@dataclass(frozen=True)
class RunInfo:
    """What a run tells about itself: a row of `runs`. `snapshot` is the one it read from."""

    command: str
    batch: str | None = None
    engine: str = "local"
    recipe: str | None = None
    versions: Mapping[str, object] = field(default_factory=dict)
    counts: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    snapshot: int | None = None


@dataclass(frozen=True)
class CommitResult:
    """`committed` is False where all of it was in the lake before. `rows`: rows registered, by table."""

    run_id: str
    snapshot: int
    committed: bool
    rows: dict[str, int]


def commit_parts(
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    run: RunInfo,
    parts: Iterable[Part],
    tables: Mapping[str, Table],
) -> CommitResult:
    """Pack staged parts and commit them as one run; their staged files are removed afterwards.

    `tables` are the schemas of the parts' tables by name; a table that the lake lacks is made. Parts that the lake has
    already are passed over, so the same parts again change nothing. Raises LakeBusy, LakeError (disk full).
    """
    parts = sorted(set(parts), key=lambda p: (p.table, p.name, p.unit))
    with lake.lock(run.command), told(f"committing the {run.command}", lake.root):
        lake.ensure_tables(con, tables.values())
        views.refresh(con)
        new = uncommitted(con, parts)
        files: dict[str, list[PurePath]] = {}
        for name in sorted({p.table for p in new}):
            files[name] = pack(con, lake, tables[name], [p for p in new if p.table == name])
        replace = {t: superseded(tables[t], paths) for t, paths in files.items() if paths and state_columns(tables[t])}
        result = commit(con, lake, run, files, new, replace)
        forget_staged(lake, parts)
    return result


def forget_staged(lake: Lake, parts: Iterable[Part]) -> None:
    """Remove the staged files of committed parts."""
    for part in parts:
        storage.delete(part_path(lake, part.table, part.name))


def uncommitted(con: duckdb.DuckDBPyConnection, parts: Sequence[Part]) -> list[Part]:
    """Those of the parts that no run committed yet."""
    asked = pa.table({"table_name": [p.table for p in parts], "part": [p.name for p in parts]}, schema=ASKED)
    con.register("asked_parts", asked)
    try:
        done = set(
            con.execute("SELECT table_name, part FROM parts SEMI JOIN asked_parts USING (table_name, part)").fetchall()
        )
    finally:
        con.unregister("asked_parts")
    return [p for p in parts if (p.table, p.name) not in done]


def commit(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    run: RunInfo,
    files: Mapping[str, Sequence[PurePath]],
    parts: Sequence[Part] = (),
    replace: Mapping[str, str] | None = None,
) -> CommitResult:
    """Register packed files (from `pack` or `pack_query`) in one transaction, with the run and its parts.

    `replace` names, by table, a SQL predicate of rows that leave in the same transaction. A run whose files are all in
    the lake already, under the same run_id, changes nothing. `con` must not be in a transaction. Raises LakeBusy where
    another run writes the lake, LakeError where the disk is full; the lake is then as it was.
    """
    replace = replace or {}
    rows = {table: sum(storage.parquet_metadata(p).num_rows for p in paths) for table, paths in files.items()}
    with lake.lock(f"commit of the {run.command}"), told(f"committing the {run.command}", lake.root):
        started = time.time() - 1
        con.execute("BEGIN")
        try:
            names = sorted(f"{table}/{p.name}" for table, paths in files.items() for p in paths)
            run_id = key(run.command, run.batch, run.recipe, names, sorted((p.table, p.name) for p in parts))[:16]
            live, taken = _registered(con, names)
            known = _is_run(con, run_id)
            if (known and live.issuperset(names)) or not (names or parts or _any_row(con, replace)):
                con.execute("ROLLBACK")
                return CommitResult(run_id, lake.snapshot(con), False, dict.fromkeys(files, 0))
            if known:  # what it brought was replaced since, and now comes back: another run
                run_id = key(run_id, lake.snapshot(con))[:16]
            for table, predicate in replace.items():
                con.execute(f'DELETE FROM lake."{table}" WHERE {predicate}')
            for table, paths in files.items():
                new = [p for p in paths if table in replace or f"{table}/{p.name}" not in live]
                _register(con, table, [_own_name(p, table, taken) for p in new])
            _register_rows(con, lake, RUNS, [_run_row(run_id, run)])
            _register_rows(con, lake, PARTS, [_part_row(run_id, p) for p in parts])
            _sync_since(lake, {*replace}, started)
            fence.sign(con, lake.token, run.command)
            con.execute("COMMIT")
        except BaseException as error:
            with suppress(duckdb.Error):  # the failure itself may have ended the transaction
                con.execute("ROLLBACK")
            refused = fence.told(error, lake.root) if isinstance(error, duckdb.Error) else None
            if refused is not None:
                raise refused from error
            raise
        return CommitResult(run_id, lake.snapshot(con), True, rows)


def _registered(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> tuple[set[str], set[str]]:
    """Of these `table/file`, as pack named them, those that count now; and the own names of all that any snapshot knows
    of them. The catalog's other files stay in the database, however many they are."""
    found = con.execute(
        f"""SELECT name, own, live FROM (
            SELECT t.table_name || '/' || parse_filename(f.path) AS own, f.end_snapshot IS NULL AS live,
                regexp_replace(own, '{_AGAIN}', '.parquet') AS name
            FROM {METADATA}.ducklake_data_file f JOIN {METADATA}.ducklake_table t USING (table_id)
        ) SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS name) USING (name)""",
        [list(names)],
    ).fetchall()
    return {name for name, _, live in found if live}, {own for _, own, _ in found}


def _is_run(con: duckdb.DuckDBPyConnection, run_id: str) -> bool:
    return con.execute("SELECT 1 FROM runs WHERE run_id = ?", [run_id]).fetchone() is not None


def _any_row(con: duckdb.DuckDBPyConnection, replace: Mapping[str, str]) -> bool:
    return any(
        con.execute(f'SELECT 1 FROM lake."{table}" WHERE {predicate} LIMIT 1').fetchone() is not None
        for table, predicate in replace.items()
    )


def _own_name(path: PurePath, table: str, taken: set[str]) -> PurePath:
    """The file under a name that the catalog never had: two entries of one name would be swept together one day."""
    own, number = path, 1
    while f"{table}/{own.name}" in taken:
        number += 1
        own = path.with_name(f"{path.stem}-{number}.parquet")  # what _AGAIN undoes
    if own != path and not storage.exists(own):
        storage.same_again(path, own)
    return own


def _register(con: duckdb.DuckDBPyConnection, table: str, paths: Sequence[PurePath]) -> None:
    if paths:
        listed = ", ".join(quoted(p) for p in paths)
        con.execute(f"CALL ducklake_add_data_files('lake', '{table}', [{listed}], allow_missing => true)")


def _register_rows(con: duckdb.DuckDBPyConnection, lake: Lake, table: Table, rows: list[dict[str, object]]) -> None:
    """A ledger's rows as a file of our own, so that it is on disk before the commit says that it counts."""
    if rows:
        _register(con, table.name, store(lake, table, iter([table.from_rows(rows)])))


def _run_row(run_id: str, run: RunInfo) -> dict[str, object]:
    return {
        "run_id": run_id,
        "snapshot": run.snapshot,
        "command": run.command,
        "batch": run.batch,
        "engine": run.engine,
        "recipe": run.recipe,
        "versions": json.dumps(run.versions, sort_keys=True, ensure_ascii=False),
        "counts": json.dumps(run.counts, sort_keys=True, ensure_ascii=False),
        "seconds": run.seconds,
        "finished_at": datetime.now(UTC),
    }


def _part_row(run_id: str, part: Part) -> dict[str, object]:
    return {"run_id": run_id, "table_name": part.table, "part": part.name, "unit": part.unit, "rows": part.rows}


def _sync_since(lake: Lake, tables: set[str], started: float) -> None:
    """DuckLake's delete files are on disk before the commit that names them. An object store says so itself."""
    for table in tables:
        folder = lake.files(table)
        for path in folder.glob("*-delete.parquet") if isinstance(folder, Path) else ():
            if path.stat().st_mtime >= started:
                sync(path)
