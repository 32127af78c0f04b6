"""Which fonts draw which characters, as one table of bits: a question about a page is one look at its rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from synth.fonts.characters import Codes, codes, ignorable


class Table:
    """Of the code points that each font draws (sorted, one array a font)."""

    def __init__(self, drawn: Sequence[Codes]) -> None:
        self._fonts = len(drawn)
        # The row of each code point; row 0 is for what no font draws.
        self._rows: NDArray[np.uint32] = np.zeros(0x110000, dtype=np.uint32)
        for points in drawn:
            self._rows[points] = 1
        known = np.flatnonzero(self._rows)
        self._rows[known] = np.arange(1, len(known) + 1, dtype=np.uint32)
        self._bits = np.zeros((len(known) + 1, (self._fonts + 7) // 8), dtype=np.uint8)
        for number, points in enumerate(drawn):
            self._bits[self._rows[points], number // 8] |= np.uint8(1 << number % 8)

    def lacking(self, characters: str) -> NDArray[np.bool_]:
        """(characters, fonts): which do not draw it by themselves, before any shaping."""
        points = codes(characters)
        bits = self._bits[self._rows[points]]
        lacking: NDArray[np.bool_] = np.unpackbits(bits, axis=1, count=self._fonts, bitorder="little") == 0
        lacking[ignorable(points)] = False
        return lacking
