"""The book as plain rows, for a table or a file."""

from __future__ import annotations

import numpy as np

from synth.fonts.book import FontBook
from synth.fonts.characters import codes
from synth.hanzi import levels


def rows(book: FontBook) -> list[dict[str, str | int | None]]:
    """One a face, in the book's order. `level_1` to `level_3`: how many of the General Standard's characters it draws;
    `characters`: how many in all; `lies`: how many it claims and does not draw."""
    standard = [codes(characters) for characters in levels()]
    found: list[dict[str, str | int | None]] = []
    for info in book.fonts:
        drawn = book.coverage(info.key).drawn
        row: dict[str, str | int | None] = {
            "name": info.name,
            "kind": info.kind,
            "language": info.language,
            "licence": info.licence,
        }
        row |= {f"level_{n}": int(np.isin(level, drawn).sum()) for n, level in enumerate(standard, 1)}
        row |= {"characters": len(drawn), "lies": info.lies, "path": info.key.path, "index": info.key.index}
        found.append(row)
    return found
