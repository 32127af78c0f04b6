"""A process among those that torchrun started, or alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from model.training.precision import pick_device


@dataclass(frozen=True)
class Ranks:
    """This process: `first` of `world`, on `device`."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0


@contextmanager
def joined(device: str = "auto") -> Iterator[Ranks]:
    """Join the process group that torchrun's variables name, gloo on CPUs and NCCL beside it on GPUs; alone without
    them. Raises UsageError for a device that is not here."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    here = pick_device(device, local)
    if here.type == "cuda":
        torch.cuda.set_device(here)
    if world == 1:
        yield Ranks(0, 1, here)
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if here.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), world, here)
    finally:
        dist.destroy_process_group()
