"""The views of decisions: every number adds up to the inputs, and they answer in an empty lake too."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from decision_lakes import Row, fill, image_id, new_lake, recipe

from pipelines.decide import DecideSummary, decide
from pipelines.recipe import load, stored_tables
from pipelines.report import funnel, print_funnel
from pipelines.signals import known_signals, relation
from warehouse import views
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.lake import Lake
from warehouse.schema import PLACEMENTS

DECISION_VIEWS = ("bucket_balance", "caption_pool", "current_recipe", "drop_reasons", "funnel", "outcomes", "pending")
SAMPLE_VIEWS = ("samples", "signals")


def rows(lake: Lake, sql: str) -> list[dict[str, Any]]:
    with lake.connect(read_only=True) as con:
        return list(con.execute(sql).to_arrow_table().to_pylist())


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, DecideSummary]:
    rng = random.Random(3)
    lake = new_lake(tmp_path_factory.mktemp("views") / "lake")
    images: dict[str, Row | None] = {}
    for n in range(200):
        images[str(n)] = {
            "width": rng.choice([100, 400, 3000, 5000]),
            "sharpness_256": rng.choice([10.0, 300.0, 500.0, None]),
            "luma": rng.choice([5.0, 120.0, 130.0]),
            **({"signals_pixels": None} if n % 11 == 0 else {}),
        }
    pairs = [{"a": n, "b": n + 1} for n in range(0, 190, 2)]
    captions = [(str(n), "raw", f"caption {n}") for n in range(0, 200, 3)]
    fill(lake, images, pairs=pairs, captions=captions, errors=7, repeats=[str(n) for n in range(9)])
    return lake, decide(lake, load("basic"))


def test_outcomes_has_every_delivery_once(filled: tuple[Lake, DecideSummary]) -> None:
    lake, done = filled
    found = {r["outcome"]: r["n"] for r in rows(lake, "SELECT outcome, count(*) AS n FROM outcomes GROUP BY outcome")}
    assert found == {outcome: count for outcome, count in done.counts.items() if count}
    assert len(found) == 6
    assert sum(found.values()) == 216
    assert rows(lake, "SELECT count(*) AS n FROM outcomes WHERE (outcome = 'error') <> (error IS NOT NULL)") == [
        {"n": 0}
    ]


def test_the_funnel_adds_up(filled: tuple[Lake, DecideSummary]) -> None:
    lake, done = filled
    steps = rows(lake, "FROM funnel")
    assert [(s["stage"], s["name"]) for s in steps] == [
        (None, "readable"),
        (None, "not a repeat"),
        (1, "initial curation"),
        (2, "image quality"),
        (None, "not a near duplicate"),
    ]
    assert steps[0]["entered"] == done.inputs
    assert steps[-1]["passed"] == done.counts["kept"]
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        assert step["entered"] == step["failed"] + step["pending"] + step["passed"]
        assert after is None or step["passed"] == after["entered"]
    assert sum(s["pending"] for s in steps) == done.counts["pending"]
    assert steps[0]["failed"] == 7
    assert steps[1]["failed"] == 9
    assert steps[2]["failed"] + steps[3]["failed"] == done.counts["dropped"]
    assert steps[4]["failed"] == done.counts["duplicate"]


def test_drop_reasons_and_pending_agree_with_the_lists(filled: tuple[Lake, DecideSummary]) -> None:
    lake, _ = filled
    decided = rows(lake, "FROM decisions")
    for reason in rows(lake, "FROM drop_reasons"):
        failing = [d for d in decided if reason["rule"] in d["failed_rules"]]
        assert reason["failing"] == len(failing)
        assert reason["failing_only_this"] == sum(len(d["failed_rules"]) == 1 for d in failing)
    waiting = {r["missing_signal"]: r["images"] for r in rows(lake, "FROM pending")}
    assert waiting["sharpness_256"] > waiting["luma"] > 0
    for signal, images in waiting.items():
        assert images == sum(signal in d["missing_signals"] for d in decided if d["outcome"] == "pending")


def test_the_report_is_complete(filled: tuple[Lake, DecideSummary], capsys: pytest.CaptureFixture[str]) -> None:
    lake, done = filled
    print_funnel(lake.root)
    printed = capsys.readouterr().out
    for part in ("readable", "truncated (7)", "initial curation", "large enough", "not a near duplicate", "basic"):
        assert part in printed
    with lake.connect(read_only=True) as con:
        table = funnel(con)
    assert table.row_count == 5
    assert str(table.columns[4].footer) == str(done.counts["kept"])


def test_samples_has_one_row_an_image_with_everything(filled: tuple[Lake, DecideSummary]) -> None:
    lake, _ = filled
    found = {r["image_id"]: r for r in rows(lake, "FROM samples")}
    assert len(found) == 200
    assert rows(lake, "SELECT count(*) AS n FROM samples") == [{"n": 200}]
    third = found[image_id(3)]
    assert third["captions"] == ["caption 3"]
    assert third["caption_count"] == 1
    assert third["uri"] == "/data/3.jpg"
    assert third["outcome"] in {"kept", "dropped", "pending", "duplicate"}
    assert found[image_id(4)]["captions"] == []
    assert found[image_id(4)]["longest_caption"] == 0


def test_the_views_signals_are_the_recipes_signals(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    odd: dict[str, Row] = {
        "nan": dict.fromkeys(("sharpness_256", "luma", "contrast", "bits_per_pixel", "border_share"), float("nan")),
        "flat": {"width": 0, "height": 0},
        "wide": {"width": 3000, "height": 1000, "signals_pixels": None},
        "bare": {"signals_header": None, "signals_pixels": None},
    }
    fill(lake, odd, captions=[("wide", "synthetic", "drawn"), ("wide", "raw", "a wide page")])
    with lake.connect(read_only=True) as con:
        tables = tuple(t for t in stored_tables(con) if t.name in ("signals_header", "signals_pixels"))
        columns = {row[0] for row in con.execute("DESCRIBE samples").fetchall()}
        known = [s for s in known_signals(tables).values() if s.name in columns]
        assert {s.name for s in known} >= {"sharpness", "luma", "aspect", "synthetic", "opted_out", "jpeg_quality"}
        names = ", ".join(f'"{s.name}"' for s in known)
        asked = con.execute(f"SELECT image_id, {names} FROM ({relation(known, 'lake.')}) ORDER BY 1").fetchall()
        assert asked == con.execute(f"SELECT image_id, {names} FROM samples ORDER BY 1").fetchall()
    wide = dict(
        zip(("image_id", *(s.name for s in known)), next(r for r in asked if r[0] == image_id("wide")), strict=True)
    )
    assert (wide["aspect"], wide["megapixels"], wide["synthetic"], wide["caption_count"]) == (3.0, 3.0, True, 2)
    nan = dict(
        zip(("image_id", *(s.name for s in known)), next(r for r in asked if r[0] == image_id("nan")), strict=True)
    )
    assert nan["luma"] is None
    assert nan["sharpness"] is None


def test_a_survivor_inherits_the_captions_of_its_duplicates(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    fill(
        lake,
        {"big": {"width": 3000}, "mid": {"width": 2000}, "small": None},
        pairs=[{"a": "big", "b": "mid"}, {"a": "big", "b": "small"}],
        captions=[("big", "raw", "one"), ("mid", "raw", "one"), ("mid", "raw", "two"), ("small", "raw", "three")],
    )
    decide(lake, load("basic"))
    pool = rows(lake, "SELECT image_id, text, caption_of FROM caption_pool ORDER BY text")
    assert {p["image_id"] for p in pool} == {image_id("big")}
    assert [(p["text"], p["caption_of"]) for p in pool] == [
        ("one", image_id("big")),  # its own, not the same text of its duplicate
        ("three", image_id("small")),
        ("two", image_id("mid")),
    ]


def test_bucket_balance_counts_copies(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    with lake.connect() as con:
        placed = [
            {"dataset": "d", "version": "v", "image_id": image_id(n), "scale": 256, "bucket": b, "weight": w}
            for n, (b, w) in enumerate([("1:1", 1.0), ("1:1", 2.0), ("3:2", 1.0)])
        ]
        con.register("placed", PLACEMENTS.from_rows(placed))
        files = {PLACEMENTS.name: pack_query(con, lake, PLACEMENTS, "SELECT * FROM placed")}
        commit(con, lake, RunInfo(command="export"), files)
    found = rows(lake, "SELECT bucket, images, copies, share FROM bucket_balance")
    assert found == [
        {"bucket": "1:1", "images": 2, "copies": 3.0, "share": 0.75},
        {"bucket": "3:2", "images": 1, "copies": 1.0, "share": 0.25},
    ]


def test_before_the_first_decide_all_views_answer(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    with lake.connect(read_only=True) as con:
        assert {*DECISION_VIEWS, *SAMPLE_VIEWS} <= set(views.read())
        for view in (*DECISION_VIEWS, *SAMPLE_VIEWS):
            con.execute(f"FROM {view}").fetchall()
        assert con.execute("FROM lake.what_if(luma > 3)").fetchall() == [
            (outcome, 0, 0, 0) for outcome in ("kept", "dropped", "pending", "duplicate")
        ]
    fill(lake, ["a", "b"], errors=1)
    steps = rows(lake, "FROM funnel")
    assert [(s["name"], s["entered"], s["failed"], s["pending"], s["passed"]) for s in steps] == [
        ("readable", 3, 1, 0, 2),
        ("not a repeat", 2, 0, 0, 2),
        ("not a near duplicate", 2, 0, 0, 2),
        ("decided", 2, 0, 2, 0),
    ]
    assert {r["outcome"] for r in rows(lake, "FROM outcomes")} == {"error", None}


@pytest.mark.parametrize("view", ["outcomes", "caption_pool", "samples", "signals"])
def test_views_of_many_rows_join_by_hash(tmp_path: Path, view: str) -> None:
    """A subquery in a join's condition makes a nested loop of it: seconds at a thousand rows, days at ten million."""
    lake = new_lake(tmp_path / "lake")
    with lake.connect(read_only=True) as con:
        plan = con.execute(f"EXPLAIN SELECT count(image_id) FROM {view}").fetchall()[0][1]
        whole = con.execute(f"EXPLAIN FROM {view}").fetchall()[0][1]
    assert "HASH_JOIN" in whole
    assert "NL_JOIN" not in plan + whole
    assert "NESTED_LOOP_JOIN" not in plan + whole


def test_views_speak_of_the_recipe_decided_with_last(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    fill(lake, {"a": {"luma": 5.0}})
    decide(lake, load("basic"))
    lenient = recipe(load("basic").toml.replace("luma BETWEEN 16", "luma BETWEEN 1").replace('"basic"', '"lenient"'))
    decide(lake, lenient)
    assert [r["outcome"] for r in rows(lake, "FROM outcomes")] == ["kept"]
    assert [r["name"] for r in rows(lake, "FROM current_recipe")] == ["lenient"]
    decide(lake, load("basic"))
    assert [r["outcome"] for r in rows(lake, "FROM outcomes")] == ["dropped"]
