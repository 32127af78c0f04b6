"""Decks that others made, of all sorts and ages: every slide is filled and drawn, or refused with the reason."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pptx")

from synth.sample import Rejected, Sample
from synth.template.deck.choose import opened_deck
from synth.template.deck.deck import Deck
from synth.template.deck.errors import DeckError

SOAK = bool(os.environ.get("GLYPHMILL_SOAK"))
REASONS = frozenset(
    (
        "broken XML",
        "broken deck",
        "broken theme",
        "broken zip",
        "cannot draw",
        "low contrast",
        "missing media",
        "no room",
        "no slides",
        "no text",
        "no text fits",
        "password protected",
        "text covered",
        "text off the slide",
        "texts overlap",
        "too large",
        "too many shapes",
    )
)
#: What must be refused, and for what: content that our renderer does not draw.
UNDRAWABLE = {
    "apache_poi/pie-chart.pptx": "a chart",
    "apache_poi/SmartArt.pptx": "SmartArt",
    "apache_poi/EmbeddedAudio.pptx": "video or sound",
    "apache_poi/bug54570.pptx": "an embedded object",
}


@pytest.fixture(scope="module")
def decks(shared_data: Path) -> list[Path]:
    found = sorted((shared_data / "pptx").glob("*/*.pptx"))
    if not found:
        pytest.skip(f"no decks in {shared_data / 'pptx'}")
    return found if SOAK else found[::3][:25]


def every_slide(path: Path) -> Iterator[Sample | Rejected]:
    """Seeds by chance choose the slide: enough of them that every slide of a short deck comes up."""
    source = opened_deck(str(path))
    if isinstance(source, DeckError):
        yield Rejected(source.reason, source.detail)
        return
    deck = Deck(decks=(str(path),), longest=(960, 1100))
    for index in range(min(source.pages, 12 if SOAK else 3)):
        yield deck.draw(17, index)


def test_every_deck_is_drawn_or_refused_with_a_reason(decks: list[Path]) -> None:
    outcomes: Counter[str] = Counter()
    for path in decks:
        for drawn in every_slide(path):
            if isinstance(drawn, Rejected):
                assert drawn.reason in REASONS, (path.name, drawn)
                outcomes[drawn.reason] += 1
                continue
            outcomes["drawn"] += 1
            assert drawn.texts
            assert len(np.unique(drawn.image.reshape(-1, 3)[::97], axis=0)) > 1
            for text in drawn.texts:
                assert "lick to" not in text.text
    assert outcomes["drawn"] >= len(decks) // 3, outcomes


@pytest.mark.parametrize("name", sorted(UNDRAWABLE))
def test_what_cannot_be_drawn_is_named(shared_data: Path, name: str) -> None:
    path = shared_data / "pptx" / name
    if not path.exists():
        pytest.skip(f"no {path}")
    drawn = Deck(decks=(str(path),)).draw(1, 0)
    assert isinstance(drawn, Rejected)
    assert (drawn.reason, drawn.detail) == ("cannot draw", UNDRAWABLE[name])
