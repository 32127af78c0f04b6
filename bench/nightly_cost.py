"""What a night costs over lakes of growing size: the same delivery, seconds and memory of each pass, near pairs' share.

The lakes are synthetic tables in the layout that pack writes, thumbnails of 7 kB an image that no codec can shrink, all
images compared already. The delivery is as synthetic, a fifth of it copies of pictures in the lake; and some real
photographs are scanned into the lake as well, for the rate of a scan and what its commit costs there. Each pass runs in
a process of its own. There is no peer: the smallest lake is what the others are held against.

    python bench/nightly_cost.py --lakes 10000 100000 1000000 --new 10000
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pyarrow as pa
from peak import children_peak, peak_mb

from pipelines import recipe as recipes
from pipelines.decide import decide
from pipelines.engines.local import LocalEngine
from pipelines.extractors.hashes import EXTRACTOR
from pipelines.near.pairs import near
from pipelines.scan import scan
from warehouse.commit import RunInfo, commit
from warehouse.lake import Lake
from warehouse.pack import ROWS, store
from warehouse.schema import CAPTIONS, INPUTS, NEAR_COMPARED
from warehouse.sources import open_source

COPIES = 5  # every fifth new image is a copy
FLIPPED = 6  # bits, at most, of a copy's hash
POOL = np.random.default_rng(7).bytes(64 << 20)
FLAT = zlib.compress(bytes(128 * 128), 1)
FEW = 5  # this part of the photographs is scanned first
BAR = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lakes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--new", type=int, default=10_000)
    parser.add_argument("--photos", type=int, default=400, help="real photographs to scan")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--worker", choices=("scan few", "scan", "near", "decide"), help=argparse.SUPPRESS)
    parser.add_argument("--lake", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(_work(args.worker, args.lake, args.workers)))
        return
    rows = []
    with tempfile.TemporaryDirectory(prefix="glyphmill-bench-") as temporary:
        _photos(Path(temporary), args.photos)
        for count in args.lakes:
            rows.append(_measure(Path(temporary), count, args.new, args.photos, args.workers))
            print(json.dumps(rows[-1]), flush=True)
    first, last = rows[0], rows[-1]
    print(
        json.dumps(
            {
                "name": f"near pairs' share of a night's CPU, {args.new:,} images into a lake of {last['lake']:,}",
                "ratio": last["near_share"],
                "ours": last["near"]["cpu_s"],
                "peer": first["near"]["cpu_s"],
                "unit": "s",
                "repeats": 1,
                "spread": [],
                "bar": BAR,
                "lakes": rows,
            }
        )
    )


def _measure(scratch: Path, count: int, new: int, photos: int, workers: int) -> dict[str, Any]:
    root = scratch / f"lake-{count}"
    began = time.monotonic()
    lake = Lake.create(root)
    deliver(lake, range(count), 0, compared=True)
    deliver(lake, range(count, count + new), count, compared=False)
    made = time.monotonic() - began
    passes = {name: _fresh(name, root, workers) for name in ("scan few", "scan", "near", "decide")}
    subprocess.run(["rm", "-rf", str(root)], check=True)
    # What more photographs cost more is the work; the rest is starting, packing and committing.
    more = passes["scan"]["cpu_s"] - passes["scan few"]["cpu_s"]
    rate = more / (photos - 2 * (photos // FEW))
    scanned = passes["scan few"]["cpu_s"] + rate * new
    night = scanned + passes["near"]["cpu_s"] + passes["decide"]["cpu_s"]
    return {
        "lake": count,
        "new": new,
        "made_s": round(made),
        **passes,
        "scan_cpu_s_an_image": round(rate, 4),
        "scan_of_new_cpu_s": round(scanned, 1),
        "near_share": round(passes["near"]["cpu_s"] / night, 4),
    }


def _fresh(worker: str, root: Path, workers: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--worker", worker, "--lake", str(root), "--workers", str(workers)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _work(worker: str, root: Path, workers: int) -> dict[str, object]:
    lake, engine = Lake.open(root), LocalEngine(workers=workers)
    idle = resource.getrusage(resource.RUSAGE_SELF)
    began = time.monotonic()
    with children_peak() as workers_mb:
        if worker.startswith("scan"):
            source = open_source(str(root.parent / worker))
            told = str(scan(lake, source, batch=worker, source_name="real", engine=engine))
        elif worker == "near":
            told = str(near(lake, engine=engine))
        else:
            told = str(decide(lake, recipes.load("basic")))
    seconds = time.monotonic() - began
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = own.ru_utime + own.ru_stime - idle.ru_utime - idle.ru_stime
    return {
        "seconds": round(seconds, 1),
        "cpu_s": round(cpu + others.ru_utime + others.ru_stime, 1),
        "driver_cpu_s": round(cpu, 1),
        "driver_mb": round(peak_mb()),
        "worker_mb": round(workers_mb[0]),
        "told": told,
    }


def deliver(lake: Lake, rows: range, copied_from: int, *, compared: bool) -> None:
    """Commit the images numbered `rows`; every fifth a copy of one below `copied_from`, if that is not 0."""
    tables = {t.name: t for t in (INPUTS, CAPTIONS, *recipes.installed_tables())}
    made = f"SELECT md5(i::VARCHAR) AS image_id, i FROM range({rows.start}, {rows.stop}) AS r(i)"
    columns = {
        "inputs": "'bench' AS source, 'b' AS batch, 'unit' || i // 512 AS unit, i AS row, "
        "'/data/' || i // 10000 || '.tar' AS uri, i * 1000 AS \"offset\", 200000 AS length, 'stamp' AS file_stamp, "
        "'{}' AS extra, 'ok' AS status",
        "captions": "'0' AS caption_id, 'raw' AS kind, 'photograph number ' || i AS text, 'en' AS lang, 'x' AS origin",
        "signals_header": "'1' AS version, 'ok' AS status, 'image/jpeg' AS media_type, 'jpeg' AS format, "
        "(250 + hash(i, 1) % 1500)::INTEGER AS width, (250 + hash(i, 2) % 1500)::INTEGER AS height, "
        "0::SMALLINT AS rotation_deg, (2000 + hash(i, 4) % 900000)::BIGINT AS byte_size",
        "signals_pixels": "'1' AS version, 'ok' AS status, (hash(i, 7) % 1000)::FLOAT AS sharpness_256, "
        "(hash(i, 8) % 255)::FLOAT AS luma, (hash(i, 9) % 127)::FLOAT AS contrast, 0.5::FLOAT AS saturation, "
        "5::FLOAT AS entropy, 5::FLOAT AS texture",
    }
    files: dict[str, list[Path]] = {}
    with lake.connect() as con:
        for name, chosen in columns.items():
            lake.ensure_tables(con, [tables[name]])
            path = lake.files(name) / f"bench-{rows.start}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            query = f"SELECT image_id, {chosen} FROM ({made}) ORDER BY image_id"
            con.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
            files[name] = [path]
        lake.ensure_tables(con, [EXTRACTOR.table])
        files[EXTRACTOR.table.name] = store(lake, EXTRACTOR.table, _hashes(rows, copied_from))
        if compared:
            ids = sorted(_id(i) for i in rows)
            told = pa.table({"image_id": ids, "version": [EXTRACTOR.version] * len(ids)}, schema=NEAR_COMPARED.arrow)
            files[NEAR_COMPARED.name] = store(lake, NEAR_COMPARED, iter([told]))
        commit(con, lake, RunInfo(command="scan", batch=f"b{rows.start}"), files)


def _hashes(rows: range, copied_from: int) -> Iterator[pa.Table]:
    order = sorted(rows, key=_id)
    for start in range(0, len(order), ROWS):
        part = order[start : start + ROWS]
        originals = [i % copied_from if copied_from and i % COPIES == 0 else i for i in part]
        yield EXTRACTOR.table.from_rows(
            [
                {
                    "image_id": _id(i),
                    "version": EXTRACTOR.version,
                    "status": "ok",
                    "phash": _phash(original, 0 if original == i else 1 + i % FLIPPED),
                    "thumb64": _slice(original, 4096),
                    "detail": FLAT + _slice(original + 1, 2900),
                }
                for i, original in zip(part, originals, strict=True)
            ]
        )


def _id(i: int) -> str:
    return hashlib.md5(str(i).encode()).hexdigest()


def _phash(i: int, flipped: int) -> bytes:
    code = int.from_bytes(hashlib.sha256(str(i).encode()).digest())
    for bit in range(flipped):
        code ^= 1 << (bit * 37 + i) % 256
    return code.to_bytes(32)


def _slice(i: int, length: int) -> bytes:
    at = i * 40_503 % (len(POOL) - 4096)
    return POOL[at : at + length]


def _photos(folder: Path, count: int) -> None:
    from scan import make_photos

    few, rest = folder / "scan few", folder / "scan"
    few.mkdir()
    rest.mkdir()
    make_photos(rest, count, 1)
    for path in sorted(rest.iterdir())[: count // FEW]:
        path.rename(few / path.name)


if __name__ == "__main__":
    main()
