"""Which of the tasks that are free become one work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

from model.feed.messages import Task

LONELY = 2  # work lost so often is tried one task at a time, so that what kills producers is found
HOPELESS = 6  # a task lost so often stops the run
_LEAST = 8  # tasks that are worth a shard
_LOOK = 20_000  # tasks that are looked at for those of one group


class HopelessError(Exception):
    """A task that kills whoever works at it."""


def choose(free: Iterable[Task], lost: Mapping[str, int], producers: int, most: int) -> list[Task]:
    """Of tasks in the order in which they are needed: the first, and others of its group, at most `most`, and no more
    than one producer's part of what there is, so that all have some. `lost`: how often work on a key was lost.

    Raises HopelessError for a first task that was lost too often, naming it.
    """
    order = iter(free)
    first = next(order, None)
    if first is None:
        return []
    if lost.get(first.key, 0) >= HOPELESS:
        raise HopelessError(f"{HOPELESS} producers died while encoding {first.named}: look at it, or leave it out")
    if lost.get(first.key, 0) >= LONELY:
        return [first]
    group = (first.group, first.plan)
    others = (t for t in islice(order, _LOOK) if (t.group, t.plan) == group and lost.get(t.key, 0) < LONELY)
    fitting = [first, *islice(others, most * max(1, producers) - 1)]
    fair = -(-len(fitting) // max(1, producers))
    return fitting[: min(most, max(fair, _LEAST))]
