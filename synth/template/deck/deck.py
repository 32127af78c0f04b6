"""Template rendering from decks: our own designs, or any user's .pptx, filled with text and drawn with its truth."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from synth.chance import chance
from synth.corpora.corpus import open_corpus
from synth.fonts.book import FontBook, open_book
from synth.sample import Json, Rejected, Sample
from synth.template.deck.cast import Cast, Family, choose_cast, families, is_serif
from synth.template.deck.designs.catalogue import KINDS, VARIANTS, one_page
from synth.template.deck.designs.themes import THEMES
from synth.template.deck.errors import DeckError
from synth.template.deck.fill import Filler, smallest_size
from synth.template.deck.read import read_scene
from synth.template.deck.render import NUMBERING, Rendered, render
from synth.template.deck.scene import Scene
from synth.template.deck.scenes import Words, palette_words, slide_words
from synth.template.deck.sheets import Sheets
from synth.template.deck.source import Source, from_file
from synth.template.deck.texts import CorpusTexts
from synth.template.html.describe import describe
from warehouse.errors import UsageError

#: Raise when the same index would give other bytes.
VERSION = "1"
LANGUAGES = ("zh-Hans", "en")
#: How often each kind of our own is drawn.
SHARES = {"report": 0.26, "lecture": 0.18, "poster": 0.15, "invitation": 0.1, "menu": 0.1, "certificate": 0.06,
          "timetable": 0.08, "resume": 0.07}  # fmt: skip
ATTEMPTS = 3  # other pages of our own where the texts of one do not fit; a user's slide is refused at once
BATCH = 8  # slides of one call of LibreOffice
LEGIBLE = 16.0  # pixels to the em that the smallest type of a design should have


@dataclass(frozen=True)
class Chosen:
    """A slide to fill. `kind`: what it is, by language."""

    source: Source
    page: int
    template: str
    kind: Words | None
    facts: Mapping[str, Json]


@dataclass(frozen=True)
class Prepared:
    """A filled slide and our own rendering of it; `rng` goes on to word the captions."""

    chosen: Chosen
    sheets: Sheets
    cast: Cast
    left_out: tuple[str, ...]
    own: Rendered
    rng: np.random.Generator


@dataclass(frozen=True)
class Deck:
    """`decks`: .pptx files, or folders of them, in place of our own designs. `corpora`, `fonts`: as everywhere.
    `languages`: zh-Hans and en with their shares. `longest`: the least and the most of the longer side in pixels.
    `renderer`: our own, exact to the character and the same everywhere, or LibreOffice where it is installed."""

    decks: tuple[str, ...] = ()
    corpora: tuple[str, ...] = ()
    fonts: tuple[str, ...] = ()
    system_fonts: bool = True
    languages: tuple[tuple[str, float], ...] = (("zh-Hans", 0.6), ("en", 0.4))
    longest: tuple[int, int] = (768, 1664)
    renderer: Literal["own", "libreoffice"] = "own"

    @property
    def name(self) -> str:
        return "template"

    def check(self) -> None:
        """Raises UsageError, MissingDependency."""
        if not 256 <= self.longest[0] <= self.longest[1] <= 4096:
            raise UsageError(f"the longer side must be from 256 to 4096 pixels, least first; got {self.longest}")
        for language, share in self.languages:
            if language not in LANGUAGES or share <= 0:
                raise UsageError(f"decks are filled in {' and '.join(LANGUAGES)}, not in {language}")
            families(self._book(), language)
        open_corpus(self.corpora)
        if self.decks and not any(isinstance(opened_deck(p), Source) for p in deck_files(self.decks)):
            first = opened_deck(deck_files(self.decks)[0])
            raise UsageError(f"none of the decks can be used; {deck_files(self.decks)[0]}: {first}")
        if self.renderer == "libreoffice":
            from synth.template.deck.office import require_office

            require_office()

    def fingerprint(self) -> str:
        named = " ".join(_digest(path) for path in deck_files(self.decks)) if self.decks else "own"
        office = ""
        if self.renderer == "libreoffice":
            from synth.template.deck.office import office_version

            office = office_version()
        opened = f"fonts {self._book().digest} corpus {open_corpus(self.corpora).digest} {office}"
        return f"deck {VERSION} {named} {opened} {self!r}"

    def draw(self, seed: int, index: int) -> Sample | Rejected:
        if self.renderer == "libreoffice":
            return _batch(self, seed, index // BATCH)[index % BATCH]
        prepared = self._prepared(seed, index)
        return prepared if isinstance(prepared, Rejected) else self._sample(prepared, prepared.own)

    def _prepared(self, seed: int, index: int) -> Prepared | Rejected:
        """Sample `index`, filled and drawn by our own renderer, which also finds what overlaps or cannot be read."""
        rng = chance(seed, "deck", index)
        language = _weighted(rng, dict(self.languages))
        last = DeckError("no text fits")
        for _ in range(1 if self.decks else ATTEMPTS):
            try:
                return self._filled(rng, language)
            except DeckError as error:
                last = error
        return Rejected(last.reason, last.detail)

    def _filled(self, rng: np.random.Generator, language: str) -> Prepared:
        chosen = self._choose(rng, language)
        sheets = chosen.source.sheets(chosen.page)
        scene = read_scene(sheets, strict=self.renderer == "own")
        if not scene.frames:
            raise DeckError("no text", "a slide without a place for text")
        width, height = self._size(rng, scene)
        cast = self._cast(rng, sheets, language)
        filler = Filler(self._book(), cast, CorpusTexts(open_corpus(self.corpora)), width / scene.width, chosen.page)
        filled = filler.fill(scene, rng)
        return Prepared(chosen, sheets, cast, scene.left_out, render(scene, filled, width, height), rng)

    def _sample(self, prepared: Prepared, drawn: Rendered) -> Sample:
        chosen, cast, sheets = prepared.chosen, prepared.cast, prepared.sheets
        kind = chosen.kind or slide_words(sheets)
        colours = palette_words(sheets.theme.palette)
        told = [text for text in drawn.texts if text.role != NUMBERING]
        captions = {
            said: describe(prepared.rng, said, kind[said], colours[said], cast.heading.regular.kind, told)
            for said in ("en", "zh")
        }
        facts: dict[str, Json] = {
            **chosen.facts,
            "renderer": self.renderer,
            "typefaces": list(dict.fromkeys((cast.heading.name, cast.body.name))),
            "left_out": list(prepared.left_out),
        }
        return Sample(drawn.image, drawn.texts, captions, chosen.template, facts)

    def _choose(self, rng: np.random.Generator, language: str) -> Chosen:
        if not self.decks:
            return _own(rng, language)
        files = deck_files(self.decks)
        path = files[int(rng.integers(len(files)))]
        source = opened_deck(path)
        if isinstance(source, DeckError):
            raise DeckError(source.reason, f"{Path(path).name}: {source.detail}")
        page = int(rng.integers(source.pages))
        template = f"deck:{Path(path).stem}/{source.layout_name(page)}"
        return Chosen(source, page, template, None, {"deck": Path(path).name, "slide": page + 1})

    def _size(self, rng: np.random.Generator, scene: Scene) -> tuple[int, int]:
        """Pixels: large enough for the design's smallest type where the limits allow it."""
        longer = max(scene.width, scene.height)
        wanted = LEGIBLE / (smallest_size(scene) * 12700) * longer
        low, high = self.longest
        low = int(min(max(low, wanted), high))
        side = int(rng.integers(low, high + 1))
        scale = side / longer
        return max(round(scene.width * scale), 16), max(round(scene.height * scale), 16)

    def _cast(self, rng: np.random.Generator, sheets: Sheets, language: str) -> Cast:
        named = sheets.theme.typefaces
        return choose_cast(
            rng,
            _families(self.fonts, self.system_fonts, language),
            language,
            is_serif(named["+mj-lt"]),
            is_serif(named["+mn-lt"]),
        )

    def _book(self) -> FontBook:
        return open_book(self.fonts, self.system_fonts)


@lru_cache(maxsize=2)
def _batch(deck: Deck, seed: int, number: int) -> tuple[Sample | Rejected, ...]:
    """The samples of one call of LibreOffice, which takes seconds to start."""
    from synth.template.deck.office import Job, render_with_office

    prepared = [deck._prepared(seed, number * BATCH + i) for i in range(BATCH)]
    jobs = [Job(p.chosen.source, p.chosen.page, p.sheets, p.own) for p in prepared if isinstance(p, Prepared)]
    drawn = iter(render_with_office(jobs))
    out: list[Sample | Rejected] = []
    for p in prepared:
        if isinstance(p, Rejected):
            out.append(p)
            continue
        rendered = next(drawn)
        if isinstance(rendered, DeckError):
            out.append(Rejected(rendered.reason, rendered.detail))
        else:
            out.append(deck._sample(p, rendered))
    return tuple(out)


@cache
def _families(fonts: tuple[str, ...], system: bool, language: str) -> tuple[Family, ...]:
    return families(open_book(fonts, system), language)


def _own(rng: np.random.Generator, language: str) -> Chosen:
    kind = KINDS[[k.name for k in KINDS].index(_weighted(rng, SHARES))]
    pages = [n for n, (name, _) in enumerate(kind.pages) if language.startswith("zh") or name != "upright"]
    page = pages[int(rng.integers(len(pages)))]
    aspect = kind.aspects[int(rng.integers(len(kind.aspects)))]
    theme, variant = int(rng.integers(len(THEMES))), int(rng.integers(VARIANTS))
    source = _own_source(KINDS.index(kind), page, aspect, theme, variant)
    name = kind.pages[page][0]
    facts: dict[str, Json] = {"deck": kind.name, "theme": THEMES[theme].name, "variant": variant, "aspect": aspect}
    return Chosen(source, 0, f"deck:{kind.name}/{name}", {"en": kind.words[0], "zh": kind.words[1]}, facts)


@lru_cache(maxsize=32)
def _own_source(kind: int, page: int, aspect: str, theme: int, variant: int) -> Source:
    return one_page(kind, page, aspect, theme, variant)


@cache
def deck_files(paths: tuple[str, ...]) -> tuple[str, ...]:
    """The .pptx files of these files and folders, by name. Raises UsageError where there are none."""
    found: list[str] = []
    for path in map(Path, paths):
        if path.is_dir():
            found += sorted(str(p) for p in path.rglob("*.pptx") if not p.name.startswith("~$"))
        elif path.is_file():
            found.append(str(path))
        else:
            raise UsageError(f"no such file or folder: {path}")
    if not found:
        raise UsageError(f"no .pptx in {' '.join(paths)}")
    return tuple(found)


@lru_cache(maxsize=64)
def opened_deck(path: str) -> Source | DeckError:
    """A user's deck, or why it cannot be used."""
    try:
        return from_file(path, Path(path).stem)
    except DeckError as error:
        return error


@cache
def _digest(path: str) -> str:
    return hashlib.blake2b(Path(path).read_bytes(), digest_size=8).hexdigest()


def _weighted(rng: np.random.Generator, shares: Mapping[str, float]) -> str:
    names = list(shares)
    weights = np.cumsum([shares[name] for name in names])
    return names[int(np.searchsorted(weights, rng.random() * weights[-1], side="right"))]
