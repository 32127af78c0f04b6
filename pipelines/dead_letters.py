"""Dead letters: units of work that could not be finished, as rows of `errors`, until a later run or a replay does.

A row has all that it takes to run the unit alone. Its `attempts` count runs; within a run the engine tries several
times by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import duckdb

from pipelines.engines import Result
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.errors import UsageError
from warehouse.lake import Lake, quoted
from warehouse.merge import superseded
from warehouse.schema import ERRORS

MOST_ATTEMPTS = 3  # runs that gave a unit up before nights leave it to replay
LOCK_WAIT_S = 60.0
Key = tuple[str, str]  # unit and batch


@dataclass(frozen=True)
class Letter:
    """One unit that was given up; the fields are the columns of `errors`."""

    command: str
    unit: str
    batch: str = ""
    source: str | None = None
    recipe: str | None = None
    extractors: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    content: str | None = None
    attempts: int = 1
    failure: str = "raised"
    error: str = ""
    traceback: str = ""

    @property
    def key(self) -> Key:
        return self.unit, self.batch

    def told(self, result: Result[Any, Any]) -> Letter:
        """The letter with what was last seen of the unit."""
        first, _, rest = (result.error or "").partition("\n")
        return replace(self, failure=result.failure or "raised", error=first, traceback=rest.strip())


def open_letters(con: duckdb.DuckDBPyConnection, command: str, *, source: str | None = None) -> list[Letter]:
    """Units of the command (and source) that nobody finished yet."""
    where = f"command = {quoted(command)} AND status = 'open'"
    return _letters(con, where + (f" AND source = {quoted(source)}" if source is not None else ""))


def open_keys(con: duckdb.DuckDBPyConnection, command: str) -> set[Key]:
    """Keys of the units of the command that nobody finished yet."""
    rows = con.execute("SELECT unit, batch FROM lake.errors WHERE command = ? AND status = 'open'", [command])
    return set(rows.fetchall())


def find_letter(con: duckdb.DuckDBPyConnection, unit: str) -> Letter:
    """The letter of a unit by its key or the start of it, the open one first. Raises UsageError."""
    found = _letters(con, f"starts_with(unit, {quoted(unit)})")
    keys = {letter.unit for letter in found}
    if not found:
        raise UsageError(f"no unit {unit} has failed in this lake: see the units in the table `errors`")
    if len(keys) > 1:
        raise UsageError(f"{len(keys)} failed units begin with {unit}: write more of the key, {sorted(keys)[0]} say")
    return found[0]


def settle(
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    command: str,
    failed: Sequence[Letter],
    finished: Collection[Key],
    run_id: str | None,
) -> None:
    """Record what a run gave up and what it finished after all, in one commit; nothing where there is neither."""
    if not failed and not finished:
        return
    with lake.lock("recording failed units", wait_s=LOCK_WAIT_S):
        known = {row["unit"] + row["batch"]: row for row in _rows(con, f"command = {quoted(command)}")}
        now = datetime.now(UTC)
        rows = [_failed(letter, known.get(letter.unit + letter.batch), now, run_id) for letter in failed]
        done = {unit + batch for unit, batch in finished} - {letter.unit + letter.batch for letter in failed}
        rows += [{**row, "status": "resolved"} for key, row in known.items() if key in done and row["status"] == "open"]
        con.register("settled", ERRORS.from_rows(rows))
        try:
            files = pack_query(con, lake, ERRORS, "SELECT * FROM settled")
            if files:
                run = RunInfo(
                    command="errors",
                    engine="sql",
                    counts={"command": command, "failed": len(failed), "resolved": len(rows) - len(failed)},
                )
                commit(con, lake, run, {ERRORS.name: files}, replace={ERRORS.name: superseded(ERRORS, files)})
        finally:
            con.unregister("settled")


def _failed(letter: Letter, before: dict[str, Any] | None, now: datetime, run_id: str | None) -> dict[str, Any]:
    """The row of a unit that was given up; a unit that had been finished since counts from one again."""
    again = before if before is not None and before["status"] == "open" else None
    return {
        **vars(letter),
        "extractors": list(letter.extractors),
        "images": list(letter.images),
        "attempts": (again["attempts"] if again else 0) + 1,
        "first_seen": again["first_seen"] if again else now,
        "last_seen": now,
        "run_id": run_id,
        "status": "open",
    }


def _letters(con: duckdb.DuckDBPyConnection, where: str) -> list[Letter]:
    return [_letter(row) for row in _rows(con, where)]


def _letter(row: Mapping[str, Any]) -> Letter:
    kept: dict[str, Any] = {name: row[name] for name in Letter.__dataclass_fields__}
    return Letter(**{**kept, "extractors": tuple(row["extractors"] or ()), "images": tuple(row["images"] or ())})


def _rows(con: duckdb.DuckDBPyConnection, where: str) -> list[dict[str, Any]]:
    found = con.execute(f"SELECT * FROM lake.errors WHERE {where} ORDER BY status, last_seen DESC, unit, batch")
    rows: list[dict[str, Any]] = found.to_arrow_table().to_pylist()
    return rows
