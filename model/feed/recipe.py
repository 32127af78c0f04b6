"""The line of plans that a run follows: which one from which step, on disk as it grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from model.feed.messages import Chapter
from model.feed.plans import OpenPlan, PlanLike, Plans, agree, at, checked_first
from model.feed.record import Record
from warehouse.errors import UsageError


class Recipe:
    """Chapters, their plans, and the last step that any consumer has planned. Not safe for threads: its owner locks."""

    def __init__(self, record: Record, opener: OpenPlan) -> None:
        self._record, self._plans = record, Plans(opener)
        self.chapters = record.chapters()
        self.horizon = record.horizon()

    @property
    def steps(self) -> int:
        """Steps of the run, by the plan that it follows in the end."""
        return self._plans.get(self.chapters[-1]).steps if self.chapters else 0

    def plan(self, step: int) -> PlanLike:
        return self._plans.get(at(self.chapters, step))

    def promise(self, horizon: int) -> None:
        """Steps up to `horizon` keep their plan from now on."""
        if horizon > self.horizon:
            self.horizon = horizon
            self._record.keep_horizon(horizon)

    def begin(self, plan: PlanLike) -> None:
        """The plan of step 0, where there is none yet. Raises UsageError if the run has followed others so far."""
        self._plans.add(plan)
        if not self.chapters:
            self._append(Chapter(0, plan.digest, str(plan.folder)), "the run begins")
        elif plan.digest not in {c.digest for c in self.chapters}:
            raise UsageError(
                f"this run follows plan {self.chapters[-1].digest[:12]}, not {plan.digest[:12]}: change it with "
                "`glyphmill train change`, or begin another run"
            )

    def change(self, plan: PlanLike, at_step: int | None, why: str) -> Chapter:
        """From a step that nobody has planned yet, follow `plan`. Raises UsageError where that cannot be: a run keeps
        its length, its optimizer with the average, and its timesteps, which a trainer sets up once."""
        first = checked_first(self.chapters, self.horizon, at_step)
        if first >= plan.steps:
            raise UsageError(f"the plan in {plan.folder} ends at step {plan.steps}, the change would be at {first}")
        refuse_other_course(self.plan(first), plan)
        self._plans.add(plan)
        chapter = Chapter(first, plan.digest, str(Path(plan.folder).resolve()))
        self._append(chapter, why)
        return chapter

    def adopt(self, chapters: Sequence[Chapter], step: int) -> list[Chapter]:
        """Chapters of a checkpoint of `step` that are not known here yet are followed; gives them.

        Raises UsageError where the run's own differ before `step`.
        """
        last = max((c.first for c in self.chapters), default=-1)
        new = [chapter for chapter in chapters if chapter.first > last]
        differs = agree((*self.chapters, *new), tuple(chapters), step)
        if differs is not None:
            raise UsageError(
                f"the checkpoint was trained by plan {at(chapters, differs).digest[:12]} from step {differs} on, "
                f"this run's feed follows {at(self.chapters, differs).digest[:12]}: resume in the run's own folder"
            )
        for chapter in new:
            self._plans.get(chapter)  # it must be there before it is followed
            self._append(chapter, f"taken from the checkpoint of step {step}")
        return new

    def _append(self, chapter: Chapter, why: str) -> None:
        self._record.append(chapter, why)
        self.chapters = self._record.chapters()


def refuse_other_course(followed: PlanLike, plan: PlanLike) -> None:
    """Raises UsageError, naming what differs, where `plan` has another length than the one followed so far, or where
    its curriculum has other settings of the optimizer (the average's decay among them) or of timesteps."""
    differ = [] if plan.steps == followed.steps else [f"steps is {followed.steps} there, {plan.steps} here"]
    ours, theirs = _fixed(followed), _fixed(plan)
    differ += [f"{n} is {v} there, {theirs[n]} here" for n, v in ours.items() if n in theirs and theirs[n] != v]
    if differ:
        raise UsageError(
            f"the run cannot change to the plan in {plan.folder} ({'; '.join(differ)}): make that with what the run "
            "began with, or begin another run"
        )


def _fixed(plan: PlanLike) -> dict[str, object]:
    """What of a curriculum a trainer sets up once; nothing for a plan that has no curriculum."""
    from model.plan import Plan

    if not isinstance(plan, Plan):
        return {}
    told = plan.curriculum
    return {f"optimizer.{name}": value for name, value in asdict(told.optimizer).items()} | {
        f"timesteps.{name}": value for name, value in asdict(told.timesteps).items()
    }
