"""Balance of a skewed catalogue: how near the shares come to their targets, how exact the deficits are, and how long.

The lake is made here: kept images with categories as skewed as the web's (people, things and food in plenty, slides and
synthetic text scarce), text with Zipf's frequencies, and signals. `glyphmill balance` runs on it in a fresh process, on
two threads and on one, over several row orders; all must take the same images. The peer is DuckDB alone, which takes
p = min(1, t/n) of each leaf for one t by hash and writes nothing: no quotas, tracks, quality, text weights, deficits.

    python bench/balance.py --images 100000
    python bench/balance.py --images 10000000 --repeats 1      # the bar: 120 s on two cores; the lake is 2 GB
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from peak import peak_mb

from pipelines import recipe as recipes
from pipelines.balancing.balance import balance
from pipelines.categories.table import CATEGORY
from pipelines.categories.taxonomy import load_taxonomy
from pipelines.decide import decide
from pipelines.extractors import discover
from synth.hanzi import levels
from warehouse.commit import RunInfo, commit
from warehouse.lake import Lake
from warehouse.schema import CAPTIONS, INPUTS

RECIPE = """
name = "bench KEEP"
store_from = 1
scales = [256, 640, 1328]
[[stage]]
number = 1
name = "initial curation"
rules = [{ name = "large enough", when = "min_side >= 256" }]
[[stage]]
number = 6
name = "balance"
[[stage]]
number = 7
name = "best of leaf"
[balance]
keep = KEEP
tracks = { text = 0.2, portrait = 0.03 }
tokens = { minimum = 20 }
"""
#: Share of the supply to take at least: 0 holds every share to its tolerance, however few images that leaves.
KEEPS = {"strict": 0.0, "ours": 0.25}
#: Percent of the catalogue by leaf: what the web has, not what a model needs. What is left is Nature/other.
WEB = {
    "Nature/objects": 24.0, "Nature/cityscape": 9.0, "Nature/food": 9.0, "Nature/plants": 4.5, "Nature/indoor": 6.0,
    "Nature/landscape": 6.0, "Nature/animals": 5.0, "Design/arts": 6.0, "Design/posters": 4.0,
    "Design/user interfaces": 2.5, "Design/slides": 0.3, "Design/documents": 1.2, "Design/graphics": 1.5,
    "People/portrait": 8.0, "People/sports": 3.0, "People/activities": 9.0, "Synthetic/controlled text": 0.5,
}  # fmt: skip
BAR_S = 120.0  # for 10^7 images on two cores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--worker", choices=("strict", "ours", "peer"), help=argparse.SUPPRESS)
    parser.add_argument("--lake", type=Path, help="use (and keep) one lake here instead of temporary ones")
    parser.add_argument("--threads", type=int, default=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(_work(args.worker, args.lake, args.threads)))
        return
    with tempfile.TemporaryDirectory(prefix="glyphmill-bench-") as temporary:
        runs: dict[str, list[dict[str, Any]]] = {"strict": [], "ours": [], "peer": []}
        for turn in range(args.repeats):
            root = args.lake or Path(temporary) / f"lake-{turn}"
            if not (root / "catalog.sqlite").exists():
                started = time.monotonic()
                make(root, args.images, step=(7, 11, 13)[turn % 3])
                print(f"made a lake in {time.monotonic() - started:.0f} s, {peak_mb() / 1000:.2f} GB", flush=True)
            for worker, found in runs.items():
                found.append(_fresh(worker, root, 1 + turn % 2))
                last = found[-1]
                spent = f"{last['seconds']:5.1f} s ({last['cpu_s']:.1f} s of CPU), {last['peak_gb']:.2f} GB"
                print(f"{worker:>6}: {spent}", flush=True)
    ours, strict = runs["ours"][0], runs["strict"][0]
    for name, told in (("strict", strict), ("ours", ours)):
        print(f"\nkeep = {KEEPS[name]}, size {told['size']:,}")
        print(f"{'leaf':28}{'supply':>9}{'target':>9}{'quota':>9}{'taken':>9}{'share':>9}{'deficit':>9}")
        for leaf in told["leaves"]:
            print("{:28}{:>9,}{:>9.2%}{:>9,}{:>9,}{:>9.2%}{:>9,}".format(*leaf))
    seconds = [run["seconds"] for run in runs["ours"]]
    peer = statistics.median(run["seconds"] for run in runs["peer"])
    print(
        json.dumps(
            {
                "name": f"balance, {args.images:,} images, over a bare draw by p = min(1, t/n)",
                "ratio": round(statistics.median(seconds) / peer, 2),
                "ours": round(statistics.median(seconds), 2),
                "peer": round(peer, 2),
                "unit": "s",
                "repeats": args.repeats,
                "spread": [round(min(seconds), 2), round(max(seconds), 2)],
                "cpu_s": round(statistics.median(run["cpu_s"] for run in runs["ours"]), 2),
                "bar_s": BAR_S,
                "strict_size": strict["size"],
                "strict_off_share_points": strict["off_share"],
                "off_share_points": ours["off_share"],
                "off_plan_points": ours["off_plan"],
                "deficits_exact": ours["deficits_exact"] and strict["deficits_exact"],
                "same_images": all(len({run["digest"] for run in runs[worker]}) == 1 for worker in KEEPS),
                "gini": ours["gini"],
                "peak_gb": round(max(run["peak_gb"] for run in runs["ours"]), 2),
            }
        )
    )


def _fresh(worker: str, root: Path, threads: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--worker", worker, "--lake", str(root), "--threads", str(threads)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _work(worker: str, root: Path, threads: int) -> dict[str, object]:
    if threads == 1:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    lake = Lake.open(root)
    recipe = bench_recipe("ours" if worker == "peer" else worker)
    started = time.monotonic()
    told: dict[str, object] = {}
    if worker == "peer":
        with lake.connect(read_only=True) as con:
            con.execute(_PEER, [recipe.hash]).fetchall()
    else:
        done = balance(lake, recipe)
        taken = sum(leaf.stage6 for leaf in done.leaves)
        enough = [leaf for leaf in done.leaves if leaf.supply >= leaf.quota]
        told = {
            "size": done.size,
            "leaves": [
                (x.name, x.supply, x.target, x.quota, x.stage6, x.stage6 / taken, x.deficit) for x in done.leaves
            ],
            "off_share": round(max(abs(100 * (x.stage6 / taken - x.target)) for x in enough), 3),
            "off_plan": round(max(abs(100 * (x.stage6 / done.size - x.target)) for x in enough), 3),
            "deficits_exact": all(x.deficit == max(0, x.quota - x.supply) for x in done.leaves),
            "gini": {g.kind: [g.before, g.after] for g in done.gini},
        }
    spent = {"seconds": time.monotonic() - started, "cpu_s": sum(os.times()[:2]), "peak_gb": peak_mb() / 1000}
    if worker != "peer":
        with lake.connect(read_only=True) as con:
            told["digest"] = str(con.execute(_DIGEST, [recipe.hash]).fetchall()[0])
    return {**spent, **told}


def make(root: Path, images: int, step: int = 7) -> Lake:
    """A lake of `images` categorised and decided images at `root`; `step` sets the order of rows, not their content."""
    assert math.gcd(step, images) == 1, "the order must visit every image"
    lake = Lake.create(root)
    captions_table = next(e.table for e in discover() if e.name == "captions")
    tables = {t.name: t for t in (INPUTS, CAPTIONS, CATEGORY, captions_table, *recipes.installed_tables())}
    paths = [*WEB, load_taxonomy().fallback]
    edges = [round(sum(list(WEB.values())[: n + 1]) * 1000) for n in range(len(WEB))]
    leaf = "CASE " + " ".join(
        f"WHEN hash(i, 31) % 100000 < {edge} THEN '{path}'" for edge, path in zip(edges, paths, strict=False)
    )
    leaf += f" ELSE '{paths[-1]}' END"
    has_text = (
        f"(({leaf}) LIKE 'Design/%' AND ({leaf}) <> 'Design/arts' AND hash(i, 32) % 10 < 8) OR hash(i, 32) % 100 < 6"
    )
    letters = "".join(levels())[:6000]
    # Zipf: the rank of a character is the number of characters to the power of a uniform variate
    word = (
        f"array_to_string(list_transform(range((4 + hash(i, 40) % 12)::BIGINT), lambda k: "
        f"substr('{letters}', 1 + floor(pow({len(letters)}, (hash(i, 41, k) % 100003) / 100003))::BIGINT, 1)), '')"
    )
    rows = {
        "inputs": "'bench' AS source, 'b' AS batch, 'unit' AS unit, i AS row, "
        "'/data/' || i // 10000 || '.tar' AS uri, "
        "i * 1000 AS \"offset\", 200000 AS length, 's' AS file_stamp, '{}' AS extra, 'ok' AS status",
        "captions": "substr(md5(i::VARCHAR), 1, 16) AS caption_id, 'raw' AS kind, "
        "'number ' || i AS text, 'en' AS lang, 'x' AS origin",
        "signals_captions": f"substr(md5(i::VARCHAR), 1, 16) AS caption_id, '1' AS version, 'ok' AS status, "
        f"CASE WHEN {has_text} THEN [{word}] ELSE [] END AS quoted",
        "signals_header": "'1' AS version, 'ok' AS status, 'image/jpeg' AS media_type, 'jpeg' AS format, "
        "(256 + hash(i, 1) % 1500)::INTEGER AS width, (256 + hash(i, 2) % 1500)::INTEGER AS height, "
        "(30 + hash(i, 5) % 70)::SMALLINT AS jpeg_quality",
        "signals_pixels": "'1' AS version, 'ok' AS status, (30 + hash(i, 8) % 3000)::FLOAT AS sharpness_256",
        "signals_hashes": "'1' AS version, 'ok' AS status",
        "signals_category": f"'1' AS version, 'ok' AS status, {leaf} AS category, "
        f"CASE WHEN ({has_text}) AND ({leaf}) NOT LIKE 'Synthetic/%' THEN 'Text Rendering' "
        f"ELSE split_part({leaf}, '/', 1) END AS category_class, 0.6::FLOAT AS category_confidence, "
        f"'rules' AS category_origin, ({leaf}) = 'People/portrait' AS portrait_track, ({has_text}) AS text_track, "
        "hash(i, 33) % 500 = 0 AS ai_generated",
    }
    with lake.connect() as con:
        files: dict[str, list[Path]] = {}
        order = f"SELECT (n * {step}) % {images} AS i FROM range({images}) AS r(n)"
        for name, columns in rows.items():
            lake.ensure_tables(con, [tables[name]])
            path = lake.files(name) / "bench.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            query = f"SELECT md5(i::VARCHAR) AS image_id, {columns} FROM ({order})"
            con.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
            files[name] = [path]
        commit(con, lake, RunInfo(command="scan", batch="b"), files)
    for worker in KEEPS:
        decide(lake, bench_recipe(worker))
    return lake


def bench_recipe(worker: str) -> recipes.Recipe:
    return recipes.loads(RECIPE.replace("KEEP", str(KEEPS[worker])), "bench", recipes.installed_tables())


_PEER = """
WITH counted AS (
    SELECT image_id, category, count(*) OVER (PARTITION BY category) AS n
    FROM lake.signals_category SEMI JOIN (FROM lake.decisions WHERE recipe = $1 AND outcome = 'kept') USING (image_id)
)
SELECT category, count(*) FROM counted
WHERE hash(image_id) / 18446744073709551615.0 < least(1, 2000 / n) GROUP BY category
"""
_DIGEST = """
SELECT count(*), bit_xor(md5_number(concat_ws('|', image_id, stage6, stage7, probability, quality_rank, weight)))
FROM lake.balance WHERE recipe = ?
"""

if __name__ == "__main__":
    main()
