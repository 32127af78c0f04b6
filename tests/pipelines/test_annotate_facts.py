"""What is known of an image before it is annotated, out of whatever tables the lake has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from decision_lakes import fill, image_id, new_lake

from annotate.facts import KnownCaption
from annotate.schema import Box
from pipelines.annotating import facts as annotate_facts
from pipelines.annotating.facts import MEASURED
from pipelines.extractors import discover
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.lake import Lake
from warehouse.schema import Table

OCR = next(e.table for e in discover() if e.name == "ocr")
ABNORMAL = next(e.table for e in discover() if e.name == "abnormal")
CODES = next(e.table for e in discover() if e.name == "codes")


def put(lake: Lake, table: Table, listed: Sequence[Mapping[str, object]]) -> None:
    with lake.connect() as con:
        lake.ensure_tables(con, [table])
        con.register("new_rows", table.from_rows(listed))
        files = {table.name: pack_query(con, lake, table, "SELECT * FROM new_rows")}
        commit(con, lake, RunInfo("inspect", batch=table.name), files)


def test_measured_is_told_apart_from_not_measured(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    captions = [("a", "raw", "A bus."), ("a", "recaption", "A longer one."), ("b", "synthetic", "A page.")]
    fill(lake, {"a": {"width": 200, "height": 100}, "b": None, "c": None}, captions=captions)
    quad = [10.0, 20.0, 110.0, 20.0, 110.0, 60.0, 10.0, 60.0]
    lines = [
        {"text": "EXIT", "quad": quad, "confidence": 0.5, "script": "english", "char_px": 30.0, "read": True},
        {"text": "~~", "quad": quad, "confidence": 0.2, "script": "none", "char_px": 30.0, "read": False},
    ]
    put(lake, OCR, [{"image_id": image_id("a"), "version": "1", "status": "ok", "ocr_lines": lines},
                    {"image_id": image_id("b"), "version": "1", "status": "ok", "ocr_lines": []},
                    {"image_id": image_id("c"), "version": "1", "status": "error"}])  # fmt: skip
    put(lake, CODES, [{"image_id": image_id("b"), "version": "1", "status": "ok", "qr_codes": 2, "barcodes": 0}])
    odd = {"watermark_kind": "tiled", "mosaic_share": 0.0, "border_kind": "none", "pseudo_text_share": None}
    put(lake, ABNORMAL, [{"image_id": image_id("b"), "version": "1", "status": "ok", **odd}])
    with lake.connect(read_only=True) as con:
        found = annotate_facts.load(con, [image_id(name) for name in "abc"])
    a, b, c = (found[image_id(name)] for name in "abc")
    assert a.captions == (KnownCaption("raw", "A bus.", "en"),)
    assert a.text is not None
    assert [(one.text, one.box, one.confidence) for one in a.text] == [
        ("EXIT", Box(left=50, top=200, right=550, bottom=600), 0.5)
    ]
    assert (a.qr_codes, b.qr_codes, b.barcodes) == (None, 2, 0)
    assert (b.watermark, b.mosaic, b.border, b.pseudo_text) == (True, False, False, None)
    assert (b.text, c.text) == ((), None)
    assert (a.synthetic, b.synthetic) == (False, True)
    assert (c.captions, c.watermark, c.faces) == ((), None, None)


def test_every_fact_is_a_column_of_an_extractor() -> None:
    tables = {e.table.name: e.table.names for e in discover()}
    for table, column, sql in MEASURED.values():
        assert column in tables[table]
        assert column in sql
