"""The f16c64 residual autoencoder: parity with the public class, sizes, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from vae_parity import parity, public, seeded, shapes

from model.vae_loading import build
from model.vae_residual import ResidualVae, ResidualVaeConfig, average_down, duplicate_up, small_residual
from model.vae_size import effective_parameters, total_parameters
from warehouse.errors import UsageError


@pytest.mark.parametrize(
    ("config", "height", "width", "batch"),
    [
        (small_residual(4, z_dim=8), 48, 32, 3),
        (replace(small_residual(6, dim_mult=(1, 2, 2), z_dim=3), in_channels=4, out_channels=4), 12, 20, 1),
        (replace(small_residual(4, dim_mult=(1, 1, 2, 2), z_dim=4), temperal_downsample=(True, False, True)), 24, 8, 2),
    ],
)
def test_encode_and_decode_are_the_public_ones(
    config: ResidualVaeConfig, height: int, width: int, batch: int, tmp_path: Path
) -> None:
    parity(config, tmp_path, height, width, batch)


def test_names_shapes_and_sizes_of_the_released_model() -> None:
    with torch.device("meta"):
        ours, theirs = ResidualVae(ResidualVaeConfig()), public("AutoencoderKLQwenImage21")()
    assert shapes(ours) == shapes(theirs)
    total, effective = total_parameters(ours), effective_parameters(ours)
    assert [round(n / 1e6, 2) for n in (total.encoder, total.decoder)] == [78.69, 259.05]
    assert effective.encoder < total.encoder  # the 1x1 kernels over time are not run
    assert ResidualVaeConfig().spatial_factor == 16


def test_shortcuts_average_and_copy() -> None:
    picture = torch.arange(16.0).view(1, 1, 4, 4)
    averaged = average_down(picture, 1, 2, 1)
    torch.testing.assert_close(averaged, torch.nn.functional.avg_pool2d(picture, 2))
    copied = duplicate_up(picture, 1, 2, 1)
    torch.testing.assert_close(copied, torch.nn.functional.interpolate(picture, scale_factor=2.0))
    before_the_first = average_down(picture, 2, 2, 2)  # one channel sees the empty frame, the other this one
    assert not before_the_first[:, 0].any()
    torch.testing.assert_close(before_the_first[:, 1:], averaged)


def test_it_learns() -> None:
    with seeded(0):
        vae = build(small_residual(4, dim_mult=(1, 2, 2), z_dim=4))
        corners = torch.rand(8, 3, 2, 2) * 2 - 1
        pixels = torch.nn.functional.interpolate(corners, size=16, mode="bilinear", align_corners=True)
    optimizer = torch.optim.Adam(vae.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss = (vae.reconstruct(vae.posterior(pixels).mode()) - pixels).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_levels_whose_channels_cannot_be_shared_out_are_refused() -> None:
    with pytest.raises(UsageError, match="averaged"):
        build(small_residual(4, dim_mult=(1, 2, 4)))
    with pytest.raises(UsageError, match="in_channels and out_channels are 3"):
        replace(small_residual(4), in_channels=1)
    with pytest.raises(UsageError, match="scale_factor_spatial = 8"):
        ResidualVaeConfig.from_dict({**small_residual(4).to_dict(), "scale_factor_spatial": 8})
