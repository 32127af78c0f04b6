"""What one process does for all of them, with or without a process group; a failure there fails everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch.distributed as dist

from warehouse.errors import GlyphmillError

T = TypeVar("T")


def together() -> bool:
    """True where this process is one of a group, even of a group of one."""
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    return dist.get_rank() if together() else 0


def world() -> int:
    return dist.get_world_size() if together() else 1


def on_first(work: Callable[[], T]) -> T:
    """`work()` of rank 0, given to all. What it raises (OSError or an error for people) is raised on every rank: no
    rank is left waiting for one that failed. All ranks must call it."""
    if not together():
        return work()
    said: list[object] = [None, None]
    if rank() == 0:
        try:
            said[0] = work()
        except (OSError, GlyphmillError) as error:
            said[1] = error
    dist.broadcast_object_list(said, src=0)
    if isinstance(said[1], Exception):
        raise said[1]
    return said[0]  # type: ignore[return-value]


def on_each(work: Callable[[], T]) -> list[T]:
    """`work()` of every rank, in rank order, given to all; the first rank's error is raised on every rank."""
    said: tuple[T | None, Exception | None]
    try:
        said = (work(), None)
    except (OSError, GlyphmillError) as error:
        said = (None, error)
    answers = [said]
    if together():
        answers = [said] * world()
        dist.all_gather_object(answers, said)
    for _, failure in answers:
        if failure is not None:
            raise failure
    return [answer for answer, _ in answers]  # type: ignore[misc]
