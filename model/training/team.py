"""What the ranks of one training tell each other before and after a step: a few numbers, over the CPU, so that no
device is waited for."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.distributed as dist

from model.ranks import together, world


class Agreed(NamedTuple):
    """`weight`: of all rows of the step. `pieces`: forward passes that every rank makes. `stop`: some rank was asked
    to stop."""

    weight: float
    pieces: int
    stop: bool


class Team:
    """All ranks, of which `copies` at a time see the same rows (those that share one tensor-parallel model)."""

    def __init__(self, copies: int = 1) -> None:
        self.copies = copies
        self._group = dist.new_group(backend="gloo") if together() and world() > 1 else None

    @property
    def data_ranks(self) -> int:
        """Ranks that have rows of their own."""
        return world() // self.copies

    def agree(self, weight: float, pieces: int, stop: bool) -> Agreed:
        """What holds for all, from what each one has."""
        if self._group is None:
            return Agreed(weight, pieces, stop)
        mine = torch.tensor([weight, pieces, stop], dtype=torch.float64)
        of_all = [torch.empty_like(mine) for _ in range(world())]
        dist.all_gather(of_all, mine, group=self._group)
        table = torch.stack(of_all)
        return Agreed(float(table[:, 0].sum()) / self.copies, int(table[:, 1].max()), bool(table[:, 2].any()))

    def total(self, vectors: torch.Tensor) -> torch.Tensor:
        """Sums over the rows of all ranks, on the CPU."""
        summed = vectors.detach().cpu()
        if self._group is not None:
            summed = summed.clone()
            dist.all_reduce(summed, group=self._group)
            summed /= self.copies
        return summed
