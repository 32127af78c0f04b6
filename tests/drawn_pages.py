"""Pages, slides and posters drawn with real fonts, and their copies: pictures of text whose truth is known.

Everything is decided by seeds. A `Layout` is a page's look without its words; the same layout with other words is
another page, and with one word exchanged in place an edit pair.
"""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipelines.decode import decode
from pipelines.extractors.base import Sample
from pipelines.extractors.hashes import luma128
from pipelines.header import read_header
from pipelines.phash import distance, phash
from pipelines.thumbs import Luma, pack, tile_distance, unpack

Kind = Literal["page", "slide", "poster"]
Words = list[list[str]]  # one list of words a line of the layout

FINE_PRINT = 0.0107  # of the longer side: 9 point on A4; smaller text only where a test asks for it
FONT_FOLDERS = (Path("/usr/share/fonts"), Path("/Library/Fonts"), Path("/System/Library/Fonts"))
FONT_NAMES = ("DejaVuSans.ttf", "DejaVuSerif.ttf", "DejaVuSansMono.ttf", "DejaVuSans-Bold.ttf")

_POSTER_COLOURS = (((20, 24, 60), (250, 240, 200)), ((240, 90, 60), (255, 255, 255)), ((255, 250, 240), (20, 20, 20)))
_RESIZERS = (
    Image.Resampling.LANCZOS,
    Image.Resampling.BICUBIC,
    Image.Resampling.BILINEAR,
    Image.Resampling.HAMMING,
)
_TEXT = """
the of and to in is was for that with they this have from one had word but not what all were when your can said there
use each which she how their will other about out many then them these some her would make like him into time has look
two more write see number way could people than first water been call who oil its now find long down day did get come
made may part over new sound take only little work know place year live back give most very after thing our just name
good sentence man think say great where help through much before line right too mean old any same tell boy follow came
want show also around form three small set put end does another well large must big even such because turn here why
ask went men read need land different home move try kind hand picture again change off play spell air away animal
house point page letter mother answer found study still learn should world revenue quarter budget market growth summer
winter opening museum concert harbour station library garden kitchen festival
"""
_COMMON = _TEXT.split()


@dataclass(frozen=True)
class Line:
    """One line of text: left edge and top in pixels, room in pixels, font size in pixels, colour."""

    x: int
    y: int
    room: int
    size: int
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class Layout:
    kind: Kind
    width: int
    height: int
    font: str
    paper: tuple[int, int, int]
    lines: tuple[Line, ...]
    seed: int

    @property
    def text_size(self) -> int:
        """Pixels of the smallest font."""
        return min(line.size for line in self.lines)


def layout(kind: Kind, seed: int, *, text_size: int | None = None, size: tuple[int, int] | None = None) -> Layout:
    """A page (columns of text), a slide (photo, title, bullets) or a poster (few large words), 600 to 1600 px."""
    rng = random.Random(f"{kind} {seed}")
    long = rng.randint(800, 1600)
    short = max(600, round(long / rng.choice((1.33, 1.414, 1.5, 1.78))))
    width, height = size or ((short, long) if kind == "page" else (long, short) if kind == "slide" else (short, short))
    font = rng.choice(font_names())
    if kind == "poster":
        text_size = text_size or rng.randint(36, 110)
        paper, ink = rng.choice(
            (((20, 24, 60), (250, 240, 200)), ((240, 90, 60), (255, 255, 255)), ((255, 250, 240), (20, 20, 20)))
        )
        step = round(text_size * 1.5)
        top = rng.randint(height // 8, height // 3)
        lines = [Line(width // 10, y, width * 8 // 10, text_size, ink) for y in range(top, height - 2 * step, step)][:4]
        return Layout(kind, width, height, font, paper, tuple(lines), seed)
    if kind == "slide":
        text_size = text_size or rng.randint(18, 40)
        paper = rng.choice(((255, 255, 255), (245, 247, 250), (28, 34, 48)))
        ink = (30, 30, 40) if sum(paper) > 300 else (235, 235, 235)
        title = Line(width // 16, height // 14, width * 13 // 16, round(text_size * 1.6), ink)
        room = width // 2 if seed % 3 else width * 13 // 16
        step = round(text_size * 1.7)
        body = [Line(width // 16, y, room, text_size, ink) for y in range(height // 4, height * 9 // 10 - step, step)][
            :12
        ]
        return Layout(kind, width, height, font, paper, (title, *body), seed)
    text_size = text_size or rng.randint(max(12, round(long * FINE_PRINT) + 1), 30)
    paper = rng.choice(((255, 255, 255), (250, 246, 236), (235, 240, 245)))
    ink = rng.choice(((0, 0, 0), (40, 40, 40), (20, 20, 80)))
    margin = width // rng.randint(10, 16)
    columns = rng.choice((1, 1, 2))
    room = (width - (columns + 1) * margin) // columns
    step = round(text_size * rng.choice((1.25, 1.5)))
    top = height // 8
    body = [
        Line(margin + c * (room + margin), y, room if (i + 1) % 7 else room // 2, text_size, ink)
        for c in range(columns)
        for i, y in enumerate(range(top, height - margin - step, step))
        if (i + 1) % 8
    ]
    return Layout(
        kind, width, height, font, paper, (Line(margin, margin, width - 2 * margin, text_size * 2, ink), *body), seed
    )


def words_for(page: Layout, seed: int) -> Words:
    """Random words that fill the lines of a layout."""
    rng = random.Random(f"words {page.kind} {page.seed} {seed}")
    font_of = {line.size: _font(page.font, line.size) for line in page.lines}
    filled: Words = []
    for line in page.lines:
        font, room, words = font_of[line.size], float(line.room), list[str]()
        while True:
            word = rng.choice(_COMMON) if page.kind != "poster" else rng.choice(_COMMON).upper()
            room -= font.getlength(word + " ")
            if room < 0 and words:
                break
            words.append(word)
        filled.append(words if page.kind != "slide" or line is page.lines[0] else words[: rng.randint(3, 9)])
    return filled


def with_one_word_changed(page: Layout, words: Words, seed: int) -> tuple[Words, int]:
    """The same words but one, exchanged for another of about the same length; and the font size it stands in."""
    rng = random.Random(f"edit {page.seed} {seed}")
    row = rng.randrange(len(words))
    column = rng.randrange(len(words[row]))
    old = words[row][column]
    other = [w.upper() if old.isupper() else w for w in _COMMON if abs(len(w) - len(old)) <= 1]
    new = rng.choice([w for w in other if w != old])
    changed = [list(line) for line in words]
    changed[row][column] = new
    return changed, page.lines[row].size


def draw(page: Layout, words: Words, like: Words | None = None) -> Image.Image:
    """The picture. Words stand where those of `like` would stand, so that an exchanged word moves nothing else."""
    image = Image.new("RGB", (page.width, page.height), page.paper)
    if page.kind != "page":
        image.paste(_photo(page.seed, page.width, page.height), _photo_place(page))
    pen = ImageDraw.Draw(image)
    for line, text, places in zip(page.lines, words, like or words, strict=True):
        font, x = _font(page.font, line.size), float(line.x)
        for word, place in zip(text, places, strict=True):
            pen.text((x, line.y), word, font=font, fill=line.colour)
            x += font.getlength(place + " ")
    return image


def copies(image: Image.Image, seed: int, count: int) -> list[tuple[str, bytes]]:
    """Re-encoded and resized copies, each with what was done: JPEG q 30-95, WebP, PNG; sides times 0.3 to 2."""
    rng = random.Random(f"copies {seed}")
    made: list[tuple[str, bytes]] = []
    for _ in range(count):
        scale = rng.choice((1.0, 1.0, rng.uniform(0.3, 0.6), rng.uniform(0.6, 1.0), rng.uniform(1.0, 2.0)))
        how = rng.choice(
            (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.HAMMING)
        )
        size = (round(image.width * scale), round(image.height * scale))
        copy = image if scale == 1.0 else image.resize(size, how)
        kind = rng.choice(("JPEG", "JPEG", "JPEG", "WEBP", "PNG") if scale != 1.0 else ("JPEG", "JPEG", "JPEG", "WEBP"))
        quality = rng.randint(30, 95)
        made.append((f"{scale:.2f} {how.name} {kind} {quality}", encode(copy, kind, quality)))
    return made


def edit_pair(
    kind: Kind, seed: int, *, text_size: int | None = None, size: tuple[int, int] | None = None
) -> tuple[Image.Image, Image.Image, int]:
    """A picture, the same with one word changed, and the font size that the word stands in."""
    page = layout(kind, seed, text_size=text_size, size=size)
    words = words_for(page, 0)
    changed, stands_in = with_one_word_changed(page, words, seed)
    return draw(page, words), draw(page, changed, words), stands_in


@dataclass(frozen=True)
class Look:
    """What the lake stores of a picture, and near pairs compare."""

    phash: bytes
    luma: Luma


def look(data: bytes) -> Look:
    """Hash and thumbnails of a file, as stored and read back."""
    header = read_header(data)
    coarse, detail = pack(luma128(Sample("", data, header, decode(data, header))))
    return Look(phash(coarse), unpack(coarse[None], [detail])[0])


def distances(a: Look, b: Look) -> tuple[int, float]:
    """Bits between the hashes, tile distance between the thumbnails."""
    return distance(a.phash, b.phash), float(tile_distance(a.luma[None], b.luma[None])[0])


def pages_of_one_layout(kind: Kind, seed: int, count: int) -> list[Image.Image]:
    """The same layout filled with other words each time."""
    page = layout(kind, seed)
    return [draw(page, words_for(page, number)) for number in range(count)]


def encode(image: Image.Image, kind: str = "PNG", quality: int = 90) -> bytes:
    """The picture as a file."""
    out = io.BytesIO()
    if kind == "PNG":
        image.save(out, kind, compress_level=1)
    else:
        image.save(out, kind, quality=quality, **({"method": 0} if kind == "WEBP" else {}))
    return out.getvalue()


@cache
def font_names() -> tuple[str, ...]:
    """Fonts to draw with: those of this machine that are known, and the one Pillow carries ("")."""
    found = [p for folder in FONT_FOLDERS if folder.is_dir() for p in folder.rglob("*.ttf") if p.name in FONT_NAMES]
    return ("", *sorted(str(p) for p in found))


@cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(name, size) if name else ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _photo(seed: int, width: int, height: int) -> Image.Image:
    """Something like a photograph: smooth shapes under noise of all scales."""
    rng = np.random.default_rng(seed)
    small = Image.new("RGB", (width // 3, height // 3))
    for cells in (3, 9, 27, 81):
        noise = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)).resize(
            small.size, Image.Resampling.BICUBIC
        )
        small = Image.blend(small, noise, 0.5 if cells > 3 else 1.0)
    return small


def _photo_place(page: Layout) -> tuple[int, int]:
    if page.kind == "slide":
        return (page.width * 5 // 8, page.height // 3) if page.seed % 3 else (page.width * 2 // 3, page.height)
    return (page.width * 2 // 3, page.height * 2 // 3)
