"""Decks opened once a process: slides with what they take after, given out as copies to be filled."""

from __future__ import annotations

import copy
import io
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pptx import Presentation
from pptx.exc import PythonPptxError

from synth.template.deck.errors import DeckError
from synth.template.deck.placeholders import ROLES, kind, placeholder
from synth.template.deck.safety import check, read_deck
from synth.template.deck.sheets import Sheet, Sheets
from synth.template.deck.theme import read_theme
from synth.template.deck.xml import Element, child, etree, q

#: What python-pptx and lxml raise on a package whose parts do not fit together: python-pptx has no error of its own for
#: that. Type and message go into the detail, and our own decks come through the same door in the tests, so a mistake of
#: ours is not taken for a broken deck.
BROKEN = (PythonPptxError, KeyError, ValueError, AttributeError, TypeError, IndexError, AssertionError,
          NotImplementedError, etree.LxmlError, RecursionError)  # fmt: skip
MOST_SLIDES = 2000


@dataclass(frozen=True)
class Source:
    """An open deck that is never changed. `name`: what samples say they were made from."""

    name: str
    presentation: Any

    @cached_property
    def data(self) -> bytes:
        out = io.BytesIO()
        self.presentation.save(out)
        return out.getvalue()

    @cached_property
    def pages(self) -> int:
        return len(self.presentation.slides)

    def layout_name(self, page: int) -> str:
        return str(self.presentation.slides[page].slide_layout.name or "slide")

    def sheets(self, page: int) -> Sheets:
        """Copies of a slide's sheets, free to be changed. Raises DeckError."""
        found = sheets_of(self.presentation, page)
        return replace(
            found,
            slide=_copied(found.slide),
            layout=_copied(found.layout),
            master=_copied(found.master),
        )


def from_file(path: str, name: str) -> Source:
    """Raises DeckError where it cannot be read, or has nothing to fill."""
    return from_bytes(read_deck(path), name)


def from_bytes(data: bytes, name: str) -> Source:
    check(data)
    source = Source(name, open_presentation(data))
    if source.pages == 0:
        raise DeckError("no slides", "and no layouts to make them from")
    if source.pages > MOST_SLIDES:
        raise DeckError("too large", f"{source.pages} slides")
    return source


def open_presentation(data: bytes) -> Any:
    """A deck; one without slides gets one of each of its layouts that has text. Raises DeckError."""
    try:
        deck = Presentation(io.BytesIO(data))
        if len(deck.slides) == 0:
            for layout in [item for master in deck.slide_masters for item in master.slide_layouts]:
                held = [p for s in layout.element.iter(q("p:sp")) if (p := placeholder(s)) is not None]
                if any(ROLES.get(kind(p)) in ("title", "subtitle", "body") for p in held):
                    deck.slides.add_slide(layout)
        if not deck.slide_width or not deck.slide_height:
            raise DeckError("broken XML", "a deck without a size")
        return deck
    except DeckError:
        raise
    except BROKEN as error:
        raise DeckError("broken deck", f"{type(error).__name__}: {error}"[:200]) from error


def sheets_of(deck: Any, page: int) -> Sheets:
    """A slide's sheets as they are in the open deck. Raises DeckError."""
    try:
        slide = deck.slides[page]
        layout = slide.slide_layout
        master = layout.slide_master
        theme = next((r.target_part for r in master.part.rels.values() if r.reltype.endswith("/theme")), None)
        if theme is None:
            raise DeckError("broken theme", "the master has none")
        parsed = etree.fromstring(theme.blob, etree.XMLParser(resolve_entities=False, no_network=True))
        colour_map = next(
            (m for m in (child(s, "p:clrMapOvr", "a:overrideClrMapping") for s in (slide.element, layout.element))
             if m is not None),
            child(master.element, "p:clrMap"),
        )  # fmt: skip
        return Sheets(
            Sheet(slide.element, slide.part),
            Sheet(layout.element, layout.part),
            Sheet(master.element, master.part),
            read_theme(parsed, colour_map),
            child(deck.element, "p:defaultTextStyle"),
            int(deck.slide_width),
            int(deck.slide_height),
        )
    except DeckError:
        raise
    except BROKEN as error:
        raise DeckError("broken deck", f"{type(error).__name__}: {error}"[:200]) from error


def _copied(sheet: Sheet) -> Sheet:
    root: Element = copy.deepcopy(sheet.root)
    return Sheet(root, sheet.part)
