"""The plan of bench/feed.py: batches drawn from made pictures; in a file of its own, as producers open it too."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from model.batches import Picture, PlannedBatch, PlannedSample


class BenchPlan:
    """Every epoch deals the same pictures in another order; captions are three tokens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        told = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        self.images, self._batch, self._size, self.steps = (
            int(told[key]) for key in ("images", "batch", "size", "steps")
        )
        self.digest = f"{self.images:x}-{self._batch:x}-{self._size:x}-{self.steps:x}".rjust(16, "0")

    def batch(self, step: int) -> PlannedBatch:
        each = self.images // self._batch
        order = np.random.default_rng(step // each).permutation(self.images)
        mine = order[step % each * self._batch :][: self._batch].tolist()
        samples = tuple(
            PlannedSample(Picture("made", n), f'a sign "{n % 86}"', (), (step * 31 + n) % 10 == 0) for n in mine
        )
        return PlannedBatch(step, f"epoch {step // each}", "t2i", self._size, self._size, samples)

    def read(self, picture: Picture) -> bytes | None:
        return (self.folder / f"{picture.record}.jpg").read_bytes()

    def content(self, picture: Picture) -> str:
        return str(picture.record)


def open_bench(folder: Path) -> BenchPlan:
    return BenchPlan(folder)


def make(folder: Path, images: int, batch: int, size: int, steps: int) -> BenchPlan:
    """Pictures a fifth larger than `size`, as JPEG."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    side = size * 6 // 5
    for number in range(images):
        image = Image.fromarray(draw.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize((side, side))
        ImageDraw.Draw(image).text((side // 3, side // 3), str(number), (0, 0, 0))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=90)
        (folder / f"{number}.jpg").write_bytes(buffer.getvalue())
    told = {"images": images, "batch": batch, "size": size, "steps": steps}
    (folder / "plan.json").write_text(json.dumps(told), encoding="utf-8")
    return BenchPlan(folder)
