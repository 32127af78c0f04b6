"""What a plan asks of fonts, and which of them draw which of its characters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from synth.fonts.face import FaceKey
from warehouse.errors import UsageError

_UNFIT = ("symbol",)  # kinds that set no running text


class Font(Protocol):
    """A face, as synth.fonts.facts.FontInfo has it."""

    @property
    def key(self) -> FaceKey: ...
    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def centred(self) -> str: ...


class Drawn(Protocol):
    """`drawn`: code points, as synth.fonts.coverage.Coverage has them."""

    @property
    def drawn(self) -> NDArray[np.uint32]: ...


class Fonts(Protocol):
    """As synth.fonts.book.FontBook: fonts in a fixed order."""

    @property
    def fonts(self) -> Sequence[Font]: ...
    def coverage(self, key: FaceKey) -> Drawn: ...


@dataclass(frozen=True)
class Cast:
    """Fonts that draw some of the wanted characters. `draws` (characters, fonts): which; `tables` (fonts, 0x110000):
    all that each draws; `kinds`, `families` (fonts,): numbers of them, for spreading."""

    fonts: tuple[Font, ...]
    draws: NDArray[np.bool_]
    tables: NDArray[np.bool_]
    kinds: NDArray[np.int64]
    families: NDArray[np.int64]


def cast(book: Fonts, characters: Sequence[str], language: str) -> Cast:
    """The fonts with the forms of a language, or with no forms of their own where none are asked for, that draw some.

    Raises UsageError where no font draws any.
    """
    points = np.array([ord(c) for c in characters], np.int64)
    chosen: list[Font] = []
    tables: list[NDArray[np.bool_]] = []
    for font in book.fonts:
        if font.kind in _UNFIT or not _suits(font.language, language):
            continue
        table = np.zeros(0x110000, dtype=np.bool_)
        table[book.coverage(font.key).drawn] = True
        if not language.startswith("zh-Hant"):  # elsewhere stops stand in a corner of their square
            table[[ord(stop) for stop in font.centred]] = False
        if table[points].any():
            chosen.append(font)
            tables.append(table)
    if not chosen:
        raise UsageError(f"no font here has the forms of {language} and draws any of the characters that are wanted")
    every = np.stack(tables)
    every[:, [ord("\n"), ord(" ")]] = True
    return Cast(
        tuple(chosen),
        every[:, points].T.copy(),
        every,
        _numbers(f.kind for f in chosen),
        _numbers(f.family for f in chosen),
    )


def _suits(font: str, language: str) -> bool:
    formed = language.startswith(("zh", "ja", "ko"))
    return font == language or (language == "zh-Hant" and font == "zh-Hant-HK") or (not formed and font == "und")


def _numbers(names: Iterable[str]) -> NDArray[np.int64]:
    known: dict[str, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in names], np.int64)
