"""A small reader of single characters: what it looks at is what a perceptual distance compares."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from warehouse.errors import UsageError
from warehouse.files import replacing

SIDE = 32  # pixels of the square that one character is read in
WIDTHS = (16, 32, 64, 96)
CONFIG, WEIGHTS = "reader.json", "reader.safetensors"


@dataclass(frozen=True)
class ReaderConfig:
    """`characters`: what can be read, one class each. `widths`: channels of the stages, each at half the resolution of
    the one before; the first at the picture's own."""

    characters: str
    widths: tuple[int, ...] = WIDTHS

    def __post_init__(self) -> None:
        if not self.characters or len(set(self.characters)) != len(self.characters):
            raise UsageError("a reader needs characters to read, each once")
        if not self.widths or min(self.widths) < 1:
            raise UsageError("a reader needs positive widths")


class Reader(nn.Module):
    """(B, 3, H, W) in -1..1 -> logits over characters; it reads squares of 32 pixels, its features any size."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.config = config
        before = (3, *config.widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, width, 3, stride=1 if place == 0 else 2, padding=1),
                nn.GroupNorm(1, width),
                nn.SiLU(),
                nn.Conv2d(width, width, 3, padding=1),
                nn.SiLU(),
            )
            for place, (channels, width) in enumerate(zip(before, config.widths, strict=True))
        )
        self.answer = nn.Linear(config.widths[-1] * 16, len(config.characters))

    def features(self, pixels: Tensor) -> list[Tensor]:
        """The outputs of all stages, finest first."""
        found = []
        x = pixels.contiguous(memory_format=torch.channels_last)
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def forward(self, pixels: Tensor) -> Tensor:
        last = F.adaptive_avg_pool2d(self.features(pixels)[-1], 4)
        logits: Tensor = self.answer(last.flatten(1))
        return logits

    @torch.no_grad()
    def read(self, pixels: Tensor) -> list[str]:
        """The likeliest character of each square."""
        return [self.config.characters[place] for place in self(pixels).argmax(1).tolist()]


def save_reader(reader: Reader, folder: Path) -> None:
    """`reader.safetensors` and `reader.json`, each whole or not there; the configuration comes last."""
    config = {"characters": reader.config.characters, "widths": list(reader.config.widths)}
    weights = {name: value.detach().cpu().contiguous() for name, value in reader.state_dict().items()}
    with replacing(folder / WEIGHTS) as temporary:
        save_file(weights, temporary)
    with replacing(folder / CONFIG) as temporary:
        temporary.write_text(json.dumps(config, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def load_reader(folder: Path) -> Reader:
    """Frozen, in evaluation mode. Raises UsageError for a folder that holds none."""
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        widths: Sequence[int] = found["widths"]
        reader = Reader(ReaderConfig(found["characters"], tuple(widths)))
        reader.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        first = str(error).splitlines()[0]
        raise UsageError(f"no reader in {folder} ({first}): make one with `glyphmill train vae-reader`") from error
    return reader.eval().requires_grad_(False)


def reader_identity(reader: Reader) -> str:
    """16 hex digits of everything: characters, widths, every weight's name, type, shape and bytes."""
    told = {"characters": reader.config.characters, "widths": list(reader.config.widths)}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name, value in sorted(reader.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
