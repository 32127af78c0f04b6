"""Pack and commit of many small parts over six tables: seconds and peak memory of a fresh process.

The peer is DuckLake alone: `INSERT INTO t SELECT * FROM read_parquet([all parts])` for every table in one transaction,
which checks no key, marks no repeat and keeps no ledger. Both start from the same staged parts and an empty lake;
repeats alternate.

    python bench/commit.py --units 10000 --rows 10
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.commit import RunInfo, commit_parts
from warehouse.digest import digests
from warehouse.lake import Lake
from warehouse.parts import Part, key, part_path
from warehouse.schema import CAPTIONS, INPUTS, NEAR_COMPARED, Column, Table, signal_table

FLOATS = ("sharpness_256", "luma", "contrast", "saturation", "entropy", "texture", "colourfulness", "border_share")
HEADER = signal_table(
    "header",
    (
        Column("media_type", pa.string(), "media type"),
        Column("width", pa.int32(), "px"),
        Column("height", pa.int32(), "px"),
        Column("byte_size", pa.int64(), "bytes"),
        Column("bits_per_pixel", pa.float32(), "bits"),
    ),
    "header",
)
PIXELS = signal_table("pixels", tuple(Column(name, pa.float32(), name) for name in FLOATS), "pixels")
HASHES = signal_table(
    "hashes", (Column("phash", pa.binary(), "hash"), Column("thumb64", pa.binary(), "64x64 luma, 4096 bytes")), "hashes"
)
TABLES: dict[str, Table] = {t.name: t for t in (INPUTS, CAPTIONS, HEADER, PIXELS, HASHES, NEAR_COMPARED)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=10_000, help="units of work; each stages one part a table")
    parser.add_argument("--rows", type=int, default=10, help="images a unit")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="where to work (default: the system's temp folder)")
    parser.add_argument("--worker", choices=("ours", "peer"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker is not None:
        measure(args.worker, args.folder, args.units, args.rows)
        return
    with tempfile.TemporaryDirectory(dir=args.folder, prefix="bench-commit-") as folder:
        root = Path(folder)
        stage(root / "staged", args.units, args.rows)
        size = sum(p.stat().st_size for p in (root / "staged").rglob("*.parquet")) / 2**20
        print(f"{args.units * len(TABLES)} parts of {args.rows} rows over {len(TABLES)} tables, {size:.0f} MiB staged")
        seen: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
        for number in range(args.repeats):
            for who, runs in seen.items():
                runs.append(in_fresh_process(who, root, args))
                print(f"repeat {number + 1} {who}: {runs[-1]}", flush=True)
    ours, peer = (statistics.median(r["seconds"] for r in seen[who]) for who in ("ours", "peer"))
    times = [r["seconds"] for r in seen["ours"]]
    print(
        json.dumps(
            {
                "name": f"pack and commit of {args.units} units x {len(TABLES)} tables",
                "ratio": round(peer / ours, 3),
                "ours": round(ours, 2),
                "peer": round(peer, 2),
                "unit": "s",
                "repeats": args.repeats,
                "spread": round((max(times) - min(times)) / ours, 3),
                "peak_mib": max(r["peak_mib"] for r in seen["ours"]),
                "peer_peak_mib": max(r["peak_mib"] for r in seen["peer"]),
                "second_commit_changes": max(r["second_commit_changes"] for r in seen["ours"]),
            }
        )
    )


def stage(folder: Path, units: int, rows: int) -> None:
    """Parts as a scan would leave them; image ids and hashes are seeded random."""
    rng = random.Random(7)
    for table in TABLES:
        (folder / table).mkdir(parents=True)
    for unit in range(units):
        ids = [rng.randbytes(16).hex() for _ in range(rows)]
        for name, data in unit_tables(rng, unit, ids).items():
            pq.write_table(data, folder / name / f"{key(unit, name)}.parquet", compression="zstd", use_dictionary=False)


def unit_tables(rng: random.Random, unit: int, ids: list[str]) -> dict[str, pa.Table]:
    base = [{"image_id": i, "version": "1", "status": "ok"} for i in ids]
    place = {"source": "bench", "batch": "1", "unit": str(unit), "uri": f"/data/{unit:06d}.tar", "file_stamp": "1-1"}
    rows: dict[str, list[dict[str, object]]] = {
        "inputs": [
            {**place, "row": n, "offset": n << 20, "length": 1 << 20, "image_id": i, "extra": "{}", "status": "ok"}
            for n, i in enumerate(ids)
        ],
        "captions": [
            {
                "image_id": i,
                "caption_id": i[:16],
                "kind": "raw",
                "text": f"a photo of {i}",
                "lang": "en",
                "origin": ".txt",
            }
            for i in ids
        ],
        "signals_header": [{**b, "media_type": "image/jpeg", "width": 1600, "height": 1200} for b in base],
        "signals_pixels": [{**b, **{f: rng.random() for f in FLOATS}} for b in base],
        "signals_hashes": [{**b, "phash": rng.randbytes(32), "thumb64": rng.randbytes(4096)} for b in base],
        "near_compared": [{"image_id": i, "version": "1"} for i in ids],
    }
    return {name: TABLES[name].from_rows(found) for name, found in rows.items()}


def in_fresh_process(who: str, root: Path, args: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--worker", who, "--folder", str(root)]
    command += ["--units", str(args.units), "--rows", str(args.rows)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, float] = json.loads(told.splitlines()[-1])
    return found


def measure(who: str, root: Path, units: int, rows: int) -> None:
    """Pack and commit into a new lake; prints seconds, peak memory and what a second commit changed."""
    lake = Lake.create(root / f"lake-{os.getpid()}")
    parts = [Part(name, key(unit, name), str(unit), rows) for unit in range(units) for name in TABLES]
    changed = 0.0
    with lake.connect() as con:
        lake.ensure_tables(con, TABLES.values())
        for table in TABLES.values():
            lake.staged(table.name).mkdir(parents=True, exist_ok=True)
        for part in parts:  # links: the same staged bytes serve every repeat
            os.link(root / "staged" / part.table / f"{part.name}.parquet", part_path(lake, part.table, part.name))
        began = time.perf_counter()
        if who == "ours":
            commit_parts(lake, con, RunInfo("scan", "1"), parts, TABLES)
        else:
            con.execute("SET preserve_insertion_order = false")
            con.execute("BEGIN")
            for name in TABLES:
                con.execute(f"INSERT INTO {name} BY NAME SELECT * FROM '{lake.staged(name)}/*.parquet'")
            con.execute("COMMIT")
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if who == "ours":
            before = (lake.snapshot(con), digests(con))
            commit_parts(lake, con, RunInfo("scan", "1"), parts, TABLES)
            changed = float((lake.snapshot(con), digests(con)) != before)
    shutil.rmtree(lake.root)
    print(json.dumps({"seconds": round(seconds, 2), "peak_mib": round(peak), "second_commit_changes": changed}))


if __name__ == "__main__":
    main()
