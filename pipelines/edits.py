"""Edit pairs into the lake: their pictures by the ordinary scan, one row of `edits` a pair with what was checked.

Pictures of one pair are made from each other and all wanted: near pairs learn that their text differs, and `decide`
takes none for a duplicate of another, whichever came first, the comparison or the link.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import duckdb
import numpy as np
import pyarrow as pa

from annotate.captions.language import detect
from pipelines import scan
from pipelines.edit_checks import Checks, check, region_of_mask, region_of_quad
from pipelines.engines import Engine
from pipelines.progress import Progress, silent
from warehouse import views
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.lake import Lake, quoted
from warehouse.schema import EDITS, NEAR_COMPARED, NEAR_PAIRS
from warehouse.sources.edits import EditSource, Pair, Place
from warehouse.sources.files import UnreadableError, look, read_file

AT_ONCE = 1024  # pairs whose thumbnails are in memory
Row = dict[str, Any]


@dataclass(frozen=True)
class EditsSummary:
    """`pairs` delivered, `usable` of them; `errors`: the others by reason."""

    pairs: int
    usable: int
    errors: Mapping[str, int] = field(default_factory=dict)
    images: int = 0
    committed: bool = False

    def __str__(self) -> str:
        said = f"{self.pairs} edit pairs, {self.usable} usable; {self.images} pictures scanned"
        if self.errors:
            said += "; errors: " + ", ".join(f"{count} {reason}" for reason, count in sorted(self.errors.items()))
        return said if self.committed else f"{said}; nothing new"


def edits(
    lake: Lake,
    source: EditSource,
    *,
    engine: Engine,
    batch: str = "default",
    source_name: str | None = None,
    origin: Literal["real", "synthetic"] = "real",
    progress: Progress = silent,
) -> EditsSummary:
    """Scan the pictures of `source` and commit its pairs; the same again changes nothing.

    A pair that lacks a picture or an instruction, or whose picture is broken, is a row with status `error`. Raises
    UsageError, LakeError, LakeBusy.
    """
    began = time.monotonic()
    name = source_name or source.root.rstrip("/").rpartition("/")[2]
    scanned = [
        scan.scan(lake, images, engine=engine, batch=batch, source_name=name, progress=progress)
        for images in source.images
    ]
    with lake.lock("edits"), lake.connect() as con:
        snapshot = lake.snapshot(con)
        lake.ensure_tables(con, (EDITS, NEAR_PAIRS, NEAR_COMPARED))
        views.refresh(con)
        rows = list(_rows(con, source.pairs, name, batch, origin))
        con.register("edit_rows", EDITS.from_rows(rows))
        con.execute("CREATE OR REPLACE TEMP TABLE new_edits AS FROM edit_rows")
        con.unregister("edit_rows")
        again = _to_compare_again(con)
        run = RunInfo(
            command="edits",
            batch=batch,
            engine=engine.name,
            counts={"pairs": len(rows), "errors": dict(sorted(_errors(rows).items()))},
            seconds=time.monotonic() - began,
            snapshot=snapshot,
        )
        files = {EDITS.name: pack_query(con, lake, EDITS, "FROM temp.new_edits")}
        replace = {EDITS.name: f"source = {quoted(name)} AND batch = {quoted(batch)}"}
        if again:
            anew = "SELECT image_id FROM temp.compare_again"
            replace[NEAR_PAIRS.name] = f"a IN ({anew}) OR b IN ({anew})"
            replace[NEAR_COMPARED.name] = f"image_id IN ({anew})"
        done = commit(con, lake, run, files, replace=replace)
    errors = _errors(rows)
    images = sum(s.samples for s in scanned)
    return EditsSummary(len(rows), len(rows) - errors.total(), dict(errors), images, done.committed)


def _errors(rows: Sequence[Row]) -> Counter[str]:
    return Counter(str(row["error"]).split(":")[0] for row in rows if row["status"] == "error")


def _rows(con: duckdb.DuckDBPyConnection, pairs: Sequence[Pair], source: str, batch: str, origin: str) -> Iterator[Row]:
    """A row of `edits` for each pair, in order."""
    for start in range(0, len(pairs), AT_ONCE):
        some = pairs[start : start + AT_ONCE]
        places = {p for pair in some for p in (*pair.references, *([pair.target] if pair.target else []))}
        known = _pictures(con, places, source, batch)
        for pair in some:
            yield {"source": source, "batch": batch, "origin": origin, **pair_row(pair, known)}


@dataclass(frozen=True)
class Picture:
    """What the lake knows of a picture of a pair. `luma`: its (64, 64) luma; `error`: why it cannot be used."""

    image_id: str | None
    error: str | None = None
    size: tuple[int, int] | None = None
    luma: np.ndarray[Any, np.dtype[np.uint8]] | None = None


def pair_row(pair: Pair, known: Mapping[Place, Picture]) -> Row:
    """The row of one pair, but for where it was delivered; `known`: its pictures that the lake has."""
    references = [known.get(place) for place in pair.references]
    target = known.get(pair.target) if pair.target else None
    english = pair.instructions.get("en")
    chinese = pair.instructions.get("zh")
    plain = pair.instructions.get("und")
    if plain is not None:
        if detect(plain) == "zh":
            chinese = chinese or plain
        else:
            english = english or plain
    ids = [p.image_id for p in references if p is not None and p.image_id is not None]
    target_id = target.image_id if target is not None else None
    error = pair.error or _fault(pair, known) or ("unchanged: the target is a reference" if target_id in ids else None)
    row: Row = {
        "pair_id": pair_id(ids, target_id, english, chinese),
        "uri": pair.uri,
        "row": pair.row,
        "reference_ids": ids,
        "target_id": target_id,
        "instruction_en": english,
        "instruction_zh": chinese,
        "mask_uri": pair.mask,
        "quad": list(pair.region) if pair.region else None,
        "status": "error" if error else "ok",
        "error": error,
    }
    first = references[0] if references else None
    if error is None and first is not None and target is not None:
        row["same_size"] = first.size == target.size
        try:
            checks = _checks(pair, first, target)
        except ValueError as fault:
            row |= {"status": "error", "error": str(fault)}
        else:
            row |= {"changed_share": checks.changed_share, "identity": checks.identity} if checks else {}
    return row


def pair_id(references: Sequence[str], target: str | None, english: str | None, chinese: str | None) -> str:
    """Names a pair by the ids of its pictures and what is asked for."""
    said = "\0".join([*references, target or "", english or "", chinese or ""])
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _fault(pair: Pair, known: Mapping[Place, Picture]) -> str | None:
    """What is wrong with the first of its pictures that cannot be used."""
    for place in (*pair.references, pair.target):
        if place is None:
            continue
        what = "target" if place == pair.target else "reference"
        picture = known.get(place)
        if picture is None:
            return f"missing: {what} {place.uri} is not there"
        if picture.error is not None:
            return f"unreadable: {what} {place.uri}: {picture.error}"
    return None


def _checks(pair: Pair, reference: Picture, target: Picture) -> Checks | None:
    """None where a luma is not measured. Raises ValueError for a mask that cannot be read."""
    if reference.luma is None or target.luma is None or target.size is None:
        return None
    region = None
    if pair.mask is not None:
        try:
            entry = look(pair.mask)
            if entry is None:
                raise ValueError(f"missing: mask {pair.mask} is not there")
            region = region_of_mask(read_file(entry.state))
        except UnreadableError as error:
            raise ValueError(f"mask: {error}") from error
    elif pair.region is not None:
        region = region_of_quad(pair.region, target.size)
    return check(reference.luma, target.luma, region)


def _pictures(con: duckdb.DuckDBPyConnection, places: set[Place], source: str, batch: str) -> dict[Place, Picture]:
    """The pictures at these places, as this delivery has them."""
    listed = sorted(places, key=lambda p: (p.uri, p.row))
    rows = pa.array([p.row for p in listed], pa.int64())
    con.register("places", pa.table({"uri": pa.array([p.uri for p in listed], pa.string()), "row": rows}))
    found = con.execute(
        """SELECT i.uri, i.row, i.image_id, i.error, h.width, h.height, s.thumb64
        FROM inputs i JOIN places USING (uri, row)
        LEFT JOIN signals_header h USING (image_id) LEFT JOIN signals_hashes s USING (image_id)
        WHERE i.source = ? AND i.batch = ?""",
        [source, batch],
    ).fetchall()
    con.unregister("places")
    return {
        Place(uri, row): Picture(
            image_id,
            error,
            (width, height) if width else None,
            np.frombuffer(luma, np.uint8).reshape(64, 64) if luma and len(luma) == 4096 else None,
        )
        for uri, row, image_id, error, width, height, luma in found
    }


def _to_compare_again(con: duckdb.DuckDBPyConnection) -> int:
    """Make the temporary table `compare_again`: images compared before anybody knew that they are of an edit pair, and
    those that stand behind one of them. Their pairs are forgotten, and the next `near` finds them anew."""
    con.execute(
        """CREATE OR REPLACE TEMP TABLE compare_again AS
        WITH linked AS (
            SELECT unnest(list_append(reference_ids, target_id)) AS image_id FROM temp.new_edits WHERE status = 'ok'
            EXCEPT SELECT a FROM edit_links
        )
        SELECT image_id FROM (
            FROM linked UNION SELECT b FROM near_pairs JOIN linked ON a = image_id WHERE link = 'same'
        ) SEMI JOIN near_compared USING (image_id)"""
    )
    return int(con.execute("SELECT count(*) FROM temp.compare_again").fetchall()[0][0])
