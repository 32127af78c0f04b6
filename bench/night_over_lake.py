"""What a night costs where a few images came, and then one where nothing came, over lakes of growing size.

The lakes are synthetic tables of thirty nights, in the layout that pack writes, with thumbnails of no size: all that
grows with them is metadata. A first night, not told, brings what no table can: decisions, categories, balance. The
images that come then are real photographs, and the nights are the command itself, each in a process of its own. There
is no peer: the smallest lake is what the others are held against.

    python bench/night_over_lake.py --lakes 1000 10000 100000 1000000 --new 100
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipelines import recipe as recipes
from pipelines.engines.local import LocalEngine
from pipelines.extractors import discover, in_scan
from pipelines.inspect_unit import version_of as inspected_by
from pipelines.nights.listing import Where
from pipelines.nights.nightly import Order, nightly
from pipelines.progress import Progress, silent
from pipelines.scan import measured_by
from pipelines.scan_unit import version_of as scanned_by
from warehouse.commit import RunInfo, commit
from warehouse.lake import Lake
from warehouse.schema import CAPTIONS, INPUTS, NEAR_COMPARED, NIGHT_UNITS, NIGHTS, PARTS, SHARD_INDEX

REPO = Path(__file__).resolve().parent.parent
NIGHTS_BEFORE = 30
FIRST = date(2026, 1, 1)
SETTLE, NEW, EMPTY = "2026-03-01", "2026-03-03", "2026-03-04"
LATE_PASSES = frozenset({"categorize", "balance"})  # stages 6 and 7: over all rows, by their nature
RECIPE = """
name = "night over lake"
store_from = 2
[[scale]]
side = 256
from_stage = 2
[[scale]]
side = 640
from_stage = 7
[duplicates]
max_distance = 16
max_tile_distance = 7.0
[balance]
taxonomy = "qwen-image"
[[stage]]
number = 1
name = "size"
rules = [{ name = "large", when = "min_side >= 64" }, { name = "proportions", when = "aspect <= 4" }]
[[stage]]
number = 2
name = "quality"
rules = [{ name = "clear", when = "sharpness >= 30" }, { name = "exposed", when = "luma BETWEEN 16 AND 254.5" }]
[[stage]]
number = 3
name = "caption"
rules = [{ name = "usable", when = "valid_captions >= 1" }]
[[stage]]
number = 5
name = "native"
rules = [{ name = "sharp", when = "sharpness_native >= 0" }]
[[stage]]
number = 6
name = "balance"
rules = []
[[stage]]
number = 7
name = "multi-scale"
rules = []
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lakes", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--new", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--night", help=argparse.SUPPRESS)
    for name in ("--lake", "--drop", "--recipe"):
        parser.add_argument(name, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--kept", type=Path, help="folder where the lakes are made and stay for another run")
    args = parser.parse_args()
    if args.night:
        print(json.dumps(_one_night(args.lake, args.drop, args.recipe, args.night, args.workers)))
        return
    rows = []
    with tempfile.TemporaryDirectory(prefix="glyphmill-bench-") as temporary:
        scratch = args.kept or Path(temporary)
        for count in args.lakes:
            rows.append(_measure(scratch, count, args.new, args.workers))
            print(json.dumps(rows[-1]), flush=True)
    ours, peer = rows[-1]["new"]["to_stage_5_cpu_s"], rows[0]["new"]["to_stage_5_cpu_s"]
    print(
        json.dumps(
            {
                "name": f"a night of {args.new} new images through stage 5, over {args.lakes[-1]:,} images of metadata "
                f"against {args.lakes[0]:,}",
                "ratio": round(ours / peer, 2),
                "ours": ours,
                "peer": peer,
                "unit": "CPU s",
                "repeats": 1,
                "spread": [],
                "lakes": rows,
            }
        )
    )


def _measure(scratch: Path, count: int, new: int, workers: int) -> dict[str, Any]:
    scratch.mkdir(parents=True, exist_ok=True)
    kept, drop, recipe = scratch / f"lake-{count}", scratch / f"drop-{count}", scratch / "night.toml"
    recipe.write_text(RECIPE)
    began = time.monotonic()
    if not kept.exists():
        making = scratch / f"making-{count}"
        shutil.rmtree(making, ignore_errors=True)
        shutil.rmtree(drop, ignore_errors=True)
        _photos(drop / NEW, new)
        (drop / EMPTY).mkdir()
        _make(making, count)
        _night(making, drop, recipe, SETTLE, workers)
        making.rename(kept)
    made = time.monotonic() - began
    lake = scratch / "measured"
    shutil.rmtree(lake, ignore_errors=True)
    shutil.copytree(kept, lake)
    told = {"lake": count, "made_s": round(made)}
    told |= {name: _night(lake, drop, recipe, day, workers) for name, day in (("new", NEW), ("empty", EMPTY))}
    shutil.rmtree(lake)
    return told


def _night(lake: Path, drop: Path, recipe: Path, day: str, workers: int) -> dict[str, Any]:
    """One night in a process of its own: seconds and CPU seconds of each pass."""
    command = [sys.executable, __file__, "--night", day, "--lake", str(lake), "--drop", str(drop)]
    done = subprocess.run(
        [*command, "--recipe", str(recipe), "--workers", str(workers)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPO)},
    )
    passes: dict[str, tuple[float, float]] = json.loads(done.stdout.splitlines()[-1])
    early = [taken for name, taken in passes.items() if name not in LATE_PASSES]
    return {
        "to_stage_5_s": round(sum(wall for wall, _ in early), 1),
        "to_stage_5_cpu_s": round(sum(cpu for _, cpu in early), 1),
        "stages_6_7_cpu_s": round(sum(cpu for name, (_, cpu) in passes.items() if name in LATE_PASSES), 1),
        "passes_cpu_s": {name: cpu for name, (_, cpu) in passes.items()},
        "passes_s": {name: wall for name, (wall, _) in passes.items()},
    }


def _one_night(lake: Path, drop: Path, recipe: Path, day: str, workers: int) -> dict[str, tuple[float, float]]:
    """Seconds and CPU seconds of each pass of a night in this process and its workers; the rest is `closing`."""
    taken: list[tuple[str, float, float]] = []

    @contextmanager
    def timed(title: str) -> Iterator[Progress]:
        wall, cpu = time.monotonic(), _cpu()
        yield silent
        taken.append((title, time.monotonic() - wall, _cpu() - cpu))

    wall, cpu = time.monotonic(), _cpu()
    order = Order(lake, Where(f"{drop}/{{date}}", "bench"), recipes.load(str(recipe)))
    engine = LocalEngine(workers=workers)
    nightly(order, order.summary(day, engine), engine=engine, bar=timed)
    rest = time.monotonic() - wall - sum(t[1] for t in taken), _cpu() - cpu - sum(t[2] for t in taken)
    taken.append(("closing", *rest))
    passes: dict[str, tuple[float, float]] = {}
    for title, seconds, used in taken:
        before = passes.get(title, (0.0, 0.0))
        passes[title] = round(before[0] + seconds, 2), round(before[1] + used, 2)
    return passes


def _cpu() -> float:
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def _make(root: Path, count: int) -> None:
    """A lake of `count` images that came in thirty nights, measured by all that the recipe asks for, and stored."""
    lake = Lake.create(root)
    each = -(-count // NIGHTS_BEFORE)
    for night in range(NIGHTS_BEFORE):
        _deliver(lake, range(night * each, min(count, (night + 1) * each)), (FIRST + timedelta(night)).isoformat())


def _deliver(lake: Lake, rows: range, day: str) -> None:
    known = {e.name: e for e in discover()}
    tables = {t.name: t for t in (INPUTS, CAPTIONS, NEAR_COMPARED, SHARD_INDEX, NIGHTS, NIGHT_UNITS, PARTS)}
    tables |= {t.name: t for t in recipes.installed_tables()}
    versions = {e.table.name: scanned_by(e) for e in in_scan()}
    versions |= {known[n].table.name: inspected_by(known[n], ()) for n in ("captions", "native")}
    scanned = json.dumps(measured_by(), sort_keys=True).replace("'", "''")
    uri = f"'/drop/{day}/' || i || '.jpg'"
    caption = "'0'"
    common = {table: f"'{version}' AS version, 'ok' AS status" for table, version in versions.items()}
    each = f"SELECT md5(i::VARCHAR) AS image_id, i FROM range({rows.start}, {rows.stop}) AS r(i)"
    units = f"SELECT i // 512 AS u, i FROM range({rows.start}, {rows.stop}) AS r(i)"
    columns = {
        "inputs": f"image_id, 'bench' AS source, '{day}' AS batch, md5('u' || i // 512) AS unit, i % 512 AS row, "
        f"{uri} AS uri, 0 AS \"offset\", 200000 AS length, 'stamp' AS file_stamp, 'ok' AS status",
        "captions": f"image_id, {caption} AS caption_id, 'raw' AS kind, 'a photograph of thing number ' || i AS text, "
        "'en' AS lang, 'x' AS origin",
        "signals_header": f"image_id, {common['signals_header']}, 'image/jpeg' AS media_type, 'jpeg' AS format, "
        "(64 + hash(i, 1) % 1500)::INTEGER AS width, (64 + hash(i, 2) % 1500)::INTEGER AS height, "
        "0::SMALLINT AS rotation_deg, (2000 + hash(i, 4) % 900000)::BIGINT AS byte_size",
        "signals_pixels": f"image_id, {common['signals_pixels']}, (hash(i, 7) % 1000)::FLOAT AS sharpness_256, "
        "(hash(i, 8) % 255)::FLOAT AS luma, 20::FLOAT AS contrast, 0.5::FLOAT AS saturation, 5::FLOAT AS entropy, "
        "5::FLOAT AS texture",
        "signals_hashes": f"image_id, {common['signals_hashes']}, unhex(md5('a' || i) || md5('b' || i)) AS phash, "
        "''::BLOB AS thumb64, ''::BLOB AS detail",
        "signals_captions": f"image_id, {caption} AS caption_id, {common['signals_captions']}, 'en' AS caption_lang, "
        "8 AS caption_tokens, NULL AS invalid, NULL AS quoted",
        "signals_native": f"image_id, {common['signals_native']}, 100::FLOAT AS sharpness_native, "
        "1::FLOAT AS blockiness, 0.1::FLOAT AS high_frequency_share",
        "near_compared": f"image_id, '{known['hashes'].version}' AS version",
        "shard_index": "image_id, 'jpg-' || md5('s' || i // 2500) || '.tar' AS shard, (i % 2500) * 200000 AS "
        '"offset", 199000 AS size, 0 AS json_offset, 1 AS json_size, 0 AS txt_offset, 1 AS txt_size, 0 AS xxh3',
    }
    queries = {name: f"SELECT {chosen} FROM ({each}) ORDER BY image_id" for name, chosen in columns.items()}
    queries["night_units"] = (
        f"SELECT 'bench' AS source, '{day}' AS night, md5('u' || u) AS unit, u AS place, list(hash(i)) AS states, "
        f"repeat('x', 25 * count(*)) AS content FROM ({units}) GROUP BY u ORDER BY u"
    )
    queries["nights"] = (
        f"SELECT 'bench' AS source, '{day}' AS night, ['/drop/{day}'] AS roots, 1 AS units, {len(rows)} AS samples, "
        f"'done' AS status, '{scanned}' AS versions, TIMESTAMPTZ '{day} 01:00' AS frozen_at, "
        f"TIMESTAMPTZ '{day} 02:00' AS scanned_at"
    )
    queries["parts"] = (
        f"SELECT 'r{day}' AS run_id, t.name AS table_name, md5(t.name || u) AS part, md5('u' || u) AS unit, "
        f"512 AS rows FROM (SELECT DISTINCT u FROM ({units})) CROSS JOIN "
        f"(SELECT unnest({[t for t in columns if t not in ('near_compared', 'shard_index')]}) AS name) AS t"
    )
    files: dict[str, list[Path]] = {}
    with lake.connect() as con:
        lake.ensure_tables(con, [tables[name] for name in queries])
        for name, query in queries.items():
            path = Path(str(lake.files(name))) / f"bench-{day}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            types = {row[0]: row[1] for row in con.execute(f"DESCRIBE lake.{name}").fetchall()}
            told = [row[0] for row in con.execute(f"DESCRIBE {query}").fetchall()]
            cast = ", ".join(
                f'"{column}"::{types[column]} AS "{column}"'
                if column in told
                else f'NULL::{types[column]} AS "{column}"'
                for column in types
            )
            con.execute(f"COPY (SELECT {cast} FROM ({query})) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
            files[name] = [path]
        commit(con, lake, RunInfo(command="scan", batch=day, counts={"samples": len(rows)}, seconds=1.0), files)


def _photos(folder: Path, count: int) -> None:
    from scan import make_photos

    folder.mkdir(parents=True)
    make_photos(folder, count, 1)
    for path in sorted(folder.iterdir()):
        path.with_suffix(".txt").write_text("a photograph of a thing that nobody saw before")


if __name__ == "__main__":
    main()
