"""Glyphs: one character, or a few, of a given list on a clean ground, each drawn equally often."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from synth.chance import chance
from synth.draw.ink import ink, ink_bounds
from synth.draw.paint import on_plain
from synth.fonts.book import FontBook, open_book
from synth.fonts.face import FaceKey
from synth.fonts.facts import FontInfo
from synth.glyphs.captions import captions, exact_caption, place, placed_captions, size
from synth.glyphs.characters import DEFAULT, MARKS
from synth.glyphs.look import MARGIN, WIDEST, Colours, Layout, Look, centred_look, centred_looks, free_look
from synth.layout.block import Block, OverflowingError, Setting, UndrawableError
from synth.layout.paragraph import lay_out
from synth.palettes import hexed
from synth.placed import Placed
from synth.sample import Json, Rejected, Sample
from warehouse.errors import UsageError

#: Raise when the same index would give other bytes.
VERSION = "2"
LANGUAGE = "zh-Hans"
#: Two weights of one family: what is to be learned is the character, not the type.
FACES = ("Noto Sans CJK SC", "Noto Sans CJK SC Bold")


@dataclass(frozen=True)
class Glyphs:
    """`characters`: sample i draws number i of them, going round. `longest_text`: a text has from 1 to so many
    characters, the first by the index, the others by chance. `faces`: names of the fonts; none: the two of FACES, or
    where these are not there every sans-serif that draws all characters. `fonts`: folders beside the system's.
    `longest`: the least and the most of the picture's side in pixels; it is square. `layout`: centred within 2 pixels
    of 64 at one size, or free: any of FREE_EM, anywhere. `colours`: black on white, or several."""

    characters: tuple[str, ...] = DEFAULT
    longest_text: int = 1
    faces: tuple[str, ...] = ()
    fonts: tuple[str, ...] = ()
    system_fonts: bool = True
    longest: tuple[int, int] = (64, 64)
    layout: Layout = "centred"
    colours: Colours = "dark"

    @property
    def name(self) -> str:
        return "glyph"

    def check(self) -> None:
        """Raises UsageError."""
        if not 64 <= self.longest[0] <= self.longest[1] <= 1024:
            raise UsageError(f"a glyph's picture has a side from 64 to 1024 pixels, least first; got {self.longest}")
        if not 1 <= self.longest_text <= 8:
            raise UsageError(f"a glyph's text has from 1 to 8 characters; got {self.longest_text}")
        marks = [c for c in self.characters if c in MARKS]
        if marks:
            raise UsageError(f"captions quote what is drawn, so it cannot be a quotation mark: leave {marks[0]} out")
        odd = [c for c in self.characters if len(unicodedata.normalize("NFC", c)) != 1 or unicodedata.combining(c[0])]
        if odd or not self.characters:
            raise UsageError(f"name single characters to draw; got {odd[0]!r}" if odd else "name characters to draw")
        self._faces()

    def fingerprint(self) -> str:
        # What lies in the files counts, not where they lie: another machine may have them elsewhere.
        faces = [f"{info.digest}:{info.key.index}" for info in self._faces()]
        settings = replace(self, fonts=())
        return f"glyph {VERSION} fonts {self._book().digest} {faces!r} {settings!r}"

    def draw(self, seed: int, index: int) -> Sample | Rejected:
        rng = chance(seed, self.name, index)
        low, high = self.longest
        side = low if low == high else int(rng.integers(low, high + 1))
        turn, number = divmod(index, len(self.characters))
        more = rng.integers(len(self.characters), size=int(rng.integers(self.longest_text)))
        text = self.characters[number] + "".join(self.characters[int(n)] for n in more)
        faces = self._faces()
        if self.layout == "centred":
            order = _order(seed, number, centred_looks(len(faces), side, self.colours))
            look = centred_look(int(order[turn % len(order)]), len(faces), side, self.colours)
        else:
            look = free_look(rng, len(faces), side, self.colours)
        info = faces[look.face]
        try:
            image, placed, em = _draw(text, info.key, look, side)
        except (UndrawableError, OverflowingError) as error:
            return Rejected("undrawable" if isinstance(error, UndrawableError) else "overflow", str(error))
        look = replace(look, em=em)
        x, y = placed.quad().mean(axis=0).tolist()
        told = {**placed_captions(text, look, side), "exact": exact_caption(text, em, (x, y), side)}
        facts: Mapping[str, Json] = {
            "layout": self.layout,
            "position": place(look),
            "scale": round(em / side, 3),
            "size": size(look, side),
            "character": number,
            "kind": info.kind,
            "weight": info.weight,
            "ink": look.pair.name[0][0],
            "ground": look.pair.name[0][1],
            "placed_captions": dict(told),
        }
        return Sample(image, (placed,), captions(text, look), f"glyph:{self.layout}", facts)

    def _book(self) -> FontBook:
        return open_book(self.fonts, self.system_fonts)

    def _faces(self) -> tuple[FontInfo, ...]:
        return _chosen(self.fonts, self.system_fonts, self.faces, "".join(self.characters))


@lru_cache(maxsize=8)
def _chosen(folders: tuple[str, ...], system: bool, names: tuple[str, ...], characters: str) -> tuple[FontInfo, ...]:
    """The faces to draw with, in the book's order. Raises UsageError."""
    book = open_book(folders, system)
    known = {info.name: info for info in book.fonts}
    for name in names:
        if name not in known:
            raise UsageError(f"no font called {name} here: `glyphmill fonts` lists them")
        missing = book.missing(known[name].key, characters)
        if missing:
            raise UsageError(f"{name} does not draw {missing[:20]}: name another --face, or leave these out")
    if names:
        return tuple(known[name] for name in dict.fromkeys(names))
    able = book.drawing(characters, LANGUAGE, kinds=("sans",)) or book.drawing(characters, LANGUAGE)
    if not able:
        raise UsageError("no one font here draws all of the characters: name fewer, or --fonts FOLDER with such a font")
    usual = tuple(info for info in able if info.name in FACES)
    return usual or able


@lru_cache(maxsize=4096)
def _order(seed: int, number: int, looks: int) -> NDArray[np.int64]:
    """In which order character `number` goes through all centred looks: none comes twice before all have come."""
    order: NDArray[np.int64] = chance(seed, "glyph order", number).permutation(looks)
    return order


def _draw(text: str, key: FaceKey, look: Look, side: int) -> tuple[NDArray[np.uint8], Placed, int]:
    """The picture (side, side, 3), the truth, and the em in pixels. Raises UndrawableError, OverflowingError."""
    em, block = look.em, _set(text, key, look.em)
    x0, y0, x1, y1 = ink_bounds(block)
    widest = WIDEST * side
    if max(x1 - x0, y1 - y0) > widest:
        em = int(em * widest / max(x1 - x0, y1 - y0))
        block = _set(text, key, em)
        x0, y0, x1, y1 = ink_bounds(block)
    if look.across is None or look.down is None:
        left = (side - (x1 - x0)) // 2 + look.off[0]
        top = (side - (y1 - y0)) // 2 + look.off[1]
    else:
        margin = round(MARGIN * side)
        left = margin + round(look.across * (side - 2 * margin - (x1 - x0)))
        top = margin + round(look.down * (side - 2 * margin - (y1 - y0)))
    mask, placed = ink(block, (side, side), (left - x0, top - y0))
    image = on_plain(mask, look.pair.ground, look.pair.ink)
    return image, replace(placed, colour=hexed(look.pair.ink), role="body"), em


def _set(text: str, key: FaceKey, em: int) -> Block:
    return lay_out(text, Setting((key,), float(em), language=LANGUAGE))
