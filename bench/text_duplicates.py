"""Text is not a duplicate: edit pairs, pages of one layout and slides of one template against their own copies.

1,000 each, drawn with real fonts; a pair is marked where hash and thumbnails lie within the limits for recipes, with no
text known. `--limits` prints instead how small a changed word may be until it is no longer seen.

    python bench/text_duplicates.py --count 1000
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import drawn_pages as drawn

from pipelines.near.pairs import MAX_DISTANCE, MAX_TILE_DISTANCE

OF_ONE_LAYOUT = 20
COPIES = 2
SHARES = (0.006, 0.008, 0.0107, 0.014, 0.018, 0.024, 0.032)


@dataclass
class Outcome:
    """Distances (n, 2), of hash and thumbnails, of pairs that differ in words and of pairs that do not."""

    other: np.ndarray
    copy: np.ndarray


def between(pairs: list[tuple[drawn.Look, drawn.Look]]) -> np.ndarray:
    return np.array([drawn.distances(a, b) for a, b in pairs]).reshape(-1, 2)


def edit_pair(seed: int) -> Outcome:
    """One picture, the same with one word changed, saved alike; and copies of the first."""
    kind: drawn.Kind = ("page", "slide", "poster")[seed % 3]
    one, other, _ = drawn.edit_pair(kind, seed)
    saved = ("PNG", "JPEG")[seed // 3 % 2]
    a, b = (drawn.look(drawn.encode(image, saved, 75 + seed % 21)) for image in (one, other))
    return Outcome(between([(a, b)]), between([(a, drawn.look(c)) for _, c in drawn.copies(one, seed, COPIES)]))


def one_layout(kind: drawn.Kind, seed: int) -> Outcome:
    """Pictures of one layout with other words, each with each; and copies of every one."""
    images = drawn.pages_of_one_layout(kind, seed, OF_ONE_LAYOUT)
    saved = ("PNG", "JPEG")[seed % 2]
    looks = [drawn.look(drawn.encode(image, saved, 75 + seed % 21)) for image in images]
    made = [
        (a, drawn.look(c)) for n, a in enumerate(looks) for _, c in drawn.copies(images[n], 1000 * seed + n, COPIES)
    ]
    return Outcome(between(list(combinations(looks, 2))), between(made))


def pages(seed: int) -> Outcome:
    return one_layout("page", seed)


def slides(seed: int) -> Outcome:
    return one_layout("slide", seed)


def marked(distances: np.ndarray) -> int:
    return int(((distances[:, 0] <= MAX_DISTANCE) & (distances[:, 1] <= MAX_TILE_DISTANCE)).sum())


def main_table(count: int, workers: int) -> None:
    started, copies, kept = time.monotonic(), 0, 0
    wrong = 0
    with ProcessPoolExecutor(workers) as pool:
        for title, work, units in (
            ("edit pairs", edit_pair, count),
            ("pages of one layout", pages, count // OF_ONE_LAYOUT),
            ("slides of one template", slides, count // OF_ONE_LAYOUT),
        ):
            done = list(pool.map(work, range(units), chunksize=4))
            other = np.concatenate([d.other for d in done])
            copy = np.concatenate([d.copy for d in done])
            wrong, copies, kept = wrong + marked(other), copies + len(copy), kept + marked(copy)
            within = other[other[:, 0] <= MAX_DISTANCE]
            print(
                f"{title:24s} {len(other):6d} pairs, {len(within):5d} nominated, {marked(other)} marked"
                f" (least tile distance {within[:, 1].min() if len(within) else float('inf'):.2f});"
                f" {len(copy)} copies, {marked(copy) / len(copy):.4f} marked"
                f" (99 % within {np.quantile(copy[:, 0], 0.99):.0f} bits, {np.quantile(copy[:, 1], 0.99):.2f})"
            )
    print(f"{time.monotonic() - started:.0f} s, {wrong} marked that differ in words")
    figures = {"name": "text_duplicates", "ratio": round(kept / copies, 5), "ours": kept, "peer": copies}
    print(json.dumps({**figures, "unit": "copies marked", "repeats": 1, "spread": 0.0, "wrong": wrong}))


def of_size(job: tuple[int, float, int]) -> list[float]:
    """Tile distances of one edit pair with text of `share` of the longer side, `side` px: PNG to PNG, JPEG, small."""
    seed, share, side = job
    size = (round(side / 1.414), side)
    one, other, _ = drawn.edit_pair("page", seed, text_size=max(6, round(share * side)), size=size)
    png, edit = drawn.look(drawn.encode(one)), drawn.look(drawn.encode(other))
    jpeg = drawn.look(drawn.encode(other, "JPEG", 85))
    half = drawn.look(drawn.encode(other.resize((size[0] // 2, size[1] // 2)), "JPEG", 60))
    return [drawn.distances(png, look)[1] for look in (edit, jpeg, half)]


def limits(count: int, workers: int) -> None:
    print("share of one-word edits marked as duplicates: PNG against PNG, against JPEG 85, half-size JPEG 60")
    with ProcessPoolExecutor(workers) as pool:
        for side in (800, 1600):
            for share in SHARES:
                tile = np.array(list(pool.map(of_size, [(seed, share, side) for seed in range(count)])))
                told = "  ".join(f"{v:.3f}" for v in (tile <= MAX_TILE_DISTANCE).mean(axis=0))
                print(f"page {side} px, text {share:.4f} of it ({share * side:4.1f} px): {told}")


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--count", type=int, default=1000)
    ask.add_argument("--workers", type=int, default=2)
    ask.add_argument("--limits", action="store_true")
    asked = ask.parse_args()
    if asked.limits:
        limits(min(asked.count, 60), asked.workers)
    else:
        main_table(asked.count, asked.workers)


if __name__ == "__main__":
    main()
