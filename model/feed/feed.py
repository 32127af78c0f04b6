"""The store's mind: what the next steps need, who makes it, where it lies. One lock, no pixels, no torch at work.

Producers and consumers reach it through `model.feed.client.Door`; in the same process it can be called directly.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
from model.feed.plans import OpenPlan, PlanLike, Plans, agree, at, checked_first, open_plan
from model.feed.record import Record
from model.feed.sizes import Sizes
from model.feed.store import Store
from model.feed.window import Window
from warehouse.errors import LakeError, UsageError

LONELY = 2  # work lost so often is tried one task at a time, so that what kills producers is found
HOPELESS = 6  # a task lost so often stops the run


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
        self.place = Place(str(self.record.shards.resolve()), "")
        self.store = Store(self.record.shards)
        self._changed = threading.Condition()
        self._plans = Plans(opener)
        self._leases = Leases(settings.lease_s)
        self._window = Window(settings.ahead)
        self._sizes = Sizes()
        self._chapters = self.record.chapters()
        self._horizon = self.record.horizon()
        self._encoding = self.record.encoding()
        self._producers: dict[str, _Producer] = {}
        self._drop: dict[str, list[str]] = {}
        self._failure: str | None = None
        self._closed = False
        self._encoded = self._twice = self._evicted = self._lost = 0
        if self._encoding is not None:
            self._scan()

    def begin(self, plan: PlanLike) -> None:
        """The plan of step 0, where there is none yet. Raises UsageError if the run has followed others so far."""
        with self._changed:
            self._plans.add(plan)
            if not self._chapters:
                self._append(Chapter(0, plan.digest, str(plan.folder)), "the run begins")
            elif plan.digest not in {c.digest for c in self._chapters}:
                raise UsageError(
                    f"this run follows plan {self._chapters[-1].digest[:12]}, not {plan.digest[:12]}: change it with "
                    "`glyphmill train change`, or begin another run"
                )

    # ---- producers ---------------------------------------------------------------------------------------------------

    def join(self, producer: str, encoding: Encoding) -> Joined:
        """A producer comes. The first one's encoding is the run's; one with another is refused by name (UsageError)."""
        with self._changed:
            if not self._chapters:
                raise UsageError("the store has no plan yet: start it with a plan")
            if self._encoding is None:
                self._encoding = encoding
                self.record.keep_encoding(encoding)
                self._scan()
            elif differences := self._encoding.differences(encoding):
                raise UsageError(
                    f"producer {producer} would make other numbers than this run's ({'; '.join(differences)}): give it "
                    "the run's own VAE and text encoder, or begin another run"
                )
            self._producers[producer] = _Producer(time.monotonic())
            self._changed.notify_all()
            return Joined(self._encoding, self._chapters, self.place.folder, self.record.token(), self.settings.lease_s)

    def lease(self, producer: str, folder: str, seconds: float) -> Leased:
        """The next work for a producer whose shards lie in `folder`, waited for up to `seconds`."""
        until = time.monotonic() + seconds
        with self._changed:
            while True:
                if producer not in self._producers and not self._closed:
                    return Leased(rejoin=True)
                self._see(producer)
                drop = tuple(self._drop.pop(folder, ()))
                if self._closed:
                    return Leased(closed=True, drop=drop)
                self._expire()
                self._planned()
                tasks = self._choose() if self._failure is None else []
                work = self._leases.give(producer, tasks) if tasks else None
                left = until - time.monotonic()
                if work is not None or drop or left <= 0:
                    return Leased(work, self._chapters, drop)
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
        """A shard is whole at a place. False: all that is in it was there already, so it may be deleted.

        Raises UsageError for a shard of another encoding, LakeError for one that is not where it is said to be.
        """
        with self._changed:
            self._see(producer)
            if self._encoding is None or (differences := self._encoding.differences(manifest.encoding)):
                told = "; ".join(differences) if self._encoding is not None else "no producer has joined"
                raise UsageError(f"a shard of another encoding than this run's ({told}): {name}")
            if place.folder == self.place.folder:
                if not (self.record.shards / name).exists():
                    raise LakeError(f"shard {name} is not in {place.folder}")
                place = self.place
            known = self.store.spot(manifest.entries[0].key) if manifest.entries else None
            again = known is not None and known[0].shard == name
            added = self.store.add(name, manifest, place)
            self._leases.finish(work)
            self._encoded += len(added.new)
            self._twice += 0 if again else added.known
            if producer in self._producers:
                self._producers[producer].entries += len(added.new)
            if added.new:
                self._sizes.saw(manifest)
            self.record.audit(producer, name, added.absent)
            self._trim()
            self._changed.notify_all()
            return bool(added.new or added.absent or again)

    def fail(self, who: str, message: str) -> None:
        """What stops the run: told to every consumer."""
        with self._changed:
            self._failure = self._failure or f"{who}: {message}"
            self._changed.notify_all()

    # ---- consumers ---------------------------------------------------------------------------------------------------

    def attend(self, member: str, world: int, step: int, horizon: int) -> Attended:
        """A consumer stands at `step` and is about to plan up to `horizon`; from now on these steps keep their plan.

        Raises LakeError where the run has failed.
        """
        with self._changed:
            self._raise_failure()
            if horizon > self._horizon:
                self._horizon = horizon
                self.record.keep_horizon(horizon)
            self._window.attend(member, world, step, horizon)
            if self._planned():
                self._changed.notify_all()
            self._raise_failure()
            return Attended(self._chapters, self._encoding, self.settings.missing_caption)

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
                if not left or rest <= 0 or self._closed:
                    return found
                self._changed.wait(rest)

    def lost(self, name: str, place: Place, why: str) -> bool:
        """A consumer could not read a shard at a place, or it was damaged: what it held is encoded again. False: it was
        known to be gone from there."""
        with self._changed:
            ours = self.place if place.folder == self.place.folder else place
            if not self.store.lies(name, ours):
                return False
            keys = self.store.lose(name, ours)
            self._delete(name, ours)
            if keys:
                self._lost += len(keys)
                self._window.again(keys)
                self.record.note({"lost": name, "place": place.folder, "why": why, "entries": len(keys)})
            self._changed.notify_all()
            return True

    # ---- the recipe --------------------------------------------------------------------------------------------------

    def change(self, folder: str, at_step: int | None, why: str) -> Chapter:
        """From a step that nobody has planned yet, follow the plan in `folder`. Raises UsageError, LakeError."""
        plan = self._plans.opener(Path(folder))
        with self._changed:
            first = checked_first(self._chapters, self._horizon, at_step)
            if first >= plan.steps:
                raise UsageError(f"the plan in {folder} ends at step {plan.steps}, the change would be at {first}")
            self._plans.add(plan)
            chapter = Chapter(first, plan.digest, str(Path(folder).resolve()))
            self._append(chapter, why)
            return chapter

    def adopt(self, chapters: Sequence[Chapter], step: int) -> None:
        """A consumer resumes at `step` and was trained by these chapters: the store follows them, or says why not.

        Raises UsageError where the store's own recipe differs before `step`.
        """
        with self._changed:
            known = {c.first for c in self._chapters}
            last = max(known, default=-1)
            for chapter in chapters:
                if chapter.first > last:
                    self._plans.get(chapter)
                    self._append(chapter, f"taken from the checkpoint of step {step}")
            differs = agree(self._chapters, tuple(chapters), step)
            if differs is not None:
                raise UsageError(
                    f"the checkpoint was trained by plan {at(chapters, differs).digest[:12]} from step {differs} on, "
                    f"this run's feed follows {at(self._chapters, differs).digest[:12]}: resume in the run's own folder"
                )

    def status(self) -> Status:
        with self._changed:
            self._planned()
            now, there = time.monotonic(), self.store
            producers = tuple(
                ProducerStatus(name, round(now - p.seen, 1), p.entries, self._leases.of(name))
                for name, p in sorted(self._producers.items())
            )
            return Status(
                self._window.floor, self._horizon, self._window.ready(there), self._window.last(self._steps()),
                self._window.missing(there), len(self._leases), there.entries, there.shards, there.bytes,
                self.settings.budget, len(there.absent), self._encoded, self._twice, self._evicted, self._lost,
                producers, self._window.cursors, self._chapters, self._encoding, self._failure,
            )  # fmt: skip

    def close(self) -> None:
        """Send everyone home. The folder may be opened again."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.record.close()

    # ---- within the lock ---------------------------------------------------------------------------------------------

    def _steps(self) -> int:
        return self._plans.get(self._chapters[-1]).steps if self._chapters else 0

    def _planned(self) -> bool:
        """Plan what the window has come to; True if there was something new."""
        if self._encoding is None or not self._chapters:
            return False
        try:
            return bool(self._window.extend(self._steps(), self._tasks_of))
        except (UsageError, LakeError) as error:
            self._failure = self._failure or str(error)
            return False

    def _tasks_of(self, step: int) -> dict[str, Task]:
        assert self._encoding is not None  # _planned asks
        plan = self._plans.get(at(self._chapters, step))
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
        """Tasks of one group, the earliest step's first; a fair part of what there is to do, so that all have some."""
        up_to = self._window.last(self._steps())
        if self._full():
            up_to = self._window.floor if self._window.floor is not None else -1  # never starve who waits
        free = [task for task in self._window.todo(self.store, up_to) if task.key not in self._leases]
        if not free:
            return []
        first, lost = free[0], self._leases.lost
        if lost[first.key] >= HOPELESS:
            self._failure = f"{HOPELESS} producers died while encoding {first.named}: look at it, or leave it out"
            return []
        if lost[first.key] >= LONELY:
            return [first]
        fitting = [t for t in free if t.group == first.group and t.plan == first.plan and lost[t.key] < LONELY]
        fair = -(-len(fitting) // max(1, len(self._producers)))
        return fitting[: min(self.settings.most, max(fair, 8))]

    def _full(self) -> bool:
        budget = self.settings.budget
        return budget is not None and self.store.bytes + self._sizes.of(self._leases.tasks(), self._encoding) >= budget

    def _trim(self) -> None:
        """Keep to the budget: first goes what the window does not need, then what only later steps of it need, which is
        encoded again in time. What the slowest consumer's step needs stays, whatever it takes."""
        budget = self.settings.budget
        for needed in (self._window.wants, self._window.wants_now):
            if budget is None or self.store.bytes <= budget:
                return
            for name, places, keys in self.store.evict(needed, budget):
                self._evicted += 1
                self._window.again(keys)
                for place in places:
                    self._delete(name, place)

    def _delete(self, name: str, place: Place) -> None:
        if place == self.place:
            (self.record.shards / name).unlink(missing_ok=True)
        else:
            self._drop.setdefault(place.folder, []).append(name)

    def _expire(self) -> None:
        silent = time.monotonic() - 2 * self.settings.lease_s
        for name in [name for name, p in self._producers.items() if p.seen < silent]:
            del self._producers[name]
        self._lose_works(self._leases.expire())

    def _lose_works(self, works: Sequence[Work]) -> bool:
        """Whether there were any: what their producers had finished without saying so is taken in."""
        if works:
            self._scan()
        return bool(works)

    def _scan(self) -> None:
        for line in self.store.scan(self.place, self._encoding):
            self.record.note({"damaged": line})

    def _append(self, chapter: Chapter, why: str) -> None:
        self.record.append(chapter, why)
        self._chapters = self.record.chapters()
        self._window.replan(chapter.first)
        self._changed.notify_all()

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
