"""A small lake with shards, captions of every kind and edit pairs, and curricula on it, for tests of plans."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from empty_lakes import empty_lake

from warehouse.lake import Lake
from warehouse.schema import CAPTIONS, EDITS, SHARD_INDEX, Column, Table, signal_table
from warehouse.shards import ShardSample, image_id_of, shard_key, write_shard

HEADER = signal_table(
    "header",
    (
        Column("width", pa.int32(), "px"),
        Column("height", pa.int32(), "px"),
        Column("name", pa.string(), "which group of pictures it is of"),
        Column("number", pa.int32(), "its number within the group"),
    ),
    "sizes and names",
)
Row = dict[str, object]


class Made(NamedTuple):
    """A lake on disk: `data` by image id, `ids` by group in the order they were made."""

    root: Path
    data: dict[str, bytes]
    ids: dict[str, list[str]]

    def __repr__(self) -> str:
        return f"Made({self.root})"  # hypothesis prints its arguments


def put(lake: Lake, table: Table, rows: Sequence[Row]) -> None:
    with lake.connect() as con:
        lake.ensure_tables(con, [table])
        con.register("content", table.from_rows(rows))
        con.execute(f"INSERT INTO {table.name} BY NAME SELECT * FROM content")


def make_lake(
    root: Path,
    groups: dict[str, list[tuple[int, int]]],
    captions: Callable[[str, int], list[tuple[str, str]]] = lambda group, n: [("raw", f"{group} {n}")],
    pairs: Sequence[tuple[str, Sequence[tuple[str, int]], tuple[str, int], str | None, str | None]] = (),
    unstored: frozenset[tuple[str, int]] = frozenset(),
) -> Made:
    """`groups`: sizes (width, height) of the pictures of each group; `captions` of a picture: kind and text; `pairs`:
    id, references, target, instruction in English and in Chinese; pictures by group and number."""
    lake, draw = empty_lake(root), random.Random(7)
    data: dict[str, bytes] = {}
    ids: dict[str, list[str]] = {}
    headers: list[Row] = []
    texts: list[Row] = []
    stored: list[str] = []
    for group, sizes in groups.items():
        for number, (width, height) in enumerate(sizes):
            content = f"{group} {number} ".encode() + draw.randbytes(draw.randint(0, 200))
            image = image_id_of(content)
            data[image] = content
            ids.setdefault(group, []).append(image)
            headers.append({"image_id": image, "width": width, "height": height, "name": group, "number": number})
            for kind, text in captions(group, number):
                name = hashlib.sha256(f"{kind} {text}".encode()).hexdigest()[:16]
                texts.append({"image_id": image, "caption_id": name, "kind": kind, "text": text, "lang": "en"})
            if (group, number) not in unstored:
                stored.append(image)
    index: list[Row] = []
    for start in range(0, len(stored), 97):
        part = [ShardSample(image, data[image], {}, None) for image in stored[start : start + 97]]
        index += write_shard(lake.pool, "bin", part, key=shard_key(s.image_id for s in part)).rows
    edits: list[Row] = [
        {
            "pair_id": hashlib.sha256(name.encode()).hexdigest()[:16],
            "source": "s", "batch": "b", "uri": "u", "row": n,
            "reference_ids": [ids[g][i] for g, i in references], "target_id": ids[target[0]][target[1]],
            "instruction_en": en, "instruction_zh": zh, "origin": "synthetic", "status": "ok",
        }
        for n, (name, references, target, en, zh) in enumerate(pairs)
    ]  # fmt: skip
    for table, rows in ((HEADER, headers), (CAPTIONS, texts), (SHARD_INDEX, index), (EDITS, edits)):
        put(lake, table, rows)
    return Made(root, data, ids)


def of(group: str, more: str = "") -> str:
    """The query of a group."""
    return f"SELECT image_id{more} FROM signals_header WHERE name = '{group}'"


def simple(
    sources: dict[str, str], shares: str, *, batch: int = 8, steps: int = 50, more: str = "", top: str = ""
) -> str:
    """A curriculum of one phase at 64 pixels, as TOML."""
    tables = "\n".join(f'[source.{name}]\nsql = """{sql}"""' for name, sql in sources.items())
    return f"""
name = "test"
{top}
{tables}
[[phase]]
name = "only"
steps = {steps}
learning_rate = 1e-3
shares = {{ {shares} }}
{more}
[[phase.resolution]]
side = 64
batch = {batch}
"""
