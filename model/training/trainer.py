"""One step of training, whatever the algorithm: rows to micro batches, losses to gradients, gradients to weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch

from model.batches import LatentBatch
from model.training.algorithm import Algorithm
from model.training.ema import Ema
from model.training.metrics import StepRecord, StepSums
from model.training.micro_batches import blank, cut, image_tokens, take
from model.training.optimizer import clip_gradients, set_rate
from model.training.precision import Precision
from model.training.team import Team


class Feed(Protocol):
    """Where batches come from. `waited_s`: seconds that `batch` has waited so far."""

    waited_s: float

    def batch(self, step: int) -> LatentBatch: ...


@dataclass(frozen=True)
class StepSettings:
    """`budget`: tokens of one micro batch, padding counted; None: a batch is one piece. `clip`: the gradient norm's
    limit. `patch`: of the model, for counting tokens."""

    patch: int
    budget: int | None = None
    clip: float | None = 1.0


@dataclass
class Rows:
    """What happened to the rows of a micro batch: for the diagnosis of a step that went wrong."""

    positions: tuple[int, ...]
    loss: torch.Tensor
    sigma: torch.Tensor


@dataclass
class StepOutcome:
    """A record to be written, the rows behind it, and whether some rank was asked to stop."""

    record: StepRecord
    rows: list[Rows] = field(default_factory=list)
    stop: bool = False


def equal_weights(batch: LatentBatch) -> list[float]:
    """Every row counts the same."""
    return [1.0] * len(batch.positions)


class Trainer:
    """Runs steps of one algorithm. It has no place on the disk and no clock of its own: `model/training/loop.py` has.

    `rate(step)`: the phase's name and the learning rate. `weights(batch)`: how much each row counts. The loss of a step
    is the weighted mean over its rows on all ranks, however they are cut into micro batches.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        optimizers: Mapping[str, torch.optim.Optimizer],
        averages: Mapping[str, Ema],
        feed: Feed,
        rate: Callable[[int], tuple[str, float]],
        precision: Precision,
        settings: StepSettings,
        *,
        team: Team | None = None,
        weights: Callable[[LatentBatch], list[float]] = equal_weights,
        flops: Callable[[LatentBatch], float] | None = None,
    ) -> None:
        self.algorithm, self.optimizers, self.averages = algorithm, optimizers, averages
        self.feed, self.rate, self.precision, self.settings = feed, rate, precision, settings
        self.team, self.weights, self.flops = team or Team(), weights, flops

    def step(
        self, number: int, *, stop: bool = False, accept: Callable[[StepOutcome], None] | None = None
    ) -> StepOutcome:
        """Take step `number`. `accept` sees the outcome before a weight is changed, and may raise to leave all as it
        was. `stop`: this rank was asked to stop."""
        began, waited = time.perf_counter(), self.feed.waited_s
        batch = self.feed.batch(number)
        waited = self.feed.waited_s - waited
        phase, rate = self.rate(number)
        text, image = batch.lengths.tolist(), image_tokens(batch, self.settings.patch)
        weights = self.weights(batch)
        pieces = cut(text, image, self.settings.budget)
        agreed = self.team.agree(sum(weights), len(pieces), stop)
        if len(pieces) < agreed.pieces:
            pieces = cut(text, image, self.settings.budget, agreed.pieces)
        sums = StepSums(self.precision.device)
        rows = self._accumulate(batch, pieces, agreed.pieces, weights, agreed.weight, sums)
        norm = self._clip()
        record = StepRecord(
            step=number,
            phase=phase,
            rate=rate,
            sums=sums.vector(),
            grad_norm=norm,
            names=sums.names,
            samples=len(batch.positions),
            tokens=sum(text) + sum(image),
            flops=self.flops(batch) if self.flops else 0.0,
            waited=waited,
        )
        outcome = StepOutcome(record, rows, agreed.stop)
        if accept is not None:
            accept(outcome)
        self._update(rate)
        record.seconds = time.perf_counter() - began
        return outcome

    def _accumulate(
        self,
        batch: LatentBatch,
        pieces: list[list[int]],
        passes: int,
        weights: list[float],
        total: float,
        sums: StepSums,
    ) -> list[Rows]:
        """Forward and backward over the pieces; with the gradients averaged over ranks, a row's share is scaled up by
        their number, so that the sum over ranks is what comes out."""
        found: list[Rows] = []
        ranks = self.team.data_ranks
        for number in range(passes if total else 0):
            if number < len(pieces):
                piece = self._on_device(take(batch, pieces[number]))
                shares = torch.tensor([weights[row] / total for row in pieces[number]], dtype=torch.float32)
            else:  # the other ranks make another pass, and all must make equally many
                piece, shares = self._on_device(blank(batch)), torch.zeros(1)
            shares = shares.to(self.precision.device, non_blocking=True)
            with self.precision.autocast():
                losses = self.algorithm.single_train_step(piece, shares * ranks if ranks > 1 else shares)
            torch.autograd.backward(list(losses.to_minimise.values()))
            sums.add(losses, shares)
            if number < len(pieces):
                found.append(Rows(piece.positions, losses.loss, losses.sigma))
        return found

    def _clip(self) -> torch.Tensor:
        norms = [
            clip_gradients(self.algorithm.roles[role].parameters(), self.settings.clip)
            for role in self.algorithm.trained
        ]
        return norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))

    def _update(self, rate: float) -> None:
        """Step the optimizers of the roles that got a gradient: an algorithm may train one of them at a time."""
        for role in self.algorithm.trained:
            optimizer = self.optimizers[role]
            if any(p.grad is not None for group in optimizer.param_groups for p in group["params"]):
                set_rate(optimizer, rate)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                if role in self.averages:
                    self.averages[role].update()

    def _on_device(self, batch: LatentBatch) -> LatentBatch:
        """All but the lengths, which decide on the host which kernels run."""
        device = self.precision.device
        if device.type == "cpu":
            return batch
        return replace(
            batch,
            latents=batch.latents.to(device, non_blocking=True),
            context=batch.context.to(device, non_blocking=True),
            references=tuple(tuple(r.to(device, non_blocking=True) for r in row) for row in batch.references),
        )
