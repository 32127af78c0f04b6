"""Fuse captions: each recaption with the facts that only the image's captions as delivered know, as one caption more.

Work is cut by the first two digits of the image_id. A piece whose captions are as they were is not done again; what an
earlier version fused stays, it is no less a caption.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

import duckdb

from annotate.captions.fuse import VERSION, fuse
from annotate.captions.language import detect
from pipelines.engines import Engine
from pipelines.progress import Progress, silent
from warehouse.commit import RunInfo, commit_parts, uncommitted
from warehouse.errors import LakeError
from warehouse.lake import Lake
from warehouse.parts import Part, find_part, key, write_part
from warehouse.schema import CAPTIONS

ORIGIN = f"fuse:{VERSION}"


@dataclass(frozen=True)
class Piece:
    """Images whose id begins with `prefix`; `part` names the part that is made of their captions."""

    lake: PurePath
    prefix: str
    part: str


@dataclass(frozen=True)
class FuseSummary:
    """`fused` captions are new in the lake; `pieces` were looked through, the others are as they were."""

    fused: int
    pieces: int
    seconds: float

    def __str__(self) -> str:
        if not self.pieces:
            return "nothing to fuse: no caption is new"
        return f"{self.fused} captions fused, {self.seconds:.1f} s"


def fuse_captions(lake: Lake, *, engine: Engine, progress: Progress = silent) -> FuseSummary:
    """Commit a `fused` caption for each recaption that lacks facts of its image's raw captions.

    The same again changes nothing. Raises LakeBusy, LakeError.
    """
    began = time.monotonic()
    con = lake.connect()
    try:
        snapshot = lake.snapshot(con)
        before = _fused(con)
        pieces = list(_pieces(lake, con))
        parts: list[Part] = []
        progress(0, len(pieces))
        for done, result in enumerate(engine.map(work, pieces), 1):
            if result.value is None:
                raise LakeError(f"captions of images {result.unit.prefix}... cannot be fused: {result.error}")
            parts.append(result.value)
            progress(done, len(pieces))
        run = RunInfo(
            command="fuse",
            engine=engine.name,
            versions={"fuse": VERSION},
            counts={"pieces": len(pieces), "captions": sum(p.rows for p in parts)},
            seconds=time.monotonic() - began,
            snapshot=snapshot,
        )
        commit_parts(lake, con, run, parts, {CAPTIONS.name: CAPTIONS})
        new = _fused(con) - before
    finally:
        con.close()
    return FuseSummary(new, len(pieces), time.monotonic() - began)


def work(piece: Piece) -> Part:
    """Fuse the captions of a piece and stage them. Pure but for the part, and repeatable."""
    lake = Lake(piece.lake)
    found = find_part(lake, CAPTIONS.name, piece.part, piece.prefix)
    if found is not None:
        return found
    with lake.connect(read_only=True, threads=1) as con:
        images = con.execute(
            """SELECT image_id, list(text ORDER BY caption_id) FILTER (kind = 'recaption'),
                list(text ORDER BY caption_id) FILTER (kind = 'raw')
            FROM captions WHERE starts_with(image_id, ?)
            GROUP BY image_id HAVING bool_or(kind = 'recaption') AND bool_or(kind = 'raw') ORDER BY image_id""",
            [piece.prefix],
        ).fetchall()
    pairs = ((image_id, recaption, raw) for image_id, recaptions, raw in images for recaption in recaptions)
    rows = [row for pair in pairs for row in _row(*pair)]
    return write_part(lake, CAPTIONS, piece.part, piece.prefix, CAPTIONS.from_rows(rows))


def _row(image_id: str, recaption: str, raw: list[str]) -> Iterator[dict[str, object]]:
    text = fuse(recaption, raw)
    if text is not None:
        yield {
            "image_id": image_id,
            "caption_id": hashlib.sha256(f"fused\0{text}".encode()).hexdigest()[:16],
            "kind": "fused",
            "text": text,
            "lang": detect(text),
            "origin": ORIGIN,
        }


def _pieces(lake: Lake, con: duckdb.DuckDBPyConnection) -> Iterator[Piece]:
    """A piece for each beginning of an id whose raw captions and recaptions were not fused yet as they are."""
    found = con.execute(
        """SELECT image_id[:2] AS prefix, count(*), bit_xor(md5_number(image_id || caption_id))
        FROM captions WHERE kind IN ('raw', 'recaption')
        GROUP BY prefix HAVING bool_or(kind = 'recaption') ORDER BY prefix"""
    ).fetchall()
    named = {prefix: key("fuse", VERSION, prefix, count, str(digest)) for prefix, count, digest in found}
    parts = [Part(CAPTIONS.name, name, prefix, 0) for prefix, name in named.items()]
    for part in uncommitted(con, parts):
        yield Piece(lake.root, part.unit, part.name)


def _fused(con: duckdb.DuckDBPyConnection) -> int:
    return int(con.execute("SELECT count(*) FROM captions WHERE origin = ?", [ORIGIN]).fetchall()[0][0])
