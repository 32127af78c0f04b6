"""Pure rendering: a paragraph on a clean ground."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np

from synth.chance import chance
from synth.corpora.corpus import Text, open_corpus
from synth.fonts.book import FontBook, open_book
from synth.fonts.face import FaceKey
from synth.layout.block import LayoutError, OverflowingError, UndrawableError
from synth.plan.plan import Plan, read_plan
from synth.pure.captions import page_captions
from synth.pure.design import canvas_size, choose_design, choose_font, most_characters
from synth.pure.page import draw_page
from synth.sample import Json, Rejected, Sample
from warehouse.errors import UsageError

#: Raise when the same index would give other bytes.
VERSION = "1"
#: Characters of a page and how often: short, a line or two, a paragraph, a full page.
LENGTHS: tuple[tuple[int, int, float], ...] = ((1, 16, 0.25), (17, 60, 0.35), (61, 200, 0.28), (201, 500, 0.12))
ATTEMPTS = 4  # designs for a text that does not fit the first; the text is never cut


@dataclass(frozen=True)
class Pure:
    """`corpora`: files or folders, none: the built-in texts. `fonts`: folders beside the system's. `languages`: shares.
    `longest`: the least and the most of the longer side in pixels. `layout`: text centred, or anywhere at any size.
    `plan`: a file of what to draw first; images beyond it are drawn from the corpora. `lengths`: least and most
    characters of a page, in place of LENGTHS."""

    corpora: tuple[str, ...] = ()
    fonts: tuple[str, ...] = ()
    system_fonts: bool = True
    languages: tuple[tuple[str, float], ...] = (("zh", 0.6), ("en", 0.4))
    longest: tuple[int, int] = (512, 1024)
    layout: Literal["centred", "free"] = "free"
    lengths: tuple[int, int] | None = None
    plan: str | None = None

    @property
    def name(self) -> str:
        return "pure"

    def check(self) -> None:
        """Raises UsageError, MissingDependency."""
        if not 64 <= self.longest[0] <= self.longest[1] <= 4096:
            raise UsageError(f"the longer side must be from 64 to 4096 pixels, least first; got {self.longest}")
        if not self.languages or any(share <= 0 for _, share in self.languages):
            raise UsageError("name at least one language, each with a share above 0, such as zh=0.6,en=0.4")
        book, corpus = self._book(), open_corpus(self.corpora)
        for language, _ in self.languages:
            book.require(forms(language))
            if not any(known == language or known.startswith(f"{language}-") for known in corpus.languages):
                has = ", ".join(corpus.languages)
                raise UsageError(
                    f"the corpus has no text in {language}; it has {has}: name another --corpus or language"
                )
        if self.plan is not None:
            _open_plan(self.plan)

    def fingerprint(self) -> str:
        plan = _open_plan(self.plan).digest if self.plan is not None else "none"
        # What lies in the files counts, not where they lie: another machine may have them elsewhere.
        settings = replace(self, corpora=(), fonts=(), plan=None)
        corpus = open_corpus(self.corpora).digest
        return f"pure {VERSION} fonts {self._book().digest} corpus {corpus} plan {plan} {settings!r}"

    def draw(self, seed: int, index: int) -> Sample | Rejected:
        rng = chance(seed, self.name, index)
        size = canvas_size(rng, self.longest)
        book = self._book()
        plan = _open_plan(self.plan) if self.plan is not None else None
        if plan is not None and index < len(plan):
            text, key = _planned(plan, book, index)
        else:
            text = self._choose_text(rng, size)
            fonts = book.drawing(text.text, forms(text.language))
            if not fonts:
                return Rejected("undrawable", f"no font draws all of {text.text[:80]!r}")
            key = choose_font(rng, fonts).key
        return draw_text(rng, book, key, text, size, self.layout == "centred")

    def _book(self) -> FontBook:
        return open_book(self.fonts, self.system_fonts)

    def _choose_text(self, rng: np.random.Generator, size: tuple[int, int]) -> Text:
        shares = np.array([share for _, share in self.languages])
        language = self.languages[int(rng.choice(len(shares), p=shares / shares.sum()))][0]
        lines = bool(rng.random() < 0.4)  # a poem's lines stay lines
        corpus = open_corpus(self.corpora)
        if self.lengths is not None:
            return corpus.pick(rng, language, *self.lengths, breaks=lines)
        weights = np.array([share for _, _, share in LENGTHS])
        chosen = int(rng.choice(len(LENGTHS), p=weights / weights.sum()))
        for low, high, _ in LENGTHS[chosen::-1]:  # a corpus of signs has no paragraphs: what is next shorter, then
            if not language.startswith(("zh", "ja", "ko")):
                low, high = 2 * low, 3 * high  # a word of five letters says as much as two characters
            high = max(LENGTHS[0][1], min(high, most_characters(size, language)))
            try:
                return corpus.pick(rng, language, min(low, high // 2), high, breaks=lines)
            except UsageError:
                continue
        return corpus.pick(rng, language, 1, LENGTHS[-1][1], breaks=lines)


@lru_cache(maxsize=8)
def _open_plan(path: str) -> Plan:
    """The plan, read once a process."""
    return read_plan(path)


def forms(language: str) -> str:
    """The language whose forms of Han characters are meant: Chinese alone is simplified."""
    return "zh-Hans" if language == "zh" else language


def _planned(plan: Plan, book: FontBook, index: int) -> tuple[Text, FaceKey]:
    page = plan.page(index)
    return Text(page.text, page.language, "plan", "page"), page.face(book)


def draw_text(
    rng: np.random.Generator,
    book: FontBook,
    key: FaceKey,
    text: Text,
    size: tuple[int, int],
    centred: bool,
) -> Sample | Rejected:
    """One page of `size` (width, height) with this text in this face. A design that it does not fit gives way to
    another, ATTEMPTS in all."""
    language = forms(text.language)
    faces = (key, *book.fall_backs(key, text.text, language))
    failure: OverflowingError | None = None
    for _ in range(ATTEMPTS):
        design = choose_design(rng, len(text.text), language, size, centred)
        try:
            image, placed = draw_page(text.text, language, faces, design)
        except UndrawableError as error:
            return Rejected("undrawable", str(error))
        except OverflowingError as error:
            failure = error
            continue
        except LayoutError as error:  # right to left in columns, say
            return Rejected("cannot be set", str(error))
        info = book.info(key)
        facts: Mapping[str, Json] = {
            "source": text.source,
            "kind": info.kind,
            "size": placed.size,
            "ground": design.ground,
            "effect": design.effect,
            "align": design.align,
            "columns": design.columns,
            "degrees": design.degrees,
        }
        captions = page_captions(rng, placed, design, info)
        return Sample(image, (placed,), captions, f"pure:{design.ground}", facts)
    return Rejected("overflow", str(failure))
