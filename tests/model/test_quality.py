"""PSNR and SSIM beside scikit-image's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from model.pixels import from_bytes, sheet, to_bytes
from model.quality import QualitySums, psnr, ssim
from warehouse.errors import UsageError


@given(st.integers(11, 40), st.integers(11, 40), st.integers(0, 120), st.integers(0, 1000))
def test_figures_are_those_of_scikit_image(height: int, width: int, noise: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    coarse = draw.integers(0, 256, (3, 1 + height // 6, 1 + width // 6)).repeat(6, 1).repeat(6, 2)[:, :height, :width]
    true = coarse.astype(np.uint8)
    shown = np.clip(coarse + draw.integers(-noise, noise + 1, true.shape), 0, 255).astype(np.uint8)
    ours = torch.from_numpy(np.stack([shown, true])), torch.from_numpy(np.stack([true, true]))
    if (shown != true).any():
        expected = peak_signal_noise_ratio(true, shown, data_range=255)
        assert float(psnr(*ours)[0]) == pytest.approx(expected, abs=1e-9)
    expected = structural_similarity(
        true, shown, data_range=255, channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert float(ssim(*ours)[0]) == pytest.approx(expected, abs=1e-9)
    assert float(psnr(*ours)[1]) == 100.0
    assert float(ssim(*ours)[1]) == pytest.approx(1.0, abs=1e-12)


def test_means_are_over_pictures_however_they_are_batched() -> None:
    draw = torch.Generator().manual_seed(0)
    true = torch.randint(0, 256, (5, 3, 16, 16), generator=draw, dtype=torch.uint8)
    shown = torch.randint(0, 256, (5, 3, 16, 16), generator=draw, dtype=torch.uint8)
    whole, parts = QualitySums(), QualitySums()
    whole.add(shown, true)
    for at in (slice(0, 1), slice(1, 5)):
        parts.add(shown[at], true[at])
    assert whole.mean().count == 5
    assert whole.mean().psnr == pytest.approx(parts.mean().psnr)
    assert whole.mean().ssim == pytest.approx(parts.mean().ssim)


def test_pixels_are_rounded_as_they_are_stored() -> None:
    assert to_bytes(torch.tensor([-3.0, -1.0, 0.0, 1.0, 2.0])).tolist() == [0, 0, 128, 255, 255]


def test_what_cannot_be_compared_is_refused() -> None:
    picture = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    with pytest.raises(UsageError, match="alike"):
        psnr(picture, picture[:, :, :8])
    with pytest.raises(UsageError, match="uint8"):
        ssim(picture.float(), picture.float())
    with pytest.raises(UsageError, match="11 pixels"):
        ssim(picture[:, :, :8], picture[:, :, :8])
    with pytest.raises(UsageError, match="empty"):
        QualitySums().mean()


def test_every_byte_comes_back() -> None:
    whole = torch.arange(256, dtype=torch.uint8)
    seen = from_bytes(whole)
    assert (float(seen.min()), float(seen.max()), seen.dtype) == (-1.0, 1.0, torch.float32)
    assert torch.equal(to_bytes(seen), whole)
    assert torch.equal(whole, torch.arange(256, dtype=torch.uint8))  # what was given is as it was


def test_a_sheet_has_white_between_and_where_nothing_is() -> None:
    black = np.zeros((3, 5, 3), np.uint8)
    found = sheet([black] * 3, 2)
    assert found.shape == (2 * 3 + 2, 2 * 5 + 2, 3)
    assert int((found == 0).all(2).sum()) == 3 * 15
    assert (found[5:, 5:] == 255).all()
