"""The list of characters that the OCR is blind to, kept in the lake for those who ask it in SQL."""

from __future__ import annotations

from collections.abc import Sequence

from annotate.ocr.blind import Misread
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.lake import Lake, quoted
from warehouse.schema import OCR_BLIND


def record(lake: Lake, engine: str, misread: Sequence[Misread]) -> bool:
    """Store a recogniser's list in place of an earlier one; False where the lake has this very list.

    Raises LakeBusy, LakeError.
    """
    rows = [{"engine": engine, "character": m.character, "read_as": m.read_as} for m in misread]
    with lake.lock("ocr blind"), lake.connect() as con:
        lake.ensure_tables(con, [OCR_BLIND])
        con.register("new_blind", OCR_BLIND.from_rows(rows))
        same = con.execute(
            f"""SELECT count(*) = 0 FROM (
                (FROM new_blind EXCEPT FROM lake.ocr_blind WHERE engine = {quoted(engine)})
                UNION ALL (FROM lake.ocr_blind WHERE engine = {quoted(engine)} EXCEPT FROM new_blind))"""
        ).fetchone()
        if same == (True,):
            return False
        files = pack_query(con, lake, OCR_BLIND, "FROM new_blind ORDER BY character")
        run = RunInfo(command="ocr blind", versions={"recogniser": engine}, counts={"characters": len(rows)})
        done = commit(con, lake, run, {OCR_BLIND.name: files}, replace={OCR_BLIND.name: f"engine = {quoted(engine)}"})
    return done.committed
