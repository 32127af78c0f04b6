"""Forget: images are taken down. At once they are in no table and no view, and never come back.

Their bytes and words are in files until `glyphmill clean` has purged these (`warehouse/purge.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePath

import duckdb
import pyarrow as pa

from warehouse import views
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.errors import UsageError
from warehouse.forgotten import about, naming, write_listing
from warehouse.forgotten_list import read_listing
from warehouse.lake import Lake
from warehouse.metadata import stored_columns
from warehouse.schema import EDIT_SCORES, EDITS, FORGOTTEN, NEAR_COMPARED, NEAR_PAIRS

ASKED = "SELECT image_id FROM temp.to_forget"
_IMAGE_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Extra:
    """What a caller changes in the same commit: files to register and rows to take away, by table."""

    files: Mapping[str, Sequence[PurePath]] = field(default_factory=dict)
    replace: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Forgot:
    """What was forgotten, or would be. `rows`: those that leave, by table. `unknown`: of `images`, those that the lake
    never had; they are kept out all the same. `alike`: others of which near pairs with these were found."""

    images: int
    rows: Mapping[str, int]
    unknown: int
    before: int
    alike: tuple[str, ...]

    def __str__(self) -> str:
        told = f"{self.images} images forgotten, {sum(self.rows.values())} rows of {len(self.rows)} tables"
        if self.before:
            told += f"; {self.before} were forgotten before"
        if self.unknown:
            told += f"; {self.unknown} are not in the lake, and will not come in"
        return told


def choose(con: duckdb.DuckDBPyConnection, ids: Iterable[str]) -> int:
    """Make the temporary table `to_forget` of those ids that are not forgotten yet; returns how many were.

    Raises UsageError for what is no image id, and for no id at all.
    """
    asked = sorted({image_id.strip().lower() for image_id in ids})
    if not asked:
        raise UsageError("nothing to forget: no image was named")
    for image_id in asked:
        if not _IMAGE_ID.fullmatch(image_id):
            raise UsageError(f"'{image_id}' is no image id: give all of its 32 hex digits")
    con.register("asked_ids", pa.table({"image_id": pa.array(asked, pa.string())}))
    known = "SELECT image_id FROM lake.forgotten" if FORGOTTEN.name in stored_columns(con) else "SELECT NULL"
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE to_forget AS FROM asked_ids WHERE image_id NOT IN "
        f"(SELECT * FROM ({known}) AS k(image_id) WHERE image_id IS NOT NULL)"
    )
    con.unregister("asked_ids")
    return len(asked) - int(con.execute("SELECT count(*) FROM temp.to_forget").fetchall()[0][0])


def plan(con: duckdb.DuckDBPyConnection, before: int) -> Forgot:
    """What forgetting the images of `to_forget` takes away."""
    rows = {}
    for table, predicate in leaving(con).items():
        found = con.execute(f'SELECT count(*) FROM lake."{table}" WHERE {predicate}').fetchall()[0][0]
        if found:
            rows[table] = int(found)
    (images,) = con.execute("SELECT count(*) FROM temp.to_forget").fetchall()[0]
    (unknown,) = con.execute(
        "SELECT count(*) FROM temp.to_forget WHERE image_id NOT IN "
        "(SELECT image_id FROM lake.inputs WHERE image_id IS NOT NULL)"
    ).fetchall()[0]
    alike = con.execute(
        f"""SELECT DISTINCT if(a IN ({ASKED}), b, a) AS other FROM lake.near_pairs
        WHERE (a IN ({ASKED})) <> (b IN ({ASKED})) AND text_differs IS NOT TRUE ORDER BY 1"""
    ).fetchall()
    return Forgot(images, rows, unknown, before, tuple(image_id for (image_id,) in alike))


def leaving(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """By table, a SQL predicate of the rows that are about an image of `to_forget`."""
    found = {}
    for table, columns in stored_columns(con).items():
        if named := naming(table, columns):
            found[table] = about(named, ASKED)
    if EDITS.name in found and EDIT_SCORES.name in stored_columns(con):
        pairs = f"SELECT pair_id FROM lake.edits WHERE {found[EDITS.name]}"
        found[EDIT_SCORES.name] = f"pair_id IN ({pairs})"
    # pictures that stood behind one of them were compared with nothing else: the next `near` compares them
    behind = f"SELECT b FROM lake.near_pairs WHERE link = 'same' AND a IN ({ASKED})"
    found[NEAR_COMPARED.name] += f" OR image_id IN ({behind})"
    return found


def forget(lake: Lake, con: duckdb.DuckDBPyConnection, reason: str, before: int, extra: Extra) -> Forgot:
    """Forget the images of `to_forget`, in one commit. The caller holds the lake's lock.

    Raises LakeError where the lake cannot be written; nothing is forgotten then.
    """
    lake.ensure_tables(con, [FORGOTTEN])
    views.refresh(con)
    done = plan(con, before)
    if not done.images:
        return done
    ids = [image_id for (image_id,) in con.execute(ASKED).fetchall()]
    write_listing(lake.pool, read_listing(lake.pool) | set(ids))
    con.register(
        "new_forgotten",
        FORGOTTEN.from_rows(
            {"image_id": image_id, "reason": reason.strip(), "forgotten_at": datetime.now(UTC)} for image_id in ids
        ),
    )
    files = {FORGOTTEN.name: pack_query(con, lake, FORGOTTEN, "SELECT * FROM new_forgotten")}
    con.unregister("new_forgotten")
    run = RunInfo("forget", engine="sql", counts={"images": done.images, **done.rows}, snapshot=lake.snapshot(con))
    # what goes by the pairs that name it goes before these pairs
    going = {table: predicate for table, predicate in leaving(con).items() if table in done.rows}
    order = sorted(going, key=lambda table: table in (EDITS.name, NEAR_PAIRS.name))
    commit(con, lake, run, {**files, **extra.files}, replace={**{t: going[t] for t in order}, **extra.replace})
    return done
