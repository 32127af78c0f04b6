"""The ledger of a plan in the making: what is still to be drawn of each character, and in which fonts it was."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.plan.fonts import Cast


class Ledger:
    """`need` (characters,): times still to be drawn. `counts` (characters, fonts): times drawn. `least` (characters,):
    fonts that each must be in, no more than draw it. `loads` (fonts,): characters set in each.

    What no font draws needs nothing. The last times of a character are kept for fonts that it is not yet in.
    """

    def __init__(self, cast: Cast, times: NDArray[np.int64], fonts: int) -> None:
        self.cast = cast
        able = cast.draws.sum(axis=1)
        self.need = np.where(able > 0, times, 0)
        self.counts = np.zeros(cast.draws.shape, np.int64)
        self.least = np.minimum(np.minimum(fonts, able), self.need)
        room = np.maximum(1, np.minimum(able, 2 * fonts))
        self._share = -(-self.need // room)  # of one font, where there are enough to spread over
        self.loads = np.zeros(len(cast.fonts), np.int64)

    def useful(self, font: int) -> NDArray[np.bool_]:
        """(characters,): which may be drawn once more in this font and be counted."""
        fresh = self.counts[:, font] == 0
        wanting = self.least - (self.counts > 0).sum(axis=1)
        usable: NDArray[np.bool_] = (
            (self.need > 0)
            & self.cast.draws[:, font]
            & (fresh | (self.need > wanting))
            & (self.counts[:, font] < self._share)
        )
        return usable

    def room(self, character: int, font: int, times: int) -> int:
        """Of so many times more in this font, how many are still wanted."""
        if not self.cast.draws[character, font]:
            return 0
        drawn = int(self.counts[character, font])
        need = int(self.need[character])
        wanting = int(self.least[character]) - int((self.counts[character] > 0).sum())
        reserved = max(0, wanting - (drawn == 0))  # for fonts that it is not in yet, besides this one
        return max(0, min(times, need - reserved, int(self._share[character]) - drawn))

    def take(self, character: int, font: int, times: int = 1) -> None:
        """It is drawn so many times in this font. What is more than wanted there leaves the need as it is."""
        self.need[character] -= self.room(character, font, times)
        self.counts[character, font] += times
        self.loads[font] += times

    def spread(self, character: int, counts: NDArray[np.int64], font: int) -> bool:
        """Whether times by font (fonts,), and once more in this one, are in fonts, families and kinds enough."""
        drawn = counts > 0
        drawn[font] = True
        least = int(self.least[character])
        able = self.cast.draws[character]
        groups = (np.arange(len(drawn)), self.cast.families, self.cast.kinds)
        return all(len(set(g[drawn].tolist())) >= min(least, len(set(g[able].tolist()))) for g in groups)

    def kept(self) -> tuple[NDArray[np.int64], ...]:
        """What it is now, for `restore`."""
        return self.need.copy(), self.counts.copy(), self.loads.copy()

    def restore(self, kept: tuple[NDArray[np.int64], ...]) -> None:
        self.need, self.counts, self.loads = kept

    def next_font(self, tired: NDArray[np.bool_]) -> int | None:
        """The font whose kind, then family, then itself has been given the least; not one that is tired."""
        awake = np.flatnonzero(~tired)
        if not len(awake):
            return None
        kinds = np.bincount(self.cast.kinds, self.loads) / np.bincount(self.cast.kinds)
        families = np.bincount(self.cast.families, self.loads) / np.bincount(self.cast.families)
        keys = (awake, self.loads[awake], families[self.cast.families[awake]], kinds[self.cast.kinds[awake]])
        return int(awake[np.lexsort(keys)[0]])
