"""The Spark engine: units are rows of a DataFrame, results come back through Arrow, Spark does the shuffle. Any master.

Within each of Spark's Python workers a unit is worked on in a watched process of its own, as in the local engine, so
that no unit takes a task, an executor or the job with it.
"""

from __future__ import annotations

import base64
import gc
import pickle
import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipelines.engines import R, Result, U
from pipelines.engines.pool import Pool, Watch, lent
from pipelines.engines.settings import Settled, settled
from pipelines.engines.shuffle import Join, Split, value_of
from pipelines.engines.spark_session import Jobs, jobs_of
from warehouse.errors import EngineError, GlyphmillError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Batches = Iterator[pa.RecordBatch]
Task = Callable[[Batches], Batches]
OfBucket = Callable[[pa.Table], pa.Table]
AHEAD = 2  # jobs at once: the next one keeps workers busy while the last units of the one before are finished
TOLD = re.compile(r"glyphmill:([A-Za-z0-9+/=]+):")


@dataclass(frozen=True)
class SparkEngine:
    """Work on the Spark that `conf` describes (`spark.master` and whatever else Spark knows), on all cores it gives.

    `wave`: units drawn for one job, 4 for each core if not given. `buckets`: what `group` cuts rows into. `patience_s`:
    how long to wait for a cluster that has no executor. `log`: a file for what Spark itself has to say.
    """

    conf: Mapping[str, str]
    watch: Watch = field(default_factory=Watch)
    wave: int | None = None
    buckets: int = 64
    patience_s: float = 300.0
    log: str | None = None

    @property
    def name(self) -> str:
        return "spark"

    def map(
        self, work: Callable[[U], R], units: Iterable[U], *, setup: Callable[[], None] | None = None
    ) -> Generator[Result[U, R], None, None]:
        waiting = iter(units)
        first = list(islice(waiting, 1))
        if not first:
            return  # no session is started for nothing
        task = _worked(work, settled(setup), self.watch)
        with jobs_of(self.conf, self.log, self.patience_s) as jobs:
            running: deque[tuple[list[U], Future[list[bytes]]]] = deque()
            while True:
                size = self.wave or 4 * jobs.cores
                while len(running) < AHEAD and (wave := [*first, *islice(waiting, size - len(first))]):
                    first = []
                    running.append((wave, jobs.start(_map_job, task, wave)))
                if not running:
                    return
                drawn, job = running.popleft()
                for number, result in _told(jobs, job):
                    yield Result(drawn[number], result.value, result.error, result.failure)

    def group(
        self,
        rows: Callable[[U], pa.Table],
        units: Iterable[U],
        *,
        key: str,
        reduce: Callable[[pa.Table], R],
        setup: Callable[[], None] | None = None,
    ) -> Iterator[R]:
        every = list(units)
        if not every:
            return
        split = _splitting(Split(rows, key, self.buckets), settled(setup), self.watch)
        join = _joining(Join(reduce, key), settled(setup), self.watch)
        with jobs_of(self.conf, self.log, self.patience_s) as jobs:
            for _, result in _told(jobs, jobs.start(_group_job, split, join, every)):
                yield value_of(result)


def _map_job(spark: SparkSession, task: Task, units: Sequence[U]) -> list[bytes]:
    return _collected(_frame(spark, units).mapInArrow(task, "result binary"))


def _group_job(
    spark: SparkSession, split: Task, join: Callable[[pa.Table], pa.Table], units: Sequence[U]
) -> list[bytes]:
    streams = _frame(spark, units).mapInArrow(split, "bucket long, stream binary")
    return _collected(streams.groupBy("bucket").applyInArrow(join, "result binary"))


def _frame(spark: SparkSession, units: Sequence[U]) -> DataFrame:
    """A row for each unit, each in a partition of its own."""
    rows = [pa.record_batch({"number": [number], "unit": [pickle.dumps(unit)]}) for number, unit in enumerate(units)]
    return spark.createDataFrame(pa.Table.from_batches(rows))


def _collected(results: DataFrame) -> list[bytes]:
    rows: list[bytes] = results.toArrow().column("result").to_pylist()
    return rows


def _told(jobs: Jobs, job: Future[list[bytes]]) -> Iterator[tuple[int, Result[Any, Any]]]:
    """(number, result) as workers told them. Raises what they raise for the user, EngineError where Spark gave up."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException, PythonException

    try:
        rows = jobs.wait(job)
    except (PySparkException, Py4JError, OSError) as error:
        if told := TOLD.search(str(error)):
            raise pickle.loads(base64.b64decode(told[1])) from None
        lines = [line for line in str(error).split("\n") if line.strip()] or [type(error).__name__]
        said = lines[-1 if isinstance(error, PythonException) else 0][:300]
        raise EngineError(f"Spark gave up ({said}); what is done is not lost, run again") from error
    for row in rows:
        content = pickle.loads(row)
        if isinstance(content, GlyphmillError):
            raise content
        yield content


# What runs in Spark's Python workers.


def _worked(work: Callable[[U], R], setup: Settled, watch: Watch) -> Task:
    def worked(batches: Batches) -> Batches:
        with lent(work, setup, watch) as pool:
            _keep_what_is_loaded()
            for number, unit in _units(batches):
                yield pa.record_batch({"result": [_result(pool, number, unit)]})

    return worked


def _splitting(split: Split[U], setup: Settled, watch: Watch) -> Task:
    def splitting(batches: Batches) -> Batches:
        with lent(split, setup, watch) as pool:
            for _, unit in _units(batches):
                try:
                    (result,) = pool.run([unit])
                    buckets, streams = zip(*value_of(result), strict=True)
                except GlyphmillError as error:  # with rows missing nothing may be reduced: this ends the job
                    raise RuntimeError(f"glyphmill:{base64.b64encode(pickle.dumps(error)).decode()}:") from None
                yield pa.record_batch({"bucket": buckets, "stream": streams})

    return splitting


def _joining(join: Join[R], setup: Settled, watch: Watch) -> OfBucket:
    def joining(streams: pa.Table) -> pa.Table:
        with lent(join, setup, watch) as pool:
            done = _result(pool, 0, streams.column("stream").to_pylist())
        return pa.table({"result": pa.array([done], streams.schema.field("stream").type)})

    return joining


@cache
def _keep_what_is_loaded() -> None:
    """Spark collects garbage after each task; going through all loaded modules every time takes 60 ms."""
    gc.freeze()


def _units(batches: Batches) -> Iterator[tuple[int, Any]]:
    for batch in batches:
        for row in batch.to_pylist():
            yield row["number"], pickle.loads(row["unit"])


def _result(pool: Pool[Any, Any], number: int, unit: Any) -> bytes:
    """What became of a unit, pickled: (number, its result), or the GlyphmillError that ends the job."""
    try:
        (done,) = pool.run([unit])
    except GlyphmillError as error:
        return pickle.dumps(error)
    return pickle.dumps((number, replace(done, unit=None)))
