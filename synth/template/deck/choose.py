"""Which slide is filled: a page of our own designs, or one of a user's decks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from synth.sample import Json
from synth.template.deck.designs.catalogue import KINDS, VARIANTS, one_page
from synth.template.deck.designs.themes import THEMES
from synth.template.deck.errors import DeckError
from synth.template.deck.scenes import Words
from synth.template.deck.source import Source, from_file
from warehouse.errors import UsageError

#: How often each kind of our own is drawn.
SHARES = {"report": 0.26, "lecture": 0.18, "poster": 0.15, "invitation": 0.1, "menu": 0.1, "certificate": 0.06,
          "timetable": 0.08, "resume": 0.07}  # fmt: skip


@dataclass(frozen=True)
class Chosen:
    """A slide to fill. `kind`: what it is, by language."""

    source: Source
    page: int
    template: str
    kind: Words | None
    facts: Mapping[str, Json]


def own_page(rng: np.random.Generator, language: str) -> Chosen:
    kind = KINDS[[k.name for k in KINDS].index(weighted(rng, SHARES))]
    pages = [n for n, (name, _) in enumerate(kind.pages) if language.startswith("zh") or name != "upright"]
    page = pages[int(rng.integers(len(pages)))]
    aspect = kind.aspects[int(rng.integers(len(kind.aspects)))]
    theme, variant = int(rng.integers(len(THEMES))), int(rng.integers(VARIANTS))
    source = own_source(KINDS.index(kind), page, aspect, theme, variant)
    name = kind.pages[page][0]
    facts: dict[str, Json] = {"deck": kind.name, "theme": THEMES[theme].name, "variant": variant, "aspect": aspect}
    return Chosen(source, 0, f"deck:{kind.name}/{name}", {"en": kind.words[0], "zh": kind.words[1]}, facts)


@lru_cache(maxsize=32)
def own_source(kind: int, page: int, aspect: str, theme: int, variant: int) -> Source:
    return one_page(kind, page, aspect, theme, variant)


def users_page(rng: np.random.Generator, paths: tuple[str, ...]) -> Chosen:
    """A slide of a user's decks. Raises DeckError where the deck that was chosen cannot be used."""
    files = deck_files(paths)
    path = files[int(rng.integers(len(files)))]
    source = opened_deck(path)
    if isinstance(source, DeckError):
        raise DeckError(source.reason, f"{Path(path).name}: {source.detail}")
    page = int(rng.integers(source.pages))
    template = f"deck:{Path(path).stem}/{source.layout_name(page)}"
    return Chosen(source, page, template, None, {"deck": Path(path).name, "slide": page + 1})


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
def digest(path: str) -> str:
    return hashlib.blake2b(Path(path).read_bytes(), digest_size=8).hexdigest()


def weighted(rng: np.random.Generator, shares: Mapping[str, float]) -> str:
    names = list(shares)
    weights = np.cumsum([shares[name] for name in names])
    return names[int(np.searchsorted(weights, rng.random() * weights[-1], side="right"))]
