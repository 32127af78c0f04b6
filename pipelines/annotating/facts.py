"""What the lake knows of images before they are annotated: captions, and what inspect has measured of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from annotate.facts import Facts, KnownCaption, ReadLine, thousandths
from pipelines.visual import mosaic
from warehouse.metadata import stored_columns

#: Shapes like writing that cover more than this share of a picture are told to the annotator's rules as pseudo-text.
PSEUDO_TEXT_SHARE = 0.05
#: Facts that are worked out from one column of one table, where that is there.
MEASURED = {
    "qr_codes": ("signals_codes", "qr_codes", "qr_codes"),
    "barcodes": ("signals_codes", "barcodes", "barcodes"),
    "faces": ("signals_faces", "face_count", "face_count"),
    "watermark": ("signals_abnormal", "watermark_kind", "watermark_kind <> 'none'"),
    "mosaic": ("signals_abnormal", "mosaic_share", f"mosaic_share >= {mosaic.LEAST_SHARE}"),
    "border": ("signals_abnormal", "border_kind", "border_kind <> 'none'"),
    "pseudo_text": ("signals_abnormal", "pseudo_text_share", f"pseudo_text_share > {PSEUDO_TEXT_SHARE}"),
}


def load(con: duckdb.DuckDBPyConnection, image_ids: Sequence[str]) -> dict[str, Facts]:
    """The facts of these images, by id. A table or column that no extractor made yet is not measured."""
    con.register("wanted_ids", pa.table({"image_id": list(image_ids)}))
    try:
        captions = _captions(con)
        text = _text(con)
        measured = _measured(con)
    finally:
        con.unregister("wanted_ids")
    return {
        image_id: Facts(
            image_id,
            captions.get(image_id, ()),
            text.get(image_id),
            **measured.get(image_id, {}),
            synthetic=any(c.kind == "synthetic" for c in captions.get(image_id, ())),
        )
        for image_id in image_ids
    }


def _captions(con: duckdb.DuckDBPyConnection) -> dict[str, tuple[KnownCaption, ...]]:
    rows = con.execute(
        "SELECT image_id, list({kind: kind, text: text, lang: lang} ORDER BY caption_id) "
        "FROM lake.captions SEMI JOIN wanted_ids USING (image_id) WHERE kind IN ('raw', 'synthetic') GROUP BY image_id"
    ).fetchall()
    return {
        image_id: tuple(KnownCaption(c["kind"], c["text"], c["lang"] or "und") for c in found)
        for image_id, found in rows
    }


def _text(con: duckdb.DuckDBPyConnection) -> dict[str, tuple[ReadLine, ...]]:
    """Lines that OCR read, of images that it was asked about."""
    columns = _columns(con)
    if "ocr_lines" not in columns.get("signals_ocr", ()):
        return {}
    rows = con.execute(
        "SELECT image_id, ocr_lines, width, height FROM lake.signals_ocr JOIN lake.signals_header USING (image_id) "
        "SEMI JOIN wanted_ids USING (image_id) WHERE signals_ocr.status = 'ok'"
    ).fetchall()
    return {
        image_id: tuple(
            ReadLine(line["text"], thousandths(line["quad"], width, height), line["confidence"])
            for line in lines or ()
            if line["read"]
        )
        for image_id, lines, width, height in rows
    }


def _measured(con: duckdb.DuckDBPyConnection) -> dict[str, Mapping[str, Any]]:
    columns = _columns(con)
    found: dict[str, Mapping[str, Any]] = {}
    for name, (table, column, sql) in MEASURED.items():
        if column not in columns.get(table, ()):
            continue
        rows = con.execute(
            f"SELECT image_id, {sql} FROM lake.{table} SEMI JOIN wanted_ids USING (image_id) WHERE status = 'ok'"
        ).fetchall()
        for image_id, value in rows:
            found[image_id] = {**found.get(image_id, {}), name: value}
    return found


def _columns(con: duckdb.DuckDBPyConnection) -> dict[str, set[str]]:
    """Columns of the lake's signal tables by table."""
    return {table: set(columns) for table, columns in stored_columns(con).items() if table.startswith("signals_")}
