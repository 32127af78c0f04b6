"""What-if: exactly what deciding with the changed recipe would give, by command and by SQL alike."""

from __future__ import annotations

import random
from pathlib import Path

import duckdb
import pytest
from decision_lakes import Row, fill, new_lake, recipe

from pipelines.decide import account, decide, judge, resolve
from pipelines.recipe import Recipe, stored_tables
from pipelines.what_if import asked_rule, changed, current_recipe, replaced_by, what_if
from warehouse.errors import LakeError, UsageError
from warehouse.lake import Lake

RULES = """
name = "test"
store_from = 1
scales = [256]

[duplicates]
max_distance = 8
max_tile_distance = 6

[[stage]]
number = 1
name = "size"
rules = [{ name = "large", when = "min_side >= 256" }]

[[stage]]
number = 2
name = "quality"
rules = [
  { name = "clear", when = "sharpness >= 80" },
  { name = "very clear or bright", when = "sharpness >= 90 OR luma >= 100" },
  { name = "exposed", when = "luma BETWEEN 25 AND 235", applies_to = "real" },
  { name = "contrast", when = "contrast >= 12" },
]
"""
TEST = recipe(RULES)
OUTCOMES = ("kept", "dropped", "pending", "duplicate")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """400 images around every threshold, signals missing or NaN among them, pairs in chains, stars and groups."""
    rng = random.Random(7)
    lake = new_lake(tmp_path_factory.mktemp("what-if") / "lake")

    def value(low: float, high: float) -> float | None:
        chance = rng.random()
        return None if chance < 0.07 else float("nan") if chance < 0.1 else rng.uniform(low, high)

    images: dict[str, Row | None] = {}
    for n in range(400):
        images[str(n)] = {
            "width": rng.choice([200, 400, 800]),
            "sharpness_256": value(40, 200),
            "luma": value(0, 255),
            "contrast": value(5, 60),
            **({"signals_pixels": None} if rng.random() < 0.05 else {}),
            **({"signals_header": None} if rng.random() < 0.05 else {}),
        }
    pairs: dict[tuple[int, int], Row] = {}
    for _ in range(500):
        a, b = sorted(rng.sample(range(300), 2))
        pairs[a, b] = {"a": a, "b": b, "distance": rng.randint(0, 10), "tile_distance": rng.uniform(0, 8)}
    for n in range(300, 400):
        pairs[n % 40, n] = {"a": n % 40, "b": n, "link": "same", "distance": 0, "tile_distance": 0.5}
    captions = [(str(n), "synthetic" if n % 5 == 0 else "raw", "words " * (n % 7)) for n in range(400) if n % 3]
    fill(lake, images, pairs=pairs.values(), captions=captions, errors=3, repeats=["1", "2"])
    decide(lake, TEST)
    return lake


def really_decided(lake: Lake, other: Recipe) -> dict[str, int]:
    with lake.connect(read_only=True) as con:
        judge(con, other)
        resolve(con, other)
        return account(con)


CASES = [
    ("sharpness >= 60", 2, False),  # looser
    ("sharpness >= 60 OR luma > 250", 2, False),  # stands in for three rules
    ("sharpness >= 150", 2, False),  # tighter
    ("sharpness_256 >= 150", 2, True),
    ("luma > 100", 2, False),  # for real images alone, as the rule it stands in for
    ("contrast >= 0", 2, False),
    ("contrast >= 0 AND luma >= 0", 2, False),
    ("min_side >= 100", 1, False),
    ("width >= 500", 1, False),  # no rule of the stage reads it
    ("longest_caption >= 6", 2, False),
    ("contrast >= 20 OR aspect > 1", 2, False),  # two extractors
]


@pytest.mark.parametrize(("predicate", "stage", "add"), CASES)
def test_it_tells_what_deciding_would_give(lake: Lake, predicate: str, stage: int, add: bool) -> None:
    found = what_if(lake, predicate, stage, add=add)
    with lake.connect(read_only=True) as con:
        tables = stored_tables(con)
        stored = current_recipe(con, tables)
        printed = con.execute(found.sql).fetchall()
    assert stored.hash == TEST.hash
    rule = asked_rule(tables, predicate, stage, stored, add=add)
    other = changed(stored, rule, () if add else replaced_by(stored, rule))
    now, then = really_decided(lake, TEST), really_decided(lake, other)
    assert [(s.outcome, s.now, s.then, s.change) for s in found.shifts] == [
        (outcome, now[outcome], then[outcome], then[outcome] - now[outcome]) for outcome in OUTCOMES
    ]
    assert printed == [(s.outcome, s.now, s.then, s.change) for s in found.shifts]
    assert found.undecided == 0


def test_the_cases_can_tell_right_from_wrong(lake: Lake) -> None:
    loose, tight = (what_if(lake, f"sharpness >= {limit}", 2).shifts for limit in (60, 150))
    assert loose[0].then > loose[0].now > tight[0].then > 0
    assert all(shift.now > 5 for shift in loose)
    assert what_if(lake, "sharpness >= 60", 2).replaced == ("clear",)
    three = what_if(lake, "sharpness >= 60 OR luma > 250", 2).replaced
    assert three == ("clear", "very clear or bright", "exposed")
    assert {s.outcome for s in loose if s.change} == set(OUTCOMES)


def test_deciding_for_real_agrees(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    fill(
        lake,
        {"a": {"sharpness_256": 70.0}, "b": {"width": 800, "sharpness_256": 85.0}, "c": {"sharpness_256": None}},
        pairs=[{"a": "a", "b": "b"}],
    )
    decide(lake, TEST)
    told = {s.outcome: s.then for s in what_if(lake, "sharpness >= 60", 2).shifts}
    looser = recipe(RULES.replace("sharpness >= 80", "sharpness >= 60"))
    done = decide(lake, looser).counts
    assert told == {outcome: done[outcome] for outcome in OUTCOMES}
    assert told == {"kept": 1, "dropped": 0, "pending": 1, "duplicate": 1}
    fill(lake, ["late"], batch="b2")
    assert what_if(lake, "sharpness >= 60", 2).undecided == 1


@pytest.mark.parametrize(
    ("predicate", "stage", "told"),
    [
        ("sharpnes > 3", 2, "did you mean sharpness"),
        ("sharpness", 2, "not a yes/no question"),
        ("sharpness > 3", 5, "has no stage 5: it has 1, 2"),
    ],
)
def test_a_wrong_question_is_one_line(lake: Lake, predicate: str, stage: int, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        what_if(lake, predicate, stage)
    assert "\n" not in str(caught.value)


def test_the_macro_refuses_a_rule_that_is_not_there(lake: Lake) -> None:
    with lake.connect(read_only=True) as con, pytest.raises(duckdb.Error, match="has not all of the rules"):
        con.execute("FROM lake.what_if(luma > 3, replaces := ['no such rule'])").fetchall()


def test_before_the_first_decide_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="nothing is decided"):
        what_if(new_lake(tmp_path / "lake"), "luma > 3", 2)


def test_nothing_is_written(lake: Lake) -> None:
    with lake.connect(read_only=True) as con:
        before = lake.snapshot(con)
    what_if(Lake.open(lake.root, read_only=True), "luma > 3", 2)
    with lake.connect(read_only=True) as con:
        assert lake.snapshot(con) == before
