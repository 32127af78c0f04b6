"""Diff and card: what changed between dataset versions and why; a version as a page."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from balance_lakes import category_row, put
from decision_lakes import fill, image_id, new_lake, recipe

from pipelines.decide import decide
from pipelines.keeping.card import card, license_id, size_category
from pipelines.keeping.diff import diff
from pipelines.keeping.forget import forget
from pipelines.recipe import Recipe
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.schema import PLACEMENTS

RECIPE = """
name = "dated"
store_from = 1
scales = [256]
[duplicates]
max_distance = 16
max_tile_distance = 7.0
[[stage]]
number = 2
name = "image quality"
rules = [{{ name = "clear", when = "sharpness >= {least}", doc = "not | blurred" }}]
"""


def export(lake: Lake, chosen: Recipe, version: str, weights: dict[str, float]) -> int:
    """Decide, then place these images by name: the rows and the run of a real export, without its bytes."""
    decide(lake, chosen)
    common = {"dataset": "main", "version": version, "category": "Nature/animals", "bucket": "4:3"}
    rows = [
        {**common, "image_id": image_id(name), "scale": scale, "weight": weight}
        for name, weight in weights.items()
        for scale in ((256, 640) if name == "both" and version.startswith("b") else (256,))
    ]
    with lake.connect() as con:
        seen = lake.snapshot(con)
        con.register("new_rows", PLACEMENTS.from_rows(rows))
        files = {"placements": pack_query(con, lake, PLACEMENTS, "SELECT * FROM new_rows")}
        run = RunInfo("export", recipe=chosen.hash, counts={"dataset": "main", "version": version}, snapshot=seen)
        return commit(con, lake, run, files).snapshot


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, int]:
    """Two versions: between them one image is delivered, one fails a stricter rule, one passes a newly measured signal,
    one is forgotten, one is found to be a duplicate, one weighs more, one gets a second scale."""
    lake = new_lake(tmp_path_factory.mktemp("diff") / "lake")
    first = recipe(RECIPE.format(least=100))
    names = {"stays": 1.0, "blurred": 1.0, "taken down": 1.0, "copy": 1.0, "heavy": 1.0, "both": 1.0}
    signals = {name: {"sharpness_256": 150.0 if name == "blurred" else 900.0} for name in names}
    fill(
        lake,
        {**signals, "unmeasured": {"signals_pixels": None}},
        captions=[("stays", "raw", "a cat"), ("heavy", "raw", "x")],
    )
    put(lake, "signals_category", [category_row(name, "Nature/animals") for name in names])
    snapshot = export(lake, first, "a1" * 8, names)
    second = recipe(RECIPE.format(least=200))
    put(
        lake,
        "signals_pixels",
        [{"image_id": image_id("unmeasured"), "version": "1", "status": "ok", "sharpness_256": 800.0}],
    )
    near = {"link": "near", "distance": 2, "tile_distance": 1.0, "text_differs": None}
    put(
        lake,
        "near_pairs",
        [{**near, "a": min(map(image_id, pair)), "b": max(map(image_id, pair))} for pair in [("copy", "new")]],
    )
    fill(lake, {"new": {"sharpness_256": 900.0, "width": 4000, "height": 3000}}, batch="b2")
    forget(lake, "a letter", ids=[image_id("taken down")])
    export(lake, second, "b2" * 8, {"stays": 1.0, "heavy": 2.0, "both": 1.0, "new": 1.0, "unmeasured": 1.0})
    return lake, snapshot


def test_what_changed_and_why(made: tuple[Lake, int], tmp_path: Path) -> None:
    lake, snapshot = made
    done = diff(lake, f"@{snapshot}", "b2", file=tmp_path / "changes.csv")
    assert (done.before, done.after, done.same) == (5, 5, 1)
    assert {(r.change, r.why): list(r.examples) for r in done.reasons} == {
        ("in", "new in batch b2"): [image_id("new")],
        ("in", "no longer waits for sharpness_256"): [image_id("unmeasured")],
        ("out", "rule clear"): [image_id("blurred")],
        ("out", "near duplicate of a better one"): [image_id("copy")],
        ("scale", "the recipe changed"): [image_id("both")],
        ("weight", "the recipe changed"): [image_id("heavy")],
    }
    assert done.told == (f"1 images were taken down since main {'a1' * 8} was exported: they are in no version now",)
    assert str(done).endswith("5 to 5 images; 2 in, 2 out, 1 at other scales, 1 of another weight")
    rows = list(csv.DictReader((tmp_path / "changes.csv").open()))
    assert len(rows) == 6
    assert {row["change"] for row in rows if row["image_id"] == image_id("blurred")} == {"out"}
    back = diff(lake, "b2", "a1", file=tmp_path / "back.json")
    assert back.count("in") == 2
    assert ("in", "no longer fails clear", 1) in [(r.change, r.why, r.images) for r in back.reasons]
    assert len(json.loads((tmp_path / "back.json").read_text())) == 6


def test_versions_are_named_by_their_beginning(made: tuple[Lake, int], tmp_path: Path) -> None:
    lake, _ = made
    for old, new, said in (("c", "b2", "no version"), ("", "b2", "no version"), ("@1", "b2", "by snapshot 1")):
        with pytest.raises(UsageError, match=said):
            diff(lake, old, new)
    with pytest.raises(UsageError, match="no dataset other"):
        diff(lake, "a1", "b2", dataset="other")
    with pytest.raises(UsageError, match=r"\.csv or \.json"):
        diff(lake, "a1", "b2", file=tmp_path / "x.txt")


def test_the_card_tells_what_was_counted(made: tuple[Lake, int]) -> None:
    lake, _ = made
    page = card(lake)
    assert page == card(lake, version="b2")
    head, _, body = page.removeprefix("---\n").partition("\n---\n")
    assert 'pretty_name: "main"' in head
    assert "license: unknown" in head
    assert '- "en"' in head
    assert "- n<1K" in head
    assert "| Nature/animals | 5 | 100.0% | 6.0 |" in body
    assert "| 2 image quality | clear | `sharpness >= 200` | not \\| blurred | all |" in body
    assert "| 640 | 1 | 1.0 |" in body
    assert "5 images (100.0%) come without a licence" in body
    assert "3 images (60.0%) have no caption" in body
    assert "1 of 1 rules were never audited" in body
    assert "Taken down: 1 images" in body
    assert str(lake.root) not in page
    assert "/data/" not in page
    assert "funnel" not in page
    assert "| 6 | 1 |" not in card(lake, version="a1"), "the current recipe is another"


def test_words_of_the_hub() -> None:
    assert [size_category(n) for n in (0, 999, 1000, 10**6, 10**12)] == ["n<1K", "n<1K", "1K<n<10K", "1M<n<10M", "n>1T"]
    assert license_id([("CC-BY-4.0", 3)]) == "cc-by-4.0"
    assert license_id([("CC-BY-4.0", 3), (None, 1)]) == "other"
    assert license_id([("mit", 3), ("odbl", 1)]) == "other"
    assert license_id([(None, 1)]) == "unknown"
