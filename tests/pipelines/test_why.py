"""Why: one sample's whole story, found by id, start of an id, or uri."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from decision_lakes import fill, image_id, new_lake

from pipelines.decide import decide
from pipelines.recipe import load
from pipelines.why import as_json, outcome, why
from pipelines.why_report import render
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.schema import PLACEMENTS, SHARD_INDEX

MASTER, COPY, DARK, UNMEASURED, LATE = map(image_id, ("master", "copy", "dark", "unmeasured", "late"))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = new_lake(tmp_path_factory.mktemp("why") / "lake")
    fill(
        lake,
        {
            "master": {"width": 2000},
            "copy": None,
            "dark": {"luma": 3.0, "contrast": 2.0},
            "unmeasured": {"signals_pixels": None},
        },
        pairs=[{"a": "master", "b": "copy", "distance": 5}, {"a": "master", "b": "dark", "text_differs": True}],
        captions=[("master", "raw", "a barn"), ("copy", "raw", "a red barn"), ("copy", "raw", "a barn")],
        errors=1,
        repeats=["master"],
    )
    decide(lake, load("basic"))
    fill(lake, ["late"], batch="b2")
    with lake.connect() as con:
        stored = {"image_id": MASTER, "shard": "jpg-1.tar", "suffix": "jpg", "offset": 512, "size": 200_000, "xxh3": 1}
        placed = {"dataset": "main", "version": "v1", "image_id": MASTER, "scale": 256, "bucket": "3:2", "weight": 1.0}
        files = {}
        for table, row in ((SHARD_INDEX, stored), (PLACEMENTS, placed)):
            con.register("rows", table.from_rows([row]))
            files[table.name] = pack_query(con, lake, table, "SELECT * FROM rows")
            con.unregister("rows")
        commit(con, lake, RunInfo(command="export"), files)
    return lake


def test_a_kept_image_tells_everything(lake: Lake) -> None:
    story = why(lake, MASTER)
    assert outcome(story) == "kept"
    assert [row["status"] for row in story.deliveries] == ["ok", "repeat"]
    assert [row["text"] for row in story.captions] == ["a barn"]
    assert [(row["text"], row["caption_of"]) for row in story.inherited_captions] == [("a red barn", COPY)]
    assert story.duplicates == [COPY]
    assert story.stored is not None
    assert (story.stored["shard"], story.stored["offset"]) == ("jpg-1.tar", 512)
    assert [row["bucket"] for row in story.placements] == ["3:2"]
    assert {row["image_id"]: row["is_duplicate_pair"] for row in story.neighbours} == {
        COPY: True,
        image_id("dark"): False,
    }
    luma = next(row for row in story.signals if row["name"] == "luma")
    assert luma["value"] == 120.0
    assert "mean luma" in luma["doc"]
    assert len(story.rules) == len(load("basic").rules)
    assert {answer.verdict for answer in story.rules} == {"passes"}


def test_a_duplicate_names_what_is_kept_for_it(lake: Lake) -> None:
    story = why(lake, COPY)
    assert outcome(story) == "duplicate"
    assert story.decision is not None
    assert story.decision["duplicate_of"] == MASTER


def test_a_dropped_image_names_every_rule_with_its_value(lake: Lake) -> None:
    failing = {answer.rule: answer.values for answer in why(lake, DARK).rules if answer.verdict == "fails"}
    assert failing == {"exposed": {"luma": 3.0}, "contrast": {"contrast": 2.0}}


def test_a_pending_image_names_what_it_lacks(lake: Lake) -> None:
    story = why(lake, UNMEASURED)
    assert outcome(story) == "pending"
    verdicts = {answer.rule: answer.verdict for answer in story.rules}
    assert verdicts["clear"] == "not measured"
    assert verdicts["large enough"] == "passes"
    assert {"table": "signals_pixels", "name": "*", "value": None, "doc": "not measured"} in story.signals


def test_an_error_row_is_found_by_its_uri(lake: Lake) -> None:
    story = why(lake, "/data/broken-0.jpg")
    assert outcome(story) == "error"
    assert story.image_id is None
    assert story.deliveries[0]["error"] == "truncated: ends at byte 10"


def test_an_image_that_came_after_the_last_decide_says_so(lake: Lake) -> None:
    story = why(lake, LATE)
    assert outcome(story) == "not decided yet"
    assert {answer.verdict for answer in story.rules} == {"passes"}


@pytest.mark.parametrize("name", [COPY[:8], "/data/copy.jpg", "copy.jpg", "/data/copy.jpg#0", "copy.jpg#0"])
def test_a_sample_goes_by_several_names(lake: Lake, name: str) -> None:
    assert why(lake, name).image_id == COPY


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no-such.jpg", "nothing in this lake goes by no-such.jpg"),
        ("0" * 32, "nothing in this lake"),
        ("", "nothing in this lake"),
        ("copy.jpg#7", "nothing in this lake"),
    ],
)
def test_an_unknown_name_is_one_line(lake: Lake, name: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        why(lake, name)


def test_a_name_of_many_lists_some(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    fill(lake, [str(n) for n in range(40)])
    starts = [image_id(n)[0] for n in range(40)]
    common = max(starts, key=starts.count)
    with pytest.raises(
        UsageError, match=rf"\d+ samples go by {common}: name one of them, such as {common}\w+, {common}"
    ):
        why(lake, common)
    story = why(lake, "/data/3.jpg")
    assert (story.recipe, story.rules, outcome(story)) == (None, [], "not decided yet")


def test_it_prints_and_writes_json(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (MASTER, COPY, DARK, UNMEASURED, LATE, "broken-0.jpg"):
        render(why(lake, name))
    printed = capsys.readouterr().out
    for part in ("jpg-1.tar", "a red barn", "fails exposed, contrast", "lacks ", "truncated: ends at byte 10"):
        assert part in printed.replace("\n", " ")
    assert json.loads(as_json(why(lake, MASTER)))["stored"]["offset"] == 512
