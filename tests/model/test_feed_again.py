"""A batch that could not be had is asked for anew, not answered with the old error."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from feed_plans import open_listed, plain_plan
from feed_rig import expected, rig, same

from model.consumer import Consumer
from model.feed.client import HttpDoor
from model.feed.messages import Located
from warehouse.errors import LakeError


@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_batch_that_failed_may_be_asked_for_again(tmp_path: Path, prefetch: int) -> None:
    plan = plain_plan(tmp_path / "plan")
    with rig(tmp_path, plan) as made:

        class Away(HttpDoor):
            left = prefetch + 1

            def where(self, keys: Sequence[str], seconds: float) -> Located:
                if self.left:
                    self.left -= 1
                    raise LakeError("away for a moment")
                return super().where(keys, seconds)

        with Consumer(plan, Away(made.url), prefetch=prefetch, stall_s=60.0, opener=open_listed) as consumer:
            with pytest.raises(LakeError, match="away for a moment"):
                consumer.batch(0)
            while any(not future.done() for future in dict(consumer._coming).values()):
                time.sleep(0.01)
            for step in range(3):
                same(consumer.batch(step), expected(plan, made.encoders, step))
