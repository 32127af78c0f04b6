"""What a scorer says of edit pairs: whether the target is what the instruction asks for, and still about the reference.

The pictures' embeddings are stored by then, so that a pair costs the encoding of its instructions and no byte is read.
InstructPix2Pix (Brooks et al. 2023, arXiv 2211.09800, section 3.1.2) filters its pairs by such cosines.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import duckdb

from annotate.scoring import alignment
from pipelines.extractors import folders
from pipelines.extractors.alignment import embedding_name
from pipelines.extractors.base import Extractor
from pipelines.inspect_unit import version_of
from pipelines.progress import Progress, silent
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.lake import Lake, quoted
from warehouse.schema import EDIT_SCORES, EMBEDDING_PREFIX

AT_ONCE = 32768  # pairs of one commit


def scorers(extractors: Iterable[Extractor]) -> dict[str, str]:
    """The scorers among these extractors, and the version of each one's embeddings."""
    return {
        e.name.removeprefix(EMBEDDING_PREFIX): version_of(e, folders())
        for e in extractors
        if e.name.startswith(EMBEDDING_PREFIX)
    }


def score_edits(
    lake: Lake, con: duckdb.DuckDBPyConnection, scorer: str, version: str, *, progress: Progress = silent
) -> int:
    """Score the usable edit pairs that this version of the scorer has not scored and whose target and first reference
    it has embedded; returns how many. Needs the tables `edits` and `edit_scores`.

    Raises UsageError where the scorer is not there, LakeBusy.
    """
    began = time.monotonic()
    with lake.lock("edits"):
        snapshot = lake.snapshot(con)
        due = _due(con, scorer, version)
        for start in range(0, due, AT_ONCE):
            progress(start, due, f"edit pairs, {scorer}")
            asked = con.execute("FROM edits_to_score WHERE place >= ? AND place < ?", [start, start + AT_ONCE])
            found = _scored(scorer, asked.to_arrow_table().to_pylist())
            rows = EDIT_SCORES.from_rows([{**row, "scorer": scorer, "version": version} for row in found])
            con.register("score_rows", rows)
            con.execute("CREATE OR REPLACE TEMP TABLE new_scores AS FROM score_rows")
            con.unregister("score_rows")
            run = RunInfo(
                command="score edits",
                batch=scorer,
                versions={embedding_name(scorer): version},
                counts={"pairs": len(found)},
                seconds=time.monotonic() - began,
                snapshot=snapshot,
            )
            earlier = f"scorer = {quoted(scorer)} AND pair_id IN (SELECT pair_id FROM temp.new_scores)"
            files = {EDIT_SCORES.name: pack_query(con, lake, EDIT_SCORES, "FROM temp.new_scores")}
            commit(con, lake, run, files, replace={EDIT_SCORES.name: earlier})
        progress(due, due)
    return due


def _due(con: duckdb.DuckDBPyConnection, scorer: str, version: str) -> int:
    """Make the temporary table `edits_to_score` (place, pair_id, instructions, target and reference embeddings)."""
    column = embedding_name(scorer)
    embedded = f"(SELECT image_id, {column} AS e FROM lake.signals_{embedding_name(scorer)} WHERE version = $version)"
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE edits_to_score AS
        SELECT row_number() OVER (ORDER BY pair_id) - 1 AS place, pair_id, instruction_en, instruction_zh,
            t.e AS target, r.e AS reference
        FROM (SELECT DISTINCT ON (pair_id) * FROM lake.edits WHERE status = 'ok') AS p
        JOIN {embedded} AS t ON t.image_id = p.target_id AND t.e IS NOT NULL
        JOIN {embedded} AS r ON r.image_id = p.reference_ids[1] AND r.e IS NOT NULL
        ANTI JOIN (FROM lake.edit_scores WHERE scorer = $scorer AND version = $version) USING (pair_id)""",
        {"scorer": scorer, "version": version},
    )
    return int(con.execute("SELECT count(*) FROM edits_to_score").fetchall()[0][0])


def _scored(scorer: str, pairs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """pair_id, alignment and similarity of each."""
    told = [(n, p[lang]) for n, p in enumerate(pairs) for lang in ("instruction_en", "instruction_zh") if p[lang]]
    texts = alignment.scorer(scorer).texts([text for _, text in told]).embeddings
    targets = [alignment.unpack(p["target"]) for p in pairs]
    best: dict[int, float] = {}
    for (n, _), text in zip(told, texts, strict=True):
        best[n] = max(best.get(n, -1.0), alignment.cosine(targets[n], text))
    return [
        {
            "pair_id": pair["pair_id"],
            "alignment": best[n],
            "similarity": alignment.cosine(targets[n], alignment.unpack(pair["reference"])),
        }
        for n, pair in enumerate(pairs)
    ]
