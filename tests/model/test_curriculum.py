"""Curricula as data: what is wrong is told in one line, what ships says what the reports say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from decision_lakes import new_lake
from plan_lakes import simple

from model.curriculum.load import load, loads, shipped
from model.curriculum.ramp import Ramp
from model.curriculum.schema import Curriculum
from model.curriculum.sizes import PUBLISHED, size
from model.curriculum.stored import from_dict, to_dict
from model.plan.query import filled
from pipelines import all_signals
from pipelines.recipe import stored_tables
from warehouse.buckets import ASPECT_BUCKETS, ratio
from warehouse.errors import UsageError

SQL = "SELECT image_id FROM samples"
GOOD = simple({"a": SQL}, "a = 1")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("steps = 50", "stepps = 50", "test.toml, phase only: unknown key 'stepps'; did you mean steps"),
        ("side = 64", "sid = 64", "phase only, resolution: unknown key 'sid'; did you mean side"),
        ("sql =", "sq =", "source a: unknown key 'sq'; did you mean sql?"),
        ('name = "test"', 'nam = "test"', "test.toml: unknown key 'nam'; did you mean name?"),
        ("steps = 50", "", "phase only: steps is missing"),
        ("steps = 50", "steps = 0", "steps must be a whole number of at least 1, got 0"),
        ("steps = 50", "steps = true", "steps must be a whole number"),
        ("shares = { a = 1 }", "shares = { b = 1 }", "phase only: unknown source 'b'; there is a"),
        ("shares = { a = 1 }", "shares = { a = [1, -1] }", "phase only, shares: a must be a number from 0"),
        ("shares = { a = 1 }", "shares = { a = [1, 0, 1] }", "shares of its text-to-image sources are all 0 at some"),
        ("batch = 8", "", "give either batch (images of a step) or tokens"),
        ("batch = 8", "batch = 8\ntokens = 100", "give either batch"),
        ("batch = 8", "batch = 8\ndivisible_by = 3", "batch (8) is no multiple of divisible_by (3)"),
        ("batch = 8", "batch = 8\nshare = 0", "the shares of its resolutions are all 0"),
        ("batch = 8", 'batch = 8\nsizes = { "1:1" = [60, 64] }', "1:1 = [60, 64] are no multiples of 16"),
        ("steps = 50", "steps = 50\nedits = 0.1", "shares name no ti2i source, but its steps ask for one"),
        ("steps = 50", "steps = 50\nsegments = 51", "segments (51) are more than its steps (50)"),
        ("steps = 50", "steps = 50\nvalues = { x = [1, 2] }", "segments must be 2 or more for value x to move"),
        (SQL, SQL + " WHERE sharpness > $bar", "source a: unknown value '$bar'; there is side"),
        ("steps = 50", "steps = 50\ncaptions = { recption = 1 }", "unknown caption kind 'recption'; did you mean rec"),
        ("steps = 50", "steps = 50\ncaptions = { raw = 0 }", "captions have no share above 0"),
        ('[source.a]', '[source.b]\nsql = "SELECT 1"\n[source.a]', "no phase has a share of source b"),
        ('name = "test"', 'name = "test"\nbuckets = ["square"]', "'square' is not an aspect bucket"),
        ('name = "test"', 'name = "test"\nmultiple = 24', "multiple (24) must be a multiple of token (16)"),
        ('name = "test"', 'name = "test', "test.toml is not valid TOML"),
        ("learning_rate = 1e-3", 'learning_rate = "low"', "learning_rate must be a number from 0"),
        ("learning_rate = 1e-3", 'decay = "step"', "decay must be one of linear, cosine, got 'step'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(before: str, after: str, said: str) -> None:
    assert before in GOOD
    with pytest.raises(UsageError) as error:
        loads(GOOD.replace(before, after, 1), "test.toml")
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("test.toml")


def test_pairs_need_steps_and_phases_need_names() -> None:
    pairs = GOOD.replace("[source.a]", '[source.e]\ntask = "ti2i"\nsql = "SELECT pair_id FROM edits"\n[source.a]')
    with pytest.raises(UsageError, match="edits is 0, so that its ti2i source would never be seen"):
        loads(pairs.replace("{ a = 1 }", "{ a = 1, e = 1 }"))
    with pytest.raises(UsageError, match="no phase: add"):
        loads(GOOD[: GOOD.index("[[phase]]")].replace("[source.a]", "[source.a]"))
    phase = GOOD[GOOD.index("[[phase]]") :]
    with pytest.raises(UsageError, match="two phases have one name"):
        loads(GOOD + phase)


def test_a_name_that_does_not_ship_is_told_which_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no curriculum nothing: give the path of .* or one of .*qwen-image-2"):
        load("nothing")
    (tmp_path / "mine.toml").write_text(GOOD, encoding="utf-8")
    assert load(tmp_path / "mine.toml").phases[0].steps == 50


def test_qwen_image_2_is_the_table_of_the_report() -> None:
    curriculum = load("qwen-image-2")
    k = 1024
    table = [
        (phase.steps, {r.side: r.batch for r in phase.resolutions}, phase.edits.points) for phase in curriculum.phases
    ]
    assert table == [
        (700_000, {256: 32 * k, 512: 16 * k}, (0.1,)),
        (250_000, {512: 16 * k, 1024: 8 * k, 2048: 4 * k}, (0.3,)),
        (10_000, {512: 16 * k, 1024: 8 * k, 2048: 4 * k}, (0.3,)),
    ]
    optimizer = curriculum.optimizer
    assert (optimizer.name, optimizer.weight_decay, optimizer.clip) == ("adam", 0.001, 1.0)
    assert {phase.dropout for phase in curriculum.phases} == {0.1}
    assert curriculum.without_rate() == ["pre-training", "continual", "sft"]  # not published: it must be given
    assert curriculum.with_rate(1e-4).without_rate() == []
    assert curriculum.multiple == 32


def test_qwen_image_moves_all_five_knobs() -> None:
    curriculum = load("qwen-image")
    first, last = curriculum.phases[0], curriculum.phases[-1]
    assert [max(r.side for r in phase.resolutions) for phase in curriculum.phases] == [256, 640, 1328]
    share = {source: ramp.points for source, ramp in first.shares.items()}
    assert share["paragraph"][0] == 0 < share["paragraph"][-1]  # text
    assert share["plain"][0] > share["plain"][-1]
    assert first.segment_values(0)["sharpness"] < last.segment_values(0)["sharpness"]  # quality
    assert "balanced" not in first.shares  # balance
    assert "balanced" in last.shares
    assert first.shares["drawn"].points[0] == 0 < last.shares["drawn"].points[0]  # synthetic
    assert last.resolutions[-1].size("16:9", 16) == (928, 1664)


def test_every_query_that_ships_fits_a_curated_lake(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    with lake.connect() as con:
        all_signals.refresh(con, stored_tables(con))
        for name in shipped():
            curriculum = load(name)
            for phase in curriculum.phases:
                for source in (curriculum.sources[share] for share in phase.shares):
                    values = {**phase.segment_values(0), "side": float(phase.resolutions[0].side)}
                    columns = [row[0] for row in con.execute(f"DESCRIBE {filled(source.sql, values)}").fetchall()]
                    assert ("pair_id" if source.task == "ti2i" else "image_id") in columns


@pytest.mark.parametrize("name", sorted(shipped()))
def test_a_curriculum_survives_being_stored(name: str) -> None:
    import json

    curriculum = load(name)
    again = from_dict(json.loads(json.dumps(to_dict(curriculum))))
    assert again == curriculum
    assert again.digest == curriculum.digest


def test_the_digest_is_of_the_content() -> None:
    assert loads(GOOD).digest == loads(GOOD + "\n# a comment").digest
    told = replace(loads(GOOD), doc="in other words")
    assert told != loads(GOOD)
    assert told.digest == loads(GOOD).digest
    assert loads(GOOD).digest != loads(GOOD.replace("steps = 50", "steps = 51")).digest


@pytest.mark.parametrize("side", [64, 256, 512, 640, 1024, 1328, 2048])
@pytest.mark.parametrize("multiple", [16, 32])
def test_sizes_are_multiples_of_about_the_area_and_shape(side: int, multiple: int) -> None:
    for bucket in ASPECT_BUCKETS:
        height, width = size(side, bucket, multiple)
        assert height % multiple == width % multiple == 0
        if side >= 512:
            assert abs(width / height / ratio(bucket) - 1) < 0.1
            assert abs(width * height / side**2 - 1) < 0.13  # 1664x928, as published


def test_the_published_sizes_stand_at_1328() -> None:
    assert size(1328, "4:3", 16) == (1104, 1472)
    assert {size(1328, b, 16)[::-1] for b in PUBLISHED[1328]} == set(PUBLISHED[1328].values())


def test_ramps_warm_up_and_decay() -> None:
    assert Ramp((0.0, 1.0, 0.0)).at(np.array([0.0, 0.25, 0.5, 1.0])).tolist() == [0, 0.5, 1, 0]
    text = GOOD.replace("learning_rate = 1e-3", 'learning_rate = [1e-3, 1e-5]\ndecay = "cosine"\nwarmup = 10')
    phase = loads(text).phases[0]
    assert phase.rate(0) == pytest.approx(1e-4, rel=1e-2)
    assert phase.rate(9) > phase.rate(8)
    assert phase.rate(49) == pytest.approx(1e-5)
    middle = (1e-3 + 1e-5) / 2
    assert phase.rate(24) > middle > phase.rate(25)
    linear = loads(GOOD.replace("1e-3", "[1e-3, 1e-5]")).phases[0]
    assert linear.rate(0) == 1e-3
    assert linear.rate(49) == 1e-5


def test_segments_cut_a_phase_evenly() -> None:
    text = GOOD.replace("steps = 50", "steps = 50\nsegments = 3\nvalues = { bar = [10, 30] }")
    phase = loads(text).phases[0]
    assert phase.segment_starts() == [0, 16, 33, 50]
    assert [phase.segment_values(n)["bar"] for n in range(3)] == [10, 20, 30]
    assert filled("a >= $bar AND b < $side", {"bar": 12.5, "side": 64.0}) == "a >= 12.5 AND b < 64"


def test_a_token_budget_gives_smaller_batches_to_larger_pictures() -> None:
    resolution = loads(GOOD.replace("batch = 8", "tokens = 1000\ndivisible_by = 4")).phases[0].resolutions[0]
    assert resolution.images(64, 64, 16) == 60  # 16 tokens each, 62 fit
    assert resolution.images(128, 128, 16) == 12
    assert resolution.images(1024, 1024, 16) == 4  # at least one for each


def test_a_published_curriculum_can_be_shrunk() -> None:
    small: Curriculum = load("qwen-image-2").shrunk(steps=10_000, batch=4096)
    assert [phase.steps for phase in small.phases] == [70, 25, 1]
    assert [r.batch for r in small.phases[1].resolutions] == [4, 2, 1]
