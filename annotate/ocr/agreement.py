"""Does a picture say what its caption quotes: quoted text against the lines that OCR read.

Both are brought to one form first: compatibility characters (full width, ligatures), case, and dash, quote and other
signs do not count. What this OCR cannot read at all is not asked for, but counted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """`matched` of `asked` quoted characters stand in the picture; `blind` further ones were not asked for."""

    matched: int
    asked: int
    blind: int

    @property
    def share(self) -> float | None:
        """Character recall, 0 to 1; None where nothing was asked."""
        return round(self.matched / self.asked, 4) if self.asked else None


def agreement(quoted: Sequence[str], lines: Sequence[str], blind: Collection[str] = frozenset()) -> Agreement:
    """How much of each quoted text is found in the read lines, in reading order, wherever it begins and ends.

    A quoted text matches its length less the fewest edits that turn it into some stretch of the read text; a quote that
    goes over several lines is found as one. A blind character may stand for anything, in one place or none.
    """
    told = normalised("".join(lines))
    matched = asked = unasked = 0
    unseen = {form for character in blind for form in normalised(character)}
    for quote in quoted:
        plain = normalised(quote)
        left_out = [c in unseen for c in plain]
        wanted = len(plain) - sum(left_out)
        asked += wanted
        unasked += sum(left_out)
        matched += max(0, wanted - fewest_edits(plain, told, left_out))
    return Agreement(matched, asked, unasked)


def normalised(text: str) -> str:
    """Letters, digits and characters alone: NFKC, case-folded, without spaces, marks and signs."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join(c for c in folded if c.isalnum() or unicodedata.category(c) in ("Mn", "Mc"))
    return unicodedata.normalize("NFKC", kept)


def fewest_edits(wanted: str, text: str, free: Sequence[bool] = ()) -> int:
    """Edits that turn `wanted` into the stretch of `text` nearest to it; len(wanted) at most.

    Sellers, "The theory and computation of evolutionary distances", 1980: the table of edit distances with the first
    row 0, least of the last row. A character of `wanted` that is `free` costs nothing, read as another or left out.
    """
    codes = np.array([ord(c) for c in text], np.int64)
    places = np.arange(len(codes) + 1)
    row = np.zeros(len(codes) + 1, np.int64)
    for i, character in enumerate(wanted):
        cost = 0 if free and free[i] else 1
        step = row + cost
        step[1:] = np.minimum(step[1:], row[:-1] + cost * (codes != ord(character)))
        # One more read character costs 1: the cheapest way from anywhere to the left.
        row = np.minimum.accumulate(step - places) + places
    return int(row.min())
