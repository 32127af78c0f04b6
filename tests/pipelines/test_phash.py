"""The perceptual hash: the same everywhere, stable under what copying does, far apart for what differs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipelines.phash import BITS, BYTES, SIDE, distance, phash, phashes


def scene(seed: int) -> NDArray[np.uint8]:
    """A smooth random luma that uses most of 0-255."""
    rng = np.random.default_rng(seed)
    waves = rng.normal(size=(24, 4)) * (4, 4, 3, 1)
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    field = sum(w * np.cos(np.pi * (u * x + v * y) + p) for u, v, p, w in waves)
    field = (field - field.min()) / (field.max() - field.min())
    return np.asarray(20 + 200 * field, np.uint8)


def test_hash_of_a_known_picture_never_changes() -> None:
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    picture = ((x * x + 3 * x * y + 7 * y) % 251).astype(np.uint8)
    assert phash(picture).hex() == KNOWN


def test_picture_without_structure_has_hash_zero() -> None:
    for level in (0, 1, 100, 255):
        assert phash(np.full((SIDE, SIDE), level, np.uint8)) == bytes(BYTES)


def test_one_by_one_or_all_at_once_is_the_same() -> None:
    lumas = np.stack([scene(seed) for seed in range(20)])
    assert [h.tobytes() for h in phashes(lumas)] == [phash(luma) for luma in lumas]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(-10, 10), st.sampled_from((0.9, 1.0, 1.1)))
def test_brightness_and_contrast_change_few_bits(seed: int, offset: int, gain: float) -> None:
    luma = scene(seed)
    other = np.clip(np.rint(luma * gain + offset), 0, 255).astype(np.uint8)
    assert distance(phash(luma), phash(other)) <= 24


def test_distinct_scenes_differ_in_about_half_of_the_bits() -> None:
    hashes = [phash(scene(seed)) for seed in range(40)]
    distances = [distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(distances) > 64
    assert abs(np.mean(distances) - BITS / 2) < 8


def test_mirrored_and_turned_pictures_are_other_pictures() -> None:
    luma = scene(1)
    for other in (luma[:, ::-1], luma[::-1], np.rot90(luma)):
        assert distance(phash(luma), phash(np.ascontiguousarray(other))) > 64


@pytest.mark.parametrize("luma", [np.zeros((32, 32), np.uint8), np.zeros((SIDE, SIDE), np.float32)])
def test_other_shapes_and_types_are_refused(luma: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="64, 64"):
        phash(luma)


KNOWN = "24290314001409b3426d11ef166dbfdf20fa0d9a77fc97ec0f729362ce6adbf9"
