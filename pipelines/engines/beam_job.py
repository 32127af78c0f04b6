"""The process that builds and runs one Beam pipeline: `main()`, in a Python of its own, with a Job on its stdin.

When stdin ends, the engine is gone: the pipeline is cancelled, and this process ends with all that it started.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.metrics.metric import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult, PipelineState

from pipelines.engines import Result
from pipelines.engines.beam import LOCAL, Job
from pipelines.engines.pool import Watch, lent
from pipelines.engines.shuffle import value_of
from warehouse.errors import GlyphmillError, UsageError


def main() -> None:
    """Run the job; exit code 0 if the pipeline came to its end."""
    job: Job = pickle.load(sys.stdin.buffer)
    running: list[PipelineResult] = []
    threading.excepthook = _end_with_thread
    threading.Thread(target=_end_with_engine, args=(running,), daemon=True).start()
    try:
        result = pipeline(job).run()
    except UsageError as error:
        leave(job.folder, error)
        raise
    running.append(result)
    code = 0 if result.wait_until_finish() == PipelineState.DONE else 1
    threading.excepthook = threading.__excepthook__
    sys.exit(code)


def _end_with_engine(running: list[PipelineResult]) -> None:
    os.read(sys.stdin.fileno(), 1)  # not through the buffer, whose lock the interpreter wants at its end
    for result in running:
        with suppress(Exception):  # the runner's own kinds, and no one left to tell
            result.cancel()
    os.killpg(0, signal.SIGKILL)


def _end_with_thread(args: threading.ExceptHookArgs) -> None:
    """A thread of the runner that ends in an exception, as where a worker was killed, leaves the pipeline waiting."""
    sys.__excepthook__(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
    sys.stderr.flush()
    os._exit(1)


def pipeline(job: Job) -> beam.Pipeline:
    """The job as a pipeline, not yet running. Raises UsageError for options that Beam's own runner does not know."""
    made = beam.Pipeline(runner=_runner(job), options=_options(job))
    units = made | "units" >> beam.Create(job.units).with_output_types(tuple[int, bytes]) | beam.Reshuffle()
    if job.join is None:
        units | "work" >> beam.ParDo(Work(job.work, job.setup, job.watch, job.folder))
    else:
        split = beam.ParDo(Splitting(job.work, job.setup, job.watch, job.folder))
        buckets = units | "split" >> split.with_output_types(tuple[int, bytes]) | beam.GroupByKey()
        buckets | "join" >> beam.ParDo(Joining(job.join, job.setup, job.watch, job.folder))
    return made


def _runner(job: Job) -> Any:
    """Beam's DirectRunner means one of several, by what it can download; here it is the one that is always there."""
    from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

    name = job.options.get("runner", LOCAL)
    return FnApiRunner() if name == LOCAL else name


def _options(job: Job) -> PipelineOptions:
    spoken = {"true": True, "false": False}
    given = {key: spoken.get(value, value) for key, value in job.options.items() if key != "runner"}
    options: PipelineOptions = PipelineOptions.from_dictionary(given)
    if job.options.get("runner", LOCAL) == LOCAL:  # other runners take options that Beam's Python has not heard of
        unknown = sorted(given.keys() - options.get_all_options().keys())
        if unknown:
            raise UsageError(f"--engine-opt {unknown[0]}: neither engine beam nor Beam's {LOCAL} knows it")
    return options


class Watched(beam.DoFn):
    """Work in a watched process; what the engine must know is left in the folder."""

    def __init__(self, work: Callable[[Any], Any], setup: Callable[[], None] | None, watch: Watch, folder: str) -> None:
        self.work, self.begin, self.watch, self.folder = work, setup, watch, folder

    def done(self, unit: Any) -> Result[Any, Any]:
        try:
            with lent(self.work, self.begin, self.watch) as pool:
                (result,) = pool.run([unit])
        except GlyphmillError as error:
            leave(self.folder, error)
            raise
        Metrics.counter("glyphmill", result.failure or "done").inc()
        return Result(None, result.value, result.error, result.failure)


class Work(Watched):
    """A numbered unit's work."""

    def process(self, element: tuple[int, bytes]) -> None:
        number, unit = element
        leave(self.folder, (number, self.done(pickle.loads(unit))))


class Splitting(Watched):
    """A numbered unit's rows as (bucket, stream)."""

    def process(self, element: tuple[int, bytes]) -> Iterator[tuple[int, bytes]]:
        try:
            yield from value_of(self.done(pickle.loads(element[1])))
        except GlyphmillError as error:  # with rows missing nothing may be reduced: this ends the pipeline
            leave(self.folder, error)
            raise


class Joining(Watched):
    """A bucket's streams put together and reduced."""

    def process(self, element: tuple[int, Iterable[bytes]]) -> None:
        bucket, streams = element
        leave(self.folder, (bucket, self.done(list(streams))))


def leave(folder: str, content: tuple[int, Result[Any, Any]] | GlyphmillError) -> None:
    """A file that the engine reads: whole or not there."""
    path = Path(folder) / uuid.uuid4().hex
    path.write_bytes(pickle.dumps(content))
    path.rename(path.with_suffix(".result"))
