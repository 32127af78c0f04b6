"""Export: original bytes into the pool, each image once, and a dataset version as rows of `placements`.

Bytes enter the pool when an image has passed the recipe's early stages (`store_from`); the dataset version names the
images that are kept and stored. Both are committed together.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.balancing.balance import ENOUGH_PIXELS
from pipelines.categories.table import CATEGORY
from pipelines.decide import pairs_in_force
from pipelines.default_caption import DEFAULT_CAPTION, choices
from pipelines.engines import Engine
from pipelines.extractors.header import SUFFIXES
from pipelines.progress import Progress, silent
from pipelines.recipe import Recipe
from warehouse import storage
from warehouse.buckets import nearest_sql
from warehouse.commit import CommitResult, RunInfo, commit, forget_staged
from warehouse.lake import Lake
from warehouse.pack import pack, pack_query
from warehouse.parts import Part, find_part, write_part
from warehouse.parts import key as content_key
from warehouse.schema import BALANCE, PLACEMENTS, SHARD_INDEX
from warehouse.shards import ShardSample, image_id_of, shard_key, write_shard
from warehouse.sources import ImageReader

SHARD_BYTES = 512 << 20
PLAN = "export"


@dataclass(frozen=True)
class ExportUnit:
    """Images for one shard: the plan file `staging/export/<key>.parquet` names them and where their bytes lie."""

    lake: PurePath
    suffix: str
    key: str


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


@dataclass
class ExportSummary:
    """`stored` images now in the pool for the first time; `placed` rows of the dataset version, `by_scale` apart."""

    dataset: str
    version: str
    stored: int = 0
    placed: int = 0
    by_scale: dict[int, int] = field(default_factory=dict)
    unstored: list[Unstored] = field(default_factory=list)
    committed: CommitResult | None = None


def export(
    lake: Lake,
    recipe: Recipe,
    *,
    engine: Engine,
    dataset: str = "main",
    shard_bytes: int = SHARD_BYTES,
    progress: Progress = silent,
) -> ExportSummary:
    """Write new images to the pool and the dataset version to `placements`, in one commit.

    An image whose bytes changed or vanished since the scan is not stored and is listed in the summary; the next export
    tries it again. Raises LakeError where the lake cannot be written.
    """
    began = time.monotonic()
    with lake.lock("export"), lake.connect() as con:
        lake.ensure_tables(con, (BALANCE, CATEGORY))
        snapshot = lake.snapshot(con)
        units = list(plan(lake, con, recipe, shard_bytes))
        parts: list[Part] = []
        unstored: list[Unstored] = []
        progress(0, len(units))
        for done, result in enumerate(engine.map(write_unit, units), 1):
            if result.value is None:
                raise RuntimeError(f"export of shard {result.unit.suffix}-{result.unit.key} failed:\n{result.error}")
            unstored.extend(result.value.unstored)
            if result.value.part is not None:
                parts.append(result.value.part)
            progress(done, len(units))
        files = {SHARD_INDEX.name: pack(con, lake, SHARD_INDEX, parts)}
        version, placed = _place(con, recipe, files[SHARD_INDEX.name])
        by_scale = dict(con.execute("SELECT scale, count(*) FROM placed GROUP BY scale ORDER BY scale").fetchall())
        if not _known(con, dataset, version):
            files[PLACEMENTS.name] = pack_query(con, lake, PLACEMENTS, _placement_rows(dataset, version))
        stored = sum(part.rows for part in parts)
        run = RunInfo(
            command="export",
            batch=None,
            engine=engine.name,
            recipe=recipe.hash,
            versions={},
            counts={
                "stored": stored,
                "placed": placed,
                "unstored": len(unstored),
                "dataset": dataset,
                "version": version,
            },
            seconds=time.monotonic() - began,
            snapshot=snapshot,
        )
        summary = ExportSummary(dataset, version, stored, placed, by_scale, unstored)
        if any(files.values()):
            summary.committed = commit(con, lake, run, files, parts)
            forget_staged(lake, parts)
        for unit in units:
            storage.delete(_plan_file(lake, unit.key))
    return summary


def plan(lake: Lake, con: duckdb.DuckDBPyConnection, recipe: Recipe, shard_bytes: int) -> Iterator[ExportUnit]:
    """One unit a shard: images not stored yet, one media type each, in the order their source holds them.

    A plan derives from the lake alone, so a rerun after a crash finds the shards it has finished under the same names.
    """
    con.execute("CREATE OR REPLACE TEMP TABLE suffixes (media_type VARCHAR, suffix VARCHAR)")
    con.executemany("INSERT INTO suffixes VALUES (?, ?)", list(SUFFIXES.items()))
    con.execute(f"CREATE OR REPLACE TEMP TABLE export_plan AS {_PLAN}", [recipe.hash, recipe.store_from, shard_bytes])
    shards = con.execute("SELECT DISTINCT suffix, shard FROM export_plan ORDER BY ALL").fetchall()
    meta = _META.replace("{choices}", choices(con))
    for suffix, shard in shards:
        rows = con.execute(
            f'{meta} WHERE p.suffix = $1 AND p.shard = $2 ORDER BY p.uri, p."offset", p.row, p.image_id',
            [suffix, shard],
        ).to_arrow_table()
        content = json.dumps(rows.to_pylist(), ensure_ascii=False)
        key = shard_key(rows["image_id"].to_pylist(), hashlib.sha256(content.encode()).hexdigest())
        file = _plan_file(lake, key)
        if not storage.exists(file):
            with storage.replacing(file, lake.tmp) as temporary:
                pq.write_table(rows, temporary)
        yield ExportUnit(lake.root, suffix, key)


def write_unit(unit: ExportUnit) -> Exported:
    """Write one shard from its plan and stage its rows of `shard_index`. Pure in its inputs: retried freely."""
    lake = Lake(unit.lake)
    name = content_key("shard", unit.suffix, unit.key)
    rows = pq.read_table(pa.BufferReader(storage.read(_plan_file(lake, unit.key)))).to_pylist()
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


def _plan_file(lake: Lake, key: str) -> PurePath:
    return lake.staged(PLAN) / f"{key}.parquet"


def _place(con: duckdb.DuckDBPyConnection, recipe: Recipe, new_index: Sequence[PurePath]) -> tuple[str, int]:
    """Make the temporary table `placed`: stored images at each of the recipe's scales. Version, row count."""
    new = f"UNION ALL SELECT image_id FROM read_parquet({[str(p) for p in new_index]})" if new_index else ""
    _find_placeable(con, recipe)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE placed AS
        SELECT image_id, s.scale, s.category, {nearest_sql("h.width", "h.height")} AS bucket,
               s.weight
        FROM placeable AS s
        JOIN (SELECT image_id FROM shard_index {new}) AS stored USING (image_id)
        JOIN signals_header AS h USING (image_id)"""
    )
    # Rows are distinct, so their digests can be combined by exclusive or, which no row order changes.
    row = con.execute(
        """SELECT count(*), coalesce(bit_xor(md5_number(concat_ws('|', image_id, scale, category, bucket, weight))), 0)
        FROM placed"""
    ).fetchone()
    assert row is not None  # an aggregate without GROUP BY always gives a row
    rows, digest = int(row[0]), int(row[1])
    return content_key(recipe.hash, rows, digest)[:16], rows


def _find_placeable(con: duckdb.DuckDBPyConnection, recipe: Recipe) -> None:
    """Make the temporary table `placeable` (image_id, scale, category, weight).

    At each scale: kept images, as far as stages 6 and 7 take them where the scale comes after these, and those that
    passed the scale's stage and are dropped, or wait, only later. None repeats a kept image or another one of these,
    and where scales have stages of their own none is enlarged.
    """
    con.execute(
        "CREATE OR REPLACE TEMP TABLE placeable (image_id VARCHAR, scale INTEGER, category VARCHAR, weight FLOAT)"
    )
    pairs_in_force(con, recipe)
    for scale in recipe.scales:
        con.execute(
            """CREATE OR REPLACE TEMP TABLE candidates AS
            SELECT image_id, rank + if(outcome = 'kept', 0, (SELECT count(*) FROM decisions)) AS rank
            FROM decisions
            WHERE recipe = $1 AND (outcome = 'kept' OR (outcome <> 'duplicate' AND stage_reached >= $2))""",
            [recipe.hash, scale.from_stage],
        )
        taken, weight = "true", "1"
        if recipe.balance is not None and (scale.from_stage or 7) >= 6:
            taken, weight = "b.stage6" if scale.from_stage == 6 else "b.stage7", "b.weight"
        enough = 0 if scale.from_stage is None else (ENOUGH_PIXELS * scale.side) ** 2
        con.execute(
            f"""INSERT INTO placeable
            SELECT image_id, $1, coalesce(b.category, g.category), {weight}
            FROM (
                FROM candidates ANTI JOIN (
                    WITH ranked AS (FROM candidates WHERE rank IS NOT NULL)
                    FROM lake.resolve_duplicates('ranked', 'temp.pairs')
                ) USING (image_id)
            )
            JOIN signals_header AS h USING (image_id)
            LEFT JOIN (FROM balance WHERE recipe = $2) AS b USING (image_id)
            LEFT JOIN signals_category AS g USING (image_id)
            WHERE h.width::BIGINT * h.height >= $3 AND {taken}""",
            [scale.side, recipe.hash, enough],
        )


def _placement_rows(dataset: str, version: str) -> str:
    return f"SELECT {_quoted(dataset)} AS dataset, {_quoted(version)} AS version, * FROM placed"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _known(con: duckdb.DuckDBPyConnection, dataset: str, version: str) -> bool:
    found = con.execute("SELECT 1 FROM placements WHERE dataset = ? AND version = ? LIMIT 1", [dataset, version])
    return found.fetchone() is not None


# Images that passed the early stages and are nobody's duplicate; `shard` numbers runs of about shard_bytes each.
_PLAN = """
WITH due AS (
    SELECT i.image_id, s.suffix, i.uri, i."offset", i.length, i.row
    FROM decisions AS d
    JOIN images AS i USING (image_id)
    JOIN suffixes AS s USING (media_type)
    WHERE d.recipe = $1 AND d.stage_reached >= $2 AND d.outcome <> 'duplicate'
      AND d.image_id NOT IN (SELECT image_id FROM shard_index)
)
SELECT *, (sum(length) OVER (PARTITION BY suffix ORDER BY uri, "offset", row, image_id ROWS UNBOUNDED PRECEDING)
           - length) // $3 AS shard
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
    FROM {{choices}} GROUP BY image_id
) AS c USING (image_id)
"""
