"""What the training loader must know of forgotten images, without a database: a list, and a mark in the tars.

The list lies beside the pool and names, one id a line, forgotten images whose bytes may still be there. The table
`forgotten` is the word that counts; the list is written before it, so that no loader shows what the table names, and
`glyphmill clean` takes it away when it is done.
"""

from __future__ import annotations

from pathlib import PurePath

from warehouse import storage

#: Name of the member that stands where a forgotten image stood. Readers of WebDataset tars pass over such names.
TOMBSTONE = "__forgotten__"


def listing(pool: PurePath) -> PurePath:
    """Where the list lies: beside the pool's folder."""
    return pool.parent / "forgotten.txt"


def read_listing(pool: PurePath) -> frozenset[str]:
    """The ids in it; none where there is no list."""
    try:
        return frozenset(storage.read(listing(pool)).decode("ascii").split())
    except FileNotFoundError:
        return frozenset()
