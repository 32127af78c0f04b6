"""What a billion images ask of the shuffle and of the ledger: small pieces measured here, large numbers worked out.

Nothing below is measured at a billion. Each figure is either measured by this script at the sizes it prints, on this
machine, or comes from a formula beside it in the code; CPU seconds are of one core. Sections: candidates a probe meets,
near pairs by block and by shuffle, how evenly the shuffle's buckets fill where keys are skewed, what the driver's SQL
costs per image, and what the ledger and the catalog cost as their rows grow.

    python bench/simulate_scale.py --images 1000000000
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from peak import peak_mb

from pipelines.engines.local import LocalEngine
from pipelines.extractors.hashes import EXTRACTOR
from pipelines.known_text import find_known_text
from pipelines.near.banding import TABLES, Hashes, Tally, between, expected_candidates, near
from pipelines.near.blocks import Block, as_binary, copy_out
from pipelines.near.pairs import COMPARABLE, collapse, find_fresh
from pipelines.near.search import Sizes, shuffled
from pipelines.near.shuffle import Sent, send
from warehouse.commit import RunInfo, commit, uncommitted
from warehouse.lake import Lake
from warehouse.parts import Part
from warehouse.schema import NEAR_COMPARED, PARTS

BLOCK = Sizes().block
CROWD = Sizes().crowd
UNIT = 512  # samples of a scan's unit
PARTS_A_UNIT = 7  # inputs, captions, and the five signal tables of a scan
PACKED = 256 << 20  # bytes of a packed file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10**9, help="images of the lake to work out")
    parser.add_argument("--night", type=int, default=10**6, help="new images of a night")
    parser.add_argument("--sample", type=int, default=10**6, help="hashes that the search is measured on")
    parser.add_argument("--rows", type=int, nargs="+", default=[10**4, 10**5, 10**6], help="ledger and catalog sizes")
    args = parser.parse_args()
    told: dict[str, Any] = {"images": args.images, "night": args.night}
    with tempfile.TemporaryDirectory(prefix="glyphmill-bench-") as temporary:
        scratch = Path(temporary)
        told |= candidates(args.sample, args.images)
        told |= by_block(args.sample, args.images, args.night)
        told |= by_shuffle(args.sample // 20, args.images, scratch)
        # Where lake * (new / BLOCK) * the one's seconds = lake * the other's; twice that where all the lake is new.
        overtakes = told["shuffle_us_a_hash"] / told["block_us_a_hash_of_the_lake"][BLOCK] * BLOCK
        told["shuffle_overtakes_at_new_images"] = round(overtakes)
        told |= buckets(args.images)
        told |= sql(args.sample, args.images, scratch)
        told |= ledger(args.rows, args.images, args.night, scratch)
        told |= catalog(args.rows, args.images, args.night, scratch)
    for name, value in told.items():
        print(f"{name:>40}  {value:,}" if isinstance(value, int | float) else f"{name:>40}  {value}")
    ours, peer = told["block_night_core_hours"], told["shuffle_night_core_hours"]
    summary = {
        "name": f"near pairs of a night of {args.night:,} over {args.images:,}: by block over by shuffle, core-hours",
        "ratio": round(ours / peer, 5),
        "ours": ours,
        "peer": peer,
        "unit": "core-hours",
        "repeats": 1,
        "spread": [],
        "simulated": told,
    }
    print(json.dumps(summary))


def candidates(sample: int, images: int) -> dict[str, Any]:
    """Unrelated hashes that a probe meets: counted at two sizes, and by the formula of `expected_candidates`."""
    found = {}
    for count in (sample // 10, sample):
        tally = Tally()
        list(near(_hashes(count), tally=tally))
        found[count] = round(2 * tally.rejected / count, 5)  # a pair is met from both its ends
    return {
        "candidates_a_probe_measured": found,
        "candidates_a_probe_by_formula": {n: round(expected_candidates(n), 5) for n in (*found, images)},
    }


def by_block(sample: int, images: int, night: int) -> dict[str, Any]:
    """CPU of block against block: of a night, lake * seconds a hash; of all at once, blocks^2 / 2 * those of a pair."""
    many = _hashes(sample)
    few = {
        count: _cpu(lambda n=count: list(between(_hashes(n, 1), many))) / sample for count in (1000, 10_000, 100_000)
    }
    block = min(BLOCK, sample)
    whole = _cpu(lambda: list(between(_hashes(block, 1), many))) / sample * BLOCK / block
    among = _cpu(lambda: list(near(many))) / sample
    blocks = -(-night // BLOCK)
    of_night = whole * (night / BLOCK if night < BLOCK else blocks)
    pairs = (images / BLOCK) ** 2 / 2
    return {
        "block_us_a_hash_of_the_lake": {count: round(seconds * 1e6, 2) for count, seconds in few.items()}
        | {BLOCK: round(whole * 1e6, 2)},
        "block_us_a_hash_among_themselves": round(among * 1e6, 2),
        "block_night_core_hours": round(images * of_night / 3600, 2),
        "block_night_read_gb": round(blocks * images * 48 / 1e9, 1),
        "block_all_at_once_core_hours": round(pairs * BLOCK * whole / 3600),
        "block_all_at_once_read_tb": round(pairs * 2 * BLOCK * 48 / 1e12, 1),
        "block_peak_mb": round(peak_mb()),
    }


def by_shuffle(sample: int, images: int, scratch: Path) -> dict[str, Any]:
    """CPU and bytes a hash, measured with the local engine in this process; all hashes are sent once per table."""
    path = scratch / "hashes.parquet"
    pq.write_table(pa.table({"id": as_binary(_ids(sample)), "phash": as_binary(_hashes(sample))}), path)
    none = scratch / "none.parquet"
    pq.write_table(pa.table({"id": as_binary(_ids(0)), "phash": as_binary(_hashes(0))}), none)
    work = scratch / "shuffle"
    work.mkdir()
    engine = LocalEngine(workers=0, scratch=str(work))
    seconds = _cpu(lambda: shuffled(engine, (path, sample), (none, 0), work, Sizes())) / sample
    unit = 1 << 12
    rows = send(Sent(Block(str(path), 0, unit), True, str(work / "split.parquet")))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as stream:
        stream.write_table(rows)
    sent = sink.getvalue().size / unit
    return {
        "shuffle_us_a_hash": round(seconds * 1e6, 1),
        "shuffle_bytes_a_hash": round(sent),
        "shuffle_rows": images * len(TABLES),
        "shuffle_tb": round(images * sent / 1e12, 2),
        "shuffle_all_at_once_core_hours": round(images * seconds / 3600, 1),
        "shuffle_night_core_hours": round(images * seconds / 3600, 1),  # a lake is sent whole, however small the night
    }


def buckets(images: int, count: int = 100_000) -> dict[str, Any]:
    """Rows of the fullest of `count` buckets over the mean: even keys, a skewed share, and the same split by crowds.

    Drawn, not run: a fifth of the images lie in clusters of pages of one template, of sizes c with P(c) ~ c^-2 from 2
    to 10^6 and even in half of their keys; the rest have keys of their own. A bucket gets each key by chance, even keys
    as a Poisson number. A cluster of c beyond CROWD is split into s = c / CROWD shares, which makes s(s+1)/2 keys of
    2 * CROWD rows: more rows in all, none of them many.
    """
    draw = np.random.default_rng(5)
    rows = images * len(TABLES)
    sizes = np.minimum(1e6, 2 / (1 - draw.random(2_000_000)))
    sizes = sizes[: np.searchsorted(np.cumsum(sizes), images / 5)]
    clustered = float(sizes.sum())
    even = rows - clustered * len(TABLES) / 2
    keys = np.repeat(sizes[sizes > 1000], len(TABLES) // 2)  # smaller ones even out
    even += float(sizes[sizes <= 1000].sum()) * len(TABLES) / 2
    load = draw.poisson(even / count, count).astype(float)
    whole = load + np.bincount(draw.integers(0, count, len(keys)), weights=keys, minlength=count)
    large = keys[keys > CROWD]
    shares = np.ceil(large / CROWD).astype(np.int64)
    split = np.full(int((shares * (shares + 1) // 2).sum()), 2.0 * CROWD)
    small = keys[keys <= CROWD]
    after = load + np.bincount(draw.integers(0, count, len(small)), weights=small, minlength=count)
    after += np.bincount(draw.integers(0, count, len(split)), weights=split, minlength=count)
    return {
        "bucket_mean_rows": round(rows / count),
        "bucket_fullest_even": round(float(load.max() / load.mean()), 3),
        "bucket_fullest_skewed": round(float(whole.max() / whole.mean()), 2),
        "bucket_fullest_split": round(float(after.max() / after.mean()), 2),
        "bucket_rows_more_by_splitting": round(float(after.sum() / whole.sum()), 3),
        "bucket_largest_key_rows": round(float(keys.max())) if len(keys) else 0,
        "bucket_largest_key_pairs": round(float(keys.max()) ** 2 / 2) if len(keys) else 0,
    }


def sql(sample: int, images: int, scratch: Path) -> dict[str, Any]:
    """CPU and peak memory of near pairs' SQL over a lake of `sample` compared images and 1,000 new ones."""
    lake = Lake.create(scratch / "sql")
    new = 1000
    with lake.connect() as con:
        lake.ensure_tables(con, [EXTRACTOR.table])
        known = f"md5(i::VARCHAR) AS image_id, '{EXTRACTOR.version}' AS version"
        hashed = f"{known}, 'ok' AS status, unhex(md5(i || 'a') || md5(i || 'b')) AS phash"
        files = {}
        for name, columns, count in ((EXTRACTOR.table.name, hashed, sample + new), (NEAR_COMPARED.name, known, sample)):
            path = lake.files(name) / "bench.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = f"SELECT {columns} FROM range({count}) AS r(i) ORDER BY image_id"
            con.execute(f"COPY ({rows}) TO '{path}' (FORMAT parquet)")
            files[name] = [path]
        commit(con, lake, RunInfo(command="scan", batch="b"), files)
    found = {}
    with lake.connect(memory_limit="2GB") as con, lake.workspace() as work:
        found["find_fresh"] = _cpu(lambda: find_fresh(con))
        find_known_text(con)
        found["collapse"] = _cpu(lambda: collapse(con, LocalEngine(workers=0), work, Sizes()))
        hashes = f"SELECT unhex(image_id) AS id, phash FROM ({COMPARABLE}) ANTI JOIN temp.fresh USING (image_id)"
        found["copy_out"] = _cpu(lambda: copy_out(con, hashes, work / "old.parquet"))
    total = sum(found.values()) / sample
    return {
        "sql_us_a_hash_of_the_lake": {name: round(seconds / sample * 1e6, 2) for name, seconds in found.items()},
        "sql_night_core_hours": round(images * total / 3600, 2),
        "sql_scratch_gb": round(images * 48 / 1e9, 1),
    }


def ledger(sizes: list[int], images: int, night: int, scratch: Path) -> dict[str, Any]:
    """Seconds to ask of 10,000 parts which are committed, and to commit 10,000 more, by rows of the ledger."""
    asked = 10_000
    found: dict[int, dict[str, float]] = {}
    for size in sizes:
        lake = Lake.create(scratch / f"ledger-{size}")
        with lake.connect() as con:
            path = lake.files(PARTS.name) / "bench.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            con.execute(
                f"COPY (SELECT 'r' AS run_id, 'inputs' AS table_name, md5(i::VARCHAR) AS part, md5(i || 'u') AS unit, "
                f"{UNIT}::BIGINT AS rows FROM range({size}) AS r(i)) TO '{path}' (FORMAT parquet)"
            )
            commit(con, lake, RunInfo(command="scan", batch="b"), {PARTS.name: [path]})
            parts = [Part("inputs", secrets.token_hex(16), "u", UNIT) for _ in range(asked)]
            began = time.perf_counter()
            assert len(uncommitted(con, parts)) == asked
            looked = time.perf_counter()
            commit(con, lake, RunInfo(command="scan", batch="c"), {}, parts)
            found[size] = {
                "ask_s": round(looked - began, 2),
                "commit_s": round(time.perf_counter() - looked, 2),
                "bytes_a_row": round(path.stat().st_size / size),
            }
    rows = images // UNIT * PARTS_A_UNIT
    return {
        "ledger_by_rows": found,
        "ledger_rows": rows,
        "ledger_gb": round(rows * found[sizes[-1]]["bytes_a_row"] / 1e9, 2),
        "ledger_parts_a_night": night // UNIT * PARTS_A_UNIT,
    }


def catalog(sizes: list[int], images: int, night: int, scratch: Path) -> dict[str, Any]:
    """Seconds to open, to list a table's files as every query on it does, and to commit one more, by files listed.

    The files are rows in the catalog alone, copies of one real file's, with the statistics of its columns.
    """
    found: dict[int, dict[str, float]] = {}
    for size in sizes:
        lake = Lake.create(scratch / f"catalog-{size}")
        _add(lake, "first")
        with closing(sqlite3.connect(lake.catalog)) as db:
            _multiply(db, size)
        began = time.perf_counter()
        with lake.connect() as con:
            lake.snapshot(con)
            opened = time.perf_counter()
            con.execute(f"SELECT count(*) FROM ducklake_list_files('lake', '{NEAR_COMPARED.name}')").fetchall()
            listed = time.perf_counter()
        _add(lake, "last")
        found[size] = {
            "open_s": round(opened - began, 2),
            "list_s": round(listed - opened, 2),
            "commit_s": round(time.perf_counter() - listed, 2),
            "catalog_mb": round(lake.catalog.stat().st_size / 1e6, 1),
        }
    bytes_an_image = 7500  # hashes and thumbnails; every other table together: some hundreds
    return {
        "catalog_by_files": found,
        "catalog_files": images * bytes_an_image // PACKED + 12 * (images // night),
        "catalog_files_a_night": night * bytes_an_image // PACKED + 12,
    }


def _add(lake: Lake, name: str) -> None:
    with lake.connect() as con:
        path = lake.files(NEAR_COMPARED.name) / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        con.execute(f"COPY (SELECT '{name}' AS image_id, '1' AS version) TO '{path}' (FORMAT parquet)")
        commit(con, lake, RunInfo(command="near", batch=name), {NEAR_COMPARED.name: [path]})


def _multiply(db: sqlite3.Connection, size: int) -> None:
    """Copies of the only file of near_compared, and of its columns' statistics, under new ids."""
    (table,) = db.execute("SELECT table_id FROM ducklake_table WHERE table_name = ?", [NEAR_COMPARED.name]).fetchone()
    (first,) = db.execute("SELECT data_file_id FROM ducklake_data_file WHERE table_id = ?", [table]).fetchone()
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {size}) "
    for name in ("ducklake_data_file", "ducklake_file_column_stats"):
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({name})")]
        values = ", ".join(
            {"data_file_id": "1000000 + i", "path": "'file-' || i || '.parquet'"}.get(column, column)
            for column in columns
        )
        db.execute(f"INSERT INTO {name} {numbers} SELECT {values} FROM n, {name} WHERE data_file_id = {first}")
    next_file = f"UPDATE ducklake_snapshot SET next_file_id = {1_000_000 + size + 1} "
    db.execute(next_file + "WHERE snapshot_id = (SELECT max(snapshot_id) FROM ducklake_snapshot)")
    db.commit()


def _hashes(count: int, seed: int = 0) -> Hashes:
    return np.random.default_rng([count, seed]).integers(0, 256, (count, 32), dtype=np.uint8)


def _ids(count: int) -> Hashes:
    return np.random.default_rng(count + 1).integers(0, 256, (count, 16), dtype=np.uint8)


def _cpu(work: Callable[[], object]) -> float:
    """CPU seconds of this process, of all its threads, while it does the work."""
    before = os.times()
    work()
    after = os.times()
    return after.user + after.system - before.user - before.system


if __name__ == "__main__":
    main()
