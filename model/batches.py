"""What the rooms of the trainer hand to each other: a planned batch, and the same batch as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Task = Literal["t2i", "ti2i"]


@dataclass(frozen=True)
class Picture:
    """A stored image: `record` of `selection`, which is the name of one of the plan's selections."""

    selection: str
    record: int


@dataclass(frozen=True)
class PlannedSample:
    """One place of a batch. `caption` is what the model is told (the instruction, where there are references);
    `dropped`: told the blank prompt instead (condition dropout). References keep their order."""

    target: Picture
    caption: str | None
    references: tuple[Picture, ...] = ()
    dropped: bool = False


@dataclass(frozen=True)
class PlannedBatch:
    """The global batch of one step, over all ranks: one phase, one task, one size (pixels of the target)."""

    step: int
    phase: str
    task: Task
    height: int
    width: int
    samples: tuple[PlannedSample, ...]


@dataclass(frozen=True)
class LatentBatch:
    """This rank's share of a planned batch, encoded.

    `positions`: place of each row in the global batch (noise is drawn by step and position, so it does not depend on
    the number of ranks). `latents`: (B, C, h, w) float32, normalised by the VAE's mean and std. `references`: one tuple
    per row of (C, h, w) tensors. `context`: (B, T, D), zero beyond `lengths` (B,) int64. A forgotten image leaves its
    place empty: fewer rows.
    """

    step: int
    phase: str
    task: Task
    positions: tuple[int, ...]
    latents: torch.Tensor
    references: tuple[tuple[torch.Tensor, ...], ...]
    context: torch.Tensor
    lengths: torch.Tensor
