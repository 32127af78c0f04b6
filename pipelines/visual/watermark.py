"""Watermarks: marks of ownership laid over a picture, by what is written, where it stands and how it was printed.

Four kinds of evidence, each a score of 0 to 1; the strongest one counts.
- tiled: one pattern repeated all over (`repetition`), or one text read three times or more.
- mark: words that only watermarks say (an agency's name, "sample", 水印), large or at the edge or faint.
- corner: a name, an address, a copyright sign in small print at the edge.
- overlay: large print that the picture shows through.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import numpy as np
from PIL import Image

from pipelines.visual import repetition
from pipelines.visual.views import luma, reduced

#: Scores from here on are a watermark; calibrated so that photographs without one stay below.
SURE = 0.5
#: `repetition.strength` that scores 0 and that scores 1.
STRENGTH = (2.9, 8.5)

AGENCIES = (
    "shutterstock", "gettyimages", "istockphoto", "adobestock", "depositphotos", "dreamstime", "alamy", "123rf",
    "bigstock", "fotolia", "stocksy", "pond5", "vectorstock", "freepik", "canstockphoto", "featurepics", "samplepics",
    "视觉中国", "东方ic", "千图网", "包图网", "摄图网", "昵图网", "nipic", "全景网", "汇图网", "图虫",
)  # fmt: skip
WORDS = frozenset({"sample", "preview", "watermark", "watermarked", "proof", "specimen", "unlicensed", "draft"})
#: Pieces of the longer words: the rest of a faint mark is often lost.
PIECES = frozenset(
    {word[:n] for word in ("watermark", "specimen", "preview") for n in range(6, len(word))}
    | {word[-n:] for word in ("watermark", "specimen") for n in range(6, len(word))}
)
PHRASES = ("do not copy", "preview only", "all rights reserved", "not for sale", "sample only", "evaluation copy")
CHINESE = ("水印", "样张", "样图", "版权所有", "禁止转载", "未经授权", "请勿转载", "盗图必究", "仅供预览")
_ADDRESS = re.compile(
    r"\bwww[.\s]|\b[\w-]{3,}\.(?:com|net|org|cn|co|info|io|photo|photography|me|de|fr|es|it|ru|uk|jp)\b", re.IGNORECASE
)
_OWNER = re.compile(
    r"[©®]|\(c\)\s*\S|\bcopyright\b|\bphoto(?:graph(?:ed|y))?s?\s*by\b|\bpicture\s+by\b|版权|摄影[:：]?|(?:^|\s)@[a-z][\w.]{2,}",
    re.IGNORECASE,
)

#: A line this near the edge (share of the picture's sides) and this low is small print at the edge.
EDGE, SMALL = 0.16, 0.11
#: A line this wide is large print.
LARGE = 0.3
#: Letters of the longest text that is repeated as a mark: a sentence is part of a page.
LONGEST_MARK = 28
#: A page with more characters than this besides the line in question is a page: its address is part of it.
PAGE_CHARACTERS = 80
#: Beside more characters than this large print is a headline.
FEW_CHARACTERS = 40
#: What a repeated pattern scores on such a page at most: what is left of its lines and rules is one as well.
PAGE_PATTERN = 0.4
#: A line-like shape larger than this share of the picture is no line.
WHOLE_SCENE = 0.2
#: How opaque print may be to count as laid over, and how much the ground under it must vary (levels).
TRANSLUCENT, GROUND = 0.55, 14.0


@dataclass(frozen=True)
class Finding:
    """`kind`: tiled, mark, corner, overlay or none; `score` 0 to 1."""

    score: float
    kind: str


@dataclass(frozen=True)
class _Print:
    """A read line: its text and its box as shares of the picture's sides."""

    text: str
    quad: tuple[float, ...]
    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.bottom - self.top)

    @property
    def at_edge(self) -> bool:
        x, y = (self.left + self.right) / 2, (self.top + self.bottom) / 2
        wide = self.right - self.left >= self.bottom - self.top
        return min(y, 1 - y) < EDGE if wide else min(x, 1 - x) < EDGE

    @property
    def is_large_and_central(self) -> bool:
        central = abs(self.left + self.right - 1) < 0.3 and abs(self.top + self.bottom - 1) < 0.5
        return (
            central and self.right - self.left >= LARGE and self.area <= WHOLE_SCENE and len(_letters(self.text)) >= 4
        )

    @property
    def is_small(self) -> bool:
        return min(self.bottom - self.top, self.right - self.left) <= SMALL


def judge(image: Image.Image, lines: Sequence[Mapping[str, Any]]) -> Finding:
    """The strongest evidence for a watermark on an upright RGB picture. `lines`: as in the column `ocr_lines`."""
    shapes = [_print(line, image.size) for line in lines]
    printed = [shape for shape, line in zip(shapes, lines, strict=True) if line["read"]]
    repeated = _repeated(printed)
    # Print repeats itself line by line: it is left out, unless it is what is repeated all over.
    without = [shape.quad for shape in shapes if shape not in repeated and shape.area <= WHOLE_SCENE]
    pattern = _pattern(image, without)
    if sum(len(p.text) for p in printed if p not in repeated) > PAGE_CHARACTERS:
        pattern = min(pattern, PAGE_PATTERN)
    findings = [Finding(pattern, "tiled"), Finding(_repetition(repeated), "tiled")]
    findings += [_written(image, line, printed) for line in printed]
    best = max(findings, key=lambda f: f.score)
    score = round(min(1.0, max(0.0, best.score)), 4)
    return Finding(score, best.kind if score >= SURE else "none")


def _pattern(image: Image.Image, without: Sequence[tuple[float, ...]]) -> float:
    """Score of a pattern all over the picture, a mark. It stands out with the lines of text, which repeat themselves,
    and without them, whose gaps repeat as well: both must say so."""
    low, high = STRENGTH
    score = (repetition.strength(image, without) - low) / (high - low)
    if score >= SURE and without:
        score = min(score, (repetition.strength(image) - low) / (high - low))
    return score


def _print(line: Mapping[str, Any], size: tuple[int, int]) -> _Print:
    quad = tuple(float(v) for v in line["quad"])
    xs, ys = [x / size[0] for x in quad[0::2]], [y / size[1] for y in quad[1::2]]
    return _Print(str(line["text"]), quad, min(xs), min(ys), max(xs), max(ys))


def _repeated(printed: Sequence[_Print]) -> list[_Print]:
    """Lines of one text that is read three times or more; none where most of the others say something else, as they do
    in a table that repeats a word."""
    groups = ([other for other in printed if _alike(line.text, other.text)] for line in printed)
    largest = max(groups, key=len, default=[])
    return largest if len(largest) >= max(3, 0.4 * len(printed)) else []


def _repetition(repeated: Sequence[_Print]) -> float:
    """Score of the same text read several times, far apart."""
    if not repeated:
        return 0.0
    spread = max(
        max(p.right for p in repeated) - min(p.left for p in repeated),
        max(p.bottom for p in repeated) - min(p.top for p in repeated),
    )
    return min(1.0, 0.2 * len(repeated)) if spread > 0.4 else 0.0


def _alike(a: str, b: str) -> bool:
    """Whether two readings may be of one text; of faint marks a part is often lost."""
    a, b = sorted((_letters(a), _letters(b)), key=len)
    if len(a) < 3 or len(a) < 0.4 * len(b) or len(b) > LONGEST_MARK:
        return False
    return a in b or SequenceMatcher(None, a, b, autojunk=False).ratio() >= 0.7


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _written(image: Image.Image, line: _Print, printed: Sequence[_Print]) -> Finding:
    """Score of what one line says and how it is printed."""
    others = sum(len(p.text) for p in printed if p is not line)
    page = others > PAGE_CHARACTERS
    large = line.right - line.left >= LARGE
    small_print = line.at_edge and line.is_small
    if says_watermark(line.text):
        if page:
            return Finding(0.3, "mark")
        return Finding(0.9 if large or line.at_edge else 0.6, "mark")
    if says_owner(line.text) and small_print:
        return Finding(0.3 if page else 0.8, "corner")
    # Signs carry addresses, shirts carry names: only print that the picture shows through is not part of it.
    if others <= FEW_CHARACTERS and line.is_large_and_central and _shows_through(image, line):
        return Finding(0.6, "overlay")
    return Finding(0.2 if says_owner(line.text) else 0.0, "none")


def says_watermark(text: str) -> bool:
    """Whether a line says what only watermarks say: a picture agency's name (or most of it), or a word for a sample."""
    plain = text.casefold()
    if any(word in plain for word in CHINESE) or any(phrase in plain for phrase in PHRASES):
        return True
    if any(token in WORDS or token in PIECES for token in re.findall(r"[a-z]+", plain)):
        return True
    letters = _letters(text)
    return any(_most_of(letters, agency) for agency in AGENCIES)


def _most_of(letters: str, name: str) -> bool:
    if name in letters:
        return True
    if len(letters) < 6:
        return False
    matcher = SequenceMatcher(None, letters, name, autojunk=False)
    return matcher.ratio() >= 0.8 or matcher.find_longest_match().size >= max(6, 0.6 * len(name))


def says_owner(text: str) -> bool:
    """Whether a line names an owner: a web address, a copyright sign, a photographer, a handle."""
    return bool(_ADDRESS.search(text) or _OWNER.search(text))


def _shows_through(image: Image.Image, line: _Print) -> bool:
    """Whether the ground can be seen through the print: ink that changes with a ground that varies, and is not opaque.

    An overlay of white w and opacity a turns a level v into v + a (w - v); a is estimated from ink and ground nearby.
    """
    import cv2

    xs, ys = line.quad[0::2], line.quad[1::2]
    box = (max(0, int(min(xs))), max(0, int(min(ys))), int(max(xs)) + 1, int(max(ys)) + 1)
    level = luma(reduced(image.crop(box), 200))
    if min(level.shape) < 8:
        return False
    # The median over an area wider than a stroke is ground wherever strokes cover less than half.
    around = cv2.medianBlur(level, min(level.shape) // 2 * 2 - 1 if min(level.shape) < 62 else 61).astype(np.float32)
    above = level.astype(np.float32) - around
    low, high = np.percentile(above, [3, 97])
    if max(-low, high) < 6:
        return False
    bright = high >= -low
    ink = above > high / 2 if bright else above < low / 2
    ground = around[ink]
    room = (255 - ground) if bright else ground
    opacity = np.abs(above[ink]) / np.maximum(room, 1)
    return bool(np.median(opacity) < TRANSLUCENT and ground.std() > GROUND)
