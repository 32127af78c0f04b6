"""The local engine: a handful of worker processes on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from pipelines.engines import R, Result, U
from pipelines.engines.pool import Pool, Watch
from pipelines.engines.scratch import scratch
from pipelines.engines.shuffle import BUCKETS, JoinFiles, SplitToFile, portions, value_of
from pipelines.engines.worker import raised
from warehouse.errors import GlyphmillError


@dataclass(frozen=True)
class LocalEngine:
    """`workers` processes (0: this very process, nothing isolated). A worker silent for `stall_s` seconds, with neither
    a result nor a `beat()`, counts as hung. A unit is given `attempts` tries in all. `group` keeps its rows in a folder
    of its own under `scratch` (the system's place for temporary files if not given) until it ends."""

    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    stall_s: float = 120.0
    attempts: int = 3
    scratch: str | None = None

    @property
    def name(self) -> str:
        return "local"

    def map(
        self, work: Callable[[U], R], units: Iterable[U], *, setup: Callable[[], None] | None = None
    ) -> Generator[Result[U, R], None, None]:
        if self.workers == 0:
            yield from _map_here(work, units, setup, self.attempts)
            return
        pool = Pool(work, setup, workers=self.workers, watch=Watch(self.stall_s, self.attempts))
        try:
            yield from pool.run(units)
        finally:
            pool.close()

    def group(
        self,
        rows: Callable[[U], pa.Table],
        units: Iterable[U],
        *,
        key: str,
        reduce: Callable[[pa.Table], R],
        setup: Callable[[], None] | None = None,
    ) -> Iterator[R]:
        with scratch("group", self.scratch) as folder:
            split = SplitToFile(rows, key, BUCKETS, folder)
            files = [value_of(result) for result in self.map(split, enumerate(units), setup=setup)]
            for result in self.map(JoinFiles(reduce, key), portions(files, self.workers), setup=setup):
                yield value_of(result)


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
