"""The list beside the pool: forgotten images whose bytes may still be in it, one id a line.

The table `forgotten` is the word that counts; this is for the training loader, which opens no database. It is written
before the table, so that no loader shows what the table names, and `glyphmill clean` takes it away when it is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from warehouse.files import replacing

NAME = "forgotten.txt"


def listing(pool: Path) -> Path:
    """Where the list lies: beside the pool's folder."""
    return pool.parent / NAME


def read_listing(pool: Path) -> frozenset[str]:
    """The ids in it; none where there is no list."""
    try:
        return frozenset(listing(pool).read_text(encoding="ascii").split())
    except FileNotFoundError:
        return frozenset()


def write_listing(pool: Path, ids: Iterable[str]) -> None:
    """Put these ids in the place of what the list named; no ids: no list."""
    lines = "".join(f"{image_id}\n" for image_id in sorted(set(ids)))
    if not lines:
        listing(pool).unlink(missing_ok=True)
        return
    with replacing(listing(pool)) as temporary:
        temporary.write_text(lines, encoding="ascii")
