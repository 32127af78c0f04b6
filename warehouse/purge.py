"""Purge: no byte of a forgotten image and no word of its captions is left in any file of the lake.

Part of `clean`, under the writer lock. On an object store whole objects are replaced, and what it keeps besides goes
too: uploads that were never completed, and old versions. In this order, so that a run killed at any moment is done
again by the next: the staged parts and the answers of annotators, the pool's tars and the selections made from them,
what stopped runs left, snapshots that nobody pinned, the tables' files of all other snapshots, and the catalog's own
free pages (`finish`).
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse import storage
from warehouse.catalog import known_files
from warehouse.erase import erase_captions, erase_image, holds_any, only_tombstones, thin
from warehouse.files import told
from warehouse.forgotten import about, anything_forgotten, naming, write_listing
from warehouse.forgotten_list import read_listing
from warehouse.lake import CATALOG, Lake, quoted
from warehouse.metadata import stored_columns
from warehouse.rewrite import known_data_files, positions, rewrite
from warehouse.schema import ERRORS, NIGHT_UNITS, TEXT_TOKENS
from warehouse.selection import forget_captions
from warehouse.shards import walk
from warehouse.sources.files import to_path
from warehouse.sqlite_catalog import BUSY_MS, vacuum

#: Tables whose rows are about many images, by words or by the files they came in: of older snapshots they go whole.
COUNTED = (TEXT_TOKENS.name, NIGHT_UNITS.name, ERRORS.name)
DRAWN = "synth"  # the lake's folder of what was drawn
HOPS = 3  # steps along near pairs from an image to one that may carry its captions
_PROCESS = re.compile(r"\.?(?:work|duckdb|get|put|pack|rewrite)-(\d+)-")


class _Carrier(NamedTuple):
    """A stored image that may carry captions of one that is forgotten, and which of these are not its own as well."""

    shard: str
    offset: int
    places: dict[str, int | None]
    foreign: frozenset[str]


@dataclass
class Purged:
    """What went, or would go. `images` due, of them `erased` from the pool, `drawn` from tars of synth; others that
    lost `captions` of theirs; `rows` by Parquet file; `files` left by stopped runs; `answers` of annotators;
    `selections` with captions."""

    images: int = 0
    erased: int = 0
    drawn: int = 0
    captions: int = 0
    files: list[PurePath] = field(default_factory=list)
    answers: int = 0
    selections: int = 0
    snapshots: list[int] = field(default_factory=list)
    rows: dict[PurePath, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.images} forgotten images: {self.erased} erased from the pool, {self.drawn} from tars of synth, "
            f"{self.captions} others lost captions of theirs, {sum(self.rows.values())} rows in {len(self.rows)} "
            f"files, {self.answers} answers, {len(self.files)} leftovers"
        )


def purge(
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    expire: Callable[[], list[int]],
    selections: Iterable[Path] = (),
    *,
    dry_run: bool = False,
) -> Purged:
    """Purge what was forgotten since the last purge; what runs wrote since of images forgotten earlier goes too.

    `expire` drops the snapshots that nobody pinned and returns their numbers; it is called where there is something to
    purge. `selections`: folders with selections of the training dataset. `finish` is to be called after it, with the
    connection closed. Raises LakeError where something cannot be written.
    """
    done = Purged()
    if not anything_forgotten(con):
        _drop_listing(lake, dry_run=dry_run)
        return done
    every = [image_id for (image_id,) in con.execute("SELECT image_id FROM forgotten ORDER BY 1").fetchall()]
    _sweep_staging(lake, every, done, dry_run=dry_run)
    _sweep_answers(lake, every, done, dry_run=dry_run)
    due = sorted(read_listing(lake.pool).intersection(every))
    if not due:
        _drop_listing(lake, dry_run=dry_run)
        return done
    done.images = len(due)
    _register(con, due)
    places = _raw(lake, con, "shard_index", ("image_id", "shard", "offset")).to_pylist()
    texts = {row["text"] for row in _raw(lake, con, "captions", ("text",)).to_pylist() if row["text"]}
    carriers = list(_carriers(lake, con, texts))
    _erase_from_pool(lake, places, carriers, done, dry_run=dry_run)
    _erase_from_drawn(lake, con, frozenset(due), done, dry_run=dry_run)
    blank: dict[tuple[str, int], frozenset[str] | None] = {(c.shard, c.offset): c.foreign for c in carriers}
    blank |= {(place["shard"], place["offset"]): None for place in places}
    for folder in selections:
        for selection in sorted(folder.glob("*/selection.json")):
            done.selections += forget_captions(selection.parent, blank, dry_run=dry_run)
    _sweep_stopped(lake, con, frozenset(due), done, dry_run=dry_run)
    done.snapshots = expire()
    done.rows = rewrite(con, lake, due, COUNTED, dry_run=dry_run).rows
    return done


def finish(lake: Lake) -> None:
    """Give back the catalog's free pages and its write-ahead log, which still hold what was deleted, and what a bucket
    with versioning keeps; then nothing is left of what the list beside the pool names, and it goes.

    Raises LakeBusy where another process keeps the catalog open for reading.
    """
    with told("compacting the catalog", lake.root):
        lake.backend.compact()
    storage.drop_old_versions(lake.root)
    write_listing(lake.pool, ())


def _drop_listing(lake: Lake, *, dry_run: bool) -> None:
    """A list of nothing that is forgotten: of a `forget` that was stopped before it committed."""
    if not dry_run:
        write_listing(lake.pool, ())


def _register(con: duckdb.DuckDBPyConnection, due: Sequence[str]) -> None:
    con.register("due_ids", pa.table({"image_id": pa.array(due, pa.string())}))
    con.execute("CREATE OR REPLACE TEMP TABLE due_ids_kept AS FROM due_ids")
    con.unregister("due_ids")


_DUE = "SELECT image_id FROM temp.due_ids_kept"


def _raw(lake: Lake, con: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str]) -> pa.Table:
    """Distinct rows about the images due in every file of a table, deleted ones too."""
    paths = [known.path for known in known_data_files(con, lake, table)]
    listed = ", ".join(f'"{column}"' for column in columns)
    if not paths:
        return pa.table({column: pa.array([], pa.string()) for column in columns})
    files = ", ".join(quoted(path) for path in paths)
    where = about(naming(table, stored_columns(con)[table]), _DUE)
    return con.execute(
        f"SELECT DISTINCT {listed} FROM read_parquet([{files}], union_by_name = true) WHERE {where}"
    ).to_arrow_table()


def _erase_from_pool(
    lake: Lake,
    places: Sequence[dict[str, object]],
    carriers: Sequence[_Carrier],
    done: Purged,
    *,
    dry_run: bool,
) -> None:
    """Shard by shard: on an object store a copy is erased in, and takes the object's place."""
    for name in sorted({str(place["shard"]) for place in places} | {carrier.shard for carrier in carriers}):
        images = [(str(p["image_id"]), int(str(p["offset"]))) for p in places if p["shard"] == name]
        others = [carrier for carrier in carriers if carrier.shard == name]
        shard = lake.pool / name
        if not storage.exists(shard):
            continue
        if dry_run:
            done.erased, done.captions = done.erased + len(images), done.captions + len(others)
            continue
        with storage.local(shard, lake.tmp) as file:
            erased = sum(erase_image(file, image_id, offset, name) for image_id, offset in images)
            captions = sum(erase_captions(file, other.places, other.foreign) for other in others)
            if isinstance(shard, Path) and images and only_tombstones(shard, lake.tmp):
                thin(shard)
            if file != shard and (erased or captions):
                lake.check_lock()
                storage.move(file, shard)
        done.erased, done.captions = done.erased + erased, done.captions + captions


def _erase_from_drawn(
    lake: Lake, con: duckdb.DuckDBPyConnection, due: frozenset[str], done: Purged, *, dry_run: bool
) -> None:
    """The tars that `synth` drew into the lake's own folder: their members are named as those of the pool."""
    folder = lake.root / DRAWN
    uris = {str(row["uri"]) for row in _raw(lake, con, "inputs", ("uri",)).to_pylist()}
    for uri in sorted(uri for uri in uris if to_path(uri).startswith(f"{folder}/")):
        tar = folder / to_path(uri).removeprefix(f"{folder}/")
        if not storage.exists(tar):
            continue
        with storage.local(tar, lake.tmp) as file:
            with open(file, "rb") as opened:
                members = [(m.name.partition(".")[0], m.offset) for m in walk(opened)]
            images = {name: at for name, at in reversed(members) if name in due}  # the image is a sample's first member
            done.drawn += len(images)
            if dry_run or not images:
                continue
            for image_id, offset in images.items():
                erase_image(file, image_id, offset, tar.name)
            if file != tar:
                lake.check_lock()
                storage.move(file, tar)
            elif only_tombstones(tar, lake.tmp):
                thin(file)


def _carriers(lake: Lake, con: duckdb.DuckDBPyConnection, texts: Iterable[str]) -> Iterator[_Carrier]:
    """Stored images that may carry `texts`, captions of the images due, because these were their duplicates."""
    if not texts:
        return
    pairs = _raw(lake, con, "near_pairs", ("a", "b"))
    con.register("raw_pairs", pairs)
    con.execute(f"CREATE OR REPLACE TEMP TABLE reached AS SELECT image_id FROM ({_DUE})")
    for _ in range(HOPS):
        con.execute(
            """INSERT INTO temp.reached
            SELECT DISTINCT other FROM (
                SELECT a AS image_id, b AS other FROM raw_pairs UNION ALL SELECT b, a FROM raw_pairs
                UNION ALL SELECT a, b FROM near_pairs UNION ALL SELECT b, a FROM near_pairs
            ) SEMI JOIN temp.reached USING (image_id) WHERE other NOT IN (SELECT image_id FROM temp.reached)"""
        )
    con.unregister("raw_pairs")
    told_of = _raw(lake, con, "decisions", ("duplicate_of",))
    con.register("raw_keepers", told_of)
    con.execute("INSERT INTO temp.reached SELECT duplicate_of FROM raw_keepers WHERE duplicate_of IS NOT NULL")
    con.unregister("raw_keepers")
    con.register("raw_texts", pa.table({"text": pa.array(sorted(texts), pa.string())}))
    found = con.execute(
        """SELECT s.shard, s."offset", s.json_offset, s.json_size, s.txt_offset, s.txt_size,
            list(t.text) FILTER (p.text IS NULL)
        FROM shard_index s SEMI JOIN temp.reached USING (image_id)
        CROSS JOIN raw_texts t
        LEFT JOIN (SELECT DISTINCT image_id, text FROM caption_pool) p ON p.image_id = s.image_id AND p.text = t.text
        GROUP BY ALL"""
    ).fetchall()
    con.unregister("raw_texts")
    names = ("json_offset", "json_size", "txt_offset", "txt_size")
    for shard, offset, *places, foreign in found:
        if foreign:
            yield _Carrier(shard, offset, dict(zip(names, places, strict=True)), frozenset(foreign))


def _sweep_stopped(
    lake: Lake, con: duckdb.DuckDBPyConnection, due: frozenset[str], done: Purged, *, dry_run: bool
) -> None:
    """What stopped runs left where only the holder of the lock writes: none of it is in use now."""
    known = known_files(con, lake)
    going = [found.path for found in storage.listing(lake.tables) if found.path not in known]
    indexed = {row[0] for row in con.execute("SELECT DISTINCT shard FROM shard_index").fetchall()}
    for path in (found.path for found in storage.listing(lake.pool)):
        if path.name.startswith(".") or (path.name not in indexed and _holds_any(path, due, lake.tmp)):
            going.append(path)
    going += [found.path for found in storage.listing(lake.staging / "export")]
    going += [p for p in sorted(lake.tmp.glob("*")) if not _running(p.name)]
    going += sorted(lake.local.glob(f"{CATALOG}.new*"))
    lake.check_lock()
    for path in going:
        done.files.append(_below(lake, path))
        if not dry_run:
            _remove(path)
    for upload in storage.uploads(lake.root):
        done.files.append(_below(lake, upload.path))
        if not dry_run:
            storage.abort(upload)


def _sweep_staging(lake: Lake, ids: Sequence[str], done: Purged, *, dry_run: bool) -> None:
    """Staged parts without the rows about forgotten images: the run that wrote them may go on with the rest."""
    for path in (found.path for found in storage.listing(lake.staging)):
        if path.suffix != ".parquet" or path.parent.parent != lake.staging or path.parent.name == "export":
            continue
        try:
            gone = positions(path, path.parent.name, ids)
            if not len(gone):
                continue
            done.files.append(_below(lake, path))
            if not dry_run:
                rows = storage.using(path, pq.read_table)
                keep = np.ones(rows.num_rows, bool)
                keep[gone] = False
                with told(f"rewriting {path.name}", lake.root), storage.replacing(path, lake.tmp) as temporary:
                    pq.write_table(rows.filter(pa.array(keep)), temporary, compression="zstd", use_dictionary=False)
        except FileNotFoundError:
            continue  # its run has committed it just now
    if not dry_run:
        storage.drop_old_versions(lake.staging)  # parts of theirs that were delivered again and not let in


def _sweep_answers(lake: Lake, ids: Sequence[str], done: Purged, *, dry_run: bool) -> None:
    """Rows about forgotten images in the SQLite files beside the tables: what annotators answered."""
    for file in sorted(lake.local.glob("*/*.sqlite")):
        with told(f"cleaning {file.name}", lake.root), closing(sqlite3.connect(file, timeout=BUSY_MS / 1000)) as db:
            db.execute("PRAGMA secure_delete = ON")
            db.execute("CREATE TEMP TABLE gone (image_id TEXT PRIMARY KEY)")
            db.executemany("INSERT INTO gone VALUES (?)", [(image_id,) for image_id in ids])
            before = done.answers
            for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                names = {row[1] for row in db.execute(f'PRAGMA table_info("{table}")')}
                if "image_id" not in names:
                    continue
                where = "WHERE image_id IN (SELECT image_id FROM gone)"
                done.answers += db.execute(f'SELECT count(*) FROM "{table}" {where}').fetchone()[0]
                if not dry_run:
                    db.execute(f'DELETE FROM "{table}" {where}')
            db.commit()
            if done.answers > before and not dry_run:
                vacuum(db, file)


def _holds_any(shard: PurePath, ids: frozenset[str], scratch: Path) -> bool:
    with storage.local(shard, scratch) as file:
        return holds_any(file, ids)


def _below(lake: Lake, path: PurePath) -> PurePath:
    """The path below the lake, or below its folder on this machine."""
    return path.relative_to(lake.root if path.is_relative_to(lake.root) else lake.local)


def _running(name: str) -> bool:
    """Whether a scratch folder belongs to a process that is alive on this machine."""
    found = _PROCESS.match(name)
    if found is None:
        return False
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove(path: PurePath) -> None:
    if isinstance(path, Path) and path.is_dir():
        shutil.rmtree(path)
    else:
        storage.delete(path)
