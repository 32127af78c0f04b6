"""What is known of an image before it is annotated, out of whatever tables the lake has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from decision_lakes import fill, image_id, new_lake

from annotate.facts import KnownCaption
from annotate.schema import Box
from pipelines import annotate_facts
from pipelines.annotate_facts import MEASURED
from pipelines.extractors import discover
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.lake import Lake, sql_type
from warehouse.schema import Column, Table, signal_table

OCR = next(e.table for e in discover() if e.name == "ocr")
CODES = next(e.table for e in discover() if e.name == "codes")


def put(lake: Lake, table: Table, listed: Sequence[Mapping[str, object]]) -> None:
    with lake.connect() as con:
        lake.ensure_table(con, table)
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
    with lake.connect(read_only=True) as con:
        found = annotate_facts.load(con, [image_id(name) for name in "abc"])
    a, b, c = (found[image_id(name)] for name in "abc")
    assert a.captions == (KnownCaption("raw", "A bus.", "en"),)
    assert a.text is not None
    assert [(one.text, one.box, one.confidence) for one in a.text] == [
        ("EXIT", Box(left=50, top=200, right=550, bottom=600), 0.5)
    ]
    assert (a.qr_codes, b.qr_codes, b.barcodes) == (None, 2, 0)
    assert (b.text, c.text) == ((), None)
    assert (a.synthetic, b.synthetic) == (False, True)
    assert (c.captions, c.watermark, c.faces) == ((), None, None)


def test_every_fact_is_a_column_of_an_extractor_that_is_there() -> None:
    tables = {e.table.name: {c.name: sql_type(c.type) for c in e.table.columns} for e in discover()}
    for table, column, kind in MEASURED.values():
        assert table not in tables or tables[table].get(column) == kind, f"{table}.{column}"


def test_a_column_of_another_type_is_no_fact(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    fill(lake, ["a"])
    score = signal_table("abnormal", (Column("watermark", pa.float32(), "a score"),), "not what is meant")
    put(lake, score, [{"image_id": image_id("a"), "version": "1", "status": "ok", "watermark": 0.01}])
    with lake.connect(read_only=True) as con:
        assert annotate_facts.load(con, [image_id("a")])[image_id("a")].watermark is None
