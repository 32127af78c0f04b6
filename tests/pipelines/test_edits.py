"""Edit pairs: every delivered one is a row, usable or with its reason; linked pictures are never duplicates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from decision_lakes import fill, image_id, new_lake, recipe
from empty_lakes import empty_lake
from pictures import encoded, photo
from PIL import Image, ImageDraw

from pipelines.decide import decide
from pipelines.edit_checks import check, region_of_mask, region_of_quad
from pipelines.edits import EditsSummary, edits
from pipelines.engines.local import LocalEngine
from pipelines.near.pairs import near
from pipelines.what_if import what_if
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.schema import EDITS
from warehouse.sources import ImageReader
from warehouse.sources.edits import open_edits, part_of

RECIPE = """
name = "all"
store_from = 1
scales = [256]
[duplicates]
max_distance = 16
max_tile_distance = 7.0
[[stage]]
number = 1
name = "initial curation"
rules = [ { name = "not small", when = "min_side >= 100" } ]
"""
BOX = (200, 120, 320, 220)


def edited(seed: int) -> tuple[Image.Image, Image.Image]:
    """A picture, and the same with another thing in BOX."""
    before = photo(seed=seed)
    after = before.copy()
    ImageDraw.Draw(after).ellipse(BOX, fill=(250, 240, 10))
    return before, after


def take_in(lake: Lake, folder: Path, **options: Any) -> EditsSummary:
    return edits(lake, open_edits(str(folder)), engine=LocalEngine(workers=0), **options)


def rows(lake: Lake, sql: str = "FROM edits ORDER BY uri, row") -> list[dict[str, Any]]:
    with lake.connect(read_only=True) as con:
        return list(con.execute(sql).to_arrow_table().to_pylist())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pairs in a table: three good ones, one without a target file, one without instruction, a broken line."""
    folder = tmp_path_factory.mktemp("edits") / "pairs"
    (folder / "img").mkdir(parents=True)
    for seed in range(3):
        for name, image in zip(("before", "after"), edited(seed), strict=True):
            (folder / "img" / f"{name}{seed}.png").write_bytes(encoded(image, "PNG"))
    mask = Image.new("L", (600, 400))
    ImageDraw.Draw(mask).rectangle(BOX, fill=255)
    (folder / "img" / "mask1.png").write_bytes(encoded(mask, "PNG"))
    (folder / "img" / "broken.jpg").write_bytes(encoded(photo(seed=9))[:900])
    pair = {"reference": "img/before0.png", "target": "img/after0.png", "instruction": "add a yellow disc"}
    table = [
        pair,
        {
            "input_images": ["img/before1.png", "img/before2.png"],
            "edited_image": "img/after1.png",
            "instruction_en": "put the disc of Picture 2 into Picture 1",
            "instruction_zh": "把图二的圆盘放进图一",
            "mask": "img/mask1.png",
        },
        {"before": "img/before2.png", "after": "img/after2.png", "prompt": "加一个黄色的圆盘", "box": list(BOX)},
        {**pair, "target": "img/nowhere.png"},
        {**pair, "instruction": " "},
        {**pair, "target": "img/broken.jpg"},
        {**pair, "target": "img/before0.png"},
        {**pair, "box": [1, 2]},
    ]
    lines = [json.dumps(r, ensure_ascii=False) for r in table]
    (folder / "edits.jsonl").write_text("\n".join([*lines[:4], "{oops", *lines[4:]]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def taken(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, EditsSummary]:
    lake = empty_lake(tmp_path_factory.mktemp("edits") / "lake")
    return lake, take_in(lake, folder)


def test_nothing_that_was_delivered_is_lost(taken: tuple[Lake, EditsSummary]) -> None:
    lake, done = taken
    found = rows(lake)
    assert (done.pairs, done.usable, done.images) == (9, 3, 7)  # neither the mask nor the table is a picture
    assert [r["row"] for r in found] == list(range(9))
    reasons = [str(r["error"] or "") for r in found]
    assert reasons[:3] == ["", "", ""]
    assert reasons[3].startswith("missing: target")
    assert reasons[4].startswith("row: ")
    assert reasons[5] == "missing: no instruction"
    assert reasons[6].startswith("unreadable: target")
    assert reasons[7] == "unchanged: the target is a reference"
    assert reasons[8].startswith("region: 2 numbers")
    assert dict(done.errors) == {"missing": 2, "row": 1, "unreadable": 1, "unchanged": 1, "region": 1}
    assert {r["status"] for r in found if r["error"]} == {"error"}


def test_pairs_name_their_pictures_and_their_instructions(taken: tuple[Lake, EditsSummary]) -> None:
    lake, _ = taken
    names = {r["image_id"]: Path(r["uri"]).stem for r in rows(lake, "FROM inputs WHERE image_id IS NOT NULL")}
    one, two, three = rows(lake)[:3]
    assert [names[i] for i in one["reference_ids"]] == ["before0"]
    assert names[one["target_id"]] == "after0"
    assert (one["instruction_en"], one["instruction_zh"]) == ("add a yellow disc", None)
    assert [names[i] for i in two["reference_ids"]] == ["before1", "before2"]
    assert two["instruction_en"].startswith("put")
    assert two["instruction_zh"].startswith("把")
    assert two["mask_uri"].endswith("img/mask1.png")
    assert (three["instruction_en"], three["instruction_zh"]) == (None, "加一个黄色的圆盘")
    assert three["quad"] == [200, 120, 320, 120, 320, 220, 200, 220]
    assert {r["origin"] for r in rows(lake)} == {"real"}


def test_what_is_outside_the_region_stayed_as_it_was(taken: tuple[Lake, EditsSummary]) -> None:
    lake, _ = taken
    plain, masked, boxed = rows(lake)[:3]
    assert all(r["same_size"] for r in (plain, masked, boxed))
    assert all(0.01 < r["changed_share"] < 0.1 for r in (plain, masked, boxed))
    assert plain["identity"] < 0.99
    assert masked["identity"] > 0.999
    assert boxed["identity"] > 0.999


def test_the_same_again_changes_nothing(taken: tuple[Lake, EditsSummary], folder: Path) -> None:
    lake, _ = taken
    before = rows(lake)
    again = take_in(lake, folder)
    assert not again.committed
    assert "nothing new" in str(again)
    assert rows(lake) == before


def test_pictures_of_a_pair_are_not_duplicates(taken: tuple[Lake, EditsSummary]) -> None:
    lake, _ = taken
    near(lake, engine=LocalEngine(workers=0))
    done = decide(lake, recipe(RECIPE))
    assert done.counts["duplicate"] == 0
    marked = rows(lake, "SELECT text_differs FROM near_pairs p JOIN edit_links e ON p.a = e.a AND p.b = e.b")
    assert all(r["text_differs"] for r in marked)


def link(lake: Lake, one: str, other: str) -> None:
    row = {
        "pair_id": "x", "source": "test", "batch": "b", "uri": "edits.jsonl", "row": 0, "status": "ok",
        "reference_ids": [image_id(one)], "target_id": image_id(other),
    }  # fmt: skip
    with lake.connect() as con:
        con.register("new_rows", EDITS.from_rows([row]))
        commit(con, lake, RunInfo("edits"), {"edits": pack_query(con, lake, EDITS, "FROM new_rows")})


@pytest.mark.parametrize("kind", ["near", "same"])
def test_a_link_that_comes_after_the_comparison_counts_too(tmp_path: Path, kind: str) -> None:
    lake = new_lake(tmp_path / "lake")
    pairs = [{"a": a, "b": b, "link": kind} for a, b in (("one", "other"), ("copy of", "copy"))]
    fill(lake, ["one", "other", "copy of", "copy"], pairs=pairs)
    assert decide(lake, recipe(RECIPE)).counts["duplicate"] == 2
    link(lake, "one", "other")
    assert decide(lake, recipe(RECIPE)).counts["duplicate"] == 1
    (kept, dropped, *_) = what_if(lake, "min_side >= 120", 1).shifts
    assert (kept.now, kept.then, dropped.then) == (3, 3, 0)


def test_pictures_compared_before_they_were_linked_are_compared_again(tmp_path: Path) -> None:
    """Two equal pages, one behind the other; linked later, each stands for itself."""
    page = encoded(Image.new("RGB", (300, 300), "white"), "PNG")
    for name, data in (("a.png", page), ("b.png", encoded(Image.new("RGB", (300, 300), (254, 254, 254)), "PNG"))):
        (tmp_path / "pages").mkdir(exist_ok=True)
        (tmp_path / "pages" / name).write_bytes(data)
    lake = empty_lake(tmp_path / "lake")
    from pipelines.scan import scan
    from warehouse.sources import open_source

    scan(lake, open_source(str(tmp_path / "pages")), engine=LocalEngine(workers=0))
    near(lake, engine=LocalEngine(workers=0))
    assert len(rows(lake, "FROM near_pairs")) == 1
    (tmp_path / "pages" / "edits.csv").write_text("reference,target,instruction\na.png,b.png,make it darker\n")
    assert take_in(lake, tmp_path / "pages", batch="linked").usable == 1
    assert rows(lake, "FROM near_pairs") == []
    near(lake, engine=LocalEngine(workers=0))
    assert [(r["link"], r["text_differs"]) for r in rows(lake, "FROM near_pairs")] == [("near", True)]
    assert len(rows(lake, "FROM near_compared")) == 2


def test_parquet_with_a_column_for_each_picture(tmp_path: Path) -> None:
    told = [edited(seed) for seed in (11, 12, 13)]
    struct = [{"bytes": encoded(a), "path": None} for a, _ in told]
    table = pa.table(
        {
            "source_image": [*struct[:2], {"bytes": None, "path": "gone.jpg"}],
            "target_image": [encoded(b) for _, b in told],
            "instruction": ["add a disc", "加一个圆盘", "add a disc"],
        }
    )
    pq.write_table(table, tmp_path / "train-0.parquet")
    lake = empty_lake(tmp_path / "lake")
    done = take_in(lake, tmp_path / "train-0.parquet", source_name="edit set", origin="synthetic")
    assert (done.pairs, done.usable, dict(done.errors)) == (3, 2, {"missing": 1})
    found = rows(lake)
    assert [r["instruction_zh"] for r in found] == [None, "加一个圆盘", None]
    assert {r["origin"] for r in found} == {"synthetic"}
    listed = rows(lake, "FROM inputs WHERE status = 'ok'")
    by_id = {r["image_id"]: r for r in listed}
    with ImageReader() as reader:  # export finds the bytes again, whichever column they are in
        for pair, (before, after) in zip(found[:2], told, strict=False):
            for wanted, picture in ((pair["reference_ids"][0], before), (pair["target_id"], after)):
                r = by_id[wanted]
                assert reader.read(r["uri"], r["offset"], r["length"], r["row"]) == encoded(picture)


def test_folders_side_by_side(tmp_path: Path) -> None:
    for part in ("reference", "target", "instruction"):
        (tmp_path / "in" / part).mkdir(parents=True)
    before, after = edited(21)
    (tmp_path / "in" / "reference" / "x1.jpg").write_bytes(encoded(before))
    (tmp_path / "in" / "target" / "x1.png").write_bytes(encoded(after, "PNG"))
    (tmp_path / "in" / "instruction" / "x1.txt").write_text("add a disc\n")
    (tmp_path / "in" / "target" / "x2.png").write_bytes(encoded(photo(seed=22), "PNG"))
    lake = empty_lake(tmp_path / "lake")
    done = take_in(lake, tmp_path / "in")
    good, bad = rows(lake)
    assert (done.pairs, done.usable, done.images) == (2, 1, 3)
    assert good["instruction_en"] == "add a disc"
    assert bad["error"] == "missing: no reference is named"


def test_a_folder_without_pairs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(photo()))
    with pytest.raises(UsageError, match="holds no edit pairs"):
        open_edits(str(tmp_path))
    with pytest.raises(UsageError, match="no such file"):
        open_edits(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("reference", ("reference", 0)),
        ("reference_2", ("reference", 2)),
        ("input_image1", ("reference", 1)),
        ("References", ("reference", 0)),
        ("target", ("target", 0)),
        ("edited_image", ("target", 0)),
        ("output_image_path", ("target", 0)),
        ("mask", ("mask", 0)),
        ("source_id", None),
        ("target_caption", None),
        ("instruction", None),
        ("id", None),
    ],
)
def test_names_of_parts(name: str, part: tuple[str, int] | None) -> None:
    assert part_of(name) == part


def test_checks_of_lumas() -> None:
    rng = np.random.default_rng(0)
    luma = rng.integers(0, 256, (64, 64)).astype(np.uint8)
    assert check(luma, luma, None).identity == 1.0
    assert check(luma, luma, None).changed_share == 0.0
    assert abs(check(luma, rng.integers(0, 256, (64, 64)).astype(np.uint8), None).identity or 0) < 0.1
    assert check(luma, luma, np.ones((64, 64), bool)).identity is None
    flat = np.full((64, 64), 200, np.uint8)
    assert check(flat, flat, None).identity == 1.0
    assert (check(flat, np.zeros((64, 64), np.uint8), None).identity or 1) < 0.3


def test_regions() -> None:
    region = region_of_quad([0, 0, 320, 0, 320, 480, 0, 480], (640, 480))
    assert 0.48 < region.mean() < 0.54
    half = Image.new("L", (100, 50))
    ImageDraw.Draw(half).rectangle((50, 0, 99, 49), fill=255)
    assert region_of_mask(encoded(half, "PNG")).mean() == 0.5
    with pytest.raises(ValueError, match="no picture"):
        region_of_mask(b"nothing")
