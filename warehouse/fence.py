"""The fence: the catalog itself refuses the commit of a run that has lost the writer lock.

Each taking of the lock raises a number in the catalog's table `glyphmill_lock`, the token. A commit signs its snapshot
with the token it holds: DuckLake writes `commit_extra_info` in the very transaction that makes the snapshot, and there
a trigger compares the two. So whoever stood still while the lock expired and another run took it cannot commit, however
late it wakes up. In PostgreSQL the trigger keeps the lock's row (FOR SHARE) until the transaction ends: a taking waits
for the commit under way, and a commit that comes after it is refused (under REPEATABLE READ as a serialization failure
first, which DuckLake tries again on the new state). SQLite has one writing transaction at a time. What is unsigned
passes: an analyst's own UPDATE, a view.
"""

from __future__ import annotations

import duckdb

from warehouse.errors import LakeBusy

LOST = "glyphmill: the lock was lost"  # DuckLake retries what speaks of a conflict: this does not
_SIGNED = "NEW.commit_extra_info LIKE 'lock %'"

SQLITE = f"""
CREATE TABLE IF NOT EXISTS glyphmill_lock (token BIGINT NOT NULL);
INSERT INTO glyphmill_lock SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM glyphmill_lock);
CREATE TRIGGER IF NOT EXISTS glyphmill_fence BEFORE INSERT ON ducklake_snapshot_changes
WHEN {_SIGNED} AND CAST(substr(NEW.commit_extra_info, 6) AS INTEGER) <> (SELECT token FROM glyphmill_lock)
BEGIN SELECT RAISE(ABORT, '{LOST}'); END;
"""

# What a live owner renews stands apart from the token, so that a beat never collides with a commit.
POSTGRES = f"""
CREATE TABLE IF NOT EXISTS glyphmill_lock (token BIGINT NOT NULL, owner TEXT);
INSERT INTO glyphmill_lock SELECT 0, NULL WHERE NOT EXISTS (SELECT 1 FROM glyphmill_lock);
CREATE TABLE IF NOT EXISTS glyphmill_lease (expires TIMESTAMPTZ NOT NULL);
INSERT INTO glyphmill_lease SELECT now() WHERE NOT EXISTS (SELECT 1 FROM glyphmill_lease);
CREATE OR REPLACE FUNCTION glyphmill_fence() RETURNS trigger LANGUAGE plpgsql AS $fence$
BEGIN
    IF {_SIGNED} THEN
        PERFORM 1 FROM glyphmill_lock WHERE token = substr(NEW.commit_extra_info, 6)::BIGINT FOR SHARE;
        IF NOT FOUND THEN RAISE EXCEPTION '{LOST}'; END IF;
    END IF;
    RETURN NEW;
END $fence$;
DROP TRIGGER IF EXISTS glyphmill_fence ON ducklake_snapshot_changes;
CREATE TRIGGER glyphmill_fence BEFORE INSERT ON ducklake_snapshot_changes
FOR EACH ROW EXECUTE FUNCTION glyphmill_fence();
"""


def sign(con: duckdb.DuckDBPyConnection, token: int | None, command: str) -> None:
    """Let the open transaction of the attached lake commit only while `token` is the lock's."""
    extra = None if token is None else f"lock {token}"
    con.execute("CALL ducklake_set_commit_message('lake', 'glyphmill', ?, extra_info => ?)", [command, extra])


def told(error: duckdb.Error, lake: object) -> LakeBusy | None:
    """A refused commit as one line; None where the error is another."""
    return lost(lake) if LOST in str(error) else None


def lost(lake: object) -> LakeBusy:
    """The line for a run whose lock another one took."""
    return LakeBusy(
        f"this run lost the lock of the lake {lake} while it stood still, and another run took it: nothing was "
        "committed, run the same command again"
    )
