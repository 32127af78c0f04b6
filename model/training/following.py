"""What a step follows: a recipe may change while a run goes on, and each step belongs to one plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from model.batches import Picture
from model.feed.plans import PlanLike
from model.plan.plan import Plan
from model.training.grids import GridSettings
from model.training.held_out import HeldOutSamples
from warehouse.errors import LakeError


class Followed(Protocol):
    """Who knows which plan a step follows: a Consumer."""

    def plan(self, step: int) -> PlanLike: ...


def followed(source: Followed, step: int) -> Plan:
    """The plan of a step."""
    plan = source.plan(step)
    assert isinstance(plan, Plan)  # nothing else is opened by a trainer's consumer
    return plan


def rate(source: Followed, step: int) -> tuple[str, float]:
    """Phase and learning rate of a step."""
    plan = followed(source, step)
    return plan.phase(step).name, plan.learning_rate(step)


def names(source: Followed, step: int, positions: Sequence[int]) -> list[str]:
    """The images at these places of a step: their ids, "forgotten", or, where the lake cannot be read, the records of
    the selection. It never raises LakeError: what it is asked for tells of something worse."""
    plan = followed(source, step)
    samples = plan.batch(step).samples
    return [_name(plan, samples[position].target) for position in positions]


def _name(plan: Plan, picture: Picture) -> str:
    try:
        return plan.image_id(picture) or "forgotten"
    except (LakeError, OSError):
        return f"record {picture.record} of {picture.selection}"


def sheet(
    source: Followed,
    done: int,
    held: HeldOutSamples | None,
    *,
    prompts: Sequence[str],
    steps: int,
    guidance: float,
    seed: int,
) -> GridSettings | None:
    """The sheet after `done` steps: at the size of the last one's phase, of `prompts`, else of held-out captions, else
    of those of the first step. None where there is nothing to draw."""
    plan = followed(source, done - 1)
    phase = plan.at(done - 1)[0]
    stream = next((s for s in phase.streams if s.task == "t2i"), phase.streams[0])
    shown = tuple(prompts) or (held.prompts(phase.phase.name, 8) if held is not None else ())
    if not shown:
        captions = [sample.caption for sample in plan.batch(0).samples if sample.caption]
        shown = tuple(dict.fromkeys(captions))[:8]
    if not shown:
        return None
    return GridSettings(shown, stream.height, stream.width, steps=steps, guidance=guidance, seed=seed)
