"""The feed on a real plan of a real lake."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from feed_rig import expected, rig, same
from once import once
from training_lakes import curriculum, make

from model.curriculum.load import load
from model.feed.plans import open_plan
from model.plan import Plan
from warehouse.forgotten_list import listing
from warehouse.lake import Lake


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "training-lake", make)


def test_batches_of_a_lake_without_what_was_forgotten(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "lake", tmp_path / "lake")
    lake = Lake.open(tmp_path / "lake", read_only=True)
    plan = Plan.make(load(curriculum(tmp_path / "c.toml")), lake, tmp_path / "plan", seed=3)
    gone = plan.batch(4).samples[2].target
    name = plan.image_id(gone)
    assert name is not None
    listing(lake.pool).write_text(f"{name}\n", encoding="ascii")
    empty = 0
    with rig(tmp_path, plan, producers=2, opener=open_plan) as built:
        consumer = built.consume()
        for step in range(plan.steps):
            batch = consumer.batch(step)
            same(batch, expected(plan, built.encoders, step))
            kept = [place for place, sample in enumerate(plan.batch(step).samples) if sample.target != gone]
            assert batch.positions == tuple(kept)
            empty += len(plan.batch(step).samples) - len(kept)
        assert consumer.empty == empty > 0
        assert consumer.plan(3).digest == plan.digest
