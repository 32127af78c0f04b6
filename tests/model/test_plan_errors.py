"""What a plan refuses, in one line that names phase and source, with nothing left behind; and what was forgotten."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from plan_lakes import Made, make_lake, of, simple
from typer.testing import CliRunner

from glyphmill import app
from model.curriculum.load import loads
from model.plan import Plan
from warehouse.errors import LakeError, UsageError
from warehouse.forgotten_list import listing
from warehouse.lake import Lake

SQUARE = (100, 100)


def captions(group: str, number: int) -> list[tuple[str, str]]:
    return [] if group == "mute" or (group == "some" and number % 3 == 0) else [("raw", f"{group} {number}")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    pairs = [(f"pair {n}", [("good", n)], ("good", n + 1), f"do {n}" if n < 5 else None, None) for n in range(8)]
    pairs.append(("far", [("far", 0)], ("good", 0), "do it", None))
    return make_lake(
        tmp_path_factory.mktemp("errors") / "lake",
        {"good": [SQUARE] * 20, "some": [SQUARE] * 12, "mute": [SQUARE] * 4, "far": [SQUARE] * 3},
        captions,
        pairs,
        frozenset({("far", 0), ("far", 1), ("far", 2)}),
    )


def attempt(made: Made, folder: Path, text: str) -> Plan:
    return Plan.make(loads(text), Lake.open(made.root, read_only=True), folder / "plan", 0)


PAIRS = simple({"good": of("good"), "pairs": "SELECT pair_id FROM edits"}, "good = 1, pairs = 1", more="edits = 0.5")
PAIRS = PAIRS.replace("[source.pairs]", '[source.pairs]\ntask = "ti2i"').replace("batch = 8", "batch = 4")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            simple({"a": of("nothing")}, "a = 1"),
            "phase only, source a: the selection is empty: no image fits the query",
        ),
        (
            simple({"a": of("far")}, "a = 1", top='on_missing_caption = "skip"'),
            "none of the 3 selected images is stored",
        ),
        (simple({"a": of("mute")}, "a = 1"), "phase only, source a: image "),
        (
            simple({"a": of("some")}, "a = 1"),
            "has no caption (4 have none): leave them out in its sql, or write on_miss",
        ),
        (simple({"a": of("mute")}, "a = 1", top='on_missing_caption = "skip"'), "none of its 4 images has a caption"),
        (simple({"a": of("good")}, "a = 1", batch=21), "bucket 1:1 has 20 for batches of 21 at 64"),
        (simple({"a": of("good") + " AND nmae = 'x'"}, "a = 1"), "source a: the query cannot be run: Binder Error"),
        (simple({"a": "SELECT name FROM signals_header"}, "a = 1"), "its query must give image_id, it gives name"),
        (simple({"a": of("good", ", 'round' AS bucket")}, "a = 1"), "'round' is not an aspect bucket"),
        (simple({"a": of("good", ", -1 AS weight")}, "a = 1"), "the weight -1.0: a weight is a number >= 0"),
        (simple({"a": of("good")}, "a = 1", more="captions = { fused = 1 }"), "has no caption of kind fused (20 have"),
        (simple({"a": of("good")}, "a = 1").replace("learning_rate = 1e-3", ""), "no learning rate for phase only"),
        (PAIRS, "source pairs: edit pair "),
        (PAIRS.replace("FROM edits", "FROM edits WHERE false"), "source pairs: the selection is empty: no edit pair"),
        (
            PAIRS.replace("SELECT pair_id", "SELECT target_id"),
            "its query must give pair_id (of the table edits), it giv",
        ),
    ],
)
def test_a_refusal_is_one_line_and_leaves_nothing(made: Made, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        attempt(made, tmp_path, text)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_what_has_no_caption_can_be_skipped_and_is_counted(made: Made, tmp_path: Path) -> None:
    plan = attempt(made, tmp_path, simple({"a": of("some")}, "a = 1", batch=4, top='on_missing_caption = "skip"'))
    held = plan.held["a"]
    assert (held.selected, held.uncaptioned, held.stored) == (12, 4, 8)
    assert all(sample.caption for step in range(50) for sample in plan.batch(step).samples)


def test_pairs_that_are_not_whole_are_left_out_and_counted(made: Made, tmp_path: Path) -> None:
    text = PAIRS.replace('name = "test"', 'name = "test"\non_missing_caption = "skip"')
    held = attempt(made, tmp_path, text).held["pairs"]
    assert (held.selected, held.uncaptioned, held.unstored, held.stored) == (9, 3, 1, 5)


def test_a_plan_is_never_overwritten(made: Made, tmp_path: Path) -> None:
    first = attempt(made, tmp_path, simple({"a": of("good")}, "a = 1"))
    with pytest.raises(UsageError, match="a plan is never overwritten"):
        attempt(made, tmp_path, simple({"a": of("good")}, "a = 1", batch=4))
    assert Plan.open(tmp_path / "plan").digest == first.digest
    with pytest.raises(UsageError, match="no plan at"):
        Plan.open(tmp_path)
    content = json.loads((tmp_path / "plan" / "plan.json").read_text(encoding="utf-8"))
    (tmp_path / "plan" / "plan.json").write_text(json.dumps({**content, "format": 99}), encoding="utf-8")
    with pytest.raises(UsageError, match="has format 99, this version reads"):
        Plan.open(tmp_path / "plan")


def test_forgotten_pictures_read_as_nothing(made: Made, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    shutil.copytree(made.root, root)
    plan = Plan.make(loads(simple({"a": of("good")}, "a = 1")), Lake.open(root), tmp_path / "plan", 0)
    batch = plan.batch(3)
    gone = batch.samples[2].target
    image = plan.image_id(gone)
    assert image is not None
    listing(root / "shards" / "pool").write_text(image + "\n", encoding="ascii")  # what `glyphmill forget` writes first
    assert plan.read(gone) is None
    assert plan.image_id(gone) is None
    found = plan.read_many([sample.target for sample in batch.samples])
    assert [data is None for data in found] == [sample.target == gone for sample in batch.samples]
    assert plan.batch(3) == batch  # the plan stays: the place is empty


def test_a_lake_that_moves_on_meanwhile_is_told(made: Made, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    shutil.copytree(made.root, root)
    lake = Lake.open(root)

    def meanwhile(text: str) -> None:
        if "selecting b" in text:
            with lake.connect() as con:
                con.execute("INSERT INTO captions BY NAME SELECT 'x' AS image_id, 'y' AS text")

    with pytest.raises(LakeError, match="written to while the plan was made: make it again"):
        Plan.make(
            loads(simple({"a": of("good"), "b": of("good") + " AND number > 1"}, "a = 1, b = 1")),
            lake, tmp_path / "run" / "plan", 0, meanwhile,
        )  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_a_lake_that_is_gone_is_told(made: Made, tmp_path: Path) -> None:
    plan = attempt(made, tmp_path, simple({"a": of("good")}, "a = 1"))
    moved = Plan.open(plan.folder, tmp_path / "nowhere")
    assert moved.batch(0) == plan.batch(0)
    with pytest.raises(LakeError, match="the plan's lake is not at"):
        moved.read(plan.batch(0).samples[0].target)


def test_the_command_shows_and_keeps_a_plan(made: Made, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    text = simple({"good": of("good"), "some": of("some")}, "good = [0.9, 0.1], some = [0.1, 0.9]", batch=4)
    file.write_text(
        text.replace('name = "test"', 'name = "test"\non_missing_caption = "skip"').replace("learning_rate = 1e-3", ""),
        encoding="utf-8",
    )
    run = ["train", "plan", "--lake", str(made.root), "--curriculum", str(file)]
    shown = CliRunner().invoke(app, [*run, "--dry-run", "--plot", str(tmp_path / "shares.png")], env={"COLUMNS": "160"})
    assert shown.exit_code == 0, shown.output
    for said in ("50 steps, 200 samples", "0.9 -> 0.1", "4 no caption", "64 x 64"):
        assert said in shown.output
    assert (tmp_path / "shares.png").read_bytes().startswith(b"\x89PNG")
    refused = CliRunner().invoke(app, [*run, "--out", str(tmp_path / "run")])
    assert isinstance(refused.exception, UsageError)
    assert not (tmp_path / "run" / "plan").exists()
    kept = CliRunner().invoke(app, [*run, "--out", str(tmp_path / "run"), "--lr", "1e-4", "--shrink-steps", "2"])
    assert kept.exit_code == 0, kept.output
    plan = Plan.open(tmp_path / "run" / "plan")
    assert plan.steps == 25
    assert plan.learning_rate(24) == 1e-4
    assert plan.digest[:12] in kept.output


def test_curricula_are_listed() -> None:
    listed = CliRunner().invoke(app, ["train", "curricula"], env={"COLUMNS": "160"})
    assert listed.exit_code == 0
    for said in ("qwen-image-2", "960,000", "256/512 -> 512/1024/2048", "to be given", "small"):
        assert said in listed.output
