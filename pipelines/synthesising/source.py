"""Drawn tars as a source: what `scan` reads, and the edit pairs among it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import duckdb
import pyarrow as pa

from warehouse.sources import webdataset
from warehouse.sources.base import Unit
from warehouse.sources.edits import EditSource, Pair, Place
from warehouse.sources.files import UnreadableError, look, to_uri


@dataclass(frozen=True)
class DrawnTars:
    """These tars of a folder, in order. They are named, not listed: the folder may hold millions of images."""

    folder: PurePath
    names: tuple[str, ...]
    kind: str = "webdataset"

    @property
    def root(self) -> str:
        return to_uri(str(self.folder))

    def units(self, max_samples: int = 512) -> Iterator[Unit]:
        """Raises UnreadableError where a tar is gone."""
        for name in self.names:
            uri = to_uri(str(self.folder / name))
            entry = look(uri)
            if entry is None:
                raise UnreadableError(f"missing: {uri} was drawn and is not there")
            yield from webdataset.units(entry.state, self.root, max_samples)


def unscanned(con: duckdb.DuckDBPyConnection, source: str, folder: PurePath, names: Sequence[str]) -> list[str]:
    """Those of the tars that no scan of the source has finished, in order."""
    uris = {to_uri(str(folder / name)): name for name in names}
    con.register("asked_tars", pa.table({"uri": pa.array(list(uris), pa.string())}))
    try:
        known = con.execute(
            """SELECT uri FROM lake.inputs SEMI JOIN asked_tars USING (uri) WHERE source = ? GROUP BY uri
            HAVING NOT bool_or(starts_with(file_stamp, 'gave up'))""",
            [source],
        ).fetchall()
    finally:
        con.unregister("asked_tars")
    done = {uri for (uri,) in known}
    return [name for uri, name in uris.items() if uri not in done]


def pairs_of(con: duckdb.DuckDBPyConnection, folder: PurePath, source: str, batch: str) -> EditSource:
    """Every edit pair that the source has delivered in this batch, as its tars tell it; the pictures are scanned."""
    sides: dict[tuple[str, str], dict[str, tuple[Place, dict[str, Any]]]] = {}
    for uri, row, text in con.execute(
        """SELECT uri, "row", extra ->> '$.synth' FROM lake.inputs
        WHERE source = ? AND batch = ? AND image_id IS NOT NULL ORDER BY uri, "row" """,
        [source, batch],
    ).fetchall():
        told = json.loads(text)
        sides.setdefault((uri, told["pair_id"]), {})[told["side"]] = (Place(uri, row), told["facts"]["edit"])
    pairs = []
    for (uri, _), both in sides.items():
        (reference, edit), (target, _) = both["reference"], both["target"]
        region = tuple(float(v) for v in edit["quad"])
        pairs.append(Pair(uri, reference.row, (reference,), target, edit["instruction"], region=region))
    return EditSource(to_uri(str(folder)), tuple(pairs), ())
