"""What a user asks to be drawn, and the strategy that draws it."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.synthesising.unit import Drawer
from synth.strategy import Strategy
from warehouse.errors import MissingDependency, UsageError

NAMES = ("pure", "compositional", "template", "edit", "glyph")
LANGUAGES = (("zh", 0.6), ("en", 0.4))
LONGEST = (512, 1328)  # pixels of the longer side
GLYPH_SIDE = 64  # pixels of a glyph's picture, where no size is named
#: Of template samples where both are drawn: slides are one of the many kinds of designed pages.
DECKS, PAGES = 0.4, 0.6


@dataclass(frozen=True)
class GlyphWish:
    """What glyphs alone ask for. `characters`: none, those that the project brings; `faces`: names of fonts."""

    characters: tuple[str, ...] = ()
    longest_text: int = 1
    faces: tuple[str, ...] = ()
    layout: Literal["centred", "free"] = "centred"
    colours: Literal["dark", "several"] = "dark"


@dataclass(frozen=True)
class Wish:
    """Paths are absolute, so that workers find them. Empty ones: what the project brings. `longest`: least and most of
    the longer side, pixels. `languages`: each with its share."""

    corpora: tuple[str, ...] = ()
    fonts: tuple[str, ...] = ()
    photos: tuple[str, ...] = ()
    decks: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    plan: str | None = None
    languages: tuple[tuple[str, float], ...] = LANGUAGES
    longest: tuple[int, int] = LONGEST
    renderer: Literal["own", "libreoffice"] = "own"
    glyphs: GlyphWish = GlyphWish()


def strategy(name: str, wish: Wish) -> Drawer:
    """The strategy of that name for what is wished. Raises UsageError, MissingDependency."""
    for package, what in (("uharfbuzz", "synth"), ("freetype", "synth"), ("fontTools", "synth"), ("cv2", "synth")):
        if importlib.util.find_spec(package) is None:
            raise MissingDependency(f"drawing text needs {package}: pip install glyphmill[{what}]")
    if wish.plan is not None and name != "pure":
        raise UsageError(f"a plan says what pure pages are drawn; {name} takes none: leave --plan out")
    if wish.photos and name not in ("compositional", "edit"):
        raise UsageError(f"photographs are for compositional and edit; {name} takes none: leave --photos out")
    if wish.corpora and name == "edit":
        raise UsageError("edit pairs are of our own phrases: leave --corpus out")
    if wish.corpora and name == "glyph":
        raise UsageError("glyphs are single characters: name them by --chars, leave --corpus out")
    if (wish.decks or wish.pages) and name != "template":
        raise UsageError(f"decks and pages are for template; {name} takes none: leave them out")
    makers = {"pure": _pure, "compositional": _compositional, "template": _template, "edit": _edit, "glyph": _glyph}
    if name not in makers:
        raise UsageError(f"no strategy called {name}: {', '.join(NAMES)}")
    return makers[name](wish)


def left_out(name: str, wish: Wish) -> Counter[str]:
    """What of the named fonts and corpora, and of the strategy itself, is not used, by reason: all of it is told."""
    from synth.corpora.corpus import open_corpus
    from synth.fonts.book import open_book

    found: Counter[str] = Counter()
    if name == "template" and not wish.decks and not _has_browser():
        found["kind of template, pages: glyphmill[html] is not installed"] += 1
    if wish.fonts:
        skipped = open_book(wish.fonts).skipped
        found.update(f"font {s.reason}" for s in skipped if s.path.startswith(tuple(wish.fonts)))
    if wish.corpora:
        found.update({f"text {reason}": count for reason, count in open_corpus(wish.corpora).skipped.items()})
    return found


def languages(told: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """`zh=0.6,en=0.4`, also in several pieces; a language without a share has 1. Raises UsageError."""
    found: dict[str, float] = {}
    for entry in ",".join(told).split(","):
        name, equals, share = entry.strip().partition("=")
        try:
            value = float(share) if equals else 1.0
        except ValueError:
            value = 0.0
        if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", name) or not 0 < value < float("inf"):
            raise UsageError(f"--language {entry}: write a language and its share, such as zh=0.6,en=0.4")
        if name in found:
            raise UsageError(f"--language {name} is given twice")
        found[name] = value
    return tuple(found.items())


def sizes(told: str) -> tuple[int, int]:
    """`512..1328`, or one number for both, in pixels. Raises UsageError."""
    low, dots, high = told.partition("..")
    try:
        found = (int(low), int(high if dots else low))
    except ValueError:
        found = (0, 0)
    if not 64 <= found[0] <= found[1] <= 4096:
        raise UsageError(f"--size {told}: write the least and the most of the longer side, such as 512..1328 pixels")
    return found


def places(paths: Sequence[Path] | None) -> tuple[str, ...]:
    """Absolute paths that are there. Raises UsageError."""
    for path in paths or ():
        if not path.exists():
            raise UsageError(f"no such file or folder: {path}")
    return tuple(str(path.expanduser().absolute()) for path in paths or ())


def _pure(wish: Wish) -> Drawer:
    from synth.pure.strategy import Pure

    return Pure(corpora=wish.corpora, fonts=wish.fonts, languages=wish.languages, longest=wish.longest, plan=wish.plan)


def _compositional(wish: Wish) -> Drawer:
    from synth.compositional.strategy import Compositional

    return Compositional(
        photos=wish.photos,
        corpora=wish.corpora,
        fonts=wish.fonts,
        languages=_forms(wish.languages),
        longest=wish.longest,
    )


def _template(wish: Wish) -> Drawer:
    """Decks and pages; where only one of them is named, that one alone."""
    if wish.decks and wish.pages:
        raise UsageError("name --decks or --pages: each run fills one or the other; with neither, both of our own")
    if wish.decks:
        return _decks(wish)
    if wish.pages:
        return _pages(wish)
    if not _has_browser():
        return _decks(wish)  # `left_out` says so
    from pipelines.synthesising.mixed import Mixed

    return Mixed("template", ((_decks(wish), DECKS), (_pages(wish), PAGES)))


def _decks(wish: Wish) -> Strategy:
    from synth.template.deck.deck import Deck

    return Deck(
        decks=wish.decks,
        corpora=wish.corpora,
        fonts=wish.fonts,
        languages=_forms(wish.languages),
        longest=wish.longest,
        renderer=wish.renderer,
    )


def _pages(wish: Wish) -> Strategy:
    from synth.template.html.html import Html

    if not _has_browser():
        raise MissingDependency("pages are drawn by Chromium: pip install glyphmill[html], and install chromium")
    written = tuple(dict.fromkeys(name.partition("-")[0] for name, _ in wish.languages))
    return Html(pages=wish.pages, languages=written, corpora=wish.corpora, fonts=wish.fonts, longest=wish.longest)


def _has_browser() -> bool:
    return importlib.util.find_spec("playwright") is not None


def _edit(wish: Wish) -> Drawer:
    from synth.edits.strategy import Edits

    return Edits(photos=wish.photos, fonts=wish.fonts, languages=wish.languages, longest=wish.longest)


def _glyph(wish: Wish) -> Drawer:
    from synth.glyphs.characters import DEFAULT
    from synth.glyphs.strategy import Glyphs

    asked = wish.glyphs
    return Glyphs(
        characters=asked.characters or DEFAULT,
        longest_text=asked.longest_text,
        faces=asked.faces,
        fonts=wish.fonts,
        longest=(GLYPH_SIDE, GLYPH_SIDE) if wish.longest == LONGEST else wish.longest,
        layout=asked.layout,
        colours=asked.colours,
    )


def _forms(told: tuple[tuple[str, float], ...]) -> tuple[tuple[str, float], ...]:
    """Chinese without more is simplified."""
    return tuple(("zh-Hans" if name == "zh" else name, share) for name, share in told)
