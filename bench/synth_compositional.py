"""Compositional rendering: megapixels a second, JPEG and ground truth included, one process, one thread.

    python bench/synth_compositional.py --photos FOLDER [--corpus PATH ...] [--peer PYTHON]

Time is the process's own, on one thread, so that neighbours on the machine count less; the clock's is printed too.
Every sample is another one, photographs are decoded anew each time, rejected samples cost and do not count. The peer is
SynthDoG, which composes documents of SynthTIGER's layers. With `--peer`, an interpreter that has synthtiger 1.2.1
(numpy 1.23.5, Pillow 9.5.0), bench/synthtiger_peer.py puts SynthTIGER's components together as SynthDoG does, on the
same photographs, in the same run. Without it the rates stand in that were measured with their own configurations on a
machine of two cores at 2.5 GHz: SynthDoG 0.38 (English) and 0.52 (Chinese) images/s of about 957x1085, that is 0.39 and
0.54 MP/s; SynthTIGER 3.7 to 4.5 images/s of about 270x67, 0.07 to 0.08 MP/s. The ratio is to the quickest of them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import median

import cv2

from synth.compositional.strategy import Compositional
from synth.encode import encode
from synth.sample import Sample

MEASURED = {"SynthDoG English": 0.39, "SynthDoG Chinese": 0.54, "SynthTIGER": 0.08}
PEER = Path(__file__).with_name("synthtiger_peer.py")


def rate(strategy: Compositional, first: int, count: int) -> tuple[float, float, Counter[str]]:
    """Megapixels a second of processor time, and by the clock, over the samples `first` to `first + count`; what became
    of them."""
    told: Counter[str] = Counter()
    pixels = 0
    start, clock = time.process_time(), time.perf_counter()
    for index in range(first, first + count):
        made = strategy.draw(2026, index)
        if isinstance(made, Sample):
            encode(made.image)
            [text.row() for text in made.texts]
            pixels += made.image.shape[0] * made.image.shape[1]
            told["drawn"] += 1
        else:
            told[made.reason] += 1
    seconds = time.process_time() - start
    return pixels / 1e6 / seconds, pixels / 1e6 / (time.perf_counter() - clock), told


def peer_rate(python: str, photos: str, font: str, count: int) -> float:
    """Megapixels a second of SynthTIGER's components."""
    done = subprocess.run([python, str(PEER), photos, font, str(count)], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", nargs="*", default=[], help="folders; without any, materials fill the frame")
    parser.add_argument("--corpus", nargs="*", default=[])
    parser.add_argument("--count", type=int, default=100, help="samples in one repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peer", help="an interpreter that has synthtiger")
    parser.add_argument("--peer-font", default="/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    strategy = Compositional(photos=tuple(given.photos), corpora=tuple(given.corpus))
    strategy.check()
    rate(strategy, 0, max(4, given.count // 10))  # caches of fonts and noise
    rates, peers, told = [], [], Counter[str]()
    for repeat in range(given.repeats):
        ours, by_clock, met = rate(strategy, 10_000 * (repeat + 1), given.count)
        told += met
        rates.append(ours)
        print(f"{ours:6.2f} MP/s, by the clock {by_clock:6.2f} {dict(met)}", flush=True)
        if given.peer and given.photos:
            peers.append(peer_rate(given.peer, given.photos[0], given.peer_font, 8))
            print(f"{peers[-1]:6.2f} MP/s SynthTIGER's components", flush=True)
    peer = max(MEASURED.values()) if not peers else median(peers)
    result = {
        "name": "compositional rendering",
        "ratio": round(median(rates) / peer, 2),
        "ours": round(median(rates), 3),
        "peer": round(peer, 3),
        "unit": "MP/s of one process's time",
        "repeats": given.repeats,
        "spread": round((max(rates) - min(rates)) / median(rates), 3),
        "peer_is": "SynthTIGER 1.2.1's components in this run"
        if peers
        else "SynthDoG as measured before, see the head",
        "samples": dict(told),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
