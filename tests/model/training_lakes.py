"""A lake of tiny real pictures with captions, folders of tiny VAEs, and curricula, for tests of whole trainings."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from empty_lakes import empty_lake
from PIL import Image
from plan_lakes import HEADER, Row, put

from model.vae import small
from model.vae_loading import build, save_vae
from warehouse.schema import CAPTIONS, SHARD_INDEX
from warehouse.shards import ShardSample, image_id_of, shard_key, write_shard

COUNT = 60
CURRICULUM = """
name = "test"
multiple = 16
token = 8
buckets = ["1:1"]
[optimizer]
ema = 0.9
[source.all]
sql = "SELECT image_id FROM signals_header WHERE number < {below}"
[[phase]]
name = "first"
steps = {steps}
shares = {{ all = 1.0 }}
learning_rate = {rate}
warmup = 2
dropout = 0.2
[[phase.resolution]]
side = 32
batch = 6
"""


def make(folder: Path) -> None:
    """`lake`, `vae` and `other-vae` in a folder. Picture 59 has no caption."""
    folder.mkdir()
    lake = empty_lake(folder / "lake")
    draw = np.random.default_rng(3)
    samples: list[ShardSample] = []
    headers: list[Row] = []
    captions: list[Row] = []
    for number in range(COUNT):
        buffer = io.BytesIO()
        small_one = Image.fromarray(draw.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        small_one.resize((40, 40), Image.Resampling.BILINEAR).save(buffer, "PNG")
        image = image_id_of(buffer.getvalue())
        samples.append(ShardSample(image, buffer.getvalue(), {}, None))
        headers.append({"image_id": image, "width": 40, "height": 40, "name": "all", "number": number})
        text = f"a square that says “{chr(65 + number % 26)}”" + " and more" * (number % 4)
        caption = {"image_id": image, "caption_id": f"{number:016x}", "kind": "raw", "text": text, "lang": "en"}
        captions += [caption] if number < COUNT - 1 else []
    index: list[Row] = list(write_shard(lake.pool, "png", samples, key=shard_key(s.image_id for s in samples)).rows)
    for table, rows in ((HEADER, headers), (CAPTIONS, captions), (SHARD_INDEX, index)):
        put(lake, table, rows)
    for seed, name in enumerate(("vae", "other-vae")):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            save_vae(build(small(4, dim_mult=(1, 1, 1), z_dim=4)), folder / name)


def curriculum(path: Path, *, steps: int = 12, rate: float = 2e-3, below: int = COUNT - 1) -> Path:
    """A curriculum of one phase, pictures at 32 pixels."""
    path.write_text(CURRICULUM.format(steps=steps, rate=rate, below=below), encoding="utf-8")
    return path
