"""Sheets of pictures from fixed prompts and seeds: the noise is the same every time, so what changes is the model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from model.components import Components
from model.generate import Settings, Wish, generate
from model.pixels import sheet
from model.readback import Reading, wanted
from model.text.encoder import Prompt
from model.text.prompt import Pixels
from model.training.precision import Precision
from warehouse.errors import UsageError
from warehouse.files import replacing

#: Holds pictures against what each should say; `model.readback.read_back` is one.
ReadBack = Callable[[Sequence[Pixels], Sequence[str]], Sequence[Reading]]


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
def draw(parts: Components, settings: GridSettings, precision: Precision, batch: int = 16) -> list[Pixels]:
    """prompts * columns pictures (H, W, 3), prompt after prompt: those that `glyphmill sample` makes of these weights.
    `batch`: pictures computed at once."""
    wishes = [Wish(Prompt(prompt), number) for prompt in settings.prompts for number in range(settings.columns)]
    asked = Settings(settings.height, settings.width, settings.steps, settings.guidance, seed=settings.seed)
    was_training = parts.mmdit.training
    parts.mmdit.eval()
    try:
        with precision.autocast():
            return list(generate(parts, wishes, asked, batch=batch))
    finally:
        parts.mmdit.train(was_training)


def write(
    folder: Path, step: int, pictures: Sequence[Pixels], settings: GridSettings, read_back: ReadBack | None = None
) -> dict[str, Any]:
    """`step-NNNNNNNNN.png` and, beside it, what was asked and, with a reader, what was read. Gives the latter.

    `exact`, `accuracy`: over the pictures whose prompts quote a text, the share that says all of it and no more, and
    the share of its characters that are right; None where no prompt quotes any."""
    from PIL import Image

    told: dict[str, Any] = {"step": step, "prompts": list(settings.prompts), "columns": settings.columns}
    if read_back is not None:
        texts = [wanted(prompt) for prompt in settings.prompts for _ in range(settings.columns)]
        readings = read_back(pictures, texts)
        asked = [reading for reading in readings if reading.wanted]
        told |= {"wanted": [r.wanted for r in readings], "read": [r.read for r in readings]}
        told |= {name: _mean([float(getattr(r, name)) for r in asked]) for name in ("exact", "accuracy")}
    name = f"step-{step:09d}"
    with replacing(folder / f"{name}.png") as path:
        Image.fromarray(sheet(pictures, settings.columns)).save(path, format="PNG")
    with replacing(folder / f"{name}.json") as path:
        path.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return told


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
