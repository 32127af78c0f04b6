"""The steps that are being prepared: from the slowest consumer's on, at most so many ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from model.feed.messages import Task


class Keys(Protocol):
    """Something that knows which entries are there."""

    def __contains__(self, key: str, /) -> bool: ...


@dataclass
class _Member:
    step: int
    horizon: int


class Window:
    """Steps floor..floor + ahead, what they need, and what of it is not there. Not safe for threads: its owner locks.

    `there`: the entries that are there when a step is planned; `done` and `again` tell of changes.
    """

    def __init__(self, ahead: int) -> None:
        self.ahead = ahead
        self.world = 0
        self._members: dict[str, _Member] = {}
        self._steps: dict[int, dict[str, Task]] = {}
        self._todo: dict[int, dict[str, Task]] = {}
        self._needed_by: dict[str, set[int]] = {}

    @property
    def floor(self) -> int | None:
        """The slowest consumer's step: all before it are done with. None while nobody consumes."""
        return min((m.step for m in self._members.values()), default=None)

    @property
    def cursors(self) -> dict[str, int]:
        return {name: m.step for name, m in self._members.items()}

    def attend(self, member: str, world: int, step: int, horizon: int) -> None:
        """A consumer stands at `step` and plans up to `horizon`. Ranks of another world size belong to an older run."""
        if world != self.world:
            self._members.clear()
            self.world = world
        self._members[member] = _Member(step, horizon)
        self._forget_outside()

    def leave(self, member: str) -> None:
        self._members.pop(member, None)
        self._forget_outside()

    def last(self, steps: int) -> int:
        """The last step to work for, of a run of so many steps; -1 while nobody consumes."""
        return -1 if self.floor is None else min(self.floor + self.ahead, steps - 1)

    def extend(self, steps: int, tasks_of: Callable[[int], dict[str, Task]], there: Keys) -> None:
        """Plan the steps of the window that are not planned yet. `tasks_of` may raise: it is asked again next time."""
        if self.floor is None:
            return
        for step in range(self.floor, self.last(steps) + 1):
            if step not in self._steps:
                tasks = tasks_of(step)
                self._steps[step] = tasks
                self._todo[step] = {key: task for key, task in tasks.items() if key not in there}
                for key in tasks:
                    self._needed_by.setdefault(key, set()).add(step)

    def replan(self, first: int) -> None:
        """The steps from `first` on are planned anew."""
        for step in [s for s in self._steps if s >= first]:
            self._drop(step)

    def wants(self, key: str) -> bool:
        return key in self._needed_by

    def last_need(self, key: str) -> int | None:
        """The last planned step that needs an entry; None where none does."""
        return max(self._needed_by.get(key, ()), default=None)

    def wants_now(self, key: str) -> bool:
        """Whether the slowest consumer's very step needs it."""
        return self.floor is not None and self.floor in self._needed_by.get(key, ())

    def done(self, keys: Iterable[str]) -> None:
        """These entries are there now."""
        for key in keys:
            for step in self._needed_by.get(key, ()):
                self._todo[step].pop(key, None)

    def again(self, keys: Iterable[str]) -> None:
        """These entries are gone: they are to be made again wherever they are needed."""
        for key in keys:
            for step in self._needed_by.get(key, ()):
                self._todo[step][key] = self._steps[step][key]

    def todo(self, up_to: int) -> Iterator[Task]:
        """What is to be made, each once, the earliest steps first. Ends with the next change."""
        told: set[str] = set()
        for step in sorted(s for s in self._todo if s <= up_to):
            for key, task in self._todo[step].items():
                if key not in told:
                    told.add(key)
                    yield task

    def ready(self) -> int:
        """Whole steps from the floor on that lack nothing."""
        count, step = 0, self.floor
        while step is not None and step in self._todo and not self._todo[step]:
            count, step = count + 1, step + 1
        return count

    def missing(self) -> int:
        """Entries of the window that are not there."""
        return len({key for tasks in self._todo.values() for key in tasks})

    def _forget_outside(self) -> None:
        floor = self.floor
        for step in list(self._steps):
            if floor is None or not floor <= step <= floor + self.ahead:
                self._drop(step)

    def _drop(self, step: int) -> None:
        for key in self._steps.pop(step):
            steps = self._needed_by[key]
            steps.discard(step)
            if not steps:
                del self._needed_by[key]
        del self._todo[step]
