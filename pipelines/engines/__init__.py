"""Engines decide where work runs, never what it does: pure functions over units, the same results on every engine."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

U = TypeVar("U")
R = TypeVar("R")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


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

    def group(self, rows: Iterable[R], key: Callable[[R], K], reduce: Callable[[K, list[R]], V]) -> Iterator[V]:
        """`reduce(key, rows of that key)` for every key: the only shuffle. Rows keep their order within a key."""
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
