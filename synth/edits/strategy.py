"""Edit pairs: a scene, one change, both pictures. Outside the changed quadrilateral not a pixel differs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from synth.chance import chance
from synth.compositional.photos import PhotoError, open_album
from synth.edits.boards import board_pair
from synth.edits.instructions import Kind
from synth.edits.phrases import draw_phrase
from synth.edits.poster import poster_pair
from synth.fonts.book import FontBook, open_book
from synth.layout.block import LayoutError, OverflowingError, UndrawableError
from synth.quoting import Language
from synth.sample import Json, Rejected
from synth.strategy import EditPair
from warehouse.errors import UsageError

VERSION = "1"
ON_BOARDS = 0.8
CHANGES: tuple[Kind, ...] = ("word", "colour", "font", "position", "language")


@dataclass(frozen=True)
class Edits:
    """`photos`: folders; most pairs then stand on a board in a photograph, the others on a plain poster, as do
    those for which no board could be had: their facts tell why. `languages`: shares of the scenes' writing, en and zh.
    `longest`: the least and the most of the longer side in pixels."""

    fonts: tuple[str, ...] = ()
    system_fonts: bool = True
    photos: tuple[str, ...] = ()
    languages: tuple[tuple[str, float], ...] = (("zh", 0.5), ("en", 0.5))
    longest: tuple[int, int] = (512, 1024)
    kinds: tuple[Kind, ...] = CHANGES

    @property
    def name(self) -> str:
        return "edit"

    def check(self) -> None:
        """Raises UsageError."""
        if unknown := {language for language, _ in self.languages} - {"en", "zh"}:
            raise UsageError(f"edit pairs are written in en and zh, not in {', '.join(sorted(unknown))}")
        if strange := [kind for kind in self.kinds if kind not in CHANGES]:
            raise UsageError(f"changes are {', '.join(CHANGES)}; got {', '.join(strange)}")
        book = self._book()
        for language in ("zh-Hans", "und"):
            book.require(language)
        if self.photos:
            open_album(self.photos)

    def fingerprint(self) -> str:
        album = open_album(self.photos).digest if self.photos else "none"
        settings = replace(self, fonts=(), photos=())  # what lies in the files counts, not where they lie
        return f"edit {VERSION} fonts {self._book().digest} photos {album} {settings!r}"

    def draw_pair(self, seed: int, index: int) -> EditPair | Rejected:
        rng = chance(seed, self.name, index)
        kind = self.kinds[int(rng.integers(len(self.kinds)))]
        shares = np.array([share for _, share in self.languages])
        language = cast(Language, self.languages[int(rng.choice(len(shares), p=shares / shares.sum()))][0])
        facts: dict[str, Json] = {}
        if self.photos and rng.random() < ON_BOARDS:
            on_board = self._on_board(seed, index, rng, language, kind)
            if isinstance(on_board, EditPair):
                return on_board
            facts["no_board"] = f"{on_board.reason}: {on_board.detail}"
        try:
            return poster_pair(rng, self._book(), language, kind, self.longest, facts)
        except UndrawableError as error:
            return Rejected("undrawable", str(error))
        except OverflowingError as error:
            return Rejected("overflow", str(error))
        except LayoutError as error:
            return Rejected("cannot be set", str(error))

    def _book(self) -> FontBook:
        return open_book(self.fonts, self.system_fonts)

    def _on_board(
        self, seed: int, index: int, rng: np.random.Generator, language: Language, kind: Kind
    ) -> EditPair | Rejected:
        phrase = draw_phrase(rng, "title" if rng.random() < 0.4 else "line")

        def streams(name: str) -> np.random.Generator:
            return chance(seed, f"{self.name} {name}", index)

        try:
            return board_pair(
                phrase,
                language,
                kind,
                photos=self.photos,
                longest=self.longest,
                book=self._book(),
                rng=rng,
                streams=streams,
            )
        except PhotoError as error:
            return Rejected("photo unusable", str(error))
        except OverflowingError as error:
            return Rejected("overflow", str(error))
        except LayoutError as error:
            return Rejected("cannot be set", str(error))
