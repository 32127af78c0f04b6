"""A small lake filled by hand for the tests of decisions: rows of deliveries, signals, captions and pairs."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from empty_lakes import empty_lake

from pipelines.recipe import Recipe, installed_tables, loads
from warehouse import views
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.lake import Lake
from warehouse.schema import TABLES, Table

SIGNALS = {table.name: table for table in installed_tables()}
GOOD = {
    "signals_header": {
        "format": "jpeg", "media_type": "image/jpeg", "width": 1024, "height": 768, "rotation_deg": 0,
        "byte_size": 200_000, "jpeg_quality": 90, "bits_per_pixel": 2.0,
    },
    "signals_pixels": {
        "sharpness_256": 500.0, "luma": 120.0, "contrast": 50.0, "saturation": 0.4, "entropy": 7.0, "texture": 10.0,
        "colourfulness": 30.0, "border_share": 0.0,
    },
}  # fmt: skip

Row = Mapping[str, object]


def new_lake(root: Path) -> Lake:
    """An empty lake at `root`, with the signal tables of the extractors: a copy of one that is made once."""
    shutil.copytree(_template(), root)
    return Lake.open(root)


@cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="glyphmill-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    lake = empty_lake(folder / "lake")
    with lake.connect() as con:
        lake.ensure_tables(con, SIGNALS.values())
        views.refresh(con)
    return lake.root


def image_id(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()[:32]


def fill(
    lake: Lake,
    images: Mapping[str, Row | None] | Iterable[str] = (),
    *,
    pairs: Iterable[Row] = (),
    captions: Iterable[tuple[str, str, str]] = (),
    errors: int = 0,
    repeats: Iterable[str] = (),
    batch: str = "b1",
) -> None:
    """Commit images by name: each a good photograph but for the signals given; a table's name set to None leaves out
    its row. `captions` are (image, kind, text), `pairs` rows of near_pairs by image names, `repeats` image names."""
    images = images if isinstance(images, Mapping) else dict.fromkeys(images)
    inputs = [_input(batch, f"{name}.jpg", image_id(name), "ok") for name in images]
    inputs += [_input(f"{batch}r", f"{name}-again-{n}.jpg", image_id(name), "repeat") for n, name in enumerate(repeats)]
    inputs += [
        _input(batch, f"broken-{n}.jpg", None, "error") | {"error": "truncated: ends at byte 10"} for n in range(errors)
    ]
    rows: dict[str, list[Row]] = {"inputs": inputs}
    for table, good in GOOD.items():
        for name, changed in images.items():
            changed = changed or {}
            if changed.get(table, "there") is None:
                continue
            columns = {c: v for c, v in changed.items() if c in SIGNALS[table].names}
            rows.setdefault(table, []).append(
                {"image_id": image_id(name), "version": "1", "status": "ok", **good, **columns}
            )
    rows["captions"] = [
        {
            "image_id": image_id(n),
            "caption_id": image_id((k, t))[:16],
            "kind": k,
            "text": t,
            "lang": "en",
            "origin": "test",
        }
        for n, k, t in captions
    ]
    near = {"link": "near", "distance": 4, "tile_distance": 2.0, "text_differs": None}
    rows["near_pairs"] = []
    for pair in pairs:
        a, b = image_id(pair["a"]), image_id(pair["b"])
        if pair.get("link") != "same":
            a, b = sorted((a, b))
        rows["near_pairs"].append({**near, **pair, "a": a, "b": b})
    _commit(lake, rows, batch)


def recipe(text: str, label: str = "test.toml") -> Recipe:
    return loads(text, label, SIGNALS.values())


def _input(batch: str, uri: str, image: str | None, status: str) -> Row:
    return {
        "source": "test", "batch": batch, "unit": "u", "row": 0, "uri": f"/data/{uri}", "offset": 0, "length": 200_000,
        "image_id": image, "file_stamp": "1", "extra": "{}", "status": status,
    }  # fmt: skip


def _commit(lake: Lake, rows: Mapping[str, list[Row]], batch: str) -> None:
    con = lake.connect()
    try:
        files = {}
        for name, listed in rows.items():
            if not listed:
                continue
            table: Table = SIGNALS.get(name) or TABLES[name]
            lake.ensure_tables(con, [table])
            con.register("new_rows", table.from_rows(listed))
            files[name] = pack_query(con, lake, table, "SELECT * FROM new_rows")
            con.unregister("new_rows")
        commit(con, lake, RunInfo(command="scan", batch=batch), files)
    finally:
        con.close()
