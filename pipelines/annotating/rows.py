"""Outcomes of annotation as rows of the lake, and the commit of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from annotate.backends.base import Status
from pipelines.annotating.flow import Outcome
from warehouse import views
from warehouse.commit import CommitResult, RunInfo, commit, pack_query
from warehouse.lake import Lake, quoted
from warehouse.merge import parquet, superseded
from warehouse.schema import ANNOTATIONS, CAPTIONS

LOCK_WAIT_S = 600.0
Row = Mapping[str, object]


def annotation_row(outcome: Outcome, annotator: str, model: str, prompt_version: str) -> Row:
    """The row of `annotations`."""
    return {
        "image_id": outcome.request.image_id,
        "annotator": annotator,
        "model": model,
        "prompt_version": prompt_version,
        "status": outcome.status.value,
        "error": outcome.error,
        "annotation": None if outcome.annotation is None else outcome.annotation.model_dump(),
        "corrections": list(outcome.corrections),
        "raw": outcome.raw,
        "input_tokens": outcome.spent.input_tokens,
        "output_tokens": outcome.spent.output_tokens,
        "attempts": outcome.spent.attempts,
        "seconds": round(outcome.spent.seconds, 3),
    }


def caption_rows(outcome: Outcome, origin: str) -> Iterator[Row]:
    """A row of `captions` for each language: the long caption, which tells all that the short one does."""
    for caption in outcome.annotation.captions if outcome.annotation else ():
        yield {
            "image_id": outcome.request.image_id,
            "caption_id": hashlib.sha256(f"recaption\0{caption.long}".encode()).hexdigest()[:16],
            "kind": "recaption",
            "text": caption.long,
            "lang": caption.language,
            "origin": origin,
        }


def caption_origin(model: str) -> str:
    return f"annotation:{model}"


def commit_rows(
    lake: Lake, rows: Sequence[Row], captions: Sequence[Row], *, model: str, languages: Sequence[str], run: RunInfo
) -> CommitResult | None:
    """Commit annotations in the place of those that the same annotator and model gave before, with their captions in
    the place of theirs in these languages. A row that tells of an error takes the place of no annotation.

    None where there is nothing to commit. Raises LakeBusy where another run writes the lake for ten minutes.
    """
    with lake.lock(run.command, wait_s=LOCK_WAIT_S), lake.connect() as con:
        lake.ensure_tables(con, [ANNOTATIONS])
        views.refresh(con)
        con.register("new_annotations", ANNOTATIONS.from_rows(rows))
        con.register("new_captions", CAPTIONS.from_rows(captions))
        kept = pack_query(con, lake, ANNOTATIONS, _WITHOUT_HARM)
        if not kept:
            return None
        origin = quoted(caption_origin(model))
        ours = f"origin = {origin} AND lang IN ({', '.join(quoted(name) for name in languages)})"
        ours += f" AND image_id IN (SELECT image_id FROM {parquet(kept)})"
        files = {ANNOTATIONS.name: kept, CAPTIONS.name: pack_query(con, lake, CAPTIONS, _new_captions(ours))}
        return commit(
            con, lake, run, files, replace={ANNOTATIONS.name: superseded(ANNOTATIONS, kept), CAPTIONS.name: ours}
        )


_WITHOUT_HARM = f"""
    SELECT n.* FROM new_annotations AS n
    LEFT JOIN lake.annotations AS a USING (image_id, annotator, model)
    WHERE n.status <> {quoted(Status.ERROR)} OR a.status IS NULL OR a.status = {quoted(Status.ERROR)}
"""


def _new_captions(replaced: str) -> str:
    """One row per image and text; a text that the lake has under another origin stays that one's."""
    return f"""
        SELECT n.* FROM (
            SELECT DISTINCT ON (image_id, caption_id) * FROM new_captions ORDER BY image_id, caption_id, lang
        ) AS n
        ANTI JOIN (SELECT image_id, caption_id FROM lake.captions WHERE NOT ({replaced})) USING (image_id, caption_id)
    """
