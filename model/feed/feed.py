"""The store's mind: what the next steps need, who makes it, where it lies. One lock, no pixels, no torch at work.

Producers and consumers reach it through `model.feed.client.Door`; in the same process it can be called directly.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.feed.choose import HopelessError, choose
from model.feed.holdings import Holdings
from model.feed.leases import Leases
from model.feed.manifest import Manifest
from model.feed.messages import (
    Attended,
    Chapter,
    Encoding,
    Joined,
    Leased,
    Located,
    Place,
    ProducerStatus,
    Status,
    Task,
    Work,
)
from model.feed.needs import MissingCaption, batch_needs
from model.feed.plans import OpenPlan, PlanLike, open_plan
from model.feed.recipe import Recipe
from model.feed.record import Record
from model.feed.store import Store
from model.feed.window import Window
from warehouse.errors import LakeError, UsageError

_FAILURES = 3  # producers that could not do the same work


@dataclass(frozen=True)
class FeedSettings:
    """`ahead`: steps that producers may be before the slowest consumer. `budget`: most bytes of shards, None for no
    limit. `lease_s`: seconds after which a silent producer's work goes to others. `most`: entries in one lease, so in
    one shard."""

    ahead: int = 16
    budget: int | None = None
    lease_s: float = 30.0
    most: int = 64
    missing_caption: MissingCaption = "error"


class Feed:
    """The state of one run's feed. Safe for threads. All that must outlive it lies in `folder`."""

    def __init__(self, folder: Path, settings: FeedSettings, *, opener: OpenPlan = open_plan) -> None:
        """Open or begin the feed in `folder`: shards, their encoding, the recipe so far. Raises LakeError where another
        server has it open."""
        self.settings = settings
        self.record = Record(folder)
        self._changed = threading.Condition()
        self._opener = opener
        self._recipe = Recipe(self.record, opener)
        self._window = Window(settings.ahead)
        self._leases = Leases(settings.lease_s)
        self._holdings = Holdings(self.record, self._window, settings.budget)
        self._encoding = self.record.encoding()
        self._producers: dict[str, _Producer] = {}
        self._failed: dict[str, set[str]] = {}
        self._failure: str | None = None
        self._closed = False
        if self._encoding is not None:
            self._holdings.scan(self._encoding)

    @property
    def store(self) -> Store:
        return self._holdings.store

    def begin(self, plan: PlanLike) -> None:
        """The plan of step 0, where there is none yet. Raises UsageError if the run has followed others so far."""
        with self._changed:
            self._recipe.begin(plan)
            self._changed.notify_all()

    # ---- producers ---------------------------------------------------------------------------------------------------

    def join(self, producer: str, encoding: Encoding) -> Joined:
        """A producer comes. The first one's encoding is the run's; one with another is refused by name (UsageError)."""
        with self._changed:
            if not self._recipe.chapters:
                raise UsageError("the store has no plan yet: start it with a plan")
            if self._encoding is None:
                self._encoding = encoding
                self.record.keep_encoding(encoding)
                self._holdings.scan(encoding)
            elif differences := self._encoding.differences(encoding):
                raise UsageError(
                    f"producer {producer} would make other numbers than this run's ({'; '.join(differences)}): give it "
                    "the run's own VAE and text encoder, or begin another run"
                )
            self._producers[producer] = _Producer(time.monotonic())
            self._changed.notify_all()
            folder, token = self._holdings.place.folder, self.record.token()
            return Joined(self._encoding, self._recipe.chapters, folder, token, self.settings.lease_s)

    def lease(self, producer: str, folder: str, seconds: float) -> Leased:
        """The next work for a producer whose shards lie in `folder`, waited for up to `seconds`."""
        until = time.monotonic() + seconds
        with self._changed:
            while True:
                if producer not in self._producers and not self._closed:
                    return Leased(rejoin=True)
                self._see(producer)
                drop = self._holdings.dropped(folder)
                if self._closed:
                    return Leased(closed=True, drop=drop)
                self._expire()
                self._planned()
                tasks = self._choose() if self._failure is None else []
                work = self._leases.give(producer, tasks) if tasks else None
                left = until - time.monotonic()
                if work is not None or drop or left <= 0:
                    return Leased(work, self._recipe.chapters, drop)
                self._changed.wait(min(left, self.settings.lease_s / 4))

    def renew(self, producer: str, works: Sequence[str]) -> None:
        """A producer is alive and at these works. Work that it never heard of, as the answer was lost, ends."""
        with self._changed:
            self._see(producer)
            self._leases.renew(works)

    def release(self, producer: str) -> None:
        """A producer is gone, by itself or noticed dead: others do its work, now."""
        with self._changed:
            self._producers.pop(producer, None)
            if self._lose_works(self._leases.release(producer)):
                self._changed.notify_all()

    def publish(self, producer: str, work: str, name: str, manifest: Manifest, place: Place) -> bool:
        """A shard is whole at a place; no `work`: it was so before the producer joined. False: all that is in it was
        there already, so it may be deleted.

        Raises UsageError for a shard of another encoding, LakeError for one that is not where it is said to be.
        """
        with self._changed:
            self._see(producer)
            if self._encoding is None or (differences := self._encoding.differences(manifest.encoding)):
                told = "; ".join(differences) if self._encoding is not None else "no producer has joined"
                raise UsageError(f"a shard of another encoding than this run's ({told}): {name}")
            known = self.store.spot(manifest.entries[0].key) if manifest.entries else None
            if known is not None and known[0].shard == name:  # found by a scan, or told of twice
                self._holdings.take(producer, name, manifest, place, fresh=False)
                keep = True
            else:
                added = self._holdings.take(producer, name, manifest, place, fresh=bool(work))
                keep = bool(added.new or added.absent)
                if producer in self._producers:
                    self._producers[producer].entries += len(added.new)
            self._leases.finish(work)
            self._changed.notify_all()
            return keep

    def fail(self, producer: str, message: str, works: Sequence[str]) -> None:
        """A producer could not do these works and goes. Others may be able to: what nobody else is there for, or three
        could not do, stops the run. Without works it is the run that cannot go on."""
        with self._changed:
            self._producers.pop(producer, None)
            failed = [task.key for work in self._leases.release(producer) if work.id in works for task in work.tasks]
            for key in failed:
                self._failed.setdefault(key, set()).add(producer)
            worst = max((len(self._failed[key]) for key in failed), default=_FAILURES)
            if worst >= _FAILURES or not self._producers:
                self._fail(f"{producer}: {message}")
            self._changed.notify_all()

    # ---- consumers ---------------------------------------------------------------------------------------------------

    def attend(self, member: str, world: int, step: int, horizon: int) -> Attended:
        """A consumer stands at `step` and is about to plan up to `horizon`; from now on these steps keep their plan.

        Raises LakeError where the run has failed.
        """
        with self._changed:
            self._raise_failure()
            self._recipe.promise(horizon)
            self._window.attend(member, world, step, horizon)
            self._planned()
            self._changed.notify_all()
            self._raise_failure()
            return Attended(self._recipe.chapters, self._encoding, self.settings.missing_caption)

    def leave(self, member: str) -> None:
        """A consumer has gone; nobody waits for it any longer."""
        with self._changed:
            self._window.leave(member)
            self._changed.notify_all()

    def where(self, keys: Sequence[str], seconds: float) -> Located:
        """Of these entries, those that are there; waits up to `seconds` until all are. Raises LakeError where the run
        has failed."""
        until, found, left = time.monotonic() + seconds, Located(), list(keys)
        with self._changed:
            while True:
                self._raise_failure()
                left = [key for key in left if not self._locate(key, found)]
                rest = until - time.monotonic()
                if not left or rest <= 0:
                    return found
                self._changed.wait(rest)
                if self._closed:
                    return found

    def lost(self, name: str, place: Place, why: str) -> bool:
        """A consumer could not read a shard at a place, or it was damaged: what it held is encoded again. False: it was
        known to be gone from there."""
        with self._changed:
            lost = self._holdings.lose(name, place, why)
            self._changed.notify_all()
            return lost

    # ---- the recipe --------------------------------------------------------------------------------------------------

    def change(self, folder: str, at_step: int | None, why: str) -> Chapter:
        """From a step that nobody has planned yet, follow the plan in `folder`. Raises UsageError, LakeError."""
        plan = self._opener(Path(folder))
        with self._changed:
            chapter = self._recipe.change(plan, at_step, why)
            self._window.replan(chapter.first)
            self._changed.notify_all()
            return chapter

    def adopt(self, chapters: Sequence[Chapter], step: int) -> None:
        """A consumer resumes at `step` and was trained by these chapters: the store follows them, or says why not.

        Raises UsageError where the store's own recipe differs before `step`.
        """
        with self._changed:
            for chapter in self._recipe.adopt(chapters, step):
                self._window.replan(chapter.first)
            self._changed.notify_all()

    def status(self) -> Status:
        with self._changed:
            self._planned()
            now, there = time.monotonic(), self.store
            producers = tuple(
                ProducerStatus(name, round(now - p.seen, 1), p.entries, self._leases.of(name))
                for name, p in sorted(self._producers.items())
            )
            held, window, recipe = self._holdings, self._window, self._recipe
            return Status(
                window.floor, recipe.horizon, window.ready(), window.last(recipe.steps), window.missing(),
                len(self._leases), there.entries, there.shards, there.bytes, self.settings.budget, len(there.absent),
                held.encoded, held.twice, held.evicted, held.lost, producers, window.cursors, recipe.chapters,
                self._encoding, self._failure,
            )  # fmt: skip

    def close(self) -> None:
        """Send everyone home. The folder may be opened again."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.record.close()

    # ---- within the lock ---------------------------------------------------------------------------------------------

    def _planned(self) -> None:
        """Plan what the window has come to."""
        if self._encoding is None or not self._recipe.chapters:
            return
        try:
            self._window.extend(self._recipe.steps, self._tasks_of, self.store)
        except (UsageError, LakeError) as error:
            self._fail(str(error))

    def _fail(self, message: str) -> None:
        self._failure = self._failure or message
        self._changed.notify_all()

    def _tasks_of(self, step: int) -> dict[str, Task]:
        assert self._encoding is not None  # _planned asks
        plan = self._recipe.plan(step)
        planned = plan.batch(step)
        places = range(len(planned.samples))
        needs = batch_needs(plan, planned, self._encoding, places, self.settings.missing_caption)
        if len(needs) < len(planned.samples):
            self.record.skipped(step, planned, {n.place for n in needs})
        tasks: dict[str, Task] = {}
        for task in (task for need in needs for task in need.tasks):
            tasks.setdefault(task.key, task)
        self.store.touch(tasks, step)
        return tasks

    def _choose(self) -> list[Task]:
        """The next work, of steps within the window; where the budget is used up, only what the slowest consumer needs
        now, which is never held back."""
        up_to = self._window.last(self._recipe.steps)
        if self._holdings.full(self._leases.tasks(), self._encoding):
            up_to = -1 if self._window.floor is None else self._window.floor
        free = (task for task in self._window.todo(up_to) if task.key not in self._leases)
        try:
            return choose(free, self._leases.lost, len(self._producers), self.settings.most)
        except HopelessError as error:
            self._fail(str(error))
            return []

    def _expire(self) -> None:
        silent = time.monotonic() - 2 * self.settings.lease_s
        for name in [name for name, p in self._producers.items() if p.seen < silent]:
            del self._producers[name]
        self._lose_works(self._leases.expire())

    def _lose_works(self, works: Sequence[Work]) -> bool:
        """Whether there were any: what their producers had finished without saying so is taken in."""
        if works:
            self._holdings.scan(self._encoding)
        return bool(works)

    def _see(self, producer: str) -> None:
        if producer in self._producers:
            self._producers[producer].seen = time.monotonic()

    def _locate(self, key: str, into: Located) -> bool:
        if key in self.store.absent:
            into.absent[key] = self.store.absent[key]
            return True
        found = self.store.spot(key)
        if found is None:
            return False
        into.spots[key] = found[0]
        into.shards[found[0].shard] = found[1]
        return True

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise LakeError(self._failure)


@dataclass
class _Producer:
    seen: float
    entries: int = 0
