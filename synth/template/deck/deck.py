"""Template rendering from decks: our own designs, or any user's .pptx, filled with text and drawn with its truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Literal

import numpy as np

from synth.chance import chance
from synth.corpora.corpus import open_corpus
from synth.fonts.book import FontBook, open_book
from synth.sample import Json, Rejected, Sample
from synth.template.deck.cast import Cast, Family, choose_cast, families, is_serif
from synth.template.deck.choose import Chosen, deck_files, digest, opened_deck, own_page, users_page, weighted
from synth.template.deck.errors import DeckError
from synth.template.deck.fill import Filler, smallest_size
from synth.template.deck.read import read_scene
from synth.template.deck.render import NUMBERING, Rendered, render
from synth.template.deck.scene import Scene
from synth.template.deck.scenes import palette_words, slide_words
from synth.template.deck.sheets import Sheets
from synth.template.deck.source import Source
from synth.template.deck.texts import CorpusTexts
from synth.template.html.describe import describe
from warehouse.errors import UsageError

#: Raise when the same index would give other bytes.
VERSION = "1"
LANGUAGES = ("zh-Hans", "en")
ATTEMPTS = 3  # other pages of our own where the texts of one do not fit; a user's slide is refused at once
BATCH = 8  # slides of one call of LibreOffice
LEGIBLE = 16.0  # pixels to the em that the smallest type of a design should have


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
        named = " ".join(digest(path) for path in deck_files(self.decks)) if self.decks else "own"
        office = ""
        if self.renderer == "libreoffice":
            from synth.template.deck.office import office_version

            office = office_version()
        opened = f"fonts {self._book().digest} corpus {open_corpus(self.corpora).digest} {office}"
        settings = replace(self, decks=(), corpora=(), fonts=())  # what lies in the files counts, not where they lie
        return f"deck {VERSION} {named} {opened} {settings!r}"

    def draw(self, seed: int, index: int) -> Sample | Rejected:
        if self.renderer == "libreoffice":
            return _batch(self, seed, index // BATCH)[index % BATCH]
        prepared = self._prepared(seed, index)
        return prepared if isinstance(prepared, Rejected) else self._sample(prepared, prepared.own)

    def _prepared(self, seed: int, index: int) -> Prepared | Rejected:
        """Sample `index`, filled and drawn by our own renderer, which also finds what overlaps or cannot be read."""
        rng = chance(seed, "deck", index)
        language = weighted(rng, dict(self.languages))
        last = DeckError("no text fits")
        for _ in range(1 if self.decks else ATTEMPTS):
            try:
                return self._filled(rng, language)
            except DeckError as error:
                last = error
        return Rejected(last.reason, last.detail)

    def _filled(self, rng: np.random.Generator, language: str) -> Prepared:
        chosen = users_page(rng, self.decks) if self.decks else own_page(rng, language)
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
