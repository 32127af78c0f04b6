"""A tiny MMDiT and batches of random latents, for tests of the trainer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from model.batches import LatentBatch
from model.config import MMDiTConfig
from model.initial import initialise
from model.mmdit import MMDiT
from model.training.algorithm import FlowMatching
from model.training.ema import Ema
from model.training.loop import Event, Loop, LoopSettings, Sink
from model.training.optimizer import OptimizerConfig, make_optimizer
from model.training.precision import chosen
from model.training.trainer import StepSettings, Trainer

CPU = torch.device("cpu")
CONFIG = MMDiTConfig(
    patch_size=2, in_channels=16, out_channels=4, num_layers=2, attention_head_dim=16, num_attention_heads=2,
    joint_attention_dim=12, axes_dims_rope=(4, 6, 6),
)  # fmt: skip


def tiny_model(seed: int = 0) -> MMDiT:
    """Every weight random: at its start a model is the zero function, and gradients of a zero tell little."""
    model = MMDiT(CONFIG)
    generator = torch.Generator().manual_seed(seed)
    initialise(model, generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return model


def random_batch(
    step: int, rows: int = 6, *, references: bool = False, lengths: Sequence[int] | None = None
) -> LatentBatch:
    """Latents (rows, 4, 8, 8); texts of 1 to 7 tokens, zero beyond."""
    generator = torch.Generator().manual_seed(1000 + step)
    given = torch.tensor(lengths or [1 + (5 * row + step) % 7 for row in range(rows)])
    context = torch.randn(rows, int(given.max()), 12, generator=generator)
    context[torch.arange(context.shape[1]) >= given[:, None]] = 0
    shown = tuple(
        tuple(torch.randn(4, 4, 6, generator=generator) for _ in range(row % 3)) if references else ()
        for row in range(rows)
    )
    return LatentBatch(
        step=step,
        phase="first",
        task="ti2i" if references else "t2i",
        positions=tuple(range(rows)),
        latents=torch.randn(rows, 4, 8, 8, generator=generator),
        references=shown,
        context=context,
        lengths=given,
    )


class MemoryFeed:
    """Batches that a function makes."""

    waited_s = 0.0

    def __init__(self, make: Callable[[int], LatentBatch] = random_batch) -> None:
        self.batch = make


def trainer_of(
    model: MMDiT,
    feed: MemoryFeed | None = None,
    *,
    budget: int | None = None,
    optimizer: OptimizerConfig | None = None,
    rate: float = 1e-2,
    weights: Callable[[LatentBatch], list[float]] | None = None,
) -> Trainer:
    config = optimizer or OptimizerConfig()
    return Trainer(
        FlowMatching(model, patch=2, seed=3),
        {"model": make_optimizer(model, config)},
        {"model": Ema(model, 0.9)},
        feed or MemoryFeed(),
        lambda step: ("first", rate),
        chosen("fp32", CPU),
        StepSettings(patch=2, budget=budget, clip=config.clip),
        **({} if weights is None else {"weights": weights}),
    )


class Lines:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []

    def write(self, rows: Sequence[dict[str, object]]) -> None:
        self.rows += rows


def loop_of(trainer: Trainer, folder: Path, sink: Sink, *, save: Event | None = None, log_every: int = 3) -> Loop:
    never = Event(0, lambda done: None, at_end=False)
    return Loop(trainer, LoopSettings(folder / "diagnosis", log_every), save or never, sinks=[sink])
