"""Materialize: one dataset version as plain tars, for those who want files; the pool stays as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from pipelines.default_caption import DEFAULT_CAPTION, choices
from pipelines.progress import Progress, silent
from warehouse import storage
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.shards import ShardSample, shard_key, write_shard

#: `{choices}` is to be filled in.
_VERSION = f"""
SELECT s.image_id, s.suffix, s.shard, s."offset", s.size, s.json_offset, s.json_size, c.caption
FROM (SELECT DISTINCT image_id FROM placements WHERE dataset = $1 AND version = $2) AS p
JOIN shard_index AS s USING (image_id)
LEFT JOIN (
    SELECT image_id, {DEFAULT_CAPTION} AS caption FROM {{choices}} GROUP BY image_id
) AS c USING (image_id)
ORDER BY s.suffix, s.image_id
"""


@dataclass(frozen=True)
class Materialized:
    images: int
    shards: int


@dataclass(frozen=True)
class _Place:
    image_id: str
    suffix: str
    shard: str
    offset: int
    size: int
    json_offset: int
    json_size: int
    caption: str | None


def materialize(
    lake: Lake, folder: Path, *, dataset: str, version: str, shard_bytes: int, progress: Progress = silent
) -> Materialized:
    """Write the images of a dataset version to tars in `folder`, with their captions as they are now.

    Images lie in the order of their ids, which is as good as random. Tars that a stopped run has finished are kept.
    Raises UsageError where the version has no image.
    """
    with lake.connect(read_only=True) as con:
        query = _VERSION.replace("{choices}", choices(con))
        places = [_Place(*row) for row in con.execute(query, [dataset, version]).fetchall()]
    if not places:
        raise UsageError(f"dataset {dataset} version {version} has no image; run glyphmill export first")
    folder.mkdir(parents=True, exist_ok=True)
    names, done = [], 0
    for run in _runs(places, shard_bytes):
        key = shard_key((p.image_id for p in run), json.dumps([p.caption for p in run], ensure_ascii=False))
        names.append(write_shard(folder, run[0].suffix, _from_pool(lake.pool, run), key=key).name)
        done += len(run)
        progress(done, len(places))
    listing = {"dataset": dataset, "version": version, "images": len(places), "shards": names}
    (folder / "dataset.json").write_text(json.dumps(listing, indent=2) + "\n", encoding="utf-8")
    return Materialized(len(places), len(names))


def _runs(places: list[_Place], shard_bytes: int) -> Iterator[list[_Place]]:
    """Consecutive places of one media type, about `shard_bytes` bytes of images each."""
    run: list[_Place] = []
    held = 0
    for place in places:
        if run and (held >= shard_bytes or place.suffix != run[0].suffix):
            yield run
            run, held = [], 0
        run.append(place)
        held += place.size
    if run:
        yield run


def _from_pool(pool: PurePath, run: list[_Place]) -> Iterator[ShardSample]:
    for place in run:
        shard = pool / place.shard
        image, meta = (shard, place.offset, place.size), (shard, place.json_offset, place.json_size)
        data, told = storage.read_ranges([image, meta])
        yield ShardSample(place.image_id, data, json.loads(told), place.caption)
