"""Search at scale: N hashes with planted near pairs and 1 % equal ones: recall, time, memory, candidates per probe.

`python bench/near_pairs.py --hashes 100000 1000000`
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np
from numpy.typing import NDArray

from pipelines.near.banding import BITS, RADIUS, TABLES, Hashes, Tally, expected_candidates, near

BAR_SECONDS = 120.0


def planted(count: int, seed: int) -> tuple[Hashes, set[tuple[int, int]]]:
    """Shuffled random hashes; 1 % have a twin at distance 1 to RADIUS (in turn), 1 % an equal one. And the twins."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 256, (count, BITS // 8), dtype=np.uint8)
    part = count // 100
    for twin in range(part):
        bits = np.unpackbits(hashes[twin])
        bits[rng.choice(BITS, 1 + twin % RADIUS, replace=False)] ^= 1
        hashes[part + twin] = np.packbits(bits)
    hashes[3 * part : 4 * part] = hashes[2 * part : 3 * part]
    order = rng.permutation(count)
    place = np.empty(count, np.int64)
    place[order] = np.arange(count)
    twins = zip(place[:part].tolist(), place[part : 2 * part].tolist(), strict=True)
    return hashes[order], {(min(pair), max(pair)) for pair in twins}


def distinct(hashes: Hashes) -> NDArray[np.int64]:
    """The first row of each distinct hash, ascending."""
    words = np.ascontiguousarray(hashes).view(np.uint64)
    order = np.lexsort(words.T)
    new = np.concatenate([[True], (words[order[1:]] != words[order[:-1]]).any(axis=1)])
    return np.sort(order[new])


def run(count: int, seed: int) -> float:
    hashes, twins = planted(count, seed)
    started, tally = time.perf_counter(), Tally()
    rows = distinct(hashes)
    found: set[tuple[int, int]] = set()
    for pairs in near(hashes[rows], tally=tally):
        found |= set(zip(rows[pairs.a].tolist(), rows[pairs.b].tolist(), strict=True))
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    # A pair is met from both its ends.
    print(
        f"{count:>9,} hashes, {len(rows):,} distinct: {seconds:.1f} s, peak {peak:.2f} GB; "
        f"recall {len(twins & found) / len(twins):.6f} of {len(twins):,} pairs within {RADIUS} bits, "
        f"{len(found - twins)} others found; unrelated candidates per probe {2 * tally.rejected / len(rows):.4f} "
        f"(expected {expected_candidates(len(rows)):.4f})"
    )
    return seconds


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--hashes", type=int, nargs="+", default=[100_000, 1_000_000])
    ask.add_argument("--repeats", type=int, default=1)
    asked = ask.parse_args()
    print(f"{len(TABLES)} tables; at 10^9 hashes a probe meets {expected_candidates(10**9):.1f} unrelated ones")
    for count in asked.hashes:
        times = sorted(run(count, seed) for seed in range(1, asked.repeats + 1))
    ours = times[len(times) // 2]
    print(
        json.dumps(
            {
                "name": f"near_pairs_{asked.hashes[-1]}",
                "ratio": round(BAR_SECONDS / ours, 2),
                "ours": round(ours, 1),
                "peer": BAR_SECONDS,
                "unit": "s",
                "repeats": asked.repeats,
                "spread": round((times[-1] - times[0]) / ours, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
