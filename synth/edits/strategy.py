"""Edit pairs: a scene, one change, both pictures. Outside the changed quadrilateral not a pixel differs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from synth.chance import chance
from synth.compositional.photos import PhotoError, open_album
from synth.draw.paint import Colour
from synth.edits.boards import board_pair, corners_of
from synth.edits.instructions import Kind, Told, instruct
from synth.edits.phrases import Language, Phrase, draw_phrase
from synth.edits.scene import Item, Picture, Rect, Scene, Slot, draw_scene
from synth.fonts.book import FontBook, open_book
from synth.fonts.facts import FontInfo
from synth.layout.block import OverflowingError, UndrawableError
from synth.palettes import PLAIN, READABLE, Palette, contrast, named, parsed
from synth.placed import Placed
from synth.pure.captions import KINDS, quote
from synth.pure.design import canvas_size, choose_font
from synth.sample import Rejected, Sample
from synth.strategy import EditPair
from warehouse.errors import UsageError

VERSION = "1"
ON_BOARDS = 0.8
CHANGES: tuple[Kind, ...] = ("word", "colour", "font", "position", "language")

_SLOTS = (
    Slot({"en": "the top", "zh": "上方"}, (0.1, 0.08, 0.8, 0.22), 0.16),
    Slot({"en": "the centre", "zh": "中央"}, (0.1, 0.38, 0.8, 0.2), 0.12),
    Slot({"en": "the bottom", "zh": "下方"}, (0.1, 0.74, 0.8, 0.16), 0.09),
)
_COLOURS = tuple(
    parsed(c)
    for c in (
        "101010",
        "f7f7f2",
        "c8281e",
        "1b2a49",
        "2456a6",
        "2e7d4f",
        "f2c84b",
        "f08c2e",
        "5b2a6e",
        "1d6f78",
        "9e2a55",
    )
)


@dataclass(frozen=True)
class Edits:
    """`photos`: folders; most pairs then stand on a board in a photograph, the others on a plain ground, as do those
    for which no place was found. `languages`: shares of the scenes' writing, en and zh. `longest`: the least and the
    most of the longer side in pixels."""

    fonts: tuple[str, ...] = ()
    system_fonts: bool = True
    photos: tuple[str, ...] = ()
    languages: tuple[tuple[str, float], ...] = (("zh", 0.5), ("en", 0.5))
    longest: tuple[int, int] = (512, 1024)
    kinds: tuple[Kind, ...] = CHANGES

    @property
    def name(self) -> str:
        return "edit"

    def check(self) -> None:
        """Raises UsageError."""
        if unknown := {language for language, _ in self.languages} - {"en", "zh"}:
            raise UsageError(f"edit pairs are written in en and zh, not in {', '.join(sorted(unknown))}")
        if strange := [kind for kind in self.kinds if kind not in CHANGES]:
            raise UsageError(f"changes are {', '.join(CHANGES)}; got {', '.join(strange)}")
        book = self._book()
        for language in ("zh-Hans", "und"):
            book.require(language)
        if self.photos:
            open_album(self.photos)

    def fingerprint(self) -> str:
        album = open_album(self.photos).digest if self.photos else "none"
        settings = replace(self, fonts=(), photos=())  # what lies in the files counts, not where they lie
        return f"edit {VERSION} fonts {self._book().digest} photos {album} {settings!r}"

    def draw_pair(self, seed: int, index: int) -> EditPair | Rejected:
        rng = chance(seed, self.name, index)
        kind = self.kinds[int(rng.integers(len(self.kinds)))]
        try:
            return self._pair(seed, index, rng, kind)
        except UndrawableError as error:
            return Rejected("undrawable", str(error))
        except OverflowingError as error:
            return Rejected("overflow", str(error))

    def _book(self) -> FontBook:
        return open_book(self.fonts, self.system_fonts)

    def _pair(self, seed: int, index: int, rng: np.random.Generator, kind: Kind) -> EditPair | Rejected:
        book = self._book()
        shares = np.array([share for _, share in self.languages])
        language = cast(Language, self.languages[int(rng.choice(len(shares), p=shares / shares.sum()))][0])
        if self.photos and rng.random() < ON_BOARDS:
            on_board = self._on_board(seed, index, rng, language, kind)
            if isinstance(on_board, EditPair):
                return on_board
        before, phrases = self._scene(rng, language, book)
        n = int(rng.integers(len(before.items)))
        changed = _change(rng, kind, before, n, phrases[n], book)
        if changed is None:
            return Rejected("no other", f"nothing to change the {kind} to")
        item, told = changed
        after = replace(before, items=(*before.items[:n], item, *before.items[n + 1 :]))
        first, first_truth, first_rects = draw_scene(before)
        second, second_truth, second_rects = draw_scene(after)
        quad = corners_of(_around(first_rects[n], second_rects[n]))
        if np.array_equal(first, second):
            return Rejected("no change", f"both pictures are the same after a change of {kind}")
        return EditPair(
            reference=_sample(before, first, first_truth, kind),
            target=_sample(after, second, second_truth, kind),
            quad=quad,
            instruction=instruct(rng, kind, told),
            kind=kind,
        )

    def _on_board(
        self, seed: int, index: int, rng: np.random.Generator, language: Language, kind: Kind
    ) -> EditPair | Rejected:
        phrase = draw_phrase(rng, "title" if rng.random() < 0.4 else "line")

        def streams(name: str) -> np.random.Generator:
            return chance(seed, f"{self.name} {name}", index)

        try:
            return board_pair(
                phrase,
                language,
                kind,
                photos=self.photos,
                longest=self.longest,
                book=self._book(),
                rng=rng,
                streams=streams,
            )
        except (OverflowingError, UndrawableError, PhotoError) as error:
            return Rejected("no board", str(error))

    def _scene(self, rng: np.random.Generator, language: Language, book: FontBook) -> tuple[Scene, list[Phrase]]:
        width, height = canvas_size(rng, self.longest)
        palette = PLAIN[int(rng.integers(len(PLAIN)))]
        # One slot stays free, for what is moved.
        slots = [_SLOTS[i] for i in sorted(rng.permutation(len(_SLOTS))[:2].tolist())]
        items, phrases = [], []
        for role, slot in zip(("title", "line"), slots, strict=True):
            phrase = draw_phrase(rng, role)
            font = _font(rng, book, phrase)
            inks = palette.inks
            colour = inks[int(rng.integers(len(inks)))]
            items.append(
                _item(phrase.text(language), language, role, slot, font, colour, slot.level * min(width, height))
            )
            phrases.append(phrase)
        return Scene(width, height, palette, bool(rng.random() < 0.4), tuple(items)), phrases


def _font(rng: np.random.Generator, book: FontBook, phrase: Phrase) -> FontInfo:
    """A font that draws the phrase in both languages. Raises UndrawableError."""
    both = phrase.text("zh") + phrase.text("en")
    fonts = book.drawing(both, "zh-Hans")
    if not fonts:
        raise UndrawableError(both)
    return choose_font(rng, fonts)


def _item(text: str, language: Language, role: str, slot: Slot, font: FontInfo, colour: Colour, largest: float) -> Item:
    return Item(text, "zh-Hans" if language == "zh" else "en", role, slot, (font.key,), font.kind, colour, largest)


def _change(
    rng: np.random.Generator, kind: Kind, scene: Scene, n: int, phrase: Phrase, book: FontBook
) -> tuple[Item, Told] | None:
    """The changed item, and what the instruction tells in each language; None where there is nothing to change to."""
    item = scene.items[n]
    language: Language = "zh" if item.language == "zh-Hans" else "en"
    text = {"en": {"text": item.text}, "zh": {"text": item.text}}
    if kind == "word":
        other, slot = phrase.with_other_word(rng)
        words = {"old": phrase.words(language)[slot], "new": other.words(language)[slot]}
        return replace(item, text=other.text(language)), _and(text, words, words)
    if kind == "language":
        into: Language = "en" if language == "zh" else "zh"
        new = phrase.text(into)
        names = {"en": "English", "zh": "英文"} if into == "en" else {"en": "Chinese", "zh": "中文"}
        told = _and(text, {"new": new, "language": names["en"]}, {"new": new, "language": names["zh"]})
        return replace(item, text=new, language="zh-Hans" if into == "zh" else "en"), told
    if kind == "colour":
        return _recoloured(rng, item, scene.palette, text)
    if kind == "font":
        fonts = [f for f in book.drawing(item.text, "zh-Hans") if f.kind != item.kind and f.kind in KINDS]
        if not fonts:
            return None
        font = choose_font(rng, tuple(fonts))
        (old_en, old_zh), (new_en, new_zh) = KINDS[item.kind], KINDS[font.kind]
        told = _and(text, {"old": old_en, "new": new_en}, {"old": old_zh, "new": new_zh})
        return replace(item, faces=(font.key,), kind=font.kind), told
    free = [slot for slot in _SLOTS if slot not in [i.slot for i in scene.items]]
    slot_to = free[int(rng.integers(len(free)))]
    old, new_name = item.slot.name, slot_to.name
    told = _and(
        text,
        {"old": old["en"], "new": new_name["en"], "at": f"at {new_name['en']}", "was": f"at {old['en']}"},
        {"old": old["zh"], "new": new_name["zh"]},
    )
    return replace(item, slot=slot_to), told


def _recoloured(rng: np.random.Generator, item: Item, palette: Palette, text: Told) -> tuple[Item, Told] | None:
    old = named(item.colour)
    fitting = [c for c in _COLOURS if contrast(c, palette.ground) >= READABLE and named(c)["en"] != old["en"]]
    if not fitting:
        return None
    colour = fitting[int(rng.integers(len(fitting)))]
    new = named(colour)
    return replace(item, colour=colour), _and(
        text, {"old": old["en"], "new": new["en"]}, {"old": old["zh"], "new": new["zh"]}
    )


def _and(text: Told, english: dict[str, str], chinese: dict[str, str]) -> Told:
    return {"en": text["en"] | english, "zh": text["zh"] | chinese}


def _around(one: Rect, other: Rect) -> Rect:
    """The rectangle around two."""
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _sample(scene: Scene, picture: Picture, truths: list[Placed], kind: Kind) -> Sample:
    return Sample(picture, tuple(truths), _captions(scene), "edit:plain", {"change": kind, "ground": "plain"})


def _captions(scene: Scene) -> dict[str, str]:
    english, chinese = [], []
    for item in scene.items:
        ink = named(item.colour)
        english.append(f"{quote(item.text, 'en')} at {item.slot.name['en']} in {ink['en']} {KINDS[item.kind][0]}")
        chinese.append(f"{item.slot.name['zh']}是{ink['zh']}{KINDS[item.kind][1]}{quote(item.text, 'zh')}")
    ground = scene.palette.name
    return {
        "en": f"A {ground['en']} poster with the text {' and '.join(english)}.",
        "zh": f"一张{ground['zh']}海报，{'，'.join(chinese)}。",
    }
