"""How drawing scales: pages by LocalEngine with one worker and with two, start-up apart.

Units of 64 pure pages at 512 pixels are drawn, encoded and written, their truth made; no scan and no commit, which are
other passes' (bench/scan.py, bench/commit.py). Start-up is the time of the first unit of each worker. Repeats
alternate.

    python bench/synth_workers.py --units 24
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from pipelines.engines.local import LocalEngine
from synth.encode import encode
from synth.pure.strategy import Pure
from synth.sample import Sample

UNIT = 64
STRATEGY = Pure(longest=(512, 512))


def draw(unit: tuple[int, str]) -> int:
    """One unit: its pages drawn, encoded, their truth made, written to a file."""
    first, folder = unit
    pages = []
    for index in range(first, first + UNIT):
        sample = STRATEGY.draw(1, index)
        if isinstance(sample, Sample):
            pages.append(encode(sample.image))
            for placed in sample.texts:
                placed.row()
    (Path(folder) / f"{first}.bin").write_bytes(b"".join(pages))
    return len(pages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    found: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory(prefix="glyphmill-bench-") as folder:
        for turn in range(args.repeats):
            for workers, rates in found.items():
                rates.append(_rate(workers, args.units, folder, turn))
                print(f"{workers} workers: {rates[-1]:.0f} pages/s", flush=True)
    ratios = [two / one for one, two in zip(found[1], found[2], strict=True)]
    print(
        json.dumps(
            {
                "name": "pure pages by two workers over one",
                "ratio": round(statistics.median(ratios), 2),
                "ours": round(statistics.median(found[2]), 1),
                "peer": round(statistics.median(found[1]), 1),
                "unit": "pages/s",
                "repeats": args.repeats,
                "spread": [round(min(ratios), 2), round(max(ratios), 2)],
            }
        )
    )


def _rate(workers: int, units: int, folder: str, turn: int) -> float:
    """Pages a second after every worker has done its first unit."""
    from synth_workers import draw as work  # by a name that workers can import

    todo = [((turn * units + n) * UNIT, folder) for n in range(units)]
    done: list[tuple[float, int]] = []
    for result in LocalEngine(workers=workers).map(work, todo):
        if result.value is None:
            raise SystemExit(result.error)
        done.append((time.perf_counter(), result.value))
    began = done[workers - 1][0]
    return sum(count for _, count in done[workers:]) / (done[-1][0] - began)


if __name__ == "__main__":
    main()
