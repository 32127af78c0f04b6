"""Native signals: what is delivered, not what is left of it at the working size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from marred_pictures import as_jpeg
from pictures import encoded, photo
from PIL import Image

from pipelines.extractors.base import Sample
from pipelines.extractors.native import COLUMNS, EXTRACTOR, blockiness, centre, high_frequency_share, measure, row
from pipelines.header import read_header


def sample(image: Image.Image) -> Sample:
    data = encoded(image, "PNG")
    return Sample("0" * 32, data, read_header(data), image=image)


def test_every_column_is_filled() -> None:
    (found,) = measure([sample(photo())])
    assert set(found) == {c.name for c in COLUMNS}
    EXTRACTOR.table.from_rows([{**found, "image_id": "0" * 32, "version": "1", "status": "ok", "error": None}])


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (40, 5)])
def test_flat_and_tiny_pictures_have_nothing(size: tuple[int, int]) -> None:
    assert row(Image.new("RGB", size, (90, 90, 90))) == {
        "sharpness_native": 0,
        "blockiness": 0,
        "high_frequency_share": 0,
    }


def test_only_the_centre_counts() -> None:
    image = photo(1600, 1400)
    inner = image.crop((544, 444, 1056, 956))
    assert np.array_equal(centre(image, 512), np.asarray(inner.convert("L")))
    framed = Image.new("RGB", image.size)
    framed.paste(inner, (544, 444))
    assert row(framed)["sharpness_native"] == row(image)["sharpness_native"]


def test_sharpness_is_of_the_pixels_as_delivered() -> None:
    image = photo(700, 700)
    large = image.resize((2100, 2100), Image.Resampling.BICUBIC)
    assert float(row(large)["sharpness_native"]) < 0.2 * float(row(image)["sharpness_native"])  # type: ignore[arg-type]


def test_blocks_by_hand() -> None:
    ramp = np.repeat(np.arange(0, 160, 10, dtype=np.uint8), 8)  # steps of 10 on the grid, none off it
    tiles = np.add.outer(ramp, ramp // 2)
    assert blockiness(tiles) == pytest.approx((10 + 5) / 2)
    assert blockiness(tiles[3:, 5:]) > 7  # cropped: the grid begins elsewhere


def test_compression_shows_as_blocks() -> None:
    image = photo(800, 600)
    values = [blockiness(centre(as_jpeg(image, quality), 1024)) for quality in (95, 40, 15, 5)]
    assert values == sorted(values)
    assert values[0] < 0.1 < 0.5 < values[-1]


def test_enlarging_takes_the_high_frequencies(shared_data: Path) -> None:
    lower = 0
    paths = sorted((shared_data / "photos_captioned" / "images").glob("*.jpg"))[::8]
    for path in paths:
        image = Image.open(path).convert("RGB")
        twice = image.resize((2 * image.width, 2 * image.height), Image.Resampling.BICUBIC)
        lower += high_frequency_share(centre(twice, 512)) < 0.3 * high_frequency_share(centre(image, 512))
    assert lower == len(paths)


def test_share_of_a_wave_by_hand() -> None:
    x = np.arange(256)
    slow = np.rint(128 + 60 * np.sin(2 * np.pi * x / 8))[None].repeat(256, 0).astype(np.uint8)  # a quarter of Nyquist
    fast = np.rint(128 + 60 * np.sin(2 * np.pi * x / 2.5))[None].repeat(256, 0).astype(np.uint8)  # four fifths
    assert high_frequency_share(slow) < 0.01
    assert high_frequency_share(fast) > 0.99
