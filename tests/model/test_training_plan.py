"""Plans on a small lake: any batch from anywhere, shares, epochs, weights, pairs, captions and dropout as asked."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_lakes import Made, make_lake, of, simple

from model.batches import Picture, PlannedBatch
from model.curriculum.load import loads
from model.plan import Plan
from model.plan.streams import BLOCK
from warehouse.lake import Lake

REPO = Path(__file__).resolve().parent.parent.parent
SQUARE, WIDE, TALL = (100, 100), (160, 90), (90, 160)
KINDS = {"raw": 0.25, "recaption": 0.5, "fused": 0.25}


def captions(group: str, number: int) -> list[tuple[str, str]]:
    if group == "edited":
        return []
    if group == "one" and number % 2:
        return [("raw", f"one {number} raw")]  # the only kind it has
    return [(kind, f"{group} {number} {kind} {n} 图") for kind in KINDS for n in range(2)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Groups: `one` (80 square, 40 wide, 3 tall), `two` (40 square, 20 wide), `edited` in pairs of one or two
    references, some told in Chinese alone."""
    pairs = [
        (f"pair {n}", [("edited", n + i) for i in range(1 + n % 2)], ("edited", n + 2), f"do {n}" if n % 3 else None,
         f"做 {n}" if n % 3 != 1 else None)
        for n in range(30)
    ]  # fmt: skip
    groups = {"one": [SQUARE] * 80 + [WIDE] * 40 + [TALL] * 3, "two": [SQUARE] * 40 + [WIDE] * 20}
    return make_lake(
        tmp_path_factory.mktemp("plans") / "lake", {**groups, "edited": [SQUARE] * 20 + [WIDE] * 20}, captions, pairs
    )


BIG = """
name = "whole"
[source.one]
sql = "SELECT image_id FROM signals_header WHERE name = 'one'"
captions = { raw = 0.25, recaption = 0.5, fused = 0.25 }
[source.two]
sql = "SELECT image_id, 0.5 + number % 4 AS weight FROM signals_header WHERE name = 'two' AND number >= $low"
[source.pairs]
task = "ti2i"
sql = "SELECT pair_id FROM edits"
captions = { en = 1, zh = 1 }
[[phase]]
name = "small"
steps = 600
learning_rate = 1e-3
shares = { one = [0.9, 0.4], two = [0.1, 0.6], pairs = 1 }
edits = [0.1, 0.3]
segments = 2
values = { low = [0, 4] }
[[phase.resolution]]
side = 64
batch = 12
share = [0.8, 0.2]
[[phase.resolution]]
side = 96
tokens = 256
share = [0.2, 0.8]
[[phase]]
name = "large"
steps = 200
learning_rate = [1e-3, 1e-4]
shares = { one = 1 }
dropout = 0.5
[[phase.resolution]]
side = 128
batch = 4
"""


@pytest.fixture(scope="module")
def plan(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    lake = Lake.open(made.root, read_only=True)
    return Plan.make(loads(BIG), lake, tmp_path_factory.mktemp("run") / "plan", seed=5)


@pytest.fixture(scope="module")
def batches(plan: Plan) -> list[PlannedBatch]:
    return [plan.batch(step) for step in range(plan.steps)]


def quick(made: Made, folder: Path, text: str, seed: int = 1) -> Plan:
    return Plan.make(loads(text), Lake.open(made.root, read_only=True), folder / "plan", seed)


def test_a_batch_is_a_function_of_its_step_alone(plan: Plan) -> None:
    steps = [0, 1, 299, 300, 599, 600, 799, 17]
    first = {step: plan.batch(step) for step in steps}
    again = Plan.open(plan.folder)
    assert {step: again.batch(step) for step in reversed(steps)} == first
    assert pickle.loads(pickle.dumps(plan)).batch(299) == first[299]


def test_another_process_plans_the_same(plan: Plan) -> None:
    steps = [700, 3, 577]
    code = (
        "import sys; from pathlib import Path; from model.plan import Plan\n"
        f"plan = Plan.open(Path(sys.argv[1])); print([plan.batch(s) for s in {steps}])"
    )
    run = [sys.executable, "-c", code, str(plan.folder)]
    done = subprocess.run(run, capture_output=True, text=True, check=True, cwd=REPO)
    assert done.stdout.strip() == repr([plan.batch(step) for step in steps])


@settings(max_examples=30)
@given(step=st.integers(0, 799), ranks=st.integers(1, 6))
def test_ranks_slices_are_the_batch(plan: Plan, step: int, ranks: int) -> None:
    whole = plan.batch(step).samples
    bounds = [len(whole) * rank // ranks for rank in range(ranks + 1)]
    assert tuple(s for a, b in pairwise(bounds) for s in plan.samples(step, a, b)) == whole


def test_batches_are_as_the_phase_says(plan: Plan, batches: list[PlannedBatch]) -> None:
    assert plan.steps == 800
    sizes: Counter[tuple[str, int, int, int]] = Counter()
    for step in range(800):
        batch = batches[step]
        assert batch.step == step
        assert batch.phase == ("small" if step < 600 else "large") == plan.phase(step).name
        sizes[batch.task, batch.height, batch.width, len(batch.samples)] += 1
    assert {s for s in sizes if s[0] == "ti2i"} <= {s for s in sizes if s[1] <= 96} | {("ti2i", 64, 64, 12)}
    assert {(h, w, n) for _, h, w, n in sizes} == {
        (64, 64, 12), (48, 80, 12), (96, 96, 7), (80, 128, 6), (128, 128, 4), (96, 176, 4),
    }  # fmt: skip
    with pytest.raises(IndexError):
        plan.batch(800)
    assert plan.learning_rate(599) == 1e-3
    assert plan.learning_rate(799) == pytest.approx(1e-4)


def test_tasks_and_resolutions_keep_their_ramps_within_one_batch(plan: Plan) -> None:
    at = np.arange(600) / 599
    edits = 0.1 + 0.2 * at
    small = 0.8 - 0.6 * at
    due = {
        ("t2i", 0): (1 - edits) * small,
        ("t2i", 1): (1 - edits) * (1 - small),
        ("ti2i", 0): edits * small,
        ("ti2i", 1): edits * (1 - small),
    }
    streams = [plan.stream(step) for step in range(600)]
    for kind, share in due.items():
        seen = np.cumsum([(s.task, s.resolution) == kind for s in streams])
        assert np.abs(seen - np.cumsum(share)).max() < 1 + 1e-4


def test_buckets_come_as_often_as_the_sources_hold_of_them(plan: Plan) -> None:
    buckets = Counter(plan.stream(step).bucket for step in range(600, 800))
    assert buckets["1:1"] == pytest.approx(200 * 80 / 120, abs=1)
    assert buckets["16:9"] == pytest.approx(200 * 40 / 120, abs=1)
    # three tall pictures fill no batch of four without repeating one
    assert [(cell.items, cell.bucket) for cell in plan.phases[1].unused] == [("one", "9:16")]


def test_nothing_comes_twice_in_an_epoch(plan: Plan, batches: list[PlannedBatch]) -> None:
    """The stream of each bucket of a source, cut into epochs, over both resolutions and both segments."""
    streams: dict[tuple[str, str], list[int]] = {}
    for step in range(600, 800):
        batch = batches[step]
        for sample in batch.samples:
            streams.setdefault(("one", plan.stream(step).bucket), []).append(sample.target.record)
    for (_, bucket), records in streams.items():
        size = {"1:1": 80, "16:9": 40}[bucket]
        # a batch's places are shuffled, so that an epoch's border falls within one batch: count by whole batches
        seen = Counter(records[: len(records) // size * size])
        assert max(seen.values()) - min(seen.values()) <= 1
        assert len(seen) == size


def test_epochs_are_permutations_and_differ(made: Made, tmp_path: Path) -> None:
    plan = quick(made, tmp_path, simple({"one": of("one", ", '1:1' AS bucket")}, "one = 1", batch=41, steps=12))
    drawn = [[s.target.record for s in plan.batch(step).samples] for step in range(12)]
    epochs = [[*drawn[n], *drawn[n + 1], *drawn[n + 2]] for n in range(0, 12, 3)]  # 123 images, 41 a batch
    assert all(sorted(epoch) == list(range(123)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert quick(made, tmp_path / "b", simple({"one": of("one", ", '1:1' AS bucket")}, "one = 1", batch=41), 2).batch(
        0
    ) != plan.batch(0)


def test_weights_are_expected_copies(made: Made, tmp_path: Path) -> None:
    sql = of("one", ", '1:1' AS bucket, CASE WHEN number < 3 THEN 0 ELSE 0.25 * (number % 12) END AS weight")
    plan = quick(made, tmp_path, simple({"one": sql}, "one = 1", batch=16, steps=800))
    items = plan.items["one"]
    weight = items.weight(np.arange(123)).astype(float)
    seen = Counter(s.target.record for step in range(800) for s in plan.batch(step).samples)
    epochs = 800 * 16 / weight.sum()
    copies = np.array([seen[record] for record in range(123)])
    assert np.abs(copies / epochs - weight).max() < 0.03
    one_epoch = Counter(items.draw("1:1", np.arange(items.places("1:1")), 1, 0, "one").records.tolist())
    for record, expected in enumerate(weight):
        assert one_epoch[record] in (int(expected), int(np.ceil(expected)), int(expected) - 1)
    assert sum(one_epoch[r] < int(w) for r, w in enumerate(weight)) <= 1  # the one where the line is closed


def test_a_source_that_goes_on_through_segments_does_not_begin_again(plan: Plan) -> None:
    tables = plan.phases[0]
    assert plan.held.keys() == {"one", "two", "pairs", "two-2"}
    cell = next(n for n, cell in enumerate(tables.cells) if cell.items == "one" and cell.bucket == "1:1")
    cursors = [
        tables.cursor(step, 0, cell) for step in range(600) if tables.streams[tables.stream[step]].cells[0] == cell
    ]
    assert cursors == sorted(cursors)
    assert cursors[-1] > 80
    totals = tables.cursors[-1]
    assert totals.sum() == tables.counts.sum()
    assert BLOCK > 600  # within one block; the next test crosses blocks


def test_cursors_written_down_agree_with_counting(made: Made, tmp_path: Path) -> None:
    plan = quick(made, tmp_path, simple({"one": of("one")}, "one = 1", batch=3, steps=2500))
    tables = plan.phases[0]
    taken = np.zeros(len(tables.cells), int)
    for step in range(2500):
        stream = tables.streams[tables.stream[step]]
        if step in (1, 1023, 1024, 1025, 2047, 2048, 2499):
            assert tables.cursor(step, 0, stream.cells[0]) == taken[stream.cells[0]]
        taken[stream.cells[0]] += tables.counts[step, 0]


def test_pictures_are_the_stored_bytes(made: Made, plan: Plan) -> None:
    for step in (0, 500, 700):
        for sample in plan.batch(step).samples:
            data = plan.read(sample.target)
            assert data == made.data[str(plan.image_id(sample.target))]
            if sample.target.selection == "one":
                assert sample.caption is not None
                assert sample.caption.split(" ")[:2] == str(data, "latin1").split(" ")[:2]
    many = [sample.target for sample in plan.batch(0).samples]
    assert plan.read_many(many) == [plan.read(picture) for picture in many]
    same = [Picture("one", 3), Picture("one", 3)]
    assert plan.read_many(same) == [plan.read(same[0])] * 2
    assert plan.content(same[0]) == plan.content(same[1]) != plan.content(Picture("one", 4))


def test_pairs_keep_their_references_and_instructions(made: Made, plan: Plan, batches: list[PlannedBatch]) -> None:
    number = {image: n for n, image in enumerate(made.ids["edited"])}
    languages: Counter[str] = Counter()
    for step in range(600):
        batch = batches[step]
        if batch.task == "t2i":
            assert all(not sample.references for sample in batch.samples)
            continue
        for sample in batch.samples:
            target = number[str(plan.image_id(sample.target))] - 2
            references = [number[str(plan.image_id(reference))] for reference in sample.references]
            assert references == [target + i for i in range(1 + target % 2)]
            assert sample.caption in (f"do {target}", f"做 {target}")
            if target % 3 == 2:  # told in both
                languages[sample.caption.split(" ")[0]] += 1
    assert 0.4 < languages["做"] / languages.total() < 0.6


def test_captions_are_drawn_by_the_mix_of_kinds(batches: list[PlannedBatch]) -> None:
    kinds: Counter[str] = Counter()
    texts: dict[int, set[str]] = {}
    for step in range(800):
        for sample in batches[step].samples:
            if sample.target.selection == "one":
                assert sample.caption is not None
                texts.setdefault(sample.target.record, set()).add(sample.caption)
                words = sample.caption.split(" ")
                if int(words[1]) % 2 == 0:
                    kinds[words[2]] += 1
                else:
                    assert words[2] == "raw"
    for kind, share in KINDS.items():
        assert kinds[kind] / kinds.total() == pytest.approx(share, abs=0.03)
    assert max(len(found) for found in texts.values()) == 6


def test_without_a_mix_the_best_kind_is_taken(batches: list[PlannedBatch]) -> None:
    told = [s.caption for step in range(600) for s in batches[step].samples if s.target.selection.startswith("two")]
    assert told
    assert all(caption and " fused " in caption for caption in told)


def test_dropout_is_a_share_of_the_samples(batches: list[PlannedBatch]) -> None:
    dropped = [[s.dropped for s in batches[step].samples] for step in range(800)]
    first, second = (np.concatenate(part) for part in (dropped[:600], dropped[600:]))
    assert first.mean() == pytest.approx(0.1, abs=0.012)
    assert second.mean() == pytest.approx(0.5, abs=0.05)
    assert 0 < np.mean(dropped[605]) < 1 or 0 < np.mean(dropped[606]) < 1  # of samples, not of batches


def test_the_digest_names_what_is_planned(made: Made, plan: Plan, tmp_path: Path) -> None:
    text = simple({"one": of("one")}, "one = 1")
    first = quick(made, tmp_path / "a", text)
    assert quick(made, tmp_path / "b", text).digest == first.digest
    assert quick(made, tmp_path / "c", text, seed=2).digest != first.digest
    assert quick(made, tmp_path / "d", simple({"one": of("one") + " AND number > 0"}, "one = 1")).digest != first.digest


def test_a_plan_moves_with_its_lake(made: Made, plan: Plan, tmp_path: Path) -> None:
    shutil.copytree(plan.folder, tmp_path / "plan")
    shutil.copytree(made.root, tmp_path / "lake")
    moved = Plan.open(tmp_path / "plan", tmp_path / "lake")
    assert moved.digest == plan.digest
    picture = plan.batch(0).samples[0].target
    assert moved.read(picture) == plan.read(picture)
