"""Block: evaluation sets that must not be trained on.

Their images enter the lake as a source of their own, so that near pairs compare with them; their ids and their prompts
are listed. The signal `evaluation` and the view evaluation_matches find what belongs to them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines import scan
from pipelines.engines import Engine
from pipelines.progress import Progress, silent
from warehouse import views
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.errors import UsageError
from warehouse.lake import Lake, quoted
from warehouse.schema import BLOCK_IMAGES, BLOCK_PROMPTS, STRING
from warehouse.sources import Source

PROMPT_FIELDS = ("prompt", "prompts", "text", "caption", "instruction")


@dataclass(frozen=True)
class BlockSummary:
    """What is listed of a set now, and what of it is new. `scanned` is None where no images were given."""

    name: str
    images: int
    prompts: int
    new_images: int
    new_prompts: int
    scanned: scan.ScanSummary | None
    committed: bool

    def __str__(self) -> str:
        said = f"{self.name}: {self.images} images ({self.new_images} new)"
        said += f", {self.prompts} prompts ({self.new_prompts} new)"
        if self.scanned is not None and self.scanned.errors:
            said += f"; {self.scanned.errors.total()} images could not be read and are not blocked"
        return said


def source_name(name: str) -> str:
    """The source that a set's images are delivered as."""
    return f"evaluation {name}"


def block(
    lake: Lake,
    name: str,
    *,
    images: Source | None = None,
    prompts: list[str] | None = None,
    engine: Engine,
    progress: Progress = silent,
) -> BlockSummary:
    """Add images and prompts to the evaluation set `name`; what is listed already is not listed again.

    An image that the lake has already, from anywhere, is blocked by its id at once; near pairs of new ones are found by
    the next `near`. Raises UsageError where neither is given, LakeBusy, LakeError.
    """
    if images is None and prompts is None:
        raise UsageError("nothing to block: give --images, --prompts or both")
    began = time.monotonic()
    scanned = None
    if images is not None:
        source = source_name(name)
        scanned = scan.scan(lake, images, engine=engine, batch=source, source_name=source, progress=progress)
    with lake.lock("block"), lake.connect() as con:
        snapshot = lake.snapshot(con)
        lake.ensure_tables(con, (BLOCK_IMAGES, BLOCK_PROMPTS))
        views.refresh(con)
        _list_images(con, name)
        _list_prompts(con, name, prompts or [])
        new_images, new_prompts = _count(con, "temp.new_images"), _count(con, "temp.new_prompts")
        files = {
            BLOCK_IMAGES.name: pack_query(con, lake, BLOCK_IMAGES, "FROM temp.new_images"),
            BLOCK_PROMPTS.name: pack_query(con, lake, BLOCK_PROMPTS, "FROM temp.new_prompts"),
        }
        run = RunInfo(
            command="block",
            batch=name,
            engine=engine.name,
            counts={"new_images": new_images, "new_prompts": new_prompts},
            seconds=time.monotonic() - began,
            snapshot=snapshot,
        )
        done = commit(con, lake, run, files)
        listed = f"WHERE evaluation_set = {quoted(name)}"
        all_images, all_prompts = _count(con, f"block_images {listed}"), _count(con, f"block_prompts {listed}")
    return BlockSummary(name, all_images, all_prompts, new_images, new_prompts, scanned, done.committed)


def unblock(lake: Lake, name: str) -> tuple[int, int]:
    """Take a set off the block lists; its images stay in the lake as what they are. Returns how many images and prompts
    it had. Raises UsageError where there is no such set, LakeBusy, LakeError."""
    with lake.lock("block"), lake.connect() as con:
        lake.ensure_tables(con, (BLOCK_IMAGES, BLOCK_PROMPTS))
        mine = f"evaluation_set = {quoted(name)}"
        images, prompts = (_count(con, f"{t.name} WHERE {mine}") for t in (BLOCK_IMAGES, BLOCK_PROMPTS))
        if not images and not prompts:
            known = con.execute(
                "SELECT evaluation_set FROM block_images UNION SELECT evaluation_set FROM block_prompts ORDER BY 1"
            ).fetchall()
            raise UsageError(f"no evaluation set {name}; there are: {', '.join(n for (n,) in known) or 'none'}")
        run = RunInfo(command="block", batch=f"without {name}", engine="sql", snapshot=lake.snapshot(con))
        commit(con, lake, run, {}, replace={t.name: mine for t in (BLOCK_IMAGES, BLOCK_PROMPTS)})
    return images, prompts


def read_prompts(path: Path, field: str | None = None) -> list[str]:
    """The prompts of a file, in order, blank ones left out.

    A .txt has one a line; .jsonl, .json, .csv and .tsv have them in `field`, or the first of `PROMPT_FIELDS` there is.

    Raises UsageError for a file that cannot be read, or that has no such field.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path}: prompts are read from {', '.join(_READERS)} files")
    try:
        found = [_prompt(row, field, path) for row in reader(path.read_text(encoding="utf-8-sig"))]
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as prompts: {error}") from error
    prompts = [p for p in found if p.strip()]
    if not prompts:
        raise UsageError(f"{path} holds no prompt")
    return prompts


def _lines(text: str) -> Iterator[object]:
    yield from text.splitlines()


def _json_lines(text: str) -> Iterator[object]:
    yield from (json.loads(line) for line in text.splitlines() if line.strip())


def _json(text: str) -> Iterator[object]:
    found = json.loads(text)
    yield from (found.values() if isinstance(found, dict) else found)


def _table(text: str, delimiter: str = ",") -> Iterator[object]:
    yield from csv.DictReader(io.StringIO(text), delimiter=delimiter)


_READERS: Mapping[str, Callable[[str], Iterator[object]]] = {
    ".txt": _lines,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": _table,
    ".tsv": partial(_table, delimiter="\t"),
}


def _prompt(row: object, field: str | None, path: Path) -> str:
    if isinstance(row, str):
        return row
    if isinstance(row, dict):
        by_name = {str(name).strip().lower(): value for name, value in row.items() if name is not None}
        for name in (field.lower(),) if field else PROMPT_FIELDS:
            if isinstance(by_name.get(name), str):
                return str(by_name[name])
    raise UsageError(f"{path}: an entry without {field or ' or '.join(PROMPT_FIELDS)}; name the field with --field")


def _list_images(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """`new_images`: images of the set's source, by whatever delivery the lake had them first, that are not listed."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE new_images AS
        SELECT {quoted(name)} AS evaluation_set, image_id, min(uri) AS uri FROM inputs
        WHERE source = {quoted(source_name(name))} AND image_id IS NOT NULL
        AND image_id NOT IN (SELECT image_id FROM block_images WHERE evaluation_set = {quoted(name)})
        GROUP BY image_id"""
    )


def _list_prompts(con: duckdb.DuckDBPyConnection, name: str, prompts: list[str]) -> None:
    """`new_prompts`: the distinct prompts that are not listed."""
    con.register(
        "given_prompts",
        pa.table(
            {"prompt_id": [hashlib.sha256(p.encode()).hexdigest()[:16] for p in prompts], "prompt": prompts},
            schema=pa.schema([("prompt_id", STRING), ("prompt", STRING)]),
        ),
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE new_prompts AS
        SELECT DISTINCT {quoted(name)} AS evaluation_set, prompt_id, prompt FROM given_prompts
        WHERE prompt_id NOT IN (SELECT prompt_id FROM block_prompts WHERE evaluation_set = {quoted(name)})"""
    )
    con.unregister("given_prompts")


def _count(con: duckdb.DuckDBPyConnection, rows: str) -> int:
    return int(con.execute(f"SELECT count(*) FROM {rows}").fetchall()[0][0])
