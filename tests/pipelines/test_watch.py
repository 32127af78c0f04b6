"""Watch: drift of signals and shares against the nights before, as rows and as an exit code."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
from balance_lakes import RECIPE, balanced_recipe, category_row, put
from decision_lakes import SIGNALS, fill, new_lake

from pipelines.decide import decide
from pipelines.keeping.watch import Drifted, check, psi, watch, window
from pipelines.keeping.watch_report import as_json, chosen, print_watched, sparkline
from pipelines.recipe import loads
from warehouse.digest import digests
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.verify import Check, check_rows

WATCHED = """
[watch]
nights = 3
least = 10
missing = 0.1
psi = 0.25
mean = 2
share = 0.2
[watch.signals]
luma = { psi = 100 }
sharpness = { mean = 1000 }
"""


def night(lake: Lake, number: int, images: int = 20, **signals: float) -> list[str]:
    """A batch of images whose lumas and sharpnesses spread evenly; `signals` move all of a kind."""
    names = [f"{number}-{n}" for n in range(images)]
    rows = {}
    for n, name in enumerate(names):
        luma, sharp = 100.0 + n + signals.get("luma", 0), 400.0 + 10 * n + signals.get("sharpness_256", 0)
        rows[name] = {"luma": luma, "sharpness_256": sharp}
    fill(lake, rows, batch=f"night {number}")
    kind = "Nature/animals" if signals.get("category", 0) == 0 else "Design/slides"
    put(lake, "signals_category", [category_row(name, kind) for name in names], batch=str(number))
    return names


@pytest.fixture(scope="module")
def five_nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = new_lake(tmp_path_factory.mktemp("watch") / "lake")
    for number in range(5):
        night(made, number)
    return made.root


@pytest.fixture
def lake(five_nights: Path, tmp_path: Path) -> Lake:
    shutil.copytree(five_nights, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


def test_an_even_night_passes(lake: Lake) -> None:
    recipe = balanced_recipe(WATCHED)
    decide(lake, recipe)
    with lake.connect(read_only=True) as con:
        before = digests(con)
    done = watch(lake, recipe)
    check(done)
    assert (done.batch, done.nights, done.images, done.before) == ("night 4", ("night 1", "night 2", "night 3"), 20, 60)
    luma = {row.statistic: row for row in done.rows if row.name == "luma"}
    assert (luma["mean"].value, luma["mean"].baseline, luma["mean"].breached) == (109.5, 109.5, False)
    assert luma["p50"].threshold is None
    assert luma["p50"].value == 109.0
    assert luma["psi"].drift == pytest.approx(0, abs=0.05)
    assert [row.value for row in done.rows if row.kind == "outcome"] == [1.0]
    assert [row.name for row in done.rows if row.kind == "category"] == ["Nature/animals"]
    with lake.connect(read_only=True) as con:
        told = con.execute("SELECT count(*), count(*) FILTER (breached) FROM drift WHERE batch = 'night 4'").fetchone()
        assert digests(con) == before  # looks are a ledger, no content
        rows = Check("tables", "rows")
        check_rows(lake, con, rows)
    assert told == (len(done.rows), 0)
    assert not rows.problems


def test_a_shift_is_told_and_stops_the_night(lake: Lake) -> None:
    names = night(lake, 5, luma=-95, sharpness_256=4000, category=1)
    recipe = balanced_recipe(WATCHED)
    decide(lake, recipe)
    done = watch(lake, recipe)
    breached = {(row.kind, row.name, row.statistic) for row in done.breached}
    assert breached >= {
        ("signal", "luma", "mean"),
        ("signal", "sharpness_256", "psi"),
        ("outcome", "dropped", "share"),
        ("rule", "exposed", "share"),
        ("category", "Design/slides", "share"),
    }
    assert not breached & {("signal", "luma", "psi"), ("signal", "sharpness_256", "mean")}, "their own limits are wide"
    assert not any(name in ("contrast", "width") for _, name, _ in breached)
    with pytest.raises(Drifted, match="night 5 has drifted") as raised:
        check(done)
    assert raised.value.exit_code == 7
    assert chosen(done.rows)[0].breached
    told = json.loads(as_json(done))
    assert told["breached"] == len(done.breached)
    assert len(names) == done.images
    assert watch(lake, recipe, batch="night 4").breached == ()
    with lake.connect(read_only=True) as con:
        assert con.execute("SELECT count(DISTINCT batch) FROM drift").fetchone() == (2,)


def test_what_is_no_longer_measured(lake: Lake) -> None:
    fill(lake, {f"5-{n}": {"signals_pixels": None} for n in range(12)}, batch="night 5")
    done = watch(lake, balanced_recipe(WATCHED))
    (row,) = [row for row in done.breached if (row.name, row.statistic) == ("luma", "missing")]
    assert (row.value, row.baseline, row.course) == (1.0, 0.0, (0.0, 0.0, 0.0, 1.0))


def test_few_images_and_no_section_breach_nothing(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    night(lake, 5, images=3, luma=-95)
    for done, told in (
        (watch(lake, balanced_recipe(WATCHED)), "too few images to judge: see `least` in the recipe's section [watch]"),
        (watch(lake, balanced_recipe(), batch="night 4"), "the recipe has no section [watch]"),
    ):
        assert done.breached == ()
        print_watched(done)
        assert told in capsys.readouterr().out


def test_batches_come_in_the_order_of_their_scans(lake: Lake) -> None:
    with lake.connect(read_only=True) as con:
        assert window(con, None, 2) == ["night 2", "night 3", "night 4"]
        assert window(con, "night 0", 14) == ["night 0"]
        with pytest.raises(UsageError, match="no batch night 9"):
            window(con, "night 9", 2)


def test_limits_are_no_part_of_what_is_decided() -> None:
    assert balanced_recipe(WATCHED).hash == balanced_recipe().hash


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("[watch.signals]\nsharpnes = { psi = 1 }", "did you mean sharpness"),
        ("[watch]\npsi = -1", "watch.psi"),
        ("[watch]\nfew = 1", "watch.few"),
    ],
)
def test_a_wrong_section_is_refused(section: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        loads(RECIPE + section, "mine.toml", SIGNALS.values())


def test_psi_by_hand() -> None:
    assert psi([10, 10], [10, 10]) == 0
    p, q = (20.5 / 21, 0.5 / 21), (0.5, 0.5)
    by_hand = sum((a - b) * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))
    assert psi([20, 0], [10, 10]) == pytest.approx(by_hand)
    assert psi([20, 0], [10, 10]) > psi([15, 5], [10, 10]) > 0


def test_sparklines() -> None:
    assert sparkline((0.0, 1.0, None, 0.5)) == "▁█ ▅"
    assert sparkline((2.0, 2.0)) == "▁▁"
    assert sparkline((None,)) == ""
