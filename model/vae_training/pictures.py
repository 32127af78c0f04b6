"""Pixels for autoencoders out of a lake: a query's images as uint8 squares, in an order that a step number decides."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import duckdb
import numpy as np
import numpy.typing as npt
import torch
from PIL import ExifTags, Image
from torch import Tensor

from model.feed.pixels import UndecodableError, fitted
from model.vae_training.settings import View
from warehouse.dataset import Sample, ShardDataset
from warehouse.errors import LakeError, UsageError
from warehouse.lake import Lake
from warehouse.loader import ShardLoader

Pixels = npt.NDArray[np.uint8]  # (height, width, 3), RGB
#: Images whose id ends below this are never trained on: 5 of 256.
HELD_OUT_BELOW = "05"


@dataclass(frozen=True)
class Decode:
    """A stored image to pixels, in a worker: the whole of it as a square of `side` for "fit"; for "crop" at its own
    scale, or so large that a square of `side` fits."""

    side: int
    view: View

    def __call__(self, sample: Sample) -> Pixels:
        """Raises LakeError for bytes that are no picture."""
        try:
            if self.view == "fit":
                return fitted(sample.data, self.side, self.side).pixels
            return own_scale(sample.data, self.side)
        except UndecodableError as error:
            raise LakeError(
                f"image {sample.image_id} cannot be decoded ({error}): leave it out of the query"
            ) from error


def cut(picture: Pixels, side: int, across: float, down: float) -> Pixels:
    """A square of `side` from a picture of (H, W, 3), `across` and `down` of the room there is (0..1)."""
    height, width, _ = picture.shape
    left, top = round(across * (width - side)), round(down * (height - side))
    return picture[top : top + side, left : left + side]


def stacked(pictures: Sequence[Pixels]) -> Tensor:
    """Squares (H, W, 3) as uint8 (B, 3, H, W), in channels_last order without a copy of its own."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


class Training:
    """Batches without end; `state_dict` tells where it stands, exactly, whatever workers have read ahead."""

    def __init__(
        self,
        lake: str | PurePath,
        sql: str,
        *,
        batch: int,
        side: int,
        view: View,
        seed: int,
        workers: int = 0,
        cache: Path | None = None,
    ) -> None:
        """Raises UsageError where the query gives too few images for a batch, LakeError for a lake that cannot be
        read."""
        self.side, self.view, self.seed = side, view, seed
        self._dataset = ShardDataset(
            lake,
            part(sql, held_out=False),
            batch_size=batch,
            buckets=("1:1",),  # all are squares here
            seed=seed,
            transform=Decode(side, view),
            cache_dir=cache,
        )
        self._loader = ShardLoader(self._dataset, num_workers=workers)
        self.digest = self._dataset.selection.header.digest

    def __len__(self) -> int:
        return len(self._dataset)

    def batches(self) -> Iterator[Tensor]:
        """uint8 (B, 3, side, side), one epoch after the other. A batch may be short where an image was forgotten."""
        while True:
            for batch in self._loader:
                pictures = batch.samples
                if self.view == "crop":
                    draw = np.random.default_rng([self.seed, batch.epoch, batch.step])
                    at = draw.random((len(pictures), 2))
                    pictures = [cut(p, self.side, x, y) for p, (x, y) in zip(pictures, at, strict=True)]
                if pictures:
                    yield stacked(pictures)

    def state_dict(self) -> dict[str, int]:
        return self._loader.state_dict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Raises UsageError where the state is of another selection, batch size or seed."""
        self._loader.load_state_dict(state)


class Watching:
    """A fixed few of a query's images, always the same and always cut the same, to measure on."""

    def __init__(
        self,
        lake: str | PurePath,
        sql: str,
        *,
        side: int,
        view: View = "fit",
        most: int,
        cache: Path | None = None,
    ) -> None:
        """At most `most` images, evenly spread over the selection. Raises UsageError where that is empty."""
        self.side, self.view = side, view
        self._dataset = ShardDataset(
            lake, sql, batch_size=1, transform=Decode(side, view), buckets=("1:1",), cache_dir=cache
        )
        count = len(self._dataset)
        self.chosen = sorted({place * count // min(most, count) for place in range(min(most, count))})

    def __len__(self) -> int:
        return len(self.chosen)

    def batches(self, batch: int) -> Iterator[Tensor]:
        """uint8 (B, 3, side, side) each."""
        for at in range(0, len(self.chosen), batch):
            pictures = [self._dataset[number] for number in self.chosen[at : at + batch]]
            if self.view == "crop":
                pictures = [cut(picture, self.side, 0.5, 0.5) for picture in pictures]
            yield stacked(pictures)


def stored(lake: str | PurePath, sql: str) -> int:
    """How many of the query's images lie in the lake's shards. Raises UsageError for a query that does not run."""
    with Lake.open(lake, read_only=True).connect(read_only=True) as con:
        try:
            found = con.execute(
                f"SELECT count(*) FROM shard_index WHERE image_id IN (SELECT image_id FROM (\n{sql}\n))"
            ).fetchone()
        except duckdb.Error as error:
            raise UsageError(f"the query does not run: {str(error).strip().splitlines()[0]}") from error
    return 0 if found is None else int(found[0])


def part(sql: str, *, held_out: bool) -> str:
    """The query's images to train on or, `held_out`, the others: which is which depends on the image alone. Raises
    UsageError for an empty query."""
    inner = sql.strip().rstrip(";").strip()
    if not inner:
        raise UsageError("the query is empty: try SELECT image_id FROM samples WHERE outcome = 'kept'")
    side = "<" if held_out else ">="
    return f"SELECT * FROM (\n{inner}\n) WHERE right(image_id::VARCHAR, 2) {side} '{HELD_OUT_BELOW}'"


def own_scale(data: bytes, side: int = 1) -> Pixels:
    """The whole upright picture, enlarged only where a square of `side` would not fit. Raises UndecodableError."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            turned = image.format != "TIFF" and image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
            width, height = (image.height, image.width) if turned else image.size
    except OSError as error:
        raise UndecodableError(str(error).splitlines()[0]) from error
    larger = max(1.0, side / min(width, height))
    return fitted(data, max(side, round(height * larger)), max(side, round(width * larger))).pixels
