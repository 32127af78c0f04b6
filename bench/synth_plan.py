"""Plans: how many images the 8,105 characters cost, ten times each in three fonts, and how long planning them takes.

    python bench/synth_plan.py --corpus ../shared/data/text_corpora/poems_zh ../shared/data/text_corpora/sentences

The bound is what nobody can beat: characters that some font draws, times how often, over characters an image. A plan
is counted again from its pages. Three are made: of runs of characters alone, with the built-in texts, with `--corpus`.
The last line is about the last of them: `ratio` is images over the bound.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from synth.corpora.corpus import Corpus, open_corpus
from synth.fonts.book import open_book
from synth.hanzi import levels
from synth.plan.make import make_plan
from synth.plan.plan import Plan
from synth.plan.reach import reach, told


def recounted(plan: Plan, times: int, fonts: int) -> tuple[int, int]:
    """Characters that are on the pages too seldom, and in too few fonts though more draw them; both should be 0."""
    seen: Counter[str] = Counter()
    faces: dict[str, set[str]] = {}
    for i in range(len(plan)):
        page = plan.page(i)
        seen.update(page.text)
        for character in page.text:
            faces.setdefault(character, set()).add(page.font.digest + str(page.font.index))
    wanted = "".join(levels())
    drawn = [c for c in wanted if seen[c]]
    return sum(seen[c] < times for c in drawn), sum(len(faces[c]) < fonts for c in drawn)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--corpus", nargs="*", default=[], help="files and folders of Chinese texts")
    ask.add_argument("--fonts", nargs="*", default=[], help="folders of fonts beside the system's")
    ask.add_argument("--times", type=int, default=10)
    ask.add_argument("--each", type=int, default=3, help="fonts that each character is to be in")
    ask.add_argument("--per-image", type=int, default=100)
    ask.add_argument("--repeats", type=int, default=3)
    asked = ask.parse_args()
    started = time.perf_counter()
    book = open_book(tuple(asked.fonts))
    print(f"{len(book.fonts)} fonts opened in {time.perf_counter() - started:.2f} s")
    corpora: list[tuple[str, Corpus | None]] = [("runs alone", None), ("built-in texts", open_corpus(()))]
    if asked.corpus:
        started = time.perf_counter()
        corpora.append(("corpus", open_corpus(tuple(asked.corpus))))
        print(f"corpus opened in {time.perf_counter() - started:.2f} s")
    for name, corpus in corpora:
        seconds = []
        for _ in range(asked.repeats):
            started = time.perf_counter()
            plan = make_plan(book, corpus, times=asked.times, fonts=asked.each, per_image=asked.per_image)
            seconds.append(time.perf_counter() - started)
        found = reach(plan)
        seldom, few = recounted(plan, asked.times, asked.each)
        print(f"\n{name}: {median(seconds):.2f} s")
        print("\n".join(f"  {line}" for line in told(found, plan)))
        print(f"  recounted: {seldom} characters too seldom, {few} in too few fonts")
    print(
        json.dumps(
            {
                "name": "synth_plan",
                "ratio": round(found.ratio, 4),
                "ours": found.images,
                "peer": found.bound,
                "unit": "images",
                "seconds": round(median(seconds), 2),
                "repeats": asked.repeats,
                "spread": round(max(seconds) - min(seconds), 2),
            }
        )
    )


if __name__ == "__main__":
    main()
