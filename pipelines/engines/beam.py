"""The Beam engine: Create, Reshuffle, ParDo and GroupByKey on any runner.

Beam has no way to hand values back, so workers leave what became of each unit as a small file in a scratch folder that
they and this process see; it is read while the pipeline runs. The pipeline itself is built and run by a process of its
own (beam_job.py), which ends with this one, however that ends, and takes the runner's local workers with it.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from pipelines.engines import R, Result, U, beat
from pipelines.engines.pool import Watch
from pipelines.engines.scratch import scratch
from pipelines.engines.settings import settled
from pipelines.engines.shuffle import Join, Split, value_of
from warehouse.errors import EngineError, GlyphmillError, UsageError

LOOK_EVERY_S = 0.1
LOCAL = "DirectRunner"


@dataclass(frozen=True)
class Job:
    """A pipeline: numbered units, each pickled, to `work`; if there is a `join`, what that gives, by bucket, to it."""

    options: Mapping[str, str]
    folder: str
    units: Sequence[tuple[int, bytes]]
    work: Callable[[Any], Any]
    setup: Callable[[], None] | None
    watch: Watch
    join: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class BeamEngine:
    """Work on the runner that `options` name, Beam's own pipeline options all of them.

    `wave`: units drawn for one pipeline. `buckets`: what `group` cuts rows into. `scratch`: where workers leave what
    they have to say, on storage that they and this process see; the system's temporary folder if not given.
    """

    options: Mapping[str, str]
    watch: Watch = field(default_factory=Watch)
    wave: int = 10_000
    buckets: int = 64
    scratch: str | None = None

    def __post_init__(self) -> None:
        if self.scratch is None and self.options.get("runner", LOCAL) != LOCAL:
            raise UsageError(
                f"runner {self.options['runner']}: name a folder that all its workers see, --engine-opt scratch=FOLDER"
            )

    @property
    def name(self) -> str:
        return "beam"

    def map(
        self, work: Callable[[U], R], units: Iterable[U], *, setup: Callable[[], None] | None = None
    ) -> Generator[Result[U, R], None, None]:
        waiting = iter(units)
        while wave := list(islice(waiting, self.wave)):
            with scratch("beam", self.scratch) as folder:
                job = Job(self.options, folder, _pickled(wave), work, settled(setup), self.watch)
                for number, result in self._results(job):
                    yield Result(wave[number], result.value, result.error, result.failure)

    def group(
        self,
        rows: Callable[[U], pa.Table],
        units: Iterable[U],
        *,
        key: str,
        reduce: Callable[[pa.Table], R],
        setup: Callable[[], None] | None = None,
    ) -> Iterator[R]:
        every = _pickled(units)
        if not every:
            return
        with scratch("beam", self.scratch) as folder:
            split, join = Split(rows, key, self.buckets), Join(reduce, key)
            for _, result in self._results(Job(self.options, folder, every, split, settled(setup), self.watch, join)):
                yield value_of(result)

    def _results(self, job: Job) -> Iterator[tuple[int, Result[Any, Any]]]:
        """Each number's result, once. A pipeline that breaks is run again for what is lacking."""
        seen: set[int] = set()
        for attempt in range(1, self.watch.attempts + 1):
            with tempfile.TemporaryFile() as said:
                code = yield from _run(job, said, seen)
                if job.join is None:
                    job = replace(job, units=[unit for unit in job.units if unit[0] not in seen])
                if code == 0 and (job.join is not None or not job.units):
                    return
                if attempt == self.watch.attempts:
                    raise EngineError(f"Beam gave up ({_last(said)}); what is done is not lost, run again")


def _pickled(units: Iterable[U]) -> list[tuple[int, bytes]]:
    return [(number, pickle.dumps(unit)) for number, unit in enumerate(units)]


def _run(job: Job, said: IO[bytes], seen: set[int]) -> Generator[tuple[int, Result[Any, Any]], None, int]:
    """Results as they appear, those `seen` before left out; returns the exit code of the pipeline's process."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from pipelines.engines import beam_job; beam_job.main()"],
        stdin=subprocess.PIPE,
        stdout=said,
        stderr=said,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        with suppress(BrokenPipeError):  # it died: its exit code will tell
            pickle.dump(job, process.stdin)
            process.stdin.flush()  # and stays open: its end tells the process that this one is gone
        while True:
            code = process.poll()
            yield from _new(Path(job.folder), seen)
            if code is not None:
                return code
            time.sleep(LOOK_EVERY_S)
            beat()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()


def _new(folder: Path, seen: set[int]) -> Iterator[tuple[int, Result[Any, Any]]]:
    """What workers have left in the folder since it was looked at last. Raises the GlyphmillError that one left."""
    for file in folder.glob("*.result"):
        content = pickle.loads(file.read_bytes())
        file.unlink()
        if isinstance(content, GlyphmillError):
            raise content
        number, result = content
        if number not in seen:  # a runner may do a bundle twice
            seen.add(number)
            yield number, result


def _last(said: IO[bytes]) -> str:
    said.seek(max(0, said.seek(0, os.SEEK_END) - 4000))
    lines = [line for line in said.read().decode("utf-8", "replace").split("\n") if line.strip()]
    return lines[-1].strip()[:300] if lines else "it said nothing"
