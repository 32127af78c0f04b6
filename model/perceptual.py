"""A perceptual distance out of a reader of our own.

The reports fine-tune the decoder on reconstruction and perceptual loss; the usual perceptual weights (VGG's) cannot be
had everywhere, and the recognition network that is installed with rapidocr is ONNX, through which torch has no
gradient. So a small character reader is trained on what the lake itself knows to be written (`glyphmill train
vae-reader`), frozen, and two pictures are as far apart as what it sees of them, at all its scales. There is no
adversarial term, as in the reports.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from model.reader import Reader, load_reader, reader_identity
from warehouse.errors import UsageError

EPS = 1e-6


class ReadingDistance:
    """Johnson, Alahi & Fei-Fei 2016 (arXiv 1603.08155), eq. 2, over all stages of the reader: the mean squared
    difference of features, here over the mean square of those of the true picture, so that all stages weigh alike."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    @property
    def identity(self) -> str:
        """16 hex digits of the reader: its characters and widths, and every weight."""
        return reader_identity(self.reader)

    def __call__(self, shown: Tensor, true: Tensor) -> Tensor:
        """Of pixels (B, 3, H, W) in -1..1; a scalar with a gradient towards `shown`."""
        with torch.no_grad():
            wanted = self.reader.features(true)
        found = self.reader.features(shown)
        apart = [(a - b).square().mean() / (b.square().mean() + EPS) for a, b in zip(found, wanted, strict=True)]
        return torch.stack(apart).mean()


def reading_distance(folder: Path | None, device: str) -> ReadingDistance:
    """The distance of the reader in `folder`, frozen, on `device`. Raises UsageError where there is none."""
    if folder is None:
        raise UsageError("a perceptual loss needs a reader: name its folder with --reader, or give --perceptual 0")
    return ReadingDistance(load_reader(folder).to(device))
