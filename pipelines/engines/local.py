"""The local engine: a handful of worker processes on this machine, watched so that no unit is lost with one of them."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, Literal, cast

from pipelines.engines import K, R, Result, U, V, beat
from pipelines.engines.worker import raised
from warehouse.errors import GlyphmillError

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
class LocalEngine:
    """`workers` processes (0: this very process, nothing isolated). A worker silent for `stall_s` seconds, with neither
    a result nor a `beat()`, counts as hung. A unit is given `attempts` tries in all."""

    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    stall_s: float = 120.0
    attempts: int = 3

    @property
    def name(self) -> str:
        return "local"

    def map(
        self, work: Callable[[U], R], units: Iterable[U], *, setup: Callable[[], None] | None = None
    ) -> Generator[Result[U, R], None, None]:
        if self.workers == 0:
            return _map_here(work, units, setup, self.attempts)
        return _Pool(self, work, setup).run(units)

    def group(self, rows: Iterable[R], key: Callable[[R], K], reduce: Callable[[K, list[R]], V]) -> Iterator[V]:
        groups: dict[K, list[R]] = {}
        for row in rows:
            groups.setdefault(key(row), []).append(row)
        for name, members in groups.items():
            yield reduce(name, members)


def _map_here(
    work: Callable[[U], R], units: Iterable[U], setup: Callable[[], None] | None, attempts: int
) -> Generator[Result[U, R], None, None]:
    if setup is not None:
        setup()
    for unit in units:
        result: Result[U, R] = Result(unit)
        for _ in range(attempts):
            try:
                result = Result(unit, value=work(unit))
                break
            except GlyphmillError:
                raise
            except Exception as error:  # noqa: BLE001 - the boundary of a unit: whatever it was, it is reported
                result = Result(unit, error=raised(error), failure="raised")
        yield result


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
        with suppress(BrokenPipeError, ConnectionResetError):  # it died in between: the next wait sees its pipe closed
            self.pipe.send_bytes(pickle.dumps(("unit", task.unit)))

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


class _Pool(Generic[U, R]):
    def __init__(self, engine: LocalEngine, work: Callable[[U], R], setup: Callable[[], None] | None) -> None:
        self.engine = engine
        self.hello = pickle.dumps(("setup", (work, setup)))
        self.workers: list[_Worker] = []
        self.again: deque[_Task[U]] = deque()

    def run(self, units: Iterable[U]) -> Generator[Result[U, R], None, None]:
        waiting = iter(units)
        try:
            while True:
                self._hand_out(waiting)
                busy = {w.pipe: w for w in self.workers if w.task is not None}
                if not busy:
                    return
                heard = wait(list(busy), timeout=min(1.0, self.engine.stall_s / 4))
                beat()  # an engine at work within another one's worker
                now = time.monotonic()
                results = [self._hear(busy[cast(Connection, pipe)]) for pipe in heard]
                results += [
                    self._hung(w) for w in list(busy.values()) if w.task and now - w.heard > self.engine.stall_s
                ]
                yield from (result for result in results if result is not None)
        finally:
            for worker in self.workers:
                worker.end()

    def _hand_out(self, waiting: Iterator[U]) -> None:
        """A task for each free worker, starting workers as long as there are tasks for them."""
        idle = [w for w in self.workers if w.task is None]
        while idle or len(self.workers) < self.engine.workers:
            task = self.again.popleft() if self.again else next((_Task(u) for u in waiting), None)
            if task is None:
                return
            if not idle:
                idle.append(_Worker(self.hello))
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
        if kind == "stop":
            raise content
        task, worker.task = worker.task, None
        assert task is not None
        return Result(task.unit, value=content) if kind == "value" else self._failed(task, "raised", content)

    def _hung(self, worker: _Worker) -> Result[U, R] | None:
        self.workers.remove(worker)
        _, said = worker.end()
        error = f"no sign of life for {self.engine.stall_s:g} s\n{said}".strip()
        return self._failed(worker.task, "hung", error)

    def _failed(
        self, task: _Task[U] | None, failure: Literal["died", "hung", "raised"], error: str
    ) -> Result[U, R] | None:
        assert task is not None
        if task.attempt >= self.engine.attempts:
            return Result(task.unit, error=error, failure=failure)
        self.again.append(_Task(task.unit, task.attempt + 1))
        return None
