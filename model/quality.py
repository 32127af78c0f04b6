"""How well pictures are reconstructed: PSNR and SSIM of 8-bit RGB, as reconstruction papers report them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import Tensor

from model.pixels import PEAK
from warehouse.errors import UsageError

#: Wang et al. 2004 (Image quality assessment, section III.C): 11x11 circular Gaussian of 1.5 pixels, K1, K2.
SIDE, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03
MOST_PSNR = 100.0  # dB, told for pictures that are equal: a mean must stay finite


def psnr(shown: Tensor, true: Tensor) -> Tensor:
    """Peak signal to noise ratio in dB of each picture, (B,): 10 log10(255^2 / MSE) over all channels of uint8
    (B, 3, H, W); 100 at most. Raises UsageError where shapes or types differ."""
    first, second = _checked(shown, true)
    error = (first - second).square().flatten(1).mean(1)
    return (10.0 * torch.log10(PEAK**2 / error.clamp_min(1e-12))).clamp_max(MOST_PSNR)


def ssim(shown: Tensor, true: Tensor) -> Tensor:
    """Structural similarity of each picture, (B,): Wang et al. 2004, eq. 13, with population statistics under the
    Gaussian window, mean over the places where the window fits and over channels. Raises UsageError where shapes or
    types differ, or a side is under 11 pixels."""
    first, second = _checked(shown, true)
    if min(first.shape[-2:]) < SIDE:
        raise UsageError(f"SSIM needs sides of {SIDE} pixels, not {tuple(first.shape[-2:])}")
    batch, channels, height, width = first.shape
    planes = torch.stack([first, second, first * first, second * second, first * second])
    means = _windowed(planes.reshape(-1, 1, height, width)).reshape(5, batch, channels, -1)
    a, b, aa, bb, ab = means
    c1, c2 = (K1 * PEAK) ** 2, (K2 * PEAK) ** 2
    likeness = (2 * a * b + c1) * (2 * (ab - a * b) + c2)
    likeness = likeness / ((a * a + b * b + c1) * (aa - a * a + bb - b * b + c2))
    result: Tensor = likeness.mean((1, 2))
    return result


@dataclass(frozen=True)
class Quality:
    """Means over `count` pictures: PSNR in dB, SSIM."""

    psnr: float
    ssim: float
    count: int

    def __str__(self) -> str:
        return f"{self.psnr:.2f} dB, SSIM {self.ssim:.4f} over {self.count} images"


class QualitySums:
    """Adds up batches."""

    def __init__(self) -> None:
        self._psnr, self._ssim, self._count = 0.0, 0.0, 0

    def add(self, shown: Tensor, true: Tensor) -> None:
        """`shown`, `true`: uint8 (B, 3, H, W)."""
        self._psnr += float(psnr(shown, true).sum())
        self._ssim += float(ssim(shown, true).sum())
        self._count += len(shown)

    def mean(self) -> Quality:
        """Raises UsageError where nothing was added."""
        if not self._count:
            raise UsageError("no images to measure quality on: the selection is empty")
        return Quality(self._psnr / self._count, self._ssim / self._count, self._count)


def _checked(shown: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    if shown.shape != true.shape or shown.dim() != 4:
        raise UsageError(
            f"pictures to compare must be (B, C, H, W) alike, not {tuple(shown.shape)}, {tuple(true.shape)}"
        )
    if shown.dtype != torch.uint8 or true.dtype != torch.uint8:
        raise UsageError(
            "pictures to compare must be uint8: figures of unrounded ones are a little better than is shown"
        )
    return shown.double(), true.double()


def _windowed(planes: Tensor) -> Tensor:
    """Gaussian means of (N, 1, H, W) where the window fits."""
    at = torch.arange(SIDE, dtype=planes.dtype, device=planes.device) - SIDE // 2
    window = torch.exp(-0.5 * (at / SIGMA) ** 2)
    window = window / window.sum()
    return F.conv2d(F.conv2d(planes, window.view(1, 1, SIDE, 1)), window.view(1, 1, 1, SIDE))
