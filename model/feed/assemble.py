"""From entries to a LatentBatch: the one copy on the way of a latent, from a mapped file into the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from model.batches import LatentBatch, PlannedBatch
from model.feed.messages import Encoding
from model.feed.needs import SampleNeeds
from model.feed.shard import TORCH


def assemble(
    planned: PlannedBatch,
    needs: Sequence[SampleNeeds],
    found: Mapping[str, torch.Tensor],
    encoding: Encoding,
    pad_to: int = 1,
) -> LatentBatch:
    """The rows of these samples, in their order; none gives a batch of no rows.

    Latents are float32, contexts in the dtype that they are stored in, zero beyond their lengths, their T a multiple of
    `pad_to`. References are views of the shard where it is mapped and float32, and are not to be written to.
    """
    sides = (planned.height // encoding.factor, planned.width // encoding.factor)
    latents = torch.empty(len(needs), encoding.channels, *sides)
    lengths = torch.tensor([len(found[need.text.key]) for need in needs], dtype=torch.int64)
    longest = max(1, int(lengths.max())) if needs else 1
    context = torch.zeros(len(needs), -(-longest // pad_to) * pad_to, encoding.width, dtype=TORCH[encoding.text_dtype])
    for row, need in enumerate(needs):
        latents[row] = found[need.latent.key]
        context[row, : lengths[row]] = found[need.text.key]
    return LatentBatch(
        planned.step,
        planned.phase,
        planned.task,
        tuple(need.place for need in needs),
        latents,
        tuple(tuple(found[task.key].float() for task in need.references) for need in needs),
        context,
        lengths,
    )
