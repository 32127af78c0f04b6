"""A pool of worker processes, watched so that no unit is lost with one of them. Every engine's work is done in one."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, Literal, cast

from pipelines.engines import R, Result, U, beat

#: What workers find in their environment, unless it is set already.
ENVIRONMENT = {
    # One thread per worker: libraries that start a pool of their own would make workers fight for the same cores.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    # Keep memory between images: giving each one's back to the system and faulting it in anew costs a tenth of a scan.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "PILLOW_BLOCKS_MAX": "8",
}


@dataclass(frozen=True)
class Watch:
    """How workers are watched: one silent for `stall_s` seconds, with neither a result nor a `beat()`, counts as hung;
    a unit is given `attempts` tries in all."""

    stall_s: float = 120.0
    attempts: int = 3


@dataclass
class _Task(Generic[U]):
    unit: U
    attempt: int = 1


class _Worker:
    """One process, its pipe, and the task it has in hand."""

    def __init__(self, hello: bytes) -> None:
        ours, theirs = socket.socketpair()
        self.stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pipelines.engines.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stderr=self.stderr,
                env={**ENVIRONMENT, **os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            )
        self.pipe: Connection = Connection(ours.detach())
        self.task: _Task[Any] | None = None
        self.heard = time.monotonic()
        self.pipe.send(sys.path)
        self.pipe.send_bytes(hello)

    def give(self, task: _Task[Any]) -> None:
        self.task, self.heard = task, time.monotonic()
        self._tell(pickle.dumps(("unit", task.unit)))

    def turn_to(self, hello: bytes) -> None:
        """Other work from now on."""
        self._tell(hello)

    def _tell(self, message: bytes) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # it died in between: the next wait sees its pipe closed
            self.pipe.send_bytes(message)

    def end(self) -> tuple[str, str]:
        """Kill it if it still runs; how it ended, and the last that it said."""
        if self.process.poll() is None:
            self.process.kill()
        code = self.process.wait()
        self.pipe.close()
        self.stderr.seek(max(0, self.stderr.seek(0, os.SEEK_END) - 2000))
        said = self.stderr.read().decode("utf-8", "replace").strip()
        self.stderr.close()
        return f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}", said


class Pool(Generic[U, R]):
    """Up to `workers` processes that do `work`, each after `setup`. Started as units come, kept until `close`."""

    def __init__(
        self, work: Callable[[U], R], setup: Callable[[], None] | None, *, workers: int, watch: Watch = Watch()
    ) -> None:
        self.watch, self.most = watch, workers
        self.hello = hello(work, setup)
        self.workers: list[_Worker] = []
        self.again: deque[_Task[U]] = deque()

    def run(self, units: Iterable[U]) -> Generator[Result[U, R], None, None]:
        """Results as they are finished. Workers that still have a unit in hand when it is left early are ended."""
        waiting = iter(units)
        try:
            while True:
                self._hand_out(waiting)
                busy = {w.pipe: w for w in self.workers if w.task is not None}
                if not busy:
                    return
                heard = wait(list(busy), timeout=min(1.0, self.watch.stall_s / 4))
                beat()  # an engine at work within another one's worker
                now = time.monotonic()
                results = [self._hear(busy[cast(Connection, pipe)]) for pipe in heard]
                results += [self._hung(w) for w in list(busy.values()) if w.task and now - w.heard > self.watch.stall_s]
                yield from (result for result in results if result is not None)
        finally:
            self.again.clear()
            self._end([w for w in self.workers if w.task is not None])

    def close(self) -> None:
        """End all workers, or keep those without a task for the next pool (`workers_kept`)."""
        if _kept is not None:
            idle = [w for w in self.workers if w.task is None]
            self.workers = [w for w in self.workers if w.task is not None]
            _kept.extend(idle)
        self._end(self.workers)

    def _end(self, workers: list[_Worker]) -> None:
        for worker in list(workers):
            self.workers.remove(worker)
            worker.end()

    def _hand_out(self, waiting: Iterator[U]) -> None:
        """A task for each free worker, starting workers as long as there are tasks for them."""
        idle = [w for w in self.workers if w.task is None]
        while idle or len(self.workers) < self.most:
            task = self.again.popleft() if self.again else next((_Task(u) for u in waiting), None)
            if task is None:
                return
            if not idle:
                idle.append(_kept_worker(self.hello) or _Worker(self.hello))
                self.workers.append(idle[-1])
            idle.pop().give(task)

    def _hear(self, worker: _Worker) -> Result[U, R] | None:
        try:
            kind, content = pickle.loads(worker.pipe.recv_bytes())
        except (EOFError, OSError):
            self.workers.remove(worker)
            how, said = worker.end()
            return self._failed(worker.task, "died", f"the worker died: {how}\n{said}".strip())
        worker.heard = time.monotonic()
        if kind == "beat":
            return None
        task, worker.task = worker.task, None
        if kind == "stop":
            raise content
        assert task is not None
        return Result(task.unit, value=content) if kind == "value" else self._failed(task, "raised", content)

    def _hung(self, worker: _Worker) -> Result[U, R] | None:
        self.workers.remove(worker)
        _, said = worker.end()
        error = f"no sign of life for {self.watch.stall_s:g} s\n{said}".strip()
        return self._failed(worker.task, "hung", error)

    def _failed(
        self, task: _Task[U] | None, failure: Literal["died", "hung", "raised"], error: str
    ) -> Result[U, R] | None:
        assert task is not None
        if task.attempt >= self.watch.attempts:
            return Result(task.unit, error=error, failure=failure)
        self.again.append(_Task(task.unit, task.attempt + 1))
        return None


#: Workers without work, while `workers_kept` lasts; None: nobody keeps them.
_kept: list[_Worker] | None = None


@contextmanager
def workers_kept() -> Iterator[None]:
    """While it lasts, the workers of one pool serve the next: a pass starts at once instead of after a second of
    imports. For the passes of one command, whose environment does not change. All are ended with it."""
    global _kept
    if _kept is not None:  # a command within a command
        yield
        return
    _kept = []
    try:
        yield
    finally:
        ended, _kept = _kept, None
        for worker in ended:
            worker.end()


def _kept_worker(hello: bytes) -> _Worker | None:
    while _kept:
        worker = _kept.pop()
        if worker.process.poll() is None:
            worker.turn_to(hello)
            return worker
        worker.end()
    return None


def hello(work: Callable[[U], R], setup: Callable[[], None] | None) -> bytes:
    """What a worker is told first."""
    return pickle.dumps(("setup", (work, setup)))


_idle: dict[tuple[bytes, Watch], list[Pool[Any, Any]]] = {}
_lock = threading.Lock()


@contextmanager
def lent(work: Callable[[U], R], setup: Callable[[], None] | None, watch: Watch) -> Iterator[Pool[U, R]]:
    """A pool of one worker, out of this process's own, kept from one loan to the next as long as the work is the same.

    For engines whose worker processes are not theirs to watch: set-up is done once in each, not once for every portion.
    Threads that ask at once get one each. The pools end with the process.
    """
    wanted = (hello(work, setup), watch)
    with _lock:
        pool = _idle[wanted].pop() if _idle.get(wanted) else Pool(work, setup, workers=1, watch=watch)
        done_with = [other for key in list(_idle) if key != wanted for other in _idle.pop(key)]
    for other in done_with:  # other work, other models: this process is past it
        other.close()
    try:
        yield pool
    finally:
        with _lock:
            _idle.setdefault(wanted, []).append(pool)
