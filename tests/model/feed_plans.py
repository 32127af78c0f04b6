"""A plan that is written out batch by batch, pictures beside it; and a run's tiny encoders."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from model.batches import Picture, PlannedBatch, PlannedSample
from model.text.characters import CharacterEncoder
from model.text.encoder import save_text
from model.vae import small
from model.vae_loading import build, save_vae


class ListedPlan:
    """Batches as listed in `plan.json`, pictures as files `<selection>-<record>`; a missing file is forgotten."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        text = (folder / "plan.json").read_text(encoding="utf-8")
        self.digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        self._batches = [_batch(one) for one in json.loads(text)]

    @property
    def steps(self) -> int:
        return len(self._batches)

    def batch(self, step: int) -> PlannedBatch:
        return self._batches[step]

    def _path(self, picture: Picture) -> Path:
        return self.folder / f"{picture.selection}-{picture.record}"

    def read(self, picture: Picture) -> bytes | None:
        path = self._path(picture)
        return path.read_bytes() if path.exists() else None

    def content(self, picture: Picture) -> str:
        return f"{picture.selection}-{picture.record}"


def open_listed(folder: Path) -> ListedPlan:
    return ListedPlan(folder)


def _picture(fields: dict[str, object]) -> Picture:
    return Picture(str(fields["selection"]), int(str(fields["record"])))


def _batch(fields: dict[str, object]) -> PlannedBatch:
    samples = []
    listed = fields["samples"]
    assert isinstance(listed, list)
    for one in listed:
        references = tuple(_picture(r) for r in one["references"])
        samples.append(PlannedSample(_picture(one["target"]), one["caption"], references, one["dropped"]))
    return PlannedBatch(**{**fields, "samples": tuple(samples)})  # type: ignore[arg-type]


def write_plan(folder: Path, batches: Sequence[PlannedBatch]) -> ListedPlan:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps([asdict(b) for b in batches]), encoding="utf-8")
    return ListedPlan(folder)


def write_picture(folder: Path, selection: str, record: int, width: int = 20, height: int = 17) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    seed = int.from_bytes(hashlib.sha256(f"{selection}-{record}".encode()).digest()[:4], "little")
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((width, height)).save(buffer, "JPEG" if record % 2 else "PNG")
    (folder / f"{selection}-{record}").write_bytes(buffer.getvalue())


def plain_plan(
    folder: Path, *, steps: int = 8, batch: int = 4, pictures: int = 12, phase: str = "one", seed: int = 0
) -> ListedPlan:
    """Steps of 16x16 and 16x24 in turn, every third one edits, every fifth sample drops its condition."""
    draw = np.random.default_rng(seed)
    for record in range(pictures):
        write_picture(folder, "p", record)
    batches = []
    for step in range(steps):
        edits = step % 3 == 2
        samples = []
        for place in range(batch):
            record, other = (int(n) for n in draw.integers(0, pictures, 2))
            samples.append(
                PlannedSample(
                    Picture("p", record),
                    f'"{record}" in {phase}',
                    (Picture("p", other),) if edits else (),
                    (step * batch + place) % 5 == 4,
                )
            )
        batches.append(
            PlannedBatch(step, phase, "ti2i" if edits else "t2i", 16, 24 if step % 2 else 16, tuple(samples))
        )
    return write_plan(folder, batches)


def tiny_encoders(folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """Folders of a VAE (f4 c4) and of a text encoder of width 8."""
    vae, text = folder / f"vae-{seed}", folder / f"text-{seed}"
    if not vae.exists():
        state = torch.get_rng_state()
        torch.manual_seed(seed)
        save_vae(build(small(4, dim_mult=(1, 1, 1), z_dim=4)), vae)
        torch.set_rng_state(state)
        save_text(CharacterEncoder(8, seed), text)
    return vae, text
