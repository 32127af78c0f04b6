"""Pure pages: 100 Chinese characters at 512x512 to JPEG, every page another text, three fonts by seven sizes.

Ours does the whole of a page: fonts chosen by what they draw, kinsoku, a size that fits, colours, the ground truth of
every character, the caption's facts left out. The floor is the least that could draw it: lines cut beforehand, HarfBuzz
for each, cached bitmaps of glyphs copied, one JPEG; no checks, no truth. The peer is Pillow with raqm, line by line, to
PNG. All draw the same texts in turn, in one process on one thread; glyph caches are warm, as they are in a long run.

    python bench/synth_pure.py --pages 1500
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import uharfbuzz as hb
from PIL import Image, ImageDraw, ImageFont, features

from synth.draw.glyphs import bitmaps
from synth.draw.ink import ink
from synth.draw.paint import on_plain
from synth.encode import encode
from synth.fonts.book import open_book
from synth.fonts.face import FaceKey, open_face
from synth.hanzi import levels
from synth.layout.block import Setting
from synth.layout.fit import fit

SIDE, CHARACTERS, MARGIN = 512, 100, 16
SIZES = (34, 36, 38, 40, 42, 44, 46)
GROUND, INK = (255, 255, 255), (0, 0, 0)
Page = tuple[str, FaceKey, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=1500)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    if not features.check("raqm"):
        raise SystemExit("this Pillow cannot use raqm: install libfribidi0")
    cv2.setNumThreads(1)
    pages = _pages(args.pages)
    for draw in (ours, floor):  # caches
        for page in pages:
            draw(page)
    part = len(pages) // args.repeats
    found: dict[str, list[float]] = {"ours": [], "floor": [], "peer": []}
    for turn in range(args.repeats):
        some = pages[turn * part : (turn + 1) * part]
        for name, each in _in_turn({"ours": ours, "floor": floor}, some).items():
            found[name].append(each)
        found["peer"].append(_in_turn({"peer": peer}, some[: max(10, part // 8)])["peer"])
        print(", ".join(f"{name} {runs[-1]:.2f} ms" for name, runs in found.items()), flush=True)
    ratios = [f / o for f, o in zip(found["floor"], found["ours"], strict=True)]
    faster = [p / o for p, o in zip(found["peer"], found["ours"], strict=True)]
    print(
        json.dumps(
            {
                "name": f"pages of {CHARACTERS} hanzi, {SIDE}x{SIDE}, to JPEG with ground truth, over the bare loop",
                "ratio": round(statistics.median(ratios), 2),
                "ours": round(1000 / statistics.median(found["ours"]), 1),
                "peer": round(1000 / statistics.median(found["floor"]), 1),
                "unit": "pages/s",
                "repeats": args.repeats,
                "spread": [round(min(ratios), 2), round(max(ratios), 2)],
                "over_pillow_raqm_png": round(statistics.median(faster), 1),
            }
        )
    )


def _pages(count: int) -> list[Page]:
    """Distinct texts, characters of level 1 by Zipf's law, each in one of three fonts and seven sizes."""
    rng = np.random.default_rng(1)
    characters = np.array(list(levels()[0]))
    weights = 1 / np.arange(1, len(characters) + 1)
    book = open_book()
    fonts = [f.key for f in book.fonts if f.name in ("Noto Sans CJK SC", "LXGW WenKai", "WenQuanYi Zen Hei")]
    if len(fonts) < 3:
        fonts = [f.key for f in book.drawing("".join(characters), "zh-Hans")][:3]
    out = []
    for n in range(count):
        text = "".join(rng.choice(characters, CHARACTERS, p=weights / weights.sum()))
        out.append((text, fonts[n % len(fonts)], SIZES[n // len(fonts) % len(SIZES)]))
    return out


def ours(page: Page) -> bytes:
    """The whole of a page, ground truth included."""
    text, key, size = page
    book = open_book()
    if not book.draws(key, text):
        raise SystemExit(f"{key.path} lacks some of {text}")
    setting = Setting((key,), 0.0, language="zh-Hans", leading=1.05)
    block = fit(text, setting, SIDE - 2 * MARGIN, SIDE - 2 * MARGIN, 16, size)
    mask, placed = ink(block, (SIDE, SIDE), (MARGIN, MARGIN))
    data = encode(on_plain(mask, GROUND, INK))
    quads = placed.character_quads()
    assert (len(quads), len(placed.line_quads())) == (len(text), block.line_count)
    return data


def floor(page: Page) -> bytes:
    """The least that draws the page."""
    text, key, size = page
    font, upem = open_face(key).hb_font, open_face(key).upem
    each = (SIDE - 2 * MARGIN) // size
    kept = bitmaps(key, float(size))
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for n in range(0, len(text), each):
        buffer = hb.Buffer()
        buffer.add_str(text[n : n + each])
        buffer.direction, buffer.script, buffer.language = "ltr", "Hani", "zh-Hans"
        hb.shape(font, buffer)
        x, y = float(MARGIN), MARGIN + round((n // each * 1.05 + 0.9) * size)
        for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            bitmap = kept[info.codepoint, 0, False]
            top, left = y + bitmap.top, round(x) + bitmap.left
            there = mask[top : top + bitmap.coverage.shape[0], left : left + bitmap.coverage.shape[1]]
            np.maximum(there, bitmap.coverage[: there.shape[0]], out=there)
            x += place.x_advance * size / upem
    return encode(cv2.cvtColor(cv2.bitwise_not(mask), cv2.COLOR_GRAY2RGB))


def peer(page: Page) -> bytes:
    """Pillow: raqm for each line, a PNG."""
    text, key, size = page
    font = ImageFont.truetype(key.path, size, index=key.index, layout_engine=ImageFont.Layout.RAQM)
    image = Image.new("RGB", (SIDE, SIDE), GROUND)
    draw = ImageDraw.Draw(image)
    each = (SIDE - 2 * MARGIN) // size
    for n in range(0, len(text), each):
        draw.text(
            (MARGIN, MARGIN + n // each * 1.05 * size), text[n : n + each], fill=INK, font=font, language="zh-Hans"
        )
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _in_turn(draws: dict[str, Callable[[Page], bytes]], pages: list[Page]) -> dict[str, float]:
    """Milliseconds a page of each, twenty pages at a time in turn: what else the machine does then hits all alike."""
    spent = dict.fromkeys(draws, 0.0)
    for n in range(0, len(pages), 20):
        for name, draw in draws.items():
            began = time.perf_counter()
            for page in pages[n : n + 20]:
                draw(page)
            spent[name] += time.perf_counter() - began
    return {name: seconds / len(pages) * 1000 for name, seconds in spent.items()}


if __name__ == "__main__":
    main()
