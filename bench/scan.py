"""Scan against the bare floor, and against CleanVision.

The floor reads, hashes, reads the header and decodes at the same reduced scale with the fastest decoder installed, and
nothing else. Scan does the same and all its signals, and stages its parts: it runs the very function that `glyphmill
scan` gives to its workers. Both run in the local engine's workers, in turn, one worker and two; the clock starts when
the workers have warmed up on a unit of their own. The photographs (1 to 2 megapixels, JPEG quality 85 to 92) are crops
of those that scikit-image carries, enlarged, with grain: some 2.1 bits a pixel, as COCO's have at such a quality.

    python bench/scan.py --images 512
    python bench/scan.py --images 512 --peer-python /tmp/peer-venv/bin/python   # that Python has cleanvision installed
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from PIL import Image
from scan_work import Bare, Measured, bare_unit, fastest, scan_unit

from pipelines.engines.local import LocalEngine
from pipelines.scan_unit import Delivery, Job, part_names
from warehouse.lake import Lake
from warehouse.sources import open_source
from warehouse.sources.base import Unit

SIZES = ((1280, 960), (1600, 1200), (1200, 900), (1024, 1024), (1600, 1067), (1400, 933), (1080, 1620))
PHOTOS = ("coffee.png", "astronaut.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png", "retina.jpg", "ihc.png")

CLEANVISION = """
import json, os, sys, time
import contextlib
from cleanvision import Imagelab
if __name__ == "__main__":
    issues = ["dark", "light", "low_information", "blurry", "grayscale", "odd_size", "odd_aspect_ratio",
              "exact_duplicates", "near_duplicates"]
    seconds = []
    for _ in range(int(sys.argv[2])):
        with contextlib.redirect_stdout(open(os.devnull, "w")):
            lab = Imagelab(data_path=sys.argv[1])
            began = time.perf_counter()
            lab.find_issues({name: {} for name in issues}, n_jobs=1, verbose=False)
        seconds.append(time.perf_counter() - began)
    print(json.dumps([len(lab.issues), seconds]))
"""


def make_photos(folder: Path, count: int, seed: int) -> None:
    import skimage.data

    draw = np.random.default_rng(seed)
    where = Path(skimage.data.__file__).parent
    sources = [Image.open(where / name).convert("RGB") for name in PHOTOS]
    for i in range(count):
        image, (width, height) = sources[i % len(sources)], SIZES[i % len(SIZES)]
        share = draw.uniform(0.7, 1)
        scale = share * min(image.width / width, image.height / height)
        left = draw.uniform(0, image.width - width * scale)
        top = draw.uniform(0, image.height - height * scale)
        box = (left, top, left + width * scale, top + height * scale)
        pixels = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, box=box), np.float32)
        grain = draw.normal(0, draw.uniform(2, 9), (height, width, 1)) + draw.normal(0, 1, (height, width, 3))
        photo = Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))
        photo.save(folder / f"{i:05}.jpg", quality=int(draw.integers(85, 93)))


def timed(work: Callable[[Any], Measured], warm: list[Any], units: list[Any], workers: int) -> tuple[float, float]:
    """(images per second, peak MB of a worker) over `units`, each worker having done a unit of `warm` before."""
    began = 0.0

    def in_turn() -> Iterator[Any]:
        nonlocal began
        yield from warm[:workers]
        began = time.perf_counter()
        yield from units

    images, peak, ready = 0, 0.0, {id(unit) for unit in warm}
    for result in LocalEngine(workers=workers).map(work, in_turn()):
        assert result.value is not None, result.error
        peak = max(peak, result.value.peak_mb)
        images += 0 if id(result.unit) in ready else result.value.images
    return images / (time.perf_counter() - began), peak


class Bench:
    def __init__(self, photos: Path, scratch: Path, per_unit: int) -> None:
        self.scratch, self.lakes = scratch, 0
        self.files = [str(p) for p in sorted(photos.glob("*.jpg"))]
        self.bare = [self.files[i : i + per_unit] for i in range(0, len(self.files), per_unit)]
        # Scan's own units are cut by names; these are the floor's, so that both share the work out alike.
        (whole,) = open_source(str(photos)).units(10**6)
        states = {state.uri: state for state in whole.files}
        self.units = [
            replace(whole, files=tuple(states[f] for f in files), spans=(1,) * len(files), stop=len(files))
            for files in self.bare
        ]
        self.decoder, self.decoders = fastest(self.files[:24])

    def floor(self, workers: int) -> float:
        units = [Bare(tuple(paths), self.decoder) for paths in self.bare]
        warm = [Bare(tuple(self.bare[0]), self.decoder) for _ in range(workers)]
        return timed(bare_unit, warm, units, workers)[0]

    def ours(self, workers: int, share: float = 1.0) -> tuple[float, float]:
        self.lakes += 1
        lake = self.scratch / f"lake{self.lakes}"
        Lake.create(lake)
        warm = [self._job(lake, self.units[0], f"warm {i}") for i in range(workers)]
        units = [self._job(lake, unit, "bench") for unit in self.units[: max(1, round(len(self.units) * share))]]
        found = timed(scan_unit, warm, units, workers)
        shutil.rmtree(lake)
        return found

    def _job(self, lake: Path, unit: Unit, batch: str) -> Job:
        delivery = Delivery(str(lake), batch, batch)
        # Signals of a unit have the same parts in every batch: the warm-up gets names of its own.
        own = tuple((t, f"{name[:24]}{batch.encode().hex()}") for t, name in part_names(unit, delivery).items())
        return Job(delivery, unit, own)


def cleanvision(python: str, photos: Path, repeats: int) -> list[float]:
    """Images per second of CleanVision's equivalent issues, one process, in the Python that has it."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "peer.py"
        script.write_text(CLEANVISION)
        command = [python, str(script), str(photos), str(repeats)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    images, seconds = json.loads(said)
    return [images / s for s in seconds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--per-unit", type=int, default=256, help="images in a unit of work")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peer-python", help="a Python that has cleanvision, to compare with it, too")
    parser.add_argument("--photos", type=Path, help="a folder of JPEG files to use in place of the generated ones")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="bench-scan-") as scratch:
        photos = args.photos or Path(scratch) / "photos"
        if args.photos is None:
            photos.mkdir()
            make_photos(photos, args.images, args.seed)
        bench = Bench(photos, Path(scratch), args.per_unit)
        size = sum(Path(f).stat().st_size for f in bench.files) / len(bench.files)
        print(f"{len(bench.files)} photographs, {size / 1000:.0f} KB on average, {args.per_unit} to a unit of work")
        each = ", ".join(f"{name} {ms:.2f}" for name, ms in sorted(bench.decoders.items(), key=lambda d: d[1]))
        print(f"decoders, ms an image: {each}; the floor takes {bench.decoder}")

        rounds = []
        for i in range(args.repeats):
            floor1, (ours1, peak) = bench.floor(1), bench.ours(1)
            floor2, (ours2, _) = bench.floor(2), bench.ours(2)
            scaling = (ours2 / ours1) / (floor2 / floor1)
            rounds.append((floor1, ours1, ours1 / floor1, floor2, ours2, scaling, peak))
            print(
                f"round {i + 1}: 1 worker: floor {floor1:.0f}/s, scan {ours1:.0f}/s, ratio {ours1 / floor1:.3f}; "
                f"2 workers: floor {floor2:.0f}/s, scan {ours2:.0f}/s, scan's scaling over the floor's {scaling:.3f}"
            )
        floor1, ours1, ratio, floor2, ours2, scaling, peak = (statistics.median(c) for c in zip(*rounds, strict=True))
        quarter = bench.ours(1, share=0.25)[1]
        print(f"peak memory of a worker: {quarter:.0f} MB after a quarter of the images, {peak:.0f} MB after all")
        ratios = [r[2] for r in rounds]
        result: dict[str, object] = {
            "name": "scan over the bare floor, one process",
            "ratio": round(ratio, 3),
            "ours": round(ours1, 1),
            "peer": round(floor1, 1),
            "unit": "images/s",
            "repeats": args.repeats,
            "spread": [round(min(ratios), 3), round(max(ratios), 3)],
            "two_workers": {"ours": round(ours2, 1), "floor": round(floor2, 1), "scaling": round(scaling, 3)},
            "peak_mb": {"quarter": round(quarter), "all": round(peak)},
        }
        if args.peer_python:
            peer, again = [], []
            for _ in range(3):  # in turn
                peer += cleanvision(args.peer_python, photos, 1)
                again.append(bench.ours(1)[0])
            times = [a / p for a, p in zip(again, peer, strict=True)]
            print(
                f"CleanVision, one process: {statistics.median(peer):.1f}/s; scan {statistics.median(again):.1f}/s: "
                f"{statistics.median(times):.1f} times"
            )
            result["cleanvision"] = {
                "peer": round(statistics.median(peer), 1),
                "ratio": round(statistics.median(times), 2),
            }
        print(json.dumps(result))


if __name__ == "__main__":
    main()
