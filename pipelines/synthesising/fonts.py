"""The book of fonts as a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from synth.fonts.book import open_book
from synth.fonts.listing import rows
from warehouse.errors import UsageError

NUMBERS = ("level_1", "level_2", "level_3", "characters", "lies")
COLUMNS = ("name", "kind", "language", "licence", *NUMBERS)
HEADINGS = [name.replace("_", " ") for name in COLUMNS]


def fonts_table(folders: tuple[str, ...], language: str | None = None, *, lies: bool = False) -> Iterator[str]:
    """Its lines, one a face. Raises UsageError where none is left to show."""
    listed = rows(open_book(folders))
    shown = [
        row
        for row in listed
        if (language is None or str(row["language"]).startswith(language)) and (row["lies"] or not lies)
    ]
    if not shown:
        has = ", ".join(sorted({str(row["language"]) for row in listed}))
        raise UsageError(f"no such face among {len(listed)}; their languages are {has or 'none'}")
    lines = [HEADINGS, *(["" if row[name] is None else str(row[name]) for name in COLUMNS] for row in shown)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(COLUMNS))]
    for line in lines:
        cells = (
            cell.rjust(width) if name in NUMBERS else cell.ljust(width)
            for name, cell, width in zip(COLUMNS, line, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()
    yield f"{len(shown)} faces of {len(listed)}"
