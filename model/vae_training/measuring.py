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
from model.quality import Quality, QualitySums, to_bytes
from model.vae_base import Vae
from model.vae_training.pictures import to_float
from warehouse.files import replacing

GAP = 2  # white pixels between the pictures of a sheet


class Images(Protocol):
    """Where pixels to measure on come from (model.vae_training.pictures.Watching)."""

    def batches(self, batch: int) -> Iterator[Tensor]: ...


def reconstruction(vae: Vae, device: str) -> Callable[[Tensor], Tensor]:
    """uint8 pictures to what comes back of them, uint8, of the posterior's mode."""

    @torch.no_grad()
    def shown(pictures: Tensor) -> Tensor:
        latents = vae.posterior(to_float(pictures, device)).mode()
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
    return measure(vae.posterior(to_float(pictures, device)).mode() for pictures in images.batches(batch))


def sheet(path: Path, shown: Callable[[Tensor], Tensor], images: Images, columns: int = 8) -> None:
    """A PNG of the first images, each above what comes back of it."""
    pictures = next(images.batches(2 * columns), None)
    if pictures is None:
        return
    back = shown(pictures)
    rows = []
    for at in range(0, len(pictures), columns):
        rows += [pictures[at : at + columns], back[at : at + columns]]
    side_y, side_x = pictures.shape[-2:]
    whole = np.full((len(rows) * (side_y + GAP) - GAP, columns * (side_x + GAP) - GAP, 3), 255, np.uint8)
    for down, row in enumerate(rows):
        for across, picture in enumerate(row.permute(0, 2, 3, 1).numpy()):
            top, left = down * (side_y + GAP), across * (side_x + GAP)
            whole[top : top + side_y, left : left + side_x] = picture
    with replacing(path) as temporary:
        Image.fromarray(whole).save(temporary, "PNG")
