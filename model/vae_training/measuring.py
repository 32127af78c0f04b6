"""What is measured of an autoencoder on a lake: quality, statistics of its latents, a sheet to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from model.latents import LatentStatistics, measure
from model.pixels import from_bytes, to_bytes
from model.pixels import sheet as joined
from model.quality import Quality, QualitySums
from model.text.prompt import Pixels
from model.vae_base import Vae
from warehouse.files import replacing


class Images(Protocol):
    """Where pixels to measure on come from (model.vae_training.pictures.Watching)."""

    def batches(self, batch: int) -> Iterator[Tensor]: ...


def reconstruction(vae: Vae, device: str) -> Callable[[Tensor], Tensor]:
    """uint8 pictures to what comes back of them, uint8, of the posterior's mode."""

    @torch.no_grad()
    def shown(pictures: Tensor) -> Tensor:
        latents = vae.posterior(from_bytes(pictures, device)).mode()
        return to_bytes(vae.reconstruct(latents)).cpu()

    return shown


def quality(shown: Callable[[Tensor], Tensor], images: Images, batch: int) -> Quality:
    """PSNR and SSIM over `images`. Raises UsageError where there are none."""
    sums = QualitySums()
    for pictures in images.batches(batch):
        sums.add(shown(pictures), pictures)
    return sums.mean()


@torch.no_grad()
def latent_statistics(vae: Vae, images: Images, batch: int, device: str) -> LatentStatistics:
    """Of raw latents, posterior's mode: what `encode` normalises."""
    return measure(vae.posterior(from_bytes(pictures, device)).mode() for pictures in images.batches(batch))


def sheet(path: Path, shown: Callable[[Tensor], Tensor], images: Images, columns: int = 8) -> None:
    """A PNG of the first images, each above what comes back of it."""
    pictures = next(images.batches(2 * columns), None)
    if pictures is None:
        return
    back = shown(pictures)
    tiles: list[Pixels] = []
    for at in range(0, len(pictures), columns):
        for row in (pictures[at : at + columns], back[at : at + columns]):
            tiles += list(row.permute(0, 2, 3, 1).numpy())
            tiles += [np.full_like(tiles[0], 255)] * (columns - len(row))  # what comes back stands below
    with replacing(path) as temporary:
        Image.fromarray(joined(tiles, columns)).save(temporary, "PNG")
