"""What the feed asks of a plan, and the line of plans that a run follows: which one from which step."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from model.batches import Picture, PlannedBatch
from model.feed.messages import Chapter
from warehouse.errors import LakeError, UsageError


class PlanLike(Protocol):
    """A plan of batches: pure in `batch`, and the door to the original bytes."""

    @property
    def digest(self) -> str: ...

    @property
    def folder(self) -> Path: ...

    @property
    def steps(self) -> int: ...

    def batch(self, step: int) -> PlannedBatch: ...

    def read(self, picture: Picture) -> bytes | None:
        """The original bytes; None where the image was forgotten. May be called from several threads."""
        ...

    def content(self, picture: Picture) -> str:
        """A name of the image's bytes, the same in every plan and selection that has them."""
        ...


OpenPlan = Callable[[Path], PlanLike]


def open_plan(folder: Path) -> PlanLike:
    """The plan in a folder. Raises UsageError where there is none."""
    from model.plan import Plan

    return Plan.open(folder)


class Plans:
    """Plans by digest, each opened once. `instead`: folders on this machine in place of those that the store names."""

    def __init__(self, opener: OpenPlan, instead: Sequence[Path] = (), known: Sequence[PlanLike] = ()) -> None:
        self.opener = opener
        self._open = {plan.digest: plan for plan in known}
        self._instead = list(instead)

    def get(self, chapter: Chapter) -> PlanLike:
        """The plan of a chapter. Raises LakeError where the folder holds another plan than the chapter says."""
        if chapter.digest in self._open:
            return self._open[chapter.digest]
        while self._instead:
            found = self.opener(self._instead.pop())
            self._open[found.digest] = found
            if found.digest == chapter.digest:
                return found
        plan = self.opener(Path(chapter.folder))
        if plan.digest != chapter.digest:
            raise LakeError(
                f"the plan in {chapter.folder} is {plan.digest[:12]}, the run follows {chapter.digest[:12]} from step "
                f"{chapter.first} on: restore that plan's folder, or name another copy of it with --plan"
            )
        self._open[plan.digest] = plan
        return plan

    def add(self, plan: PlanLike) -> None:
        self._open[plan.digest] = plan


def at(chapters: Sequence[Chapter], step: int) -> Chapter:
    """The chapter that a step belongs to."""
    return next(chapter for chapter in reversed(chapters) if chapter.first <= step)


def agree(mine: Sequence[Chapter], theirs: Sequence[Chapter], step: int) -> int | None:
    """The first step below `step` at which two lines of plans differ, None where they do not."""
    starts = sorted({c.first for c in (*mine, *theirs) if c.first < step})
    return next((s for s in starts if at(mine, s).digest != at(theirs, s).digest), None)


class RecipeLog:
    """The chapters of a run, one JSON line each with the time, appended and never changed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[Chapter, ...]:
        """All chapters in the order of their first steps; of two with the same first step the later line counts."""
        if not self.path.exists():
            return ()
        found: dict[int, Chapter] = {}
        for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                fields = json.loads(line)
                chapter = Chapter(int(fields["first"]), str(fields["digest"]), str(fields["folder"]))
            except (ValueError, KeyError, TypeError) as error:
                raise LakeError(
                    f"line {number} of {self.path} is no entry of a recipe log: restore the file"
                ) from error
            found = {first: c for first, c in found.items() if first < chapter.first}
            found[chapter.first] = chapter
        return tuple(found.values())

    def append(self, chapter: Chapter, why: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = {"first": chapter.first, "digest": chapter.digest, "folder": chapter.folder, "at": when, "why": why}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()


def checked_first(chapters: Sequence[Chapter], horizon: int, at_step: int | None) -> int:
    """The step at which a change takes effect: `at_step`, or the first that no consumer has planned yet.

    Raises UsageError where a consumer may have planned `at_step` already.
    """
    earliest = max(horizon + 1, chapters[-1].first)
    if at_step is None:
        return earliest
    if at_step < earliest:
        raise UsageError(f"step {at_step} is planned already: a change can take effect from step {earliest} on")
    return at_step
