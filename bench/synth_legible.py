"""Can what was drawn be read? OCR character accuracy of each strategy, beside the engine's own ceiling on plain pages.

Each sample is read whole; what is asked is every character of its drawn lines, and accuracy is 1 - edits / characters,
where text read elsewhere in the picture costs nothing (annotate/ocr/agreement.py). Characters that the engine is known
to be blind to, or cannot write, are left out of the second figure only. The ceiling: the same corpus in black Noto Sans
at 40 pixels on white. "By rules": images whose legible share the recipes' rule keeps.

    python bench/synth_legible.py --corpus poems --corpus prose.txt --photos photos --count 500
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image

from annotate.ocr.agreement import agreement
from annotate.ocr.reader import reader
from pipelines.extractors.legibility import unreadable
from synth.compositional.strategy import Compositional
from synth.fonts.book import open_book
from synth.layout.block import Setting
from synth.layout.fit import fit
from synth.placed import Placed
from synth.pure.strategy import Pure, forms
from synth.sample import Rejected, Sample
from synth.strategy import Strategy
from synth.template.deck.deck import Deck
from synth.template.html.html import Html


@dataclass(frozen=True)
class Ceiling:
    """Plain pages: what the OCR engine reads where nothing is in its way."""

    pure: Pure

    @property
    def name(self) -> str:
        return "ceiling"

    def draw(self, seed: int, index: int) -> Sample | Rejected:
        from synth.draw.ink import ink
        from synth.draw.paint import on_plain

        drawn = self.pure.draw(seed, index)
        if isinstance(drawn, Rejected):
            return drawn
        text, language = drawn.texts[0].text, drawn.texts[0].language
        book = open_book()
        named = [
            f for f in book.drawing(text, forms(language)) if f.name.startswith("Noto Sans CJK") and f.weight == 400
        ]
        fonts = named or list(book.drawing(text, forms(language)))
        block = fit(text, Setting((fonts[0].key,), 0, leading=1.6, language=language), 900, 1800, 16, 40)
        mask, placed = ink(block, (1900, 1000), (50, 50))
        bottom = int(placed.boxes[:, 3].max()) + 50
        return Sample(on_plain(mask[:bottom], (255, 255, 255), (0, 0, 0)), (placed,), {}, "plain")


KEPT = 0.8  # rule `legible` of the recipes


@dataclass(frozen=True)
class Read:
    kind: str
    language: str
    asked: int
    matched: int
    seen_asked: int
    seen_matched: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--corpus", action="append", default=[], help="file or folder of text; the built-in texts if none"
    )
    parser.add_argument("--photos", action="append", default=[], help="folder of photographs")
    parser.add_argument("--count", type=int, default=500, help="samples of each strategy")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", action="append", choices=("ceiling", "pure", "compositional", "deck", "html"))
    args = parser.parse_args()
    corpora, photos = tuple(args.corpus), tuple(args.photos)
    pure = Pure(corpora=corpora)
    strategies: dict[str, Strategy | Ceiling] = {
        "ceiling": Ceiling(pure),
        "pure": pure,
        "compositional": Compositional(corpora=corpora, photos=photos),
        "deck": Deck(corpora=corpora),
        "html": Html(corpora=corpora),
    }
    wanted = args.only or list(strategies)
    out = {}
    for name in wanted:
        tasks = ((strategies[name], args.seed, i) for i in range(3 * args.count))  # some are rejected
        with multiprocessing.get_context("spawn").Pool(args.workers) as pool:  # ended with what it still has to do
            out[name] = _told(name, pool.imap(_read, tasks, chunksize=2), args.count)
    print(json.dumps({"name": "OCR character accuracy of what was drawn", "count": args.count, **out}))


def _read(task: tuple[Strategy | Ceiling, int, int]) -> Read | str:
    strategy, seed, index = task
    sample = strategy.draw(seed, index)
    if isinstance(sample, Rejected):
        return sample.reason
    lines = [line.text for line in reader().read(Image.fromarray(sample.image))]
    drawn = [text for placed in sample.texts for text in _lines(placed)]
    every, seen = agreement(drawn, lines), agreement(drawn, lines, unreadable(drawn))
    kind = sample.template.split("/")[0]
    return Read(kind, sample.texts[0].language, every.asked, every.matched, seen.asked, seen.matched)


def _lines(placed: Placed) -> list[str]:
    """Each drawn line is looked for by itself: columns may be read in any order."""
    return [placed.text[row["start"] : row["end"]] for row in placed.row()["lines"]]


def _told(name: str, found: Iterable[Read | str], count: int) -> dict[str, object]:
    reads: list[Read] = []
    rejected: dict[str, int] = defaultdict(int)
    for one in found:
        if isinstance(one, str):
            rejected[one] += 1
            continue
        reads.append(one)
        if len(reads) == count:
            break
    groups: dict[str, list[Read]] = defaultdict(list)
    for read in reads:
        groups["all"].append(read)
        groups[f"in {read.language}"].append(read)
        groups[read.kind].append(read)
        if read.seen_matched >= KEPT * read.seen_asked:
            groups["kept by the rule"].append(read)
    print(f"{name}: {len(reads)} drawn, rejected {dict(rejected)}")
    told: dict[str, object] = {"drawn": len(reads)}
    for group, some in sorted(groups.items()):
        share = sum(r.matched for r in some) / max(1, sum(r.asked for r in some))
        seen = sum(r.seen_matched for r in some) / max(1, sum(r.seen_asked for r in some))
        print(
            f"  {group:<28} {len(some):>4} samples, accuracy {share:.4f}, without blind characters {seen:.4f}",
            flush=True,
        )
        if group in ("all", "kept by the rule") or group.startswith("in "):
            told[group] = [round(share, 4), round(seen, 4)]
    return told


if __name__ == "__main__":
    main()
