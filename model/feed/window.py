"""The steps that are being prepared: from the slowest consumer's on, at most so many ahead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from model.feed.messages import Task


class _Keys(Protocol):
    def __contains__(self, key: str, /) -> bool: ...


@dataclass
class _Member:
    step: int
    horizon: int


class Window:
    """Steps floor..floor + ahead and what they need. Not safe for threads: its owner locks."""

    def __init__(self, ahead: int) -> None:
        self.ahead = ahead
        self.world = 0
        self._members: dict[str, _Member] = {}
        self._steps: dict[int, dict[str, Task]] = {}
        self._todo: dict[int, dict[str, Task]] = {}
        self._wanted: Counter[str] = Counter()

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

    def extend(self, steps: int, tasks_of: Callable[[int], dict[str, Task]]) -> list[int]:
        """Plan the steps of the window that are not planned yet; gives them. `tasks_of` may raise: then it is asked
        again next time."""
        if self.floor is None:
            return []
        new = [step for step in range(self.floor, self.last(steps) + 1) if step not in self._steps]
        for step in new:
            tasks = tasks_of(step)
            self._steps[step] = tasks
            self._todo[step] = dict(tasks)
            self._wanted.update(tasks.keys())
        return new

    def replan(self, first: int) -> None:
        """The steps from `first` on are planned anew."""
        for step in [s for s in self._steps if s >= first]:
            self._drop(step)

    def wants(self, key: str) -> bool:
        return self._wanted[key] > 0

    def wants_now(self, key: str) -> bool:
        """Whether the slowest consumer's very step needs it."""
        return self.floor is not None and key in self._steps.get(self.floor, {})

    def again(self, keys: Sequence[str]) -> None:
        """These entries are gone from the store: they are to be made again wherever they are needed."""
        for step, tasks in self._steps.items():
            self._todo[step].update({key: tasks[key] for key in keys if key in tasks})

    def todo(self, there: _Keys, up_to: int) -> Iterator[Task]:
        """What is to be made, each once, the earliest steps first."""
        told: set[str] = set()
        for step in sorted(s for s in self._todo if s <= up_to):
            left = self._todo[step]
            for key in [key for key in left if key in there]:
                del left[key]
            yield from [task for key, task in left.items() if key not in told]
            told.update(left)

    def ready(self, there: _Keys) -> int:
        """Whole steps from the floor on that lack nothing."""
        count, step = 0, self.floor
        while step is not None and step in self._todo and all(key in there for key in self._todo[step]):
            count, step = count + 1, step + 1
        return count

    def missing(self, there: _Keys) -> int:
        return len({key for tasks in self._todo.values() for key in tasks if key not in there})

    def _forget_outside(self) -> None:
        floor = self.floor
        if floor is None:
            outside = list(self._steps)
        else:
            outside = [s for s in self._steps if s < floor or s > floor + self.ahead]
        for step in outside:
            self._drop(step)

    def _drop(self, step: int) -> None:
        for key in self._steps.pop(step):
            self._wanted[key] -= 1
            if self._wanted[key] <= 0:
                del self._wanted[key]
        del self._todo[step]
