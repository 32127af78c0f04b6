"""How a rank's share of a batch is cut into pieces that fit, with little padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from model.batches import LatentBatch


def cut(text: Sequence[int], image: Sequence[int], budget: int | None, pieces: int = 1) -> list[list[int]]:
    """Rows, by their numbers, in pieces of at most `budget` tokens, padding counted: rows times (longest text + most
    image tokens). `text[i]`, `image[i]`: tokens of row i. A row above the budget is a piece of its own; None: no limit.

    Rows are sorted by length first, so a piece pads to its own longest text only. At least `pieces` pieces are made
    where there are as many rows: ranks that share a model's shards must all make equally many passes.
    """
    order = sorted(range(len(text)), key=lambda row: (image[row], text[row], row))
    made: list[list[int]] = []
    most_text = most_image = 0
    for row in order:
        longer, larger = max(most_text, text[row]), max(most_image, image[row])
        if made and (budget is None or (len(made[-1]) + 1) * (longer + larger) <= budget):
            made[-1].append(row)
            most_text, most_image = longer, larger
        else:
            made.append([row])
            most_text, most_image = text[row], image[row]
    while len(made) < min(pieces, len(text)):
        largest = max(range(len(made)), key=lambda piece: (len(made[piece]), -piece))
        rows = made[largest]
        made[largest : largest + 1] = [rows[: len(rows) // 2], rows[len(rows) // 2 :]]
    return made


def take(batch: LatentBatch, rows: Sequence[int]) -> LatentBatch:
    """These rows of a batch, their context cut to the longest of them."""
    at = torch.tensor(rows, dtype=torch.int64)
    lengths = batch.lengths[at]
    longest = max(1, int(lengths.max())) if len(rows) else batch.context.shape[1]
    whole = list(rows) == list(range(len(batch.positions)))
    return replace(
        batch,
        positions=tuple(batch.positions[row] for row in rows),
        latents=batch.latents if whole else batch.latents[at],
        references=tuple(batch.references[row] for row in rows),
        context=batch.context[:, :longest] if whole else batch.context[at, :longest],
        lengths=lengths,
    )


def blank(batch: LatentBatch) -> LatentBatch:
    """One row of zeros, shaped as the batch's: what a rank without rows passes through the model, at no weight."""
    _, channels, height, width = batch.latents.shape
    return replace(
        batch,
        positions=(0,),
        latents=batch.latents.new_zeros(1, channels, height, width),
        references=((),),
        context=batch.context.new_zeros(1, 1, batch.context.shape[-1]),
        lengths=torch.ones(1, dtype=torch.int64),
    )


def image_tokens(batch: LatentBatch, patch: int) -> list[int]:
    """Packed image tokens of each row: the target's and its references'."""
    _, _, height, width = batch.latents.shape
    target = (height // patch) * (width // patch)
    return [target + sum((r.shape[-2] // patch) * (r.shape[-1] // patch) for r in row) for row in batch.references]
