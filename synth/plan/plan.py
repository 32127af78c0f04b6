"""A plan: pages to draw, each a text in a font; and the file it is kept in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from synth.fonts.face import FaceKey
from synth.plan.fonts import Fonts
from warehouse.errors import UsageError

VERSION = 1
Made = Literal["text", "words", "run", "flattened"]
_MADE: tuple[Made, ...] = get_args(Made)


@dataclass(frozen=True)
class PlannedFont:
    """A face, by what is the same on every machine: its file's bytes and its number there; the name is for people."""

    name: str
    family: str
    digest: str
    index: int


@dataclass(frozen=True)
class Page:
    """`made`: of sentences of a corpus (`text`; the last line may be a short run), of `words` of its lists, of
    characters that neither has (`run`), or frequency-flattened."""

    text: str
    font: PlannedFont
    language: str
    made: Made

    def face(self, book: Fonts) -> FaceKey:
        """Where the face lies here: the same file, else one of the same name. Raises UsageError where there is none."""
        same = [f.key for f in book.fonts if f.digest == self.font.digest and f.key.index == self.font.index]
        named = same or [f.key for f in book.fonts if f.name == self.font.name]
        if not named:
            raise UsageError(f"the plan draws in {self.font.name}, which is not here: install it or make a new plan")
        return named[0]


@dataclass(frozen=True)
class Plan:
    """Pages to draw. `wanted`: how often each character is to be drawn; `fonts_each`: in how many fonts at least;
    `per_image`: most characters of a page. Equal arguments of make_plan give an equal plan."""

    language: str
    wanted: Mapping[str, int]
    fonts_each: int
    per_image: int
    seed: int
    fonts: tuple[PlannedFont, ...]
    pages: tuple[tuple[int, Made, str], ...]  # number of the font, how it is made, text

    def __len__(self) -> int:
        return len(self.pages)

    def page(self, i: int) -> Page:
        """Page i, from 0. Raises IndexError beyond the last."""
        font, made, text = self.pages[i]
        return Page(text, self.fonts[font], self.language, made)

    @cached_property
    def digest(self) -> str:
        return hashlib.blake2b(_dumped(self).encode(), digest_size=16).hexdigest()


def write_plan(plan: Plan, path: str | Path) -> None:
    """Write it as JSON. Raises UsageError where the file cannot be written."""
    try:
        Path(path).write_text(_dumped(plan) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: the plan cannot be written: {error.strerror or error}") from error


def read_plan(path: str | Path) -> Plan:
    """Raises UsageError for what is not there, is no plan, is of another version or does not fit together."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: the plan cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: no plan: {error}; make one with `glyphmill synth plan`") from error
    version = found.get("glyphmill_plan") if isinstance(found, dict) else None
    if version is None:
        raise UsageError(f"{path}: no plan; make one with `glyphmill synth plan`")
    if version != VERSION:
        raise UsageError(f"{path}: a plan of version {version!r}, this reads version {VERSION}; make it again")
    try:
        return _parsed(found)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: the plan is damaged at {error}; make it again") from error


def _dumped(plan: Plan) -> str:
    by_times: dict[int, str] = {}
    for character, times in plan.wanted.items():
        by_times[times] = by_times.get(times, "") + character
    told = {
        "glyphmill_plan": VERSION,
        "language": plan.language,
        "fonts_each": plan.fonts_each,
        "per_image": plan.per_image,
        "seed": plan.seed,
        "wanted": {str(times): by_times[times] for times in sorted(by_times)},
        "fonts": [[f.name, f.family, f.digest, f.index] for f in plan.fonts],
        "pages": [[font, _MADE.index(made), text] for font, made, text in plan.pages],
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _parsed(found: dict[str, object]) -> Plan:
    fonts, pages, wanted = found["fonts"], found["pages"], found["wanted"]
    if not (isinstance(fonts, list) and isinstance(pages, list) and isinstance(wanted, dict)):
        raise ValueError("its fonts, pages or wanted characters")
    cast = tuple(
        PlannedFont(_text(name), _text(family), _text(digest), _number(index)) for name, family, digest, index in fonts
    )
    read: list[tuple[int, Made, str]] = []
    for n, (font, made, text) in enumerate(pages):
        if _number(font) >= len(cast) or _number(made) >= len(_MADE) or not _text(text).strip():
            raise ValueError(f"page {n}")
        read.append((font, _MADE[made], text))
    return Plan(
        _text(found["language"]),
        {c: int(times) for times, characters in wanted.items() for c in _text(characters)},
        _number(found["fonts_each"]),
        _number(found["per_image"]),
        _number(found["seed"]),
        cast,
        tuple(read),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40}, which should be a text")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{value!r:.40}, which should be a number")
    return value
