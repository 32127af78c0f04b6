"""Clean: sweeps what stopped runs left behind, the files of old snapshots that nobody pinned, and what was forgotten.

Only what is older than a given age goes, so that a run that is still writing keeps its files, and of staged parts
nothing while one of them is younger: a scan may run for days. What any snapshot in the catalog refers to stays, and so
does every shard that the index names. What was forgotten goes whatever its age, from pinned snapshots too
(`warehouse/purge.py`).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path, PurePath

import duckdb

from warehouse import storage
from warehouse.catalog import known_files
from warehouse.erase import only_tombstones
from warehouse.errors import LakeError, UsageError
from warehouse.files import told
from warehouse.lake import CATALOG, Lake
from warehouse.purge import Purged, finish, purge

DAY = timedelta(days=1)


@dataclass
class Swept:
    """What went, or would go: paths below the lake with their bytes, uploads to an object store that were never
    completed, expired snapshots, and what was forgotten."""

    files: dict[PurePath, int] = field(default_factory=dict)
    uploads: list[PurePath] = field(default_factory=list)
    snapshots: list[int] = field(default_factory=list)
    purged: Purged = field(default_factory=Purged)

    @property
    def bytes(self) -> int:
        return sum(self.files.values())


def clean(
    lake: Lake,
    *,
    older_than: timedelta = DAY,
    expire: timedelta | None = None,
    selections: Iterable[Path] = (),
    dry_run: bool = False,
) -> Swept:
    """Sweep leftovers older than `older_than`; with `expire`, also snapshots older than that, their own files included.

    The present snapshot and pinned ones are never expired. Where images were forgotten since the last time, every other
    snapshot is, and nothing of these images is left in the lake, nor their captions in `selections`, folders of the
    training dataset's selections. Raises LakeBusy while another run writes the lake, or reads what is to be purged.
    """
    swept = Swept()
    with lake.lock("clean"), told("cleaning", lake.root):
        with lake.connect() as con:
            _sweep(lake, con, swept, older_than, expire, selections, dry_run=dry_run)
        if swept.purged.images and not dry_run:
            finish(lake)
    return swept


def _sweep(
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    swept: Swept,
    older_than: timedelta,
    expire: timedelta | None,
    selections: Iterable[Path],
    *,
    dry_run: bool,
) -> None:
    swept.purged = purge(
        lake, con, lambda: _expire(lake, con, timedelta(0), dry_run=dry_run), selections, dry_run=dry_run
    )
    swept.snapshots = swept.purged.snapshots
    if expire is not None and not swept.purged.images:
        swept.snapshots = _expire(lake, con, expire, dry_run=dry_run)
    before = time.time() - older_than.total_seconds()
    lake.check_lock()
    live = max((staged.modified for staged in storage.listing(lake.staging)), default=0.0) > before
    for left in leftovers(lake, con):
        if left.modified > before or (live and left.path.is_relative_to(lake.staging)):
            continue
        within = lake.root if left.path.is_relative_to(lake.root) else lake.local
        swept.files[left.path.relative_to(within)] = left.size
        if not dry_run:
            if isinstance(left.path, Path) and left.path.is_dir():
                shutil.rmtree(left.path)
            else:
                storage.delete(left.path)
    for upload in storage.uploads(lake.root):
        if upload.began <= before:
            swept.uploads.append(upload.path.relative_to(lake.root))
            if not dry_run:
                storage.abort(upload)


def leftovers(lake: Lake, con: duckdb.DuckDBPyConnection) -> Iterator[storage.Stored]:
    """Files, and folders under tmp, that count for nothing: of any age."""
    known = known_files(con, lake)
    yield from (found for found in storage.listing(lake.tables) if found.path not in known)
    yield from storage.listing(lake.staging)
    shards = {row[0] for row in con.execute("SELECT DISTINCT shard FROM shard_index").fetchall()}
    unnamed = [found for found in storage.listing(lake.pool) if found.path.name not in shards]
    yield from (found for found in unnamed if not only_tombstones(found.path, lake.tmp))
    for path in (*sorted(lake.tmp.glob("*")), *sorted(lake.local.glob(f"{CATALOG}.new*"))):
        try:
            yield _newest(path)
        except FileNotFoundError:
            continue  # its owner finished just now


def pin(lake: Lake, name: str, snapshot: int) -> None:
    """Keep a snapshot for as long as the pin is there: what a training run reads from. One snapshot a name."""
    if not name or "/" in name or name.startswith("."):
        raise UsageError(f"'{name}' cannot name a pin: use letters, digits, - and _")
    with told(f"pinning snapshot {snapshot}", lake.root):
        storage.write(lake.root / "pins" / name, f"{snapshot}\n".encode())


def unpin(lake: Lake, name: str) -> None:
    """Let the next expiry take the snapshot."""
    storage.delete(lake.root / "pins" / name)


def pins(lake: Lake) -> dict[str, int]:
    """Pinned snapshots by name. Raises LakeError where a pin cannot be read: nothing is expired on a guess."""
    found = {}
    for path in (stored.path for stored in storage.listing(lake.root / "pins")):
        if path.name.startswith("."):
            continue
        try:
            found[path.name] = int(storage.read(path))
        except ValueError as error:
            raise LakeError(f"the pin {path} holds no snapshot number: write one into it or remove it") from error
    return found


def _expire(lake: Lake, con: duckdb.DuckDBPyConnection, age: timedelta, *, dry_run: bool) -> list[int]:
    kept = {*pins(lake).values(), lake.snapshot(con)}
    old = con.execute(
        "SELECT snapshot_id FROM ducklake_snapshots('lake') WHERE snapshot_time < now() - to_seconds(?) ORDER BY 1",
        [age.total_seconds()],
    ).fetchall()
    going = [row[0] for row in old if row[0] not in kept]
    if going and not dry_run:
        lake.check_lock()
        con.execute(f"CALL ducklake_expire_snapshots('lake', versions => {going})")
    if not dry_run:  # also what an expiry that was killed has left
        con.execute("CALL ducklake_cleanup_old_files('lake', cleanup_all => true)")
    return going


def _newest(path: Path) -> storage.Stored:
    """A file, or a folder as new as the newest within it, with the bytes of all of it."""
    stats = [p.stat() for p in (path, *path.rglob("*"))] if path.is_dir() else [path.stat()]
    return storage.Stored(path, sum(s.st_size for s in stats), max(s.st_mtime for s in stats))
