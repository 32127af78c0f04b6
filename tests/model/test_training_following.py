"""What the rows of a step are called, whether or not the lake can be read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import training_lakes
from once import once

from model.curriculum.load import loads
from model.feed.plans import PlanLike
from model.plan.plan import Plan
from model.training.following import names
from warehouse.lake import Lake


class Always:
    """A consumer of one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def plan(self, step: int) -> PlanLike:
        return self._plan


def test_rows_are_named_by_record_where_the_lake_cannot_be_read(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = once(tmp_path_factory, "training-lake", training_lakes.make)
    path = training_lakes.curriculum(tmp_path / "c.toml", steps=2)
    shutil.copytree(made / "lake", tmp_path / "lake")
    plan = Plan.make(loads(path.read_text()), Lake.open(tmp_path / "lake", read_only=True), tmp_path / "plan", 0)
    targets = [sample.target for sample in plan.batch(1).samples]
    assert names(Always(plan), 1, [0, 3]) == [plan.image_id(targets[0]), plan.image_id(targets[3])]
    shutil.rmtree(tmp_path / "lake" / "shards" / "pool")
    lost = Plan.open(tmp_path / "plan")
    assert names(Always(lost), 1, [3]) == [f"record {targets[3].record} of {targets[3].selection}"]
