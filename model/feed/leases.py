"""Who works at what. A lease that is not renewed ends, and its work goes to another producer."""

from __future__ import annotations

import itertools
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from model.feed.messages import Task, Work


@dataclass
class _Lease:
    producer: str
    work: Work
    until: float


class Leases:
    """Leases by the number of their work. Not safe for threads: its owner locks.

    `clock`: seconds that only grow; one machine's, never compared with another's.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self._clock = seconds, clock
        self._leases: dict[str, _Lease] = {}
        self._keys: Counter[str] = Counter()
        self._run, self._numbers = secrets.token_hex(4), itertools.count()
        #: How often work on a key was lost with its producer.
        self.lost: Counter[str] = Counter()

    def __contains__(self, key: str) -> bool:
        return self._keys[key] > 0

    def __len__(self) -> int:
        return sum(1 for count in self._keys.values() if count)

    def tasks(self) -> Iterable[Task]:
        """Everything that is being worked at."""
        return (task for lease in self._leases.values() for task in lease.work.tasks)

    def of(self, producer: str) -> int:
        return sum(len(lease.work.tasks) for lease in self._leases.values() if lease.producer == producer)

    def give(self, producer: str, tasks: Sequence[Task]) -> Work:
        work = Work(f"{self._run}-{next(self._numbers)}", tuple(tasks), self.seconds)
        self._leases[work.id] = _Lease(producer, work, self._clock() + self.seconds)
        self._keys.update(task.key for task in tasks)
        return work

    def renew(self, works: Iterable[str]) -> None:
        """These leases last `seconds` from now; one that has ended by itself stays ended."""
        for work in works:
            if work in self._leases:
                self._leases[work].until = self._clock() + self.seconds

    def finish(self, work: str) -> None:
        """The work is done; of a lease that has ended by itself this says nothing."""
        lease = self._leases.pop(work, None)
        if lease is not None:
            for task in lease.work.tasks:
                self.lost.pop(task.key, None)
            self._free(lease)

    def release(self, producer: str) -> list[Work]:
        """A producer is gone: its works, to be done by others."""
        return [self._lose(lease) for lease in list(self._leases.values()) if lease.producer == producer]

    def expire(self) -> list[Work]:
        """Works whose producer has been silent for too long; they may be leased again."""
        now = self._clock()
        return [self._lose(lease) for lease in list(self._leases.values()) if lease.until <= now]

    def _lose(self, lease: _Lease) -> Work:
        del self._leases[lease.work.id]
        self.lost.update(task.key for task in lease.work.tasks)
        self._free(lease)
        return lease.work

    def _free(self, lease: _Lease) -> None:
        for task in lease.work.tasks:
            self._keys[task.key] -= 1
            if self._keys[task.key] <= 0:
                del self._keys[task.key]
