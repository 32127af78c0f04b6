"""Filling a slide: each place for text gets text of its role, language and length that fits it, or is refused."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from synth.fonts.book import FontBook
from synth.fonts.face import FaceKey
from synth.fonts.facts import FontInfo
from synth.layout.block import LayoutError
from synth.template.deck.ask import Ask, Texts, answer, is_fixed, marked, repeats, role_of, units
from synth.template.deck.cast import Cast
from synth.template.deck.errors import DeckError
from synth.template.deck.scene import Frame, Scene
from synth.template.deck.setting import Line, Written, set_frame
from synth.template.deck.styles import Style, style
from synth.template.deck.write import write
from synth.template.deck.xml import Element, q

TRIES = 8
SHRINK = (1.0, 0.92, 0.85, 0.78)  # of the design's size, when longer texts are not to be had
SMALLEST = {"zh-Hans": 15, "en": 17}  # pixels to the em: 12 pixels of a hanzi, or of a capital
MOST_PARAGRAPHS = 12
OTHERS = 6  # tries for a text that is not on the slide yet
_ONCE = frozenset(
    {"dish", "skill", "heading", "title", "subtitle", "course", "name", "sentence", "point", "job", "company"}
)
_TITLES = ("title", "subtitle", "heading")


@dataclass(frozen=True)
class Filled:
    """A frame with its paragraphs set in it, in pixels of its box."""

    frame: Frame
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Filler:
    """What a slide is filled with. `scale`: pixels to the EMU; `page`: number of the slide, from 0."""

    book: FontBook
    cast: Cast
    texts: Texts
    scale: float
    page: int

    def fill(self, scene: Scene, rng: np.random.Generator) -> tuple[Filled, ...]:
        """Fill every frame, in the slide's order, and write it into its XML. Raises DeckError."""
        cells: dict[int, str] = {}
        said: set[str] = set()
        return tuple(self._frame(frame, rng, cells, said) for frame in scene.frames)

    def _frame(self, frame: Frame, rng: np.random.Generator, cells: dict[int, str], before: set[str]) -> Filled:
        if frame.width * self.scale < 8 or frame.height * self.scale < 8:
            raise DeckError("no room", f"{frame.name or frame.role}: a box of no size")
        patterns = self._patterns(frame, rng)
        asks = [self._ask(frame, p, len(patterns), cells) for p in patterns]
        reason = ""
        for attempt in range(TRIES):
            # Texts are asked for shorter and shorter; only then is the type made smaller, and then refused.
            asked = [
                replace(a, units=max(4, round(a.units * (1.0, 1.0, 0.85, 0.7, 0.6, 0.5, 0.4, 0.3)[attempt])))
                for a in asks
            ]
            said = [self._new(a, rng, before) for a in asked]
            fixed = all(is_fixed(a.pattern) and a.pattern for a in asks)
            sizes = SHRINK if fixed or attempt >= TRIES // 2 else SHRINK[:1] if attempt < 2 else SHRINK[:3]
            for share in sizes:
                try:
                    written = self._written(frame, patterns, asks, said, share)
                    lines = set_frame(written, *self._box(frame), self.scale, frame.anchor, frame.direction == "eaVert")
                except LayoutError as error:
                    reason = str(error)
                    continue
                write(frame, patterns, written, self._fonts(written), self.scale)
                before.update(said)
                return Filled(frame, lines)
            if fixed:
                break
        raise DeckError("no text fits", f"{frame.name or frame.role}: {reason}")

    def _new(self, ask: Ask, rng: np.random.Generator, before: set[str]) -> str:
        """A text that does not stand on the slide yet, as far as there are some to choose from."""
        said = answer(ask, rng, self.cast.language, self.texts, self.page)
        for _ in range(OTHERS if ask.role in _ONCE else 0):
            if said not in before:
                break
            said = answer(ask, rng, self.cast.language, self.texts, self.page)
        return said

    def _box(self, frame: Frame) -> tuple[float, float]:
        width, height = frame.width * self.scale, frame.height * self.scale
        return (height, width) if frame.direction in ("vert", "vert270") else (width, height)

    def _patterns(self, frame: Frame, rng: np.random.Generator) -> list[Element]:
        """The paragraphs whose looks are taken: those that have words; a few for an empty body."""
        held = list(frame.body.iterfind(q("a:p")))
        spoken = [p for p, words in zip(held, frame.words.split("\n"), strict=True) if words.strip()]
        if not spoken:
            one = held[:1] or [frame.body.makeelement(q("a:p"), {})]
            return self._several(frame, one[0], rng) if frame.role == "body" else one
        out: list[Element] = []
        for paragraph in spoken[:MOST_PARAGRAPHS]:
            out += [copy.deepcopy(paragraph) for _ in range(repeats(_words(paragraph), rng))]
        return out

    def _several(self, frame: Frame, pattern: Element, rng: np.random.Generator) -> list[Element]:
        """As many points as an empty body has room for, of two lines each, five at most."""
        size = style(frame.chain, pattern).size * 12700
        room = frame.height / (size * 3.2)
        most = int(min(max(room, 1), 5))
        count = int(rng.integers(min(2, most), most + 1))
        return [copy.deepcopy(pattern) for _ in range(count)]

    def _ask(self, frame: Frame, pattern: Element, count: int, cells: dict[int, str]) -> Ask:
        words = _words(pattern)
        look = style(frame.chain, pattern)
        room = self._room(frame, look, count)
        if marked(words):
            return Ask(words, role_of(words, frame.role), room)
        limit = min(room, max(8, round(units(words) * 1.25))) if words.strip() else round(room * 0.8)
        if frame.role == "cell":
            if frame.column not in cells:
                kinds = (
                    ("heading", "name")
                    if frame.column == 0
                    else ("figure", "date", "name", "price", "number", "heading")
                )
                cells[frame.column] = kinds[(frame.column * 7 + len(words)) % len(kinds)]
            role = cells[frame.column] if limit < 40 else "point"
            return Ask("", role, limit)
        return Ask("", _guess(frame.role, words, limit, count), limit)

    def _room(self, frame: Frame, look: Style, count: int) -> int:
        """Half ems that fit this paragraph's share of the box."""
        width, height = self._box(frame)
        size = max(look.size * 12700 * self.scale, 1.0)
        if frame.direction == "eaVert":
            width, height = height, width
        leading = 1.45 * (look.spacing if look.spacing > 0 else 1.0)
        lines = max(int(height / (size * leading)) // max(count, 1), 1)
        lines = min(lines, 2) if frame.role in _TITLES else lines
        measure = max(width - look.margin * self.scale, size) / size
        ragged = 0.86 if lines > 1 else 0.92
        return max(int(lines * measure * 2 * ragged), 4)

    def _written(
        self, frame: Frame, patterns: Sequence[Element], asks: Sequence[Ask], said: Sequence[str], share: float
    ) -> list[Written]:
        out = []
        number: dict[int, int] = {}
        for pattern, ask, text in zip(patterns, asks, said, strict=True):
            look = style(frame.chain, pattern)
            if not text.strip():
                raise DeckError("no text fits", f"{frame.name}: nothing to write")
            text = " ".join(text.split()).upper() if look.capitals else " ".join(text.split())
            role = frame.role if frame.role in ("title", "subtitle") else ask.role
            info = self._face(text, role, look.bold)
            size = max(round(look.size * share * 12700 * self.scale), SMALLEST[self.cast.language])
            marker, marker_face = "", info.key
            if look.bullet == "1.":
                number[look.level] = number.get(look.level, 0) + 1
                marker = f"{number[look.level]}."
            elif look.bullet:
                marker, marker_face = self._bullet(look.bullet, info)
            plain = look if marker else replace(look, indent=0.0)
            out.append(Written(text, plain, role, self.cast.language, info.key, float(size), marker, marker_face))
        return out

    def _face(self, text: str, role: str, bold: bool) -> FontInfo:
        """The cast's face, or the body's where it lacks a character. Raises LayoutError where neither draws it."""
        missing = ""
        for info in (self.cast.face(role, bold), self.cast.face("body", bold), self.cast.face(role, False)):
            missing = self.book.missing(info.key, text)
            if not missing:
                return info
        raise LayoutError(f"no font of this slide draws {missing}")

    def _bullet(self, wanted: str, info: FontInfo) -> tuple[str, FaceKey]:
        """A bullet and a face that draws it: the design's own sign in the text's face, or in the first that has it."""
        for sign in (wanted, "•"):
            if self.book.draws(info.key, sign):
                return sign, info.key
            others = self.book.drawing(sign, "und", ("sans", "serif"))
            if others:
                return sign, others[0].key
        raise LayoutError(f"no font draws the bullet {wanted}")

    def _fonts(self, written: Sequence[Written]) -> dict[FaceKey, FontInfo]:
        return {key: self.book.info(key) for w in written for key in (w.face, w.marker_face or w.face)}


def _words(paragraph: Element) -> str:
    return "".join(t.text or "" for t in paragraph.iter(q("a:t")))


def _guess(role: str, words: str, limit: int, count: int) -> str:
    """What to write in an unmarked place, by its role and by what stands there."""
    if role == "number":
        return "page"
    if role in (*_TITLES, "date", "footer"):
        return role
    plain = words.strip()
    if plain and all(c.isdigit() or c in ".,%$€£+-/: " for c in plain):
        return "number" if len(plain) < 3 else "figure"
    if role == "body":
        return "point" if count > 1 else "sentence"
    if limit <= 26:
        return "heading"
    return "subtitle" if limit <= 44 and count == 1 else "sentence"


def smallest_size(scene: Scene) -> float:
    """The smallest type that the slide's design asks for, points."""
    sizes = [style(f.chain, p).size for f in scene.frames for p in (list(f.body.iterfind(q("a:p"))) or ())]
    return min(sizes, default=18.0)
