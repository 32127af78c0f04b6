"""Engines decide where work runs, never what it does: pure functions over units, the same results on every engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    import pyarrow as pa

U = TypeVar("U")
R = TypeVar("R")


@dataclass(frozen=True)
class Result(Generic[U, R]):
    """What became of one unit: its `value`, or after all retries `failure` and `error`, what was last seen of it.

    `error` opens with one line that says the same on every run; further lines may hold a traceback or last words.
    """

    unit: U
    value: R | None = None
    error: str | None = None
    failure: Literal["died", "hung", "raised"] | None = None


class Engine(Protocol):
    """Where units are worked on. `work` is a module-level function (other processes import it), pure and repeatable."""

    @property
    def name(self) -> str: ...

    def map(
        self, work: Callable[[U], R], units: Iterable[U], *, setup: Callable[[], None] | None = None
    ) -> Iterator[Result[U, R]]:
        """Each unit's result as it is finished, in any order; `units` are drawn as workers become free.

        `setup` runs once in each worker before its first unit. A unit whose worker dies, hangs or raises is retried,
        then reported. A GlyphmillError raised by `work` is the user's to mend: it ends the map and is raised here.
        """
        ...

    def group(
        self,
        rows: Callable[[U], pa.Table],
        units: Iterable[U],
        *,
        key: str,
        reduce: Callable[[pa.Table], R],
        setup: Callable[[], None] | None = None,
    ) -> Iterator[R]:
        """The only shuffle. `rows(unit)` gives tables of one schema; `key` is a column, int64 or string, without NULLs.

        `reduce` is called with all rows of some keys, whole keys only, ordered by `key`, then by every other column,
        until each row was in one call. What it returns (small: a part's manifest, a count) comes back in any order. How
        many calls there are, and which keys share one, is the engine's choice and must not matter to the result.

        Both are module-level functions that run on workers; rows go from worker to worker, never through the caller. A
        key with more rows than fit a worker is the caller's to split. A `rows` or `reduce` that still fails after its
        retries raises EngineError with the first line of what was seen; GlyphmillErrors pass as in `map`.
        """
        ...


_beat: Callable[[], None] | None = None


def beat() -> None:
    """Called by long work between its steps: tells the engine that the unit is alive."""
    if _beat is not None:
        _beat()


def listen(heard: Callable[[], None] | None) -> None:
    """Called by an engine's worker: from now on `beat()` calls `heard`."""
    global _beat
    _beat = heard
