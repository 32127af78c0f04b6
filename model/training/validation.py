"""A validation loss that moves only because the model does: fixed samples, fixed noise, sigmas at fixed places.

Eight sigmas (i + 1/2) / 8 instead of drawn ones, as torchtitan's and MLPerf's Flux validation has them: the variance of
a drawn sigma, most of a training loss's noise, is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from model.batches import LatentBatch
from model.flow import stratified, stream
from model.training.algorithm import squared_error
from model.training.micro_batches import cut, image_tokens, take
from model.training.precision import Precision

SIGMAS = 8


@dataclass(frozen=True)
class HeldOut:
    """Encoded samples that no step trains on. `names`: of each batch's rows, what their noise is drawn by."""

    batches: tuple[LatentBatch, ...]
    names: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return sum(map(len, self.names))


@dataclass(frozen=True)
class Validated:
    """`loss`: mean over samples and sigmas; `by_sigma`: mean over samples at each sigma."""

    loss: float
    by_sigma: tuple[float, ...]
    samples: int


@torch.no_grad()
def validate(
    model: torch.nn.Module,
    held_out: HeldOut,
    precision: Precision,
    *,
    patch: int,
    seed: int = 0,
    budget: int | None = None,
) -> Validated:
    """The squared error of the velocity over all held-out samples. A function of the weights, the samples and the seed;
    the cut into micro batches changes no more than rounding. `budget`: tokens of one forward pass."""
    sigmas = stratified(SIGMAS)
    sums = torch.zeros(SIGMAS, dtype=torch.float64)
    was_training = model.training
    model.eval()
    try:
        for batch, names in zip(held_out.batches, held_out.names, strict=True):
            noise = torch.stack(
                [torch.randn(batch.latents.shape[1:], generator=stream("held-out", seed, n)) for n in names]
            )
            for rows in cut(batch.lengths.tolist(), image_tokens(batch, patch), budget):
                piece = _moved(take(batch, rows), precision.device)
                eps = noise[rows].to(precision.device)
                for place, sigma in enumerate(sigmas.tolist()):
                    at = torch.full((len(rows),), sigma, device=precision.device)
                    with precision.autocast():
                        sums[place] += squared_error(model, piece, at, eps).double().sum().cpu()
    finally:
        model.train(was_training)
    means = (sums / max(1, len(held_out))).tolist()
    return Validated(sum(means) / SIGMAS, tuple(means), len(held_out))


def by_shape(rows: Sequence[tuple[str, LatentBatch]]) -> HeldOut:
    """Single rows put together with those of their size and their number of references, in the order given."""
    shapes: dict[tuple[object, ...], list[tuple[str, LatentBatch]]] = {}
    for name, row in rows:
        shapes.setdefault((row.task, tuple(row.latents.shape[1:])), []).append((name, row))
    return HeldOut(
        tuple(_together([row for _, row in alike]) for alike in shapes.values()),
        tuple(tuple(name for name, _ in alike) for alike in shapes.values()),
    )


def _together(rows: Sequence[LatentBatch]) -> LatentBatch:
    longest = max(row.context.shape[1] for row in rows)
    context = torch.zeros(len(rows), longest, rows[0].context.shape[2], dtype=rows[0].context.dtype)
    for place, row in enumerate(rows):
        context[place, : row.context.shape[1]] = row.context[0]
    return replace(
        rows[0],
        positions=tuple(range(len(rows))),
        latents=torch.cat([row.latents for row in rows]),
        references=tuple(row.references[0] for row in rows),
        context=context,
        lengths=torch.cat([row.lengths for row in rows]),
    )


def _moved(batch: LatentBatch, device: torch.device) -> LatentBatch:
    return replace(
        batch,
        latents=batch.latents.to(device),
        context=batch.context.to(device),
        references=tuple(tuple(r.to(device) for r in row) for row in batch.references),
    )
