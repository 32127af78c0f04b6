"""Pages by HTML: samples a second in one process, against bare Playwright on the same documents.

The bare peer is given the finished markup and does nothing but `set_content`, wait for the fonts and `screenshot`; ours
chooses texts and faces, fills, fits, reads every character's place, takes the picture and writes captions. Both run on
one page of one browser each, turn by turn, after a warm-up.

    python bench/synth_html.py --pages 54 --repeats 3
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from playwright.sync_api import sync_playwright

from synth.chance import chance
from synth.encode import encode
from synth.sample import Sample
from synth.template.html.browser import SWITCHES, executable
from synth.template.html.drawing import Composed
from synth.template.html.html import Html
from synth.template.html.pages import own_pages


def composed(strategy: Html, count: int, seed: int) -> list[Composed]:
    pages = own_pages()
    made = [strategy.compose(pages[i % len(pages)], chance(seed, "bench", i)) for i in range(count)]
    return [one for one in made if isinstance(one, Composed)]


def ours(strategy: Html, count: int, seed: int) -> tuple[float, int]:
    """Seconds, and how many samples were kept; the rest were rejected, in the same time."""
    pages = own_pages()
    began, kept = time.perf_counter(), 0
    for i in range(count):
        sample = strategy.draw_page(pages[i % len(pages)], chance(seed, "bench", i))
        if isinstance(sample, Sample):
            kept += 1
            encode(sample.image)
    return time.perf_counter() - began, kept


class Bare:
    """Playwright as its manual shows it."""

    def __init__(self) -> None:
        self._playwright = sync_playwright().start()
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        self._browser = self._playwright.chromium.launch(executable_path=executable(), args=[*SWITCHES, *root])
        context = self._browser.new_context(no_viewport=True)
        self._page = context.new_page()
        self._devtools = context.new_cdp_session(self._page)

    def seconds(self, documents: list[Composed]) -> float:
        spent = 0.0
        for made in documents:
            d = made.document
            size = {"width": d.width, "height": d.height, "deviceScaleFactor": d.scale, "mobile": False}
            self._devtools.send("Emulation.setDeviceMetricsOverride", size)
            began = time.perf_counter()
            self._page.set_content(d.markup)
            self._page.evaluate("() => document.fonts.ready.then(() => 0)")
            self._page.screenshot(type="png")
            spent += time.perf_counter() - began
        return spent

    def close(self) -> None:
        self._browser.close()
        self._playwright.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=54)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    strategy, bare = Html(), Bare()
    ours(strategy, 27, args.seed + 1000)
    bare.seconds(composed(strategy, 27, args.seed + 1000))
    rates: dict[str, list[float]] = {"ours": [], "peer": []}
    share = []
    for turn in range(args.repeats):
        documents = composed(strategy, args.pages, args.seed + turn)
        seconds, kept = ours(strategy, args.pages, args.seed + turn)
        alone = bare.seconds(documents)
        rates["ours"].append(args.pages / seconds)
        rates["peer"].append(len(documents) / alone)
        share.append(kept / args.pages)
        print(f"ours {rates['ours'][-1]:.2f} pages/s ({share[-1]:.0%} kept), bare {rates['peer'][-1]:.2f}", flush=True)
    bare.close()
    mine, peer = (statistics.median(rates[who]) for who in ("ours", "peer"))
    print(
        json.dumps(
            {
                "name": "synth html, truth, captions and JPEG included, over bare set_content and screenshot",
                "ratio": round(mine / peer, 2),
                "ours": round(mine, 2),
                "peer": round(peer, 2),
                "unit": "pages/s",
                "repeats": args.repeats,
                "spread": [round(min(rates["ours"]), 2), round(max(rates["ours"]), 2)],
                "kept": round(statistics.median(share), 3),
            }
        )
    )


if __name__ == "__main__":
    main()
