"""The sheets of a slide: its own, its layout's and its master's, one over the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from synth.template.deck.theme import Theme
from synth.template.deck.xml import Element, child


@dataclass(frozen=True)
class Sheet:
    """One of the three sheets that lie over each other: its XML, and the part that its relations are of."""

    root: Element
    part: Any


@dataclass(frozen=True)
class Sheets:
    """A slide with all that it takes after. `defaults`: the deck's own text style."""

    slide: Sheet
    layout: Sheet
    master: Sheet
    theme: Theme
    defaults: Element | None
    width: int
    height: int

    def styles(self) -> tuple[Element, ...]:
        """The list styles that hold for all text: the deck's and the master's."""
        other = child(self.master.root, "p:txStyles", "p:otherStyle")
        return tuple(e for e in (self.defaults, other) if e is not None)
