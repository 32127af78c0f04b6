"""A producer: leases what the next steps need, encodes it, publishes shards. May join, die and be replaced at any time.

It decides nothing: which samples, which captions, which sizes is planned; it only fills numbers, and any other producer
with the same VAE and text encoder would fill the same.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from model.batches import Picture
from model.feed.client import Door
from model.feed.encoders import Encoders
from model.feed.manifest import Source
from model.feed.messages import Chapter, Joined, Leased, Place, Task, Work
from model.feed.pixels import Fitted, UndecodableError, fitted
from model.feed.plans import PlanLike, Plans
from model.feed.record import TOKEN
from model.feed.server import serving
from model.feed.shard import SUFFIX, DamagedError, read_manifest, write_shard
from model.text.encoder import Prompt
from warehouse.errors import GlyphmillError, LakeError, UsageError
from warehouse.files import told

FORGOTTEN = "forgotten"
_WAIT_S = 5.0  # how long one question for work is left open

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Prepared:
    """Work whose pictures are decoded: one list for each task, or the reason why there is none."""

    work: Work
    pictures: tuple[tuple[Fitted, ...] | str, ...]


class Producer:
    """`folder`: where its shards go if the store's own folder is not within reach of this machine; it is served from
    here then, at `host`:`port`. `decoders`: threads that read and decode pictures. `look_ahead`: decode the next work
    while this one is encoded, which pays on a GPU."""

    def __init__(
        self,
        door: Door,
        encoders: Encoders,
        plans: Plans,
        name: str,
        *,
        folder: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        decoders: int = 2,
        look_ahead: bool = False,
        say: Say = lambda line: None,
    ) -> None:
        self.door, self.encoders, self.plans, self.name = door, encoders, plans, name
        self.made = 0
        self._own, self._host, self._port = folder, host, port
        self._decoders, self._look_ahead, self._say = decoders, look_ahead, say
        self._works: set[str] = set()
        self._stop = threading.Event()
        self._pool: ThreadPoolExecutor | None = None

    def stop(self) -> None:
        """Finish what is being encoded, then return from `run`."""
        self._stop.set()

    def run(self, alive: Callable[[], None] = lambda: None) -> None:
        """Work until the store closes or `stop` is called. `alive` is called from time to time, from a thread.

        Raises UsageError where the store refuses this producer's encoders, LakeError where it does not answer, or for
        bytes that do not verify; the store is told which work could not be done.
        """
        with ExitStack() as stack:
            joined = self.door.join(self.name, self.encoders.encoding)
            place = stack.enter_context(self._place(joined))
            self._announce(place, joined)
            self._pool = stack.enter_context(ThreadPoolExecutor(self._decoders))
            stack.enter_context(self._heartbeat(joined.lease_s, alive))
            for prepared in self._prepared(stack, place):
                self._publish(prepared, place)
                if self._stop.is_set():
                    break
            self.door.release(self.name)

    @contextmanager
    def _place(self, joined: Joined) -> Iterator[Place]:
        """Where this producer's shards go: the store's folder where it is within reach, else one of its own."""
        token = Path(joined.folder) / TOKEN
        try:
            shared = token.read_text(encoding="utf-8") == joined.token
        except OSError:
            shared = False
        if shared and self._own is None:
            yield Place(joined.folder, "")
            return
        if self._own is None:
            raise UsageError(
                f"the store's folder {joined.folder} is not within reach here: give this producer one with --folder"
            )
        self._own.mkdir(parents=True, exist_ok=True)
        with serving(self._own, None, host=self._host, port=self._port) as url:
            yield Place(str(self._own.resolve()), url)

    def _announce(self, place: Place, joined: Joined) -> None:
        """Tell the store what lies in a folder of our own, from an earlier life or before the store started anew."""
        if place.folder == joined.folder:
            return
        for path in sorted(Path(place.folder).glob(f"*{SUFFIX}")):
            try:
                manifest, _ = read_manifest(path)
            except DamagedError as error:
                self._say(f"{error}: removed")
                path.unlink(missing_ok=True)
                continue
            if manifest.encoding == joined.encoding and not self.door.publish(
                self.name, "", path.name, manifest, place
            ):
                path.unlink(missing_ok=True)

    @contextmanager
    def _heartbeat(self, lease_s: float, alive: Callable[[], None]) -> Iterator[None]:
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(min(lease_s / 4, 1.0)):
                alive()
                try:
                    self.door.renew(self.name, sorted(self._works))
                except LakeError:
                    continue  # away for a moment: the leases may end, which costs work and no correctness

        thread = threading.Thread(target=beat, name="glyphmill-heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    # ---- one work ----------------------------------------------------------------------------------------------------

    def _prepared(self, stack: ExitStack, place: Place) -> Iterator[_Prepared]:
        """Work after work, its pictures decoded."""
        if not self._look_ahead:
            while (one := self._next(place)) is not None:
                yield one
            return
        one_ahead = stack.enter_context(ThreadPoolExecutor(1))
        coming = one_ahead.submit(self._next, place)
        while (one := coming.result()) is not None:
            coming = one_ahead.submit(self._next, place)
            yield one

    def _next(self, place: Place) -> _Prepared | None:
        """Wait for work; None when the store closes or this producer is to stop."""
        while not self._stop.is_set():
            leased = self.door.lease(self.name, place.folder, _WAIT_S)
            for name in leased.drop:
                (Path(place.folder) / name).unlink(missing_ok=True)
            if leased.closed:
                return None
            if leased.rejoin:
                self._announce(place, self.door.join(self.name, self.encoders.encoding))
            elif leased.work is not None:
                self._works.add(leased.work.id)
                return self._prepare(leased, leased.work)
        return None

    def _prepare(self, leased: Leased, work: Work) -> _Prepared:
        assert self._pool is not None  # run has made it
        with self._telling(work, "reading pictures"):
            plan = self._plan(leased.chapters, work)
            return _Prepared(work, tuple(self._pool.map(lambda task: self._pictures(plan, task), work.tasks)))

    @contextmanager
    def _telling(self, work: Work, doing: str) -> Iterator[None]:
        """The store is told of work that cannot be done here."""
        try:
            with told(doing):
                yield
        except GlyphmillError as error:
            self.door.fail(self.name, str(error), [work.id])
            raise

    def _plan(self, chapters: Sequence[Chapter], work: Work) -> PlanLike | None:
        if not any(task.pictures for task in work.tasks):
            return None
        return self.plans.get(next(c for c in chapters if c.digest == work.tasks[0].plan))

    def _pictures(self, plan: PlanLike | None, task: Task) -> tuple[Fitted, ...] | str:
        """The task's pictures at its size, or why one of them cannot be had."""
        found = []
        for picture in task.pictures:
            assert plan is not None  # _plan opens it where a task has pictures
            data = self._read(plan, picture, task)
            if data is None:
                return FORGOTTEN
            try:
                found.append(fitted(data, task.height, task.width))
            except UndecodableError as error:
                return f"record {picture.record} of {picture.selection} cannot be decoded: {error}"
        return tuple(found)

    def _read(self, plan: PlanLike, picture: Picture, task: Task) -> bytes | None:
        try:
            return plan.read(picture)
        except LakeError as error:
            raise LakeError(f"{task.named}: {error}") from error

    def _publish(self, prepared: _Prepared, place: Place) -> None:
        work = prepared.work
        first = work.tasks[0]
        ready = [(task, p) for task, p in zip(work.tasks, prepared.pictures, strict=True) if not isinstance(p, str)]
        absent = {task.key: p for task, p in zip(work.tasks, prepared.pictures, strict=True) if isinstance(p, str)}
        sources = {
            task.key: Source(pictures[0].source, pictures[0].box) for task, pictures in ready if task.kind == "latent"
        }
        with self._telling(work, "encoding"):
            tensors = self._encode([task for task, _ in ready], [pictures for _, pictures in ready])
            named = [(task.key, tensor) for (task, _), tensor in zip(ready, tensors, strict=True)]
            encoding, folder = self.encoders.encoding, Path(place.folder)
            name, manifest = write_shard(folder, first.kind, first.group[1:], encoding, named, absent, sources)
        if not self.door.publish(self.name, work.id, name, manifest, place):
            (Path(place.folder) / name).unlink(missing_ok=True)
        self._works.discard(work.id)
        self.made += len(tensors)
        self._say(f"{self.made} entries; {first.kind} {manifest.bucket} x{len(tensors)}, for step {first.step}")

    def _encode(self, tasks: Sequence[Task], pictures: Sequence[tuple[Fitted, ...]]) -> list[torch.Tensor]:
        if tasks and tasks[0].kind == "latent":
            return self.encoders.latents([one.pixels for (one,) in pictures])
        prompts = [
            Prompt(task.text or "", tuple(p.pixels for p in some)) for task, some in zip(tasks, pictures, strict=True)
        ]
        return self.encoders.texts(prompts)


def default_name() -> str:
    """Host and process: one producer a process."""
    return f"{os.uname().nodename}-{os.getpid()}"
