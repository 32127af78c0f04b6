"""Parts: what workers write. Named by everything that decides their content, so a rerun finds what is already done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse import storage
from warehouse.files import told
from warehouse.lake import Lake
from warehouse.schema import Table


@dataclass(frozen=True)
class Part:
    """A complete staged part: `name` is its key, `unit` the unit of work it came from."""

    table: str
    name: str
    unit: str
    rows: int


def key(*pieces: object) -> str:
    """128-bit hex key of the pieces: None, bool, int, float, str, bytes, and lists, tuples or mappings of these.

    The same in every process and on every machine. Raises TypeError for anything else.
    """
    text = json.dumps(_plain(pieces), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def write_part(lake: Lake, table: Table, name: str, unit: str, data: pa.Table) -> Part:
    """Stage `data` (the table's own columns; cast to its schema) as a part; one already staged under `name` is kept.

    The file appears under its name only when it is whole and on disk. Raises LakeError where the disk is full.
    """
    staged = find_part(lake, table.name, name, unit)
    if staged is not None:
        return staged
    data = data.select(table.names).cast(table.arrow)
    with (
        told(f"staging a part of {table.name}", lake.root),
        storage.replacing(part_path(lake, table.name, name), lake.tmp) as temporary,
    ):
        pq.write_table(data, temporary, compression="zstd", use_dictionary=False)
    return Part(table.name, name, unit, data.num_rows)


def find_part(lake: Lake, table_name: str, name: str, unit: str) -> Part | None:
    """The staged part of that name, or None; what is there under its name is complete."""
    try:
        rows = storage.parquet_metadata(part_path(lake, table_name, name)).num_rows
    except FileNotFoundError:
        return None
    return Part(table_name, name, unit, rows)


def part_path(lake: Lake, table_name: str, name: str) -> PurePath:
    """Where a part of that name is staged."""
    return lake.staged(table_name) / f"{name}.parquet"


def _plain(piece: object) -> object:
    """JSON that tells types apart: bytes are not their hex, 1 is not True, a list is not a mapping."""
    if piece is None or isinstance(piece, bool | int | str):
        return piece
    if isinstance(piece, float):
        return {"float": piece.hex()}
    if isinstance(piece, bytes):
        return {"bytes": piece.hex()}
    if isinstance(piece, Mapping):
        return {"map": sorted(([_plain(k), _plain(v)] for k, v in piece.items()), key=repr)}
    if isinstance(piece, list | tuple):
        return [_plain(p) for p in piece]
    raise TypeError(f"a {type(piece).__name__} has no canonical key")
