"""Decide and what-if over many images: seconds and peak memory, each in a fresh process, on two threads.

The lake is made here: deliveries, captions, three signal tables, each in a row order of its own, and near pairs; random
values around the basic recipe's thresholds. The peer is DuckDB alone: one SELECT that joins the same tables, asks the
same rules and counts; it names no failing rule, resolves no duplicate and writes nothing. Repeats alternate; every
repeat decides under a recipe of another name, so that all decisions are written anew.

    python bench/decide.py --images 10000000
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from peak import peak_mb

from pipelines import recipe as recipes
from pipelines.decide import decide, needed_signals
from pipelines.signals import relation
from pipelines.what_if import what_if
from warehouse.commit import RunInfo, commit
from warehouse.lake import Lake
from warehouse.schema import CAPTIONS, INPUTS, NEAR_PAIRS

ASKED = "sharpness >= 120"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000_000)
    parser.add_argument("--pairs", type=int, default=300_000, help="near pairs among them")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--lake", type=Path, help="use (and keep) a lake here instead of a temporary one")
    parser.add_argument("--worker", choices=("ours", "peer", "what-if"), help=argparse.SUPPRESS)
    parser.add_argument("--turn", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(_work(args.worker, args.lake, args.turn)))
        return
    with tempfile.TemporaryDirectory(prefix="glyphmill-bench-") as temporary:
        root = args.lake or Path(temporary) / "lake"
        if not (root / "catalog.sqlite").exists():
            started = time.monotonic()
            _make(root, args.images, args.pairs)
            print(f"made a lake of {args.images:,} images in {time.monotonic() - started:.0f} s")
        found: dict[str, list[dict[str, Any]]] = {"ours": [], "peer": [], "what-if": []}
        first = int(time.time())
        for turn in range(args.repeats):
            for worker, runs in found.items():
                runs.append(_fresh(worker, root, first + turn))
                last = runs[-1]
                spent = f"{last['seconds']:5.1f} s ({last['cpu_s']:.1f} s of CPU), {last['peak_gb']:.2f} GB"
                print(f"{worker:>8}: {spent}; {last['told']}", flush=True)
    seconds = {worker: [r["seconds"] for r in runs] for worker, runs in found.items()}
    ours, peer = (statistics.median(seconds[w]) for w in ("ours", "peer"))
    print(
        json.dumps(
            {
                "name": f"decide, {args.images:,} images, recipe basic, over a bare count by the same rules",
                "ratio": round(ours / peer, 2),
                "ours": round(ours, 2),
                "peer": round(peer, 2),
                "unit": "s",
                "repeats": args.repeats,
                "spread": [round(min(seconds["ours"]), 2), round(max(seconds["ours"]), 2)],
                "cpu_s": round(statistics.median(r["cpu_s"] for r in found["ours"]), 2),
                "peak_gb": round(max(r["peak_gb"] for r in found["ours"]), 2),
                "what_if_s": round(statistics.median(seconds["what-if"]), 2),
                "what_if_cpu_s": round(statistics.median(r["cpu_s"] for r in found["what-if"]), 2),
                "what_if_peak_gb": round(max(r["peak_gb"] for r in found["what-if"]), 2),
            }
        )
    )


def _fresh(worker: str, root: Path, turn: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--worker", worker, "--lake", str(root), "--turn", str(turn)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _work(worker: str, root: Path, turn: int) -> dict[str, object]:
    text = recipes.find("basic").read_text(encoding="utf-8").replace('name = "basic"', f'name = "basic {turn}"', 1)
    recipe = recipes.loads(text, "basic", recipes.installed_tables())
    lake = Lake.open(root)
    started = time.monotonic()
    if worker == "ours":
        told = str(decide(lake, recipe))
    elif worker == "what-if":
        found = what_if(lake, ASKED, 2)
        told = ", ".join(f"{s.outcome} {s.now:,} -> {s.then:,}" for s in found.shifts)
    else:
        with lake.connect(read_only=True) as con:
            rules = " AND ".join(f"({r.predicate})" for r in recipe.rules)
            rows = relation(needed_signals(recipe), "lake.")
            told = str(con.execute(f"SELECT count(*) FILTER ({rules}) FROM ({rows})").fetchall())
    seconds = time.monotonic() - started
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu = usage.ru_utime + usage.ru_stime
    return {"seconds": seconds, "cpu_s": cpu, "peak_gb": peak_mb() / 1000, "told": told}


def _make(root: Path, images: int, pairs: int) -> None:
    """Every table's rows come in the order of another multiplication modulo `images`."""
    lake = Lake.create(root)
    tables = {t.name: t for t in (INPUTS, CAPTIONS, NEAR_PAIRS, *recipes.installed_tables())}
    one = "1 + (hash(i, 7) % 1000) / 1000"
    rows = {
        "inputs": (
            7,
            "'bench' AS source, 'b' AS batch, 'unit' || i // 512 AS unit, i AS row, "
            "'/data/' || i // 10000 || '.tar' AS uri, "
            "i * 1000 AS \"offset\", 200000 AS length, 'stamp' AS file_stamp, '{}' AS extra, 'ok' AS status",
        ),
        "captions": (
            11,
            "'0' AS caption_id, 'raw' AS kind, 'a photograph of number ' || i AS text, 'en' AS lang, 'x' AS origin",
        ),
        "signals_header": (
            13,
            "'1' AS version, 'ok' AS status, 'image/jpeg' AS media_type, 'jpeg' AS format, "
            "(250 + hash(i, 1) % 1500)::INTEGER AS width, (250 + hash(i, 2) % 1500)::INTEGER AS height, "
            "CASE WHEN hash(i, 3) % 50 = 0 THEN 90 ELSE 0 END::SMALLINT AS rotation_deg, "
            "(2000 + hash(i, 4) % 900000)::BIGINT AS byte_size, (30 + hash(i, 5) % 70)::SMALLINT AS jpeg_quality",
        ),
        "signals_pixels": (
            17,
            f"'1' AS version, 'ok' AS status, (40 * pow({one}, 6))::FLOAT AS sharpness_256, "
            "(hash(i, 8) % 25500 / 100)::FLOAT AS luma, (hash(i, 9) % 12700 / 100)::FLOAT AS contrast, "
            "(hash(i, 10) % 1000 / 1000)::FLOAT AS saturation, "
            "CASE WHEN hash(i, 11) % 100 > 0 THEN (hash(i, 12) % 8000 / 1000)::FLOAT END AS entropy, "
            "(hash(i, 13) % 3000 / 100)::FLOAT AS texture",
        ),
        "signals_hashes": (19, "'1' AS version, 'ok' AS status, unhex(md5(i || 'a') || md5(i || 'b')) AS phash"),
    }
    with lake.connect() as con:
        files: dict[str, list[Path]] = {}
        for name in [*rows, NEAR_PAIRS.name]:
            lake.ensure_tables(con, [tables[name]])
            if name in rows:
                step, columns = rows[name]
                order = f"SELECT (n * {_stride(images, step)} + {step}) % {images} AS i FROM range({images}) AS r(n)"
                query = f"SELECT md5(i::VARCHAR) AS image_id, {columns} FROM ({order})"
            else:  # a tenth of the pairs are links of the same; stars and chains among the others
                query = f"""SELECT
                    least(md5(x::VARCHAR), md5(y::VARCHAR)) AS a, greatest(md5(x::VARCHAR), md5(y::VARCHAR)) AS b,
                    CASE WHEN n % 10 = 0 THEN 'same' ELSE 'near' END AS link, (n % 7)::SMALLINT AS distance,
                    (n % 5)::FLOAT AS tile_distance
                    FROM (SELECT n, n - n % 3 AS x, n + 1 AS y FROM range({pairs}) AS r(n)) WHERE x <> y"""
            path = lake.files(name) / "bench.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            con.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
            files[name] = [path]
        commit(con, lake, RunInfo(command="scan", batch="b"), files)


def _stride(images: int, step: int) -> int:
    """A multiplier that visits every number once: large, and prime to `images`."""
    stride = images // step * 5 + 1
    while math.gcd(stride, images) > 1:
        stride += 1
    return stride


if __name__ == "__main__":
    main()
