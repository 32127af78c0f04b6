"""A lake of drawn characters, whose truth it knows, and of smooth pictures, for tests of autoencoders."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from empty_lakes import empty_lake
from PIL import Image, ImageDraw, ImageFont
from plan_lakes import HEADER, Row, put

from warehouse.schema import CAPTIONS, SHARD_INDEX, SYNTH_TRUTH
from warehouse.shards import ShardSample, image_id_of, shard_key, write_shard

SIDE = 32
LETTERS = "AEHTX"
TEXT = "SELECT image_id FROM signals_header WHERE name = 'text'"
GENERAL = "SELECT image_id FROM signals_header WHERE name = 'general'"


def letter(character: str, dx: int, dy: int, size: int = 20) -> tuple[Image.Image, tuple[int, int, int, int]]:
    """One black letter on white, and the box of its ink."""
    picture = Image.new("RGB", (SIDE, SIDE), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
    draw.text((8 + dx, 4 + dy), character, fill="black", font=font)
    left, top, right, bottom = draw.textbbox((8 + dx, 4 + dy), character, font=font)
    return picture, (int(left), int(top), int(right), int(bottom))


def make(root: Path) -> Path:
    """125 letters (text) and 20 smooth pictures (general)."""
    lake, chance = empty_lake(root), np.random.default_rng(5)
    drawn: list[tuple[str, Image.Image, Row | None]] = []
    for number in range(125):
        character = LETTERS[number % len(LETTERS)]
        picture, (x0, y0, x1, y1) = letter(character, number // 5 % 5 - 2, number // 25 - 2)
        quad = [float(n) for n in (x0, y0, x1, y0, x1, y1, x0, y1)]
        span = {"start": 0, "end": 1, "quad": quad}
        text = {"text": character, "language": "en", "direction": "horizontal", "role": "body", "fonts": ["default"]}
        text |= {
            "size": 20.0,
            "colour": "#000000",
            "quad": quad,
            "lines": [span],
            "words": [span],
            "characters": [span],
        }
        truth: Row = {"strategy": "glyph", "seed": 0, "index": number, "version": "v", "texts": [text], "fonts": []}
        drawn.append(("text", picture, {**truth, "facts": json.dumps({})}))
    for _ in range(20):
        corners = Image.fromarray(chance.integers(0, 256, (3, 3, 3), dtype=np.uint8))
        drawn.append(("general", corners.resize((48, 40), Image.Resampling.BICUBIC), None))
    samples: list[ShardSample] = []
    headers: list[Row] = []
    truths: list[Row] = []
    for name, picture, known in drawn:
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        image = image_id_of(buffer.getvalue())
        samples.append(ShardSample(image, buffer.getvalue(), {}, None))
        headers.append({"image_id": image, "width": picture.width, "height": picture.height, "name": name, "number": 0})
        truths += [] if known is None else [{"image_id": image, **known}]
    index: list[Row] = list(write_shard(lake.pool, "png", samples, key=shard_key(s.image_id for s in samples)).rows)
    no_captions: list[Row] = []
    for table, rows in (
        (HEADER, headers), (CAPTIONS, no_captions), (SHARD_INDEX, index), (SYNTH_TRUTH, truths),
    ):  # fmt: skip
        put(lake, table, rows)
    return root
