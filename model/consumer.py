"""A consumer: this data-parallel rank's share of each planned batch as tensors, fetched before it is asked for.

consumer = Consumer(plan, run / "feed", rank=0, world_size=2)
batch = consumer.batch(step)
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from pydantic import TypeAdapter, ValidationError

from model.batches import LatentBatch
from model.feed.assemble import assemble
from model.feed.client import Door, HttpDoor
from model.feed.fetch import Fetcher, LostError
from model.feed.messages import Attended, Chapter, Encoding, Located, Place
from model.feed.needs import SampleNeeds, batch_needs, share
from model.feed.plans import OpenPlan, PlanLike, Plans, at, open_plan
from warehouse.errors import GlyphmillError, LakeError, UsageError

_TRIES = 3  # times that a damaged shard is encoded anew before the run stops
_POLL_S = 5.0  # seconds that one question after entries is left open
_BEGIN_S = 0.1  # seconds between questions while no producer has joined
_STATE = ("step", "chapters", "encoding")


class Consumer:
    """`batch(step)` gives LatentBatches. `waited_s`: seconds in which `batch` had nothing to give, in `waits` of
    `batches` calls; `empty`: places that stayed empty (forgotten, undecodable or uncaptioned samples)."""

    def __init__(
        self,
        plan: PlanLike,
        store: str | Path | Door,
        rank: int = 0,
        world_size: int = 1,
        *,
        prefetch: int = 4,
        member: int = 0,
        pad_to: int = 1,
        local: bool = True,
        stall_s: float | None = None,
        patience_s: float = 60.0,
        vae: str | None = None,
        text: str | None = None,
        opener: OpenPlan = open_plan,
    ) -> None:
        """`store`: a feed's address, the folder that one is served from, or the feed itself.

        `rank` of `world_size`: the data-parallel group; where several processes of a group each pull the same share
        (tensor parallel), `member` tells them apart. `prefetch`: steps fetched ahead. `pad_to`: contexts are padded to
        a multiple of so many tokens. `local` False: shards are never mapped, always pulled. `stall_s`: a batch that
        does not come for so long raises LakeError; None waits for ever. `patience_s`: how long a server that does not
        answer is waited for. `vae`, `text`: identities that the feed must have.
        """
        if not 0 <= rank < world_size:
            raise UsageError(f"rank {rank} is not within a world of {world_size}: ranks count from 0")
        if prefetch < 0 or pad_to < 1:
            raise UsageError("prefetch is at least 0, pad_to at least 1")
        self.rank, self.world_size, self.prefetch, self.pad_to = rank, world_size, prefetch, pad_to
        self.waited_s, self.waits, self.batches, self.empty = 0.0, 0, 0, 0
        self._door: Door = HttpDoor(store, patience_s) if isinstance(store, str | Path) else store
        self._fetcher = Fetcher(self._door.url if isinstance(self._door, HttpDoor) else "", local=local)
        self._plans = Plans(opener, known=[plan])
        self._expected, self._stall_s = {"vae": vae, "text": text}, stall_s
        self._member = f"rank {rank}" + (f".{member}" if member else "")
        self._chapters: tuple[Chapter, ...] = (Chapter(0, plan.digest, str(plan.folder)),)
        self._encoding: Encoding | None = None
        self._changed = threading.Condition()
        self._aim: int | None = None
        self._aimed: int | None = None
        self._coming: dict[int, Future[LatentBatch]] = {}
        self._error: GlyphmillError | None = None
        self._closed = False
        self._step = 0
        self._pool = ThreadPoolExecutor(min(4, prefetch + 1), thread_name_prefix="glyphmill-feed")
        self._planner = ThreadPoolExecutor(1, thread_name_prefix="glyphmill-ahead")
        self._ahead = self._planner.submit(self._plan_ahead)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def steps(self) -> int:
        """Steps of the plan that is followed in the end."""
        return self._plans.get(self._chapters[-1]).steps

    def plan(self, step: int) -> PlanLike:
        """The plan that a step follows, as far as is known: exact for steps that `batch` has given."""
        with self._changed:
            chapters = self._chapters
        return self._plans.get(at(chapters, step))

    def batch(self, step: int) -> LatentBatch:
        """This rank's share of a step. Steps asked for one after another are there before they are asked for.

        Raises UsageError for a step that the plan does not have or a sample without a caption, LakeError where the run
        has failed: a producer's error, a store that does not answer, nothing within `stall_s`.
        """
        if not 0 <= step < self.steps:
            raise UsageError(f"step {step} is not one of the plan's {self.steps}")
        begin = time.perf_counter()
        with self._changed:
            self._aim = step
            future = self._coming.get(step)
            if future is not None and future.done() and (future.cancelled() or future.exception() is not None):
                del self._coming[step]  # of an earlier call, which raised it: try again
                future = self._aimed = None
            if self._error is not None:  # likewise
                self._error = self._aimed = None
            self._changed.notify_all()
            ready = future is not None and future.done()
            while step not in self._coming:
                if self._error is not None:
                    raise self._error
                if self._ahead.done():
                    self._ahead.result()
                    raise LakeError("this consumer was closed")
                left = self._left(begin, step)
                self._changed.wait(_POLL_S if left is None else min(left, _POLL_S))
            future = self._coming[step]
        try:
            batch = future.result(self._left(begin, step))
        except TimeoutError as error:
            raise self._stalled(step) from error
        self.batches += 1
        if not ready:
            self.waits += 1
            self.waited_s += time.perf_counter() - begin
        self._step = step + 1
        return batch

    def state_dict(self) -> dict[str, Any]:
        """The next step, which plan was followed from which step on, and the encoding; for a checkpoint, as JSON."""
        encoding = None if self._encoding is None else asdict(self._encoding)
        chapters = [asdict(c) for c in self._chapters if c.first < self._step] or [asdict(self._chapters[0])]
        return {"step": self._step, "chapters": chapters, "encoding": encoding}

    def load_state_dict(self, state: Mapping[str, Any]) -> int:
        """Go on where `state` was taken, in any world size; gives the next step.

        Raises UsageError where this feed follows another recipe up to there, or encodes differently, by name.
        """
        if set(state) != set(_STATE):
            raise UsageError("this is no state of a Consumer: it must come from state_dict()")
        try:
            step = int(state["step"])
            chapters = TypeAdapter(tuple[Chapter, ...]).validate_python(state["chapters"])
            encoding = TypeAdapter(Encoding | None).validate_python(state["encoding"])
        except (ValidationError, TypeError, ValueError) as error:
            raise UsageError("this is no state of a Consumer: it must come from state_dict()") from error
        if not chapters:
            raise UsageError("this is no state of a Consumer: it names no plan")
        self._door.adopt(chapters, step)
        with self._changed:
            self._chapters, self._step = chapters, step
        if encoding is not None:
            differences = encoding.differences(self._begun().encoding or encoding)
            if differences:
                raise UsageError(f"the checkpoint was trained on other numbers ({'; '.join(differences)})")
        return step

    def close(self) -> None:
        """Stop fetching; the feed waits for this consumer no longer."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self._planner.shutdown()
        self._pool.shutdown(cancel_futures=True)
        self._fetcher.close()
        try:
            self._door.leave(self._member)
        except LakeError:
            return  # the feed has gone before

    # ---- the thread that plans ahead ---------------------------------------------------------------------------------

    def _plan_ahead(self) -> None:
        """Whenever `batch` has moved on: tell the feed, which fixes the plan of the steps ahead, and fetch these."""
        while True:
            with self._changed:
                while not self._closed and (self._aim is None or self._aim == self._aimed):
                    self._changed.wait()
                if self._closed:
                    return
                aim = self._aim
            assert aim is not None  # it is awaited above
            try:
                attended = self._attend(aim)
            except GlyphmillError as error:
                with self._changed:
                    self._error, self._aimed = error, aim
                    self._changed.notify_all()
                continue
            if attended is None:
                continue
            with self._changed:
                self._error, self._aimed = None, aim
                self._chapters, self._encoding = attended.chapters, attended.encoding
                self._fill(aim, attended)
                self._changed.notify_all()

    def _attend(self, step: int) -> Attended | None:
        """Stand at `step`; None where meanwhile another is asked for, or this consumer is closed."""
        while True:
            attended = self._door.attend(self._member, self.world_size, step, step + self.prefetch)
            if attended.encoding is not None:
                self._check(attended.encoding)
                for chapter in attended.chapters:
                    self._plans.get(chapter)
                return attended
            with self._changed:
                if self._closed or self._aim != step:
                    return None
                self._changed.wait(_BEGIN_S)

    def _begun(self) -> Attended:
        """The feed's encoding, waited for until the first producer has joined."""
        begin = time.perf_counter()
        while True:
            attended = self._door.attend(self._member, self.world_size, self._step, self._step)
            if attended.encoding is not None:
                return attended
            self._left(begin, self._step)
            time.sleep(_BEGIN_S)

    def _check(self, encoding: Encoding) -> None:
        for called, what in (("vae", "VAE"), ("text", "text encoder")):
            wanted, found = self._expected[called], getattr(encoding, called)
            if wanted is not None and wanted != found:
                raise UsageError(
                    f"the feed is encoded by another {what} ({found}) than the one to train with ({wanted})"
                )

    def _fill(self, aim: int, attended: Attended) -> None:
        last = min(aim + self.prefetch, self._plans.get(attended.chapters[-1]).steps - 1)
        for step in [s for s in self._coming if not aim <= s <= last]:
            self._coming.pop(step).cancel()
        for step in range(aim, last + 1):
            failed = step in self._coming and self._coming[step].done() and self._coming[step].exception() is not None
            if step not in self._coming or failed:
                self._coming[step] = self._pool.submit(self._load, step, attended)

    # ---- one step ----------------------------------------------------------------------------------------------------

    def _load(self, step: int, attended: Attended) -> LatentBatch:
        assert attended.encoding is not None  # _attend waits for it
        plan = self._plans.get(at(attended.chapters, step))
        planned = plan.batch(step)
        places = share(len(planned.samples), self.rank, self.world_size)
        needs = batch_needs(plan, planned, attended.encoding, places, attended.missing_caption)
        found, absent = self._gather(needs)
        whole = [need for need in needs if not any(task.key in absent for task in need.tasks)]
        with self._changed:
            self.empty += len(places) - len(whole)
        return assemble(planned, whole, found, attended.encoding, self.pad_to)

    def _gather(self, needs: Sequence[SampleNeeds]) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        """Every entry, or the reason why there is none. What turns out damaged is asked for again."""
        left = list(dict.fromkeys(task.key for need in needs for task in need.tasks))
        found: dict[str, torch.Tensor] = {}
        absent: dict[str, str] = {}
        tries: Counter[tuple[str, Place]] = Counter()  # a machine that goes may take many shards along
        while left and not self._closed:
            located = self._door.where(left, _POLL_S)
            absent.update(located.absent)
            try:
                found.update(self._fetcher.fetch(located))
            except LostError as error:
                if self._door.lost(error.name, error.place, error.why):  # not where it was let go meanwhile
                    tries[error.name, error.place] += 1
                if tries[error.name, error.place] > _TRIES:
                    raise LakeError(f"a shard was lost {_TRIES + 1} times: {error}") from error
                fine = {key: spot for key, spot in located.spots.items() if spot.shard != error.name}
                found.update(self._salvage(Located(fine, located.shards)))
            left = [key for key in left if key not in found and key not in absent]
        if left:
            raise LakeError("this consumer was closed")
        return found, absent

    def _salvage(self, located: Located) -> dict[str, torch.Tensor]:
        """What can be had of the other shards; one that is lost as well is told of in the next round."""
        try:
            return self._fetcher.fetch(located)
        except LostError:
            return {}

    def _left(self, begin: float, step: int) -> float | None:
        if self._stall_s is None:
            return None
        left = begin + self._stall_s - time.perf_counter()
        if left <= 0:
            raise self._stalled(step)
        return left

    def _stalled(self, step: int) -> LakeError:
        return LakeError(
            f"step {step} has not come within {self._stall_s:.0f} s: see `glyphmill train feed-status`; a producer is "
            "started with `glyphmill train produce`"
        )
