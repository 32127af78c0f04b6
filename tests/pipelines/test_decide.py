"""Decide: each delivery ends in one outcome, near duplicates resolve exactly, deciding twice changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
from decision_lakes import SIGNALS, Row, fill, image_id, new_lake, recipe
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.decide import decide
from pipelines.verdict import verdict
from warehouse import views
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.errors import LakeError
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
rules = [{ name = "large", when = "min_side >= 256" }, { name = "light", when = "byte_size < 1000000" }]

[[stage]]
number = 2
name = "quality"
rules = [
  { name = "clear", when = "sharpness >= 80" },
  { name = "exposed", when = "luma BETWEEN 25 AND 235" },
  { name = "either", when = "contrast > 5 OR texture > 5" },
]
"""
TEST = recipe(RULES)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return new_lake(tmp_path / "lake")


def decisions(lake: Lake) -> dict[str, dict[str, Any]]:
    with lake.connect(read_only=True) as con:
        rows = con.execute("FROM decisions WHERE recipe = (SELECT recipe FROM current_recipe)").to_arrow_table()
    return {row["image_id"]: row for row in rows.to_pylist()}


def test_every_outcome_is_counted_once_and_they_sum_to_the_inputs(lake: Lake) -> None:
    fill(
        lake,
        {"fine": None, "better": {"width": 3000}, "dark": {"luma": 3.0}, "unmeasured": {"signals_pixels": None}},
        pairs=[{"a": "fine", "b": "better"}],
        errors=3,
        repeats=["fine", "fine", "dark"],
    )
    done = decide(lake, TEST)
    assert done.counts == {"error": 3, "repeat": 3, "pending": 1, "dropped": 1, "duplicate": 1, "kept": 1}
    assert done.inputs == 10
    assert done.committed


def test_all_failing_rules_are_listed_in_recipe_order(lake: Lake) -> None:
    fill(lake, {"bad": {"width": 100, "luma": 250.0, "sharpness_256": 1.0}})
    decide(lake, TEST)
    row = decisions(lake)[image_id("bad")]
    assert row["failed_rules"] == ["large", "clear", "exposed"]
    assert row["outcome"] == "dropped"
    assert row["stage_reached"] == 0
    assert row["failed_bits"] == 0b1101


MISSING: list[tuple[Row, str, list[str], str, int]] = [
    ({"signals_pixels": None}, "pending", ["clear", "exposed", "either"], "contrast luma sharpness_256 texture", 1),
    ({"luma": None}, "pending", ["exposed"], "luma", 1),
    ({"luma": float("nan")}, "pending", ["exposed"], "luma", 1),
    ({"contrast": None, "texture": 1.0}, "pending", ["either"], "contrast", 1),
    ({"contrast": None, "texture": 9.0}, "kept", [], "", 2),
    ({"signals_header": None}, "pending", ["large", "light"], "byte_size min_side", 0),
    ({"luma": None, "width": 10}, "dropped", ["exposed"], "luma", 0),
    ({"luma": None, "sharpness_256": 1.0}, "dropped", ["exposed"], "luma", 1),
]


def test_a_missing_signal_is_never_a_pass(lake: Lake) -> None:
    fill(lake, {str(n): case[0] for n, case in enumerate(MISSING)})
    decide(lake, TEST)
    found = decisions(lake)
    for n, (signals, outcome, pending, missing, reached) in enumerate(MISSING):
        row = found[image_id(n)]
        told = (row["outcome"], row["pending_rules"], row["missing_signals"], row["stage_reached"])
        assert told == (outcome, pending, missing.split(), reached), signals


def test_a_rule_that_is_null_with_all_its_signals_there_names_them_all() -> None:
    odd = recipe(RULES.replace("luma BETWEEN 25 AND 235", "nullif(luma, 120) > 3 AND contrast > 1"))
    assert verdict(odd, 0, 0b1000, 0).missing_signals == ("contrast", "luma")


def test_rules_may_be_for_synthetic_or_real_images_alone(lake: Lake) -> None:
    fill(
        lake,
        {"drawn": {"luma": 250.0, "contrast": 1.0, "texture": 1.0}, "photo": {"luma": 250.0}},
        captions=[("drawn", "synthetic", "a page"), ("drawn", "raw", "words"), ("photo", "raw", "a sky")],
    )
    for_each = RULES.replace('AND 235"', 'AND 235", applies_to = "real"').replace(
        'texture > 5"', 'texture > 5", applies_to = "synthetic"'
    )
    decide(lake, recipe(for_each))
    found = decisions(lake)
    assert found[image_id("drawn")]["failed_rules"] == ["either"]
    assert found[image_id("photo")]["failed_rules"] == ["exposed"]


def test_captions_and_deliveries_are_signals_too(lake: Lake) -> None:
    fill(lake, ["told", "untold"], captions=[("told", "raw", "one"), ("told", "raw", "a longer one")])
    decide(lake, recipe(RULES.replace("sharpness >= 80", "longest_caption >= 5 AND source = 'test'")))
    found = decisions(lake)
    assert found[image_id("told")]["outcome"] == "kept"
    assert found[image_id("untold")]["failed_rules"] == ["clear"]


def test_only_a_kept_neighbour_drops_an_image(lake: Lake) -> None:
    fill(
        lake,
        {"largest": {"width": 4000, "luma": 1.0}, "large": {"width": 3000}, "small": None, "smaller": {"width": 700}},
        pairs=[{"a": "largest", "b": "large"}, {"a": "large", "b": "small"}, {"a": "small", "b": "smaller"}],
    )
    decide(lake, TEST)
    found = decisions(lake)
    assert {name: found[image_id(name)]["outcome"] for name in ("largest", "large", "small", "smaller")} == {
        "largest": "dropped",  # dark, so it takes nothing with it
        "large": "kept",
        "small": "duplicate",
        "smaller": "kept",  # its only better neighbour is not kept
    }
    assert found[image_id("small")]["duplicate_of"] == image_id("large")


def test_pairs_beyond_the_recipe_are_no_duplicates(lake: Lake) -> None:
    beyond: list[Row] = [
        {"distance": 9},
        {"tile_distance": 6.5},
        {"text_differs": True},
        {"link": "same", "text_differs": True},
    ]
    pairs = [{"a": f"a{n}", "b": f"b{n}", **pair} for n, pair in enumerate(beyond)]
    fill(lake, [name for pair in pairs for name in (str(pair["a"]), str(pair["b"]))], pairs=pairs)
    assert decide(lake, TEST).counts["duplicate"] == 0


def test_without_limits_near_duplicates_are_kept(lake: Lake) -> None:
    fill(lake, ["a", "b"], pairs=[{"a": "a", "b": "b"}])
    keeping = RULES.replace("[duplicates]\nmax_distance = 8\nmax_tile_distance = 6\n", "")
    assert decide(lake, recipe(keeping)).counts["kept"] == 2


def test_rank_is_area_then_sharpness_then_id(lake: Lake) -> None:
    fill(
        lake,
        {"wide": {"width": 2000, "sharpness_256": 90.0}, "sharp": {"sharpness_256": 900.0}, "x": None, "y": None},
        pairs=[{"a": "wide", "b": "sharp"}, {"a": "x", "b": "y"}],
    )
    decide(lake, TEST)
    found = decisions(lake)
    assert found[image_id("sharp")]["duplicate_of"] == image_id("wide")
    first, second = sorted([image_id("x"), image_id("y")])
    assert found[second]["duplicate_of"] == first


def test_the_same_again_commits_nothing_and_going_back_to_a_recipe_does(lake: Lake) -> None:
    fill(lake, {"a": None, "b": {"luma": 1.0}}, errors=1)
    other = recipe(RULES.replace("luma BETWEEN 25 AND 235", "luma >= 0"))
    with lake.connect(read_only=True) as con:

        def current() -> tuple[str, int]:
            return con.execute("SELECT recipe FROM current_recipe").fetchall()[0][0], lake.snapshot(con)

        assert decide(lake, TEST).committed
        first, before = current()
        again = decide(lake, TEST)
        assert not again.committed
        assert again.counts == {"error": 1, "repeat": 0, "pending": 0, "dropped": 1, "duplicate": 0, "kept": 1}
        assert current() == (first, before)
        for turn in (other, TEST, other):
            assert decide(lake, turn).committed
            assert current()[0] == turn.hash
            assert not decide(lake, turn).committed
        assert con.execute("SELECT count(*), count(DISTINCT image_id) FROM decisions").fetchall() == [(4, 2)]


def test_new_images_and_signals_replace_what_was_decided(lake: Lake) -> None:
    fill(lake, {"a": {"signals_pixels": None}})
    assert decide(lake, TEST).counts["pending"] == 1
    fill(lake, {"b": None}, batch="b2")
    assert decide(lake, TEST).counts["kept"] == 1
    with lake.connect(read_only=True) as con:
        assert con.execute("SELECT count(*) FROM decisions").fetchall() == [(2,)]


def test_an_empty_lake_is_decided_too(lake: Lake) -> None:
    assert decide(lake, TEST).inputs == 0


def test_outcomes_that_do_not_add_up_are_not_committed(lake: Lake) -> None:
    fill(lake, ["a"])
    with lake.connect() as con:
        table = SIGNALS["signals_pixels"]
        twice = pack_query(con, lake, table, "SELECT * REPLACE ('2' AS version) FROM signals_pixels")
        commit(con, lake, RunInfo(command="scan", batch="b2"), {table.name: twice})
        assert con.execute("SELECT count(*) FROM signals_pixels").fetchall() == [(2,)]
    with pytest.raises(LakeError, match="do not add up to the 1 inputs"):
        decide(lake, TEST)
    assert decisions(lake) == {}


# Exact greedy, written out plainly. Candidates: (id, area, sharpness); pairs: (a, b, same).
Candidate = tuple[str, int, float]
Pair = tuple[str, str, bool]


def ranked(candidates: list[Candidate]) -> list[str]:
    return [c[0] for c in sorted(candidates, key=lambda c: (-c[1], -c[2], c[0]))]


def greedy(candidates: list[Candidate], pairs: list[Pair]) -> dict[str, str]:
    leader: dict[str, str] = {}
    for a, b, same in pairs:
        if same:
            leader[b] = min(a, leader.get(b, a))
    order = ranked(candidates)
    node = {image: leader.get(image, image) for image in order}
    best: dict[str, str] = {}
    for image in order:
        best.setdefault(node[image], image)
    near: dict[str, set[str]] = {n: set() for n in best}
    for a, b, same in pairs:
        x, y = leader.get(a, a), leader.get(b, b)
        if not same and x != y and x in best and y in best:
            near[x].add(y)
            near[y].add(x)
    stands_for: dict[str, str] = {}
    for name in sorted(best, key=lambda n: order.index(best[n])):
        kept = [m for m in near[name] if stands_for.get(m) == m]
        stands_for[name] = min(kept, key=lambda m: order.index(best[m])) if kept else name
    found = {image: best[stands_for[node[image]]] for image in order}
    return {image: of for image, of in found.items() if image != of}


IDS = [f"{n:02d}" for n in range(12)]
CANDIDATES = st.dictionaries(st.sampled_from(IDS), st.tuples(st.integers(1, 3), st.sampled_from([1.0, 2.0])))
LINKS = st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)).filter(lambda p: p[0] != p[1]), max_size=30)


@settings(max_examples=60, deadline=None)
@given(CANDIDATES, LINKS, st.dictionaries(st.sampled_from(IDS[6:]), st.sampled_from(IDS[:6]), max_size=5))
def test_duplicates_resolve_as_going_down_one_by_one_would(
    candidates: Mapping[str, tuple[int, float]], links: list[tuple[str, str]], leaders: Mapping[str, str]
) -> None:
    rows = [(image, area, sharpness) for image, (area, sharpness) in candidates.items()]
    pairs = [(min(p), max(p), False) for p in links] + [(a, b, True) for b, a in leaders.items()]
    assert resolved(rows, pairs) == greedy(rows, pairs)


def test_a_long_chain_and_a_large_star_resolve() -> None:
    chain = [(f"{n:05d}", 1, 1.0) for n in range(1500)]
    links = [(a[0], b[0], False) for a, b in pairwise(chain)]
    assert sorted(resolved(chain, links)) == [c[0] for c in chain[1::2]]
    star = [("hub", 9, 1.0)] + [(f"{n:05d}", 1, 1.0) for n in range(20_000)]
    assert set(resolved(star, [("hub", s[0], n % 2 == 0) for n, s in enumerate(star[1:])]).values()) == {"hub"}


def resolved(candidates: list[Candidate], pairs: list[Pair]) -> dict[str, str]:
    with duckdb.connect(config={"threads": 2}) as con:
        con.execute(views.read()["resolve_duplicates"])
        con.execute("CREATE TABLE c (image_id VARCHAR, rank INTEGER)")
        con.execute("CREATE TABLE p (a VARCHAR, b VARCHAR, same BOOLEAN)")
        for table, rows in (("c", [(image, rank) for rank, image in enumerate(ranked(candidates), 1)]), ("p", pairs)):
            if rows:
                lists = list(map(list, zip(*rows, strict=True)))
                con.execute(f"INSERT INTO {table} SELECT {', '.join('unnest(?)' for _ in lists)}", lists)
        found = con.execute("FROM resolve_duplicates('c', 'p')").fetchall()
    assert len(found) == len(dict(found))
    return dict(found)
