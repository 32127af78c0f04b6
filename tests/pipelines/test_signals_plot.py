"""Histograms of stored signals: thresholds are found by asking the rules, counts add up, pictures are written."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from decision_lakes import Row, fill, new_lake, recipe
from PIL import Image

from pipelines.looking.signals_plot import Bars, Histogram, listed, measure, plot, thresholds
from warehouse.errors import LakeError, UsageError
from warehouse.lake import Lake

RULES = """
name = "r"
store_from = 1
scales = [256]
[[stage]]
number = 2
name = "image quality"
rules = [
  { name = "exposed", when = "luma BETWEEN 20 AND 220.5" },
  { name = "odd", when = "luma < 60 OR luma > 80", applies_to = "real" },
  { name = "in focus", when = "contrast * contrast <= 30 * sharpness" },
  { name = "clear", when = "sharpness >= 90" },
]
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = new_lake(tmp_path_factory.mktemp("plot") / "lake")
    images: dict[str, Row | None] = {
        str(n): {"luma": 2.5 * n, "sharpness_256": 2.0 ** (n % 15), "contrast": 20.0, "format": ("jpeg", "png")[n % 2]}
        for n in range(100)
    }
    images["unmeasured"] = {"signals_pixels": None}
    fill(made, images)
    return made


def histogram(lake: Lake, name: str) -> Histogram:
    with lake.connect(read_only=True) as con:
        found = measure(con, name, recipe(RULES))
    assert isinstance(found, Histogram)
    return found


def test_thresholds_are_where_the_rules_answer_changes(lake: Lake) -> None:
    found = histogram(lake, "luma")
    cuts = {cut.rule: [(t.value, t.keeps) for t in cut.thresholds] for cut in found.cuts}
    assert cuts == {
        "exposed": [(pytest.approx(20), "above"), (pytest.approx(220.5), "below")],
        "odd": [(pytest.approx(60), "below"), (pytest.approx(80), "above")],
    }
    assert (found.images, found.missing, int(found.counts.sum())) == (101, 1, 100)
    (exposed, odd) = found.cuts
    assert (exposed.kept, exposed.dropped, exposed.waiting) == (81, 19, 1)
    assert odd.dropped == sum(60 <= 2.5 * n <= 80 for n in range(100))


def test_a_rule_over_several_signals_has_no_threshold_and_shows_what_it_drops(lake: Lake) -> None:
    found = histogram(lake, "sharpness")
    by_name = {cut.rule: cut for cut in found.cuts}
    assert by_name["in focus"].partial
    assert by_name["in focus"].thresholds == ()
    assert (
        sum(by_name["in focus"].dropped_in)
        == by_name["in focus"].dropped
        == sum(30 * 2.0 ** (n % 15) < 400 for n in range(100))
    )
    assert [t.value for t in by_name["clear"].thresholds] == [pytest.approx(90)]
    assert found.logarithmic
    assert int(found.counts.sum()) == 100
    assert [t.value for t in histogram(lake, "sharpness_256").cuts[-1].thresholds] == [pytest.approx(90)]


def test_a_threshold_beyond_every_image_is_found_too(lake: Lake) -> None:
    text = RULES.replace("luma BETWEEN 20 AND 220.5", "luma <= 251")
    with lake.connect(read_only=True) as con:
        found = measure(con, "luma", recipe(text))
    assert isinstance(found, Histogram)
    assert [t.value for t in found.cuts[0].thresholds] == [pytest.approx(251)]
    assert found.edges[-1] >= 251


def test_pictures_are_written_for_numbers_and_for_words(lake: Lake, tmp_path: Path) -> None:
    for name, kind in (("luma", Histogram), ("format", Bars), ("width", Histogram)):
        file = tmp_path / f"{name}.png"
        assert isinstance(plot(lake, name, file, recipe(RULES)), kind)
        with Image.open(file) as picture:
            assert picture.size == (1170, 650)
            assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 50
    with lake.connect(read_only=True) as con:
        bars = measure(con, "format")
    assert isinstance(bars, Bars)
    assert dict(zip(bars.values, bars.counts, strict=True)) == {"jpeg": 51, "png": 50}


def test_what_cannot_be_drawn_is_explained(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no signal 'lumma'; did you mean luma"):
        plot(lake, "lumma", tmp_path / "x.png")
    with pytest.raises(UsageError, match=r"name a \.png"):
        plot(lake, "luma", tmp_path / "x.txt")
    empty = new_lake(tmp_path / "lake")
    fill(empty, {"a": {"signals_pixels": None}})
    with pytest.raises(LakeError, match="no image has the signal luma yet"):
        plot(empty, "luma", tmp_path / "x.png")


def test_the_list_has_every_signal_with_what_is_missing(lake: Lake) -> None:
    with lake.connect(read_only=True) as con:
        found = {row.name: row for row in listed(con)}
    assert found["luma"].missing == pytest.approx(1 / 101)
    assert found["width"].missing == 0
    assert found["luma"].doc.startswith("mean luma")
    assert found["sharpness"].doc == found["sharpness_256"].doc
    assert found["min_side"].table == "signals_header"


def test_integer_signals_are_asked_in_their_own_type() -> None:
    with duckdb.connect() as con:
        asked = recipe(RULES.replace("luma BETWEEN 20 AND 220.5", "width >= 256")).rules[0]
        (found,) = thresholds(con, asked, asked.signals[0], "INTEGER", [0.0, 100.0, 300.0])
    assert found.value == pytest.approx(255.5, abs=0.51)
    assert found.keeps == "above"
