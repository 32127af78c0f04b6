"""What a table is: its columns with type, unit and source, and what is unique in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

STRING = pa.string()

STRINGS = pa.list_(pa.string())


@dataclass(frozen=True)
class Column:
    """One column: `doc` says what it is, in what unit and where it comes from."""

    name: str
    type: pa.DataType
    doc: str


@dataclass(frozen=True)
class Aggregate:
    """A signal of an image made from its captions' rows: `sql` aggregates them, `none` is what an image without any
    caption has. While one of its captions is not measured yet, the signal is missing."""

    name: str
    sql: str
    doc: str
    none: str = "NULL"


@dataclass(frozen=True)
class Table:
    """One table of the lake.

    `key` names the columns that are unique after packing (empty: every row counts). `transient` columns depend on how
    work was cut into units or on file times, and are left out of content digests; a table with `ledger=True` is
    bookkeeping of runs and is left out whole. `aggregates`: what a table with a row per caption tells of the image.
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    transient: frozenset[str] = field(default_factory=frozenset)
    ledger: bool = False
    aggregates: tuple[Aggregate, ...] = ()

    @property
    def arrow(self) -> pa.Schema:
        """The Arrow schema of a part of this table."""
        return pa.schema([pa.field(c.name, c.type) for c in self.columns])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)

    def empty(self) -> pa.Table:
        return self.arrow.empty_table()

    def from_rows(self, rows: Iterable[Mapping[str, object]]) -> pa.Table:
        """Rows as dicts to an Arrow table of exactly this schema; a key the table does not have raises KeyError."""
        rows = list(rows)
        known = set(self.names)
        for row in rows:
            unknown = row.keys() - known
            if unknown:
                raise KeyError(f"table {self.name} has no column {sorted(unknown)}")
        return pa.Table.from_pylist([dict(r) for r in rows], schema=self.arrow)


#: Columns of this prefix hold embeddings: compared by cosine, since their last digits differ between machines.
EMBEDDING_PREFIX = "embedding_"

IMAGE_ID = Column("image_id", STRING, "first 128 bits of the SHA-256 of the original bytes, 32 hex digits")

SIGNAL_STATUS = (
    Column("version", STRING, "version of the extractor, its parameters and the decoders it used"),
    Column("status", STRING, "ok | error"),
    Column("error", STRING, "reason where status = error"),
)


def signal_table(extractor: str, columns: Iterable[Column], doc: str) -> Table:
    """The table `signals_<extractor>`: image_id, version, the extractor's own columns, status, error."""
    version, status, error = SIGNAL_STATUS
    return Table(f"signals_{extractor}", doc, (IMAGE_ID, version, *columns, status, error), key=("image_id",))


def caption_signal_table(
    extractor: str, columns: Iterable[Column], doc: str, aggregates: tuple[Aggregate, ...] = ()
) -> Table:
    """The table `signals_<extractor>` with a row per image and caption: one that comes later is measured alone."""
    version, status, error = SIGNAL_STATUS
    caption = Column("caption_id", STRING, "caption that was measured, see `captions`")
    all_columns = (IMAGE_ID, caption, version, *columns, status, error)
    name = f"signals_{extractor}"
    return Table(name, doc, all_columns, key=("image_id", "caption_id"), aggregates=aggregates)
