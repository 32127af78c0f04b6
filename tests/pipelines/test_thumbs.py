"""Thumbnails: what is stored comes back, a copy is near, a changed tile is not, the frame is the whole picture."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from PIL import Image

from pipelines.decode import decode
from pipelines.extractors.base import Sample
from pipelines.extractors.hashes import luma128, measure
from pipelines.header import read_header
from pipelines.thumbs import SIDE, STEP, Luma, pack, tile_distance, unpack, whole

lumas = arrays(np.uint8, (SIDE, SIDE))


def sample(image: Image.Image, kind: str = "PNG", orientation: int = 1) -> Sample:
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    image.save(out, kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {}))
    header = read_header(out.getvalue())
    return Sample("x", out.getvalue(), header, decode(out.getvalue(), header))


def one_distance(a: Luma, b: Luma) -> float:
    return float(tile_distance(a[None], b[None])[0])


@settings(max_examples=30, deadline=None)
@given(lumas)
def test_what_is_packed_comes_back_within_half_a_step(luma: Luma) -> None:
    coarse, detail = pack(luma)
    back = unpack(coarse[None], [detail])[0]
    assert np.abs(back.astype(int) - luma).max() <= STEP // 2


def test_detail_of_a_smooth_picture_is_small() -> None:
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    assert len(pack((x + y).astype(np.uint8))[1]) < 200


@settings(max_examples=30, deadline=None)
@given(lumas, lumas)
def test_distance_is_symmetric_and_zero_for_equal_ones(a: Luma, b: Luma) -> None:
    assert one_distance(a, b) == one_distance(b, a)
    assert one_distance(a, a) == 0


def test_local_change_counts_more_than_the_same_change_everywhere() -> None:
    rng = np.random.default_rng(1)
    page = np.full((SIDE, SIDE), 200, np.uint8)
    noisy = (page + rng.integers(-4, 5, page.shape)).astype(np.uint8)
    word = page.copy()
    word[60:62, 30:36] -= 12
    assert one_distance(page, word) > 4 * one_distance(page, noisy)


def test_distances_of_many_pairs_are_those_of_each() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 256, (2, 9, SIDE, SIDE), dtype=np.uint8)
    assert tile_distance(a, b).tolist() == [one_distance(x, y) for x, y in zip(a, b, strict=True)]


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_reduced_decode_shows_the_whole_picture_and_no_more(kind: str, orientation: int) -> None:
    """A size that no reduction divides: the last decoded pixels are only partly of it, wherever EXIF turns them."""
    picture = Image.effect_mandelbrot((1021, 1533), (-2, -1.2, 0.8, 1.2), 60).convert("RGB")
    stored = sample(picture, kind, orientation)
    decoded = stored.pixels.image.convert("L")
    assert min(decoded.size) < 1021
    upright = picture.transpose(TURNS[orientation]) if orientation > 1 else picture
    small = Image.Resampling.BILINEAR
    reference = np.asarray(upright.convert("L").resize((SIDE, SIDE), small)).astype(int)
    stretched = np.asarray(decoded.resize((SIDE, SIDE), small)).astype(int)
    error = np.abs(luma128(stored) - reference).mean()
    assert error <= np.abs(stretched - reference).mean()
    assert error < 1.5


def test_frame_of_a_reduced_image() -> None:
    header = read_header(sample(Image.new("L", (1000, 601))).data)
    assert whole((500, 301), header) == (0, 0, 500, 300.5)
    assert whole((500, 301), replace(header, orientation=3)) == (0, 0.5, 500, 301)
    assert whole((1000, 601), header) == (0, 0, 1000, 601)
    assert whole((777, 333), header) == (0, 0, 777, 333)  # of no reduction that is known: as it is


def test_extractor_gives_hash_and_thumbnails() -> None:
    (row,) = measure([sample(Image.new("RGB", (300, 200), "white"))])
    assert row["phash"] == bytes(32)
    assert row["thumb64"] == b"\xff" * 4096
    assert isinstance(row["detail"], bytes)


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
