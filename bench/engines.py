"""The same scan on local, Spark (local mode) and Beam (its own runner, several processes), with as many workers each.

Every engine runs the very function that `glyphmill scan` gives to its workers, over the same photographs (those of
bench/scan.py), in turn. Work is from the first unit's begin to the last one's end, by the workers' own clocks; all else
of an engine's wall time is stated as start-up: processes, Java, a session, a pipeline, and their end. Spark's first
round starts its session, later ones find it.

    python bench/engines.py --images 1536
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scan import make_photos
from scan_work import timed_unit

from pipelines.engines import Engine
from pipelines.engines.choice import choose
from pipelines.scan_unit import Delivery, Job, part_names
from warehouse.lake import Lake
from warehouse.sources import open_source

ENGINES = ("local", "spark", "beam")


def once(engine: Engine, photos: Path, scratch: Path, per_unit: int) -> tuple[float, float, int]:
    """(seconds of work, seconds of start-up, images) of one scan into a lake of its own."""
    lake = scratch / "lake"
    Lake.create(lake)
    delivery = Delivery(str(lake), "bench", "bench")
    units = open_source(str(photos)).units(per_unit)
    jobs = [Job(delivery, unit, tuple(part_names(unit, delivery).items())) for unit in units]
    began = time.perf_counter()
    spans = []
    for result in engine.map(timed_unit, jobs):
        assert result.value is not None, result.error
        spans.append(result.value)
    wall = time.perf_counter() - began
    shutil.rmtree(lake)
    working = max(s.ended for s in spans) - min(s.began for s in spans)
    return working, wall - working, sum(s.images for s in spans)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1536)
    parser.add_argument("--distinct", type=int, default=512, help="photographs; all else are copies under other names")
    parser.add_argument("--per-unit", type=int, default=64, help="images in a unit of work, at most")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    seconds: dict[str, list[float]] = {name: [] for name in ENGINES}
    start_up: dict[str, list[float]] = {name: [] for name in ENGINES}
    with tempfile.TemporaryDirectory(prefix="bench-engines-") as scratch:
        photos = Path(scratch) / "photos"
        photos.mkdir()
        make_photos(photos, min(args.images, args.distinct), args.seed)
        for number in range(args.distinct, args.images):
            shutil.copyfile(photos / f"{number % args.distinct:05}.jpg", photos / f"{number:05}.jpg")
        engines = {name: choose(name, args.workers) for name in ENGINES}
        for round_ in range(args.repeats):
            for name, engine in engines.items():
                working, starting, images = once(engine, photos, Path(scratch), args.per_unit)
                seconds[name].append(1000 * working / images)
                start_up[name].append(starting)
                print(
                    f"round {round_ + 1}: {name}: {1000 * working / images:.2f} ms an image, start-up {starting:.1f} s",
                    flush=True,
                )
    ratios = {name: [a / b for a, b in zip(seconds[name], seconds["local"], strict=True)] for name in ("spark", "beam")}
    worst = max(ratios, key=lambda name: statistics.median(ratios[name]))
    result = {
        "name": f"scan on {worst} over local, wall an image, start-up apart",
        "ratio": round(statistics.median(ratios[worst]), 3),
        "ours": round(statistics.median(seconds[worst]), 2),
        "peer": round(statistics.median(seconds["local"]), 2),
        "unit": "ms/image",
        "repeats": args.repeats,
        "spread": [round(min(ratios[worst]), 3), round(max(ratios[worst]), 3)],
        "over_local": {name: round(statistics.median(found), 3) for name, found in ratios.items()},
        "start_up_s": {name: [round(s, 1) for s in found] for name, found in start_up.items()},
        "workers": args.workers,
        "images": args.images,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
