"""From prompts to pictures with a whole checkpoint; every picture depends on its own prompt, number and seed alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from model.components import Components
from model.feed.pixels import covering
from model.pixels import from_bytes, to_bytes
from model.sampler import Condition, Guidance, initial_noise, sample
from model.schedule import sigmas
from model.text.encoder import Prompt, padded
from model.text.prompt import Pixels
from warehouse.errors import UsageError


@dataclass(frozen=True)
class Wish:
    """One picture: sample `number` of a prompt. `negative`: what guidance leads away from."""

    prompt: Prompt
    number: int = 0
    negative: str = " "


@dataclass(frozen=True)
class Settings:
    """`height`, `width`: pixels. `guidance`: weight, 1 for none. `rescale`: each token keeps its conditional length."""

    height: int
    width: int
    steps: int = 50
    guidance: float = 4.0
    rescale: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UsageError(f"{self.steps} steps: at least one is needed")
        if not (math.isfinite(self.guidance) and self.guidance >= 0):
            raise UsageError(f"guidance is {self.guidance}, and must be 0 or more")


def check(parts: Components, wishes: Sequence[Wish], settings: Settings) -> None:
    """Raises UsageError for a size that does not divide, or a prompt that would be cut; nothing is computed."""
    parts.latent_shape(settings.height, settings.width)
    for wish in shown(wishes, settings):
        for words in (wish.prompt, Prompt(wish.negative, wish.prompt.images)):
            count = parts.text.count(words)
            if count > parts.text.limit:
                raise UsageError(
                    f"the prompt '{words.text[:40]}…' has {count} tokens, and at most {parts.text.limit} are read: "
                    "shorten it"
                )


@torch.no_grad()
def generate(
    parts: Components,
    wishes: Sequence[Wish],
    settings: Settings,
    *,
    batch: int = 4,
    on_step: Callable[[int], None] | None = None,
) -> Iterator[Pixels]:
    """(H, W, 3) uint8 for each wish, in order, `batch` computed at once. `on_step`: told the steps done so far in all,
    those of a batch counted once for each of its pictures. Raises UsageError as `check` does."""
    check(parts, wishes, settings)
    done = 0
    for first in range(0, len(wishes), batch):
        some = wishes[first : first + batch]
        before = done

        def told(step: int, before: int = before, rows: int = len(some)) -> None:
            if on_step is not None:
                on_step(before + step * rows)

        yield from pixels_of(parts.vae.decode(latents(parts, some, settings, told).to(_dtype(parts))))
        done += settings.steps * len(some)


def latents(
    parts: Components, wishes: Sequence[Wish], settings: Settings, on_step: Callable[[int], None] | None = None
) -> Tensor:
    """(B, C, h, w) normalised latents of one batch of wishes."""
    shape = parts.latent_shape(settings.height, settings.width)
    patch = parts.mmdit.config.patch_size
    device = next(parts.mmdit.parameters()).device
    wishes = shown(wishes, settings)
    prompts = [wish.prompt for wish in wishes]
    guides = settings.guidance != 1
    blank = [Prompt(wish.negative, wish.prompt.images) for wish in wishes]
    return sample(
        parts.mmdit,
        initial_noise(settings.seed, [p.text for p in prompts], [w.number for w in wishes], shape).to(device),
        _condition(parts, prompts, device),
        sigmas(settings.steps, shape[1] // patch * (shape[2] // patch), parts.schedule),
        guidance=Guidance(settings.guidance, settings.rescale, patch) if guides else None,
        negative=_condition(parts, blank, device) if guides else None,
        references=references(parts, prompts),
        on_step=on_step,
    )


def pixels_of(decoded: Tensor) -> list[Pixels]:
    """uint8 (H, W, 3) of pixels (B, 3, H, W) in -1..1."""
    whole = to_bytes(decoded).permute(0, 2, 3, 1).cpu().numpy()
    return [np.ascontiguousarray(picture) for picture in whole]


def shown(wishes: Sequence[Wish], settings: Settings) -> list[Wish]:
    """The wishes with their pictures as training shows them, to the text encoder as to the autoencoder: covering the
    size of the picture that is made, cut in the centre (`model.feed.pixels`). Equal pictures stay one array."""
    known: dict[int, Pixels] = {}
    for image in (image for wish in wishes for image in wish.prompt.images):
        if id(image) not in known:
            known[id(image)] = covering(image, settings.height, settings.width)
    return [
        replace(wish, prompt=Prompt(wish.prompt.text, tuple(known[id(image)] for image in wish.prompt.images)))
        for wish in wishes
    ]


def _condition(parts: Components, prompts: Sequence[Prompt], device: torch.device) -> Condition:
    """Equal prompts are encoded once; one at a time, so that nothing depends on the others."""
    known: dict[tuple[str, tuple[int, ...]], Tensor] = {}
    rows = []
    for prompt in prompts:
        key = prompt.text, tuple(map(id, prompt.images))
        if key not in known:
            known[key] = parts.text.encode([prompt])[0]
        rows.append(known[key])
    context, lengths = padded(rows)
    return Condition(context.to(device), lengths.cpu())


def references(parts: Components, prompts: Sequence[Prompt]) -> list[list[Tensor]]:
    """Latents (C, h, w) of each row's pictures, as they are; none at all where no row has one."""
    if not any(prompt.images for prompt in prompts):
        return []
    known: dict[int, Tensor] = {}
    like = next(parts.vae.parameters())
    for image in {id(i): i for prompt in prompts for i in prompt.images}.values():
        pixels = from_bytes(torch.tensor(image).permute(2, 0, 1)[None].contiguous())
        known[id(image)] = parts.vae.encode(pixels.to(like)).float()[0]
    return [[known[id(image)] for image in prompt.images] for prompt in prompts]


def _dtype(parts: Components) -> torch.dtype:
    return next(parts.vae.parameters()).dtype
