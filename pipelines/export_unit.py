"""Export's unit of work: the images of one shard, whose original bytes are read again and written to the pool."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.dead_letters import MOST_ATTEMPTS
from pipelines.default_caption import DEFAULT_CAPTION, choices
from pipelines.extractors.header import SUFFIXES
from pipelines.narrow import PIECES
from pipelines.recipe import Recipe
from warehouse import storage
from warehouse.lake import Lake, quoted
from warehouse.parts import Part, find_part, write_part
from warehouse.parts import key as content_key
from warehouse.schema import SHARD_INDEX
from warehouse.shards import ShardSample, image_id_of, shard_key, write_shard
from warehouse.sources import ImageReader

PLAN = "export"


@dataclass(frozen=True)
class ExportUnit:
    """Images for one shard: the plan file `staging/export/<key>.parquet` names them and where their bytes lie.

    `letter`: key of the unit that failed with these images before, empty for others.
    """

    lake: PurePath
    suffix: str
    key: str
    letter: str = ""


@dataclass(frozen=True)
class Unstored:
    """An image whose original bytes could not be read again as they were scanned."""

    image_id: str
    uri: str
    reason: str


@dataclass(frozen=True)
class Exported:
    """What one unit gave: staged rows of `shard_index` (None where no image could be stored), and what it could not."""

    part: Part | None
    unstored: tuple[Unstored, ...]


def plan(
    lake: Lake, con: duckdb.DuckDBPyConnection, recipe: Recipe, shard_bytes: int, letter: str | None = None
) -> Iterator[ExportUnit]:
    """One unit a shard: images not stored yet, one media type each, in the order their source holds them.

    Images of a unit that failed before are one again, unless it failed too often; `letter`: that unit alone, however
    often. Leaves the temporary table `export_due` (image_id, letter, attempts) of all that is not stored yet. A plan
    derives from the lake alone, so a rerun after a crash finds the shards it has finished under the same names.
    """
    con.execute("CREATE OR REPLACE TEMP TABLE suffixes (media_type VARCHAR, suffix VARCHAR)")
    con.executemany("INSERT INTO suffixes VALUES (?, ?)", list(SUFFIXES.items()))
    con.execute(f"CREATE OR REPLACE TEMP TABLE export_due AS {_DUE}", [recipe.hash, recipe.store_from])
    chosen = f"attempts < {MOST_ATTEMPTS}" if letter is None else f"letter = {quoted(letter)}"
    con.execute(f"CREATE OR REPLACE TEMP TABLE export_plan AS {_PLAN.replace('{chosen}', chosen)}", [shard_bytes])
    shards = con.execute("SELECT DISTINCT letter, suffix, shard FROM export_plan ORDER BY ALL").fetchall()
    meta = _META.replace("{choices}", choices(con))
    for told, suffix, shard in shards:
        rows = con.execute(
            f"""{meta} WHERE p.letter = $1 AND p.suffix = $2 AND p.shard = $3
            ORDER BY p.uri, p."offset", p.row, p.image_id""",
            [told, suffix, shard],
        ).to_arrow_table()
        yield _planned(lake, suffix, rows, told)


def cut(unit: ExportUnit) -> list[ExportUnit]:
    """The unit in pieces; none for what failed before: it is tried as it is, so that its attempts count."""
    if unit.letter:
        return []
    lake, rows = Lake(unit.lake), planned_rows(unit)
    count = rows.num_rows
    edges = [count * n // PIECES for n in range(PIECES + 1)]
    return [_planned(lake, unit.suffix, rows.slice(a, b - a)) for a, b in pairwise(edges) if b > a]


def write_unit(unit: ExportUnit) -> Exported:
    """Write one shard from its plan and stage its rows of `shard_index`. Pure in its inputs: retried freely."""
    lake = Lake(unit.lake)
    name = content_key("shard", unit.suffix, unit.key)
    rows = planned_rows(unit).to_pylist()
    done = find_part(lake, SHARD_INDEX.name, name, unit.key)
    if done is not None and done.rows == len(rows):
        return Exported(done, ())
    unstored: list[Unstored] = []
    samples = _read_again(rows, unstored)
    first = next(samples, None)
    if first is None:
        return Exported(None, tuple(unstored))

    def every() -> Iterator[ShardSample]:
        yield first
        yield from samples

    written = write_shard(lake.pool, unit.suffix, every(), key=unit.key, scratch=lake.tmp)
    part = write_part(lake, SHARD_INDEX, name, unit.key, pa.Table.from_pylist(written.rows, schema=SHARD_INDEX.arrow))
    return Exported(part, tuple(unstored))


def planned_rows(unit: ExportUnit) -> pa.Table:
    """The rows of the unit's plan file."""
    return pq.read_table(pa.BufferReader(storage.read(plan_file(Lake(unit.lake), unit.key))))


def plan_file(lake: Lake, key: str) -> PurePath:
    """Where the plan of the unit of this key lies."""
    return lake.staged(PLAN) / f"{key}.parquet"


def _planned(lake: Lake, suffix: str, rows: pa.Table, letter: str = "") -> ExportUnit:
    """The unit of these rows, with its plan file."""
    content = json.dumps(rows.to_pylist(), ensure_ascii=False)
    key = shard_key(rows["image_id"].to_pylist(), hashlib.sha256(content.encode()).hexdigest())
    file = plan_file(lake, key)
    if not storage.exists(file):
        with storage.replacing(file, lake.tmp) as temporary:
            pq.write_table(rows, temporary)
    return ExportUnit(lake.root, suffix, key, letter)


def _read_again(rows: list[dict[str, Any]], unstored: list[Unstored]) -> Iterator[ShardSample]:
    """The original bytes of each planned image, checked against its id; what cannot be read is told in `unstored`."""
    with ImageReader() as reader:
        for row in rows:
            image_id, uri = str(row.pop("image_id")), str(row.pop("uri"))
            offset, length, number = row.pop("offset"), row.pop("length"), row.pop("row")
            caption = row.pop("caption")
            try:
                data = reader.read(uri, offset, length, number)
            except OSError as error:
                unstored.append(Unstored(image_id, uri, f"cannot be read: {error.strerror or error}"))
                continue
            if image_id_of(data) != image_id:
                unstored.append(Unstored(image_id, uri, "its bytes changed since the scan"))
                continue
            yield ShardSample(image_id, data, _flat(image_id, row), caption)


def _flat(image_id: str, row: Mapping[str, Any]) -> dict[str, object]:
    """Metadata of the .json member: one type a key, no nulls, so that readers can type it from the first sample."""
    return {"image_id": image_id, **{name: "" if value is None else value for name, value in row.items()}}


# Images that passed the early stages, are nobody's duplicate and are not stored, with the unit that failed with them.
_DUE = """
SELECT d.image_id, coalesce(t.letter, '') AS letter, coalesce(t.attempts, 0) AS attempts
FROM decisions AS d
LEFT JOIN (
    SELECT image_id, min(unit) AS letter, arg_min(attempts, unit) AS attempts
    FROM (SELECT unit, attempts, unnest(images) AS image_id FROM lake.errors
          WHERE command = 'export' AND status = 'open')
    GROUP BY image_id
) AS t USING (image_id)
WHERE d.recipe = $1 AND d.stage_reached >= $2 AND d.outcome <> 'duplicate'
  AND d.image_id NOT IN (SELECT image_id FROM shard_index)
"""

# `shard` numbers runs of about $1 bytes each. `{chosen}` is to be filled in.
_PLAN = """
WITH due AS (
    SELECT i.image_id, s.suffix, i.uri, i."offset", i.length, i.row, e.letter
    FROM (FROM temp.export_due WHERE {chosen}) AS e
    JOIN images AS i USING (image_id)
    JOIN suffixes AS s USING (media_type)
)
SELECT *, if(letter = '', (sum(length) OVER (
        PARTITION BY letter, suffix ORDER BY uri, "offset", row, image_id ROWS UNBOUNDED PRECEDING
    ) - length) // $1, 0) AS shard
FROM due
"""

#: `{choices}` is to be filled in.
_META = f"""
SELECT p.image_id, p.uri, p."offset", p.length, p.row,
       i.width, i.height, i.media_type, i.byte_size, i.source, i.source_url, i.license, i.collected_at, i.extra,
       c.caption, coalesce(c.captions, '[]') AS captions
FROM export_plan AS p
JOIN images AS i USING (image_id)
LEFT JOIN (
    SELECT image_id,
           {DEFAULT_CAPTION} AS caption,
           list({{kind: kind, text: text, lang: lang, origin: origin}} ORDER BY caption_id)::JSON::VARCHAR AS captions
    FROM {{choices}} WHERE image_id IN (SELECT image_id FROM export_plan) GROUP BY image_id
) AS c USING (image_id)
"""
