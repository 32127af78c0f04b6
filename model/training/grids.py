"""Sheets of pictures from fixed prompts and seeds: the noise is the same every time, so what changes is the model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
import torch

from model.sampler import Condition, Guidance, VelocityModel, initial_noise, sample
from model.schedule import ScheduleConfig, sigmas
from model.text.encoder import BLANK, Prompt, TextEncoder, padded
from model.training.precision import Precision
from warehouse.errors import UsageError
from warehouse.files import replacing

Pixels = npt.NDArray[np.uint8]
#: Reads the text in each picture (H, W, 3).
ReadBack = Callable[[Sequence[Pixels]], Sequence[str]]


class Decoder(Protocol):
    """What a VAE is to a sheet; `model.vae` has it."""

    @property
    def spatial_factor(self) -> int: ...

    def decode(self, latents: torch.Tensor) -> torch.Tensor: ...


@dataclass(frozen=True)
class GridSettings:
    """`prompts` are the rows of a sheet, `columns` pictures each. `height`, `width`: pixels. `guidance` 1: none."""

    prompts: tuple[str, ...]
    height: int
    width: int
    columns: int = 2
    steps: int = 20
    guidance: float = 4.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.prompts or self.columns < 1 or self.steps < 1:
            raise UsageError("a sample sheet needs prompts, columns and steps")


@torch.no_grad()
def draw(
    model: torch.nn.Module,
    vae: Decoder,
    text: TextEncoder,
    settings: GridSettings,
    schedule: ScheduleConfig,
    precision: Precision,
    *,
    channels: int,
    patch: int,
) -> Pixels:
    """(prompts * columns, H, W, 3) pictures, prompt after prompt. `channels`: of the VAE's latents."""
    prompts = [p for p in settings.prompts for _ in range(settings.columns)]
    numbers = list(range(settings.columns)) * len(settings.prompts)
    shape = (channels, settings.height // vae.spatial_factor, settings.width // vae.spatial_factor)
    tokens = (shape[1] // patch) * (shape[2] // patch)
    told, blank = _condition(text, prompts, precision), _condition(text, [BLANK.text] * len(prompts), precision)
    was_training = model.training
    model.eval()
    try:
        with precision.autocast():
            latents = sample(
                cast(VelocityModel, model),
                initial_noise(settings.seed, prompts, numbers, shape).to(precision.device),
                told,
                sigmas(settings.steps, tokens, schedule),
                guidance=Guidance(settings.guidance, patch=patch),
                negative=blank,
            )
        pixels = vae.decode(latents)
    finally:
        model.train(was_training)
    bytes_ = ((pixels.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    found: Pixels = bytes_.permute(0, 2, 3, 1).cpu().numpy()
    return found


def sheet(pictures: Pixels, columns: int) -> Pixels:
    """Pictures (N, H, W, 3) as one, `columns` beside each other, two white pixels between."""
    count, height, width, _ = pictures.shape
    rows = -(-count // columns)
    whole = np.full((rows * (height + 2) - 2, columns * (width + 2) - 2, 3), 255, np.uint8)
    for place, picture in enumerate(pictures):
        top, left = place // columns * (height + 2), place % columns * (width + 2)
        whole[top : top + height, left : left + width] = picture
    return whole


def write(
    folder: Path, step: int, pictures: Pixels, settings: GridSettings, read_back: ReadBack | None = None
) -> dict[str, Any]:
    """`step-NNNNNNNNN.png` and, beside it, what was asked and, with a reader, what was read. Gives the latter.

    `read_share`: the share of pictures in which the reader found the prompt's quoted text, all of it, in order."""
    from PIL import Image

    told: dict[str, Any] = {"step": step, "prompts": list(settings.prompts), "columns": settings.columns}
    if read_back is not None:
        wanted = [_quoted(p) for p in settings.prompts for _ in range(settings.columns)]
        read = [" ".join(r.split()) for r in read_back(list(pictures))]
        judged = [bool(w) and _bare(w) in _bare(r) for w, r in zip(wanted, read, strict=True)]
        asked = sum(map(bool, wanted))
        told |= {"wanted": wanted, "read": read, "read_share": sum(judged) / asked if asked else None}
    name = f"step-{step:09d}"
    with replacing(folder / f"{name}.png") as path:
        Image.fromarray(sheet(pictures, settings.columns)).save(path, format="PNG")
    with replacing(folder / f"{name}.json") as path:
        path.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return told


def _condition(text: TextEncoder, prompts: Sequence[str], precision: Precision) -> Condition:
    context, lengths = padded(text.encode([Prompt(p) for p in prompts]))
    even = bool((lengths == lengths[0]).all())
    return Condition(context.float().to(precision.device), None if even else lengths.to(precision.device))


def _quoted(prompt: str) -> str:
    from model.text.characters import tokens

    return "".join(token[2:] for token in tokens(prompt) if token.startswith("c:"))


def _bare(text: str) -> str:
    return "".join(text.split()).casefold()
