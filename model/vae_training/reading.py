"""`glyphmill train vae-reader`: the small reader behind the perceptual loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import Tensor

from model.pixels import from_bytes
from model.reader import Reader, ReaderConfig, save_reader
from model.vae_training.characters import Characters
from warehouse.errors import UsageError

SHIFT = 2  # pixels that a character may be off


@dataclass(frozen=True)
class ReaderTraining:
    """AdamW at `rate`, which falls to nothing by a straight line."""

    steps: int = 600
    batch: int = 64
    rate: float = 3e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or not 0 < self.rate < 1:
            raise UsageError("steps and batch must be at least 1, the learning rate in (0, 1)")


@dataclass(frozen=True)
class ReaderReport:
    """`right`: share read right of `tested` characters, of images that it was not trained on."""

    folder: Path
    characters: int
    trained: int
    tested: int
    right: float | None

    def __str__(self) -> str:
        told = f"{self.folder}: reads {self.characters} characters, trained on {self.trained}"
        return told + ("" if self.right is None else f"; {self.right:.1%} right of {self.tested} held out")


def train_reader(
    found: Characters, settings: ReaderTraining, folder: Path, progress: Callable[[int, int], None] | None = None
) -> ReaderReport:
    """Writes the folder. Raises UsageError where a reader stands there, or there is nothing to train on."""
    if (folder / "reader.json").exists():
        raise UsageError(f"{folder} holds a reader already: name another folder")
    train = (~found.held_out).nonzero().flatten()
    test = found.held_out.nonzero().flatten()
    if not len(train):
        raise UsageError("no characters to train a reader on")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        reader = Reader(ReaderConfig(found.alphabet))
    draw = torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.AdamW(reader.parameters(), settings.rate, fused=True)
    for step in range(settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * (1 - step / settings.steps)
        chosen = train[torch.randint(len(train), (settings.batch,), generator=draw)]
        pixels = varied(from_bytes(found.squares[chosen]), draw)
        loss = F.cross_entropy(reader(pixels), found.kinds[chosen], label_smoothing=0.05)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        if progress is not None:
            progress(step + 1, settings.steps)
    reader.eval()
    right = _right(reader, found.squares[test], found.kinds[test]) if len(test) else None
    save_reader(reader, folder)
    return ReaderReport(folder, len(found.alphabet), len(train), len(test), right)


def varied(pixels: Tensor, draw: torch.Generator) -> Tensor:
    """A batch shifted together by up to SHIFT pixels; each picture with a contrast and a tone of its own, half of them
    in negative, so that these come to mean nothing; a little noise."""
    down, across = (int(n) for n in torch.randint(-SHIFT, SHIFT + 1, (2,), generator=draw))
    moved = F.pad(pixels, (SHIFT,) * 4, mode="replicate")
    height, width = pixels.shape[-2:]
    moved = moved[:, :, SHIFT + down : SHIFT + down + height, SHIFT + across : SHIFT + across + width]
    sign = torch.randint(0, 2, (len(pixels), 1, 1, 1), generator=draw).float() * 2 - 1
    contrast = 0.4 + 0.6 * torch.rand(len(pixels), 1, 1, 1, generator=draw)
    tone = (1 - contrast) * (2 * torch.rand(len(pixels), 1, 1, 1, generator=draw) - 1)
    noise = torch.randn(pixels.shape, generator=draw) * 0.05
    return moved * sign * contrast + tone + noise


@torch.no_grad()
def _right(reader: Reader, squares: Tensor, kinds: Tensor) -> float:
    hits = 0
    for at in range(0, len(squares), 256):
        hits += int((reader(from_bytes(squares[at : at + 256])).argmax(1) == kinds[at : at + 256]).sum())
    return hits / len(squares)
