"""The f16c64 residual autoencoder of Qwen-Image 2.x: Wan 2.2's, specialised to single frames.

All convolutions are 2D. Around each level stands a shortcut without parameters: averages on the way down, copies on
the way up. With the defaults it has the sizes that the 2.0 report gives for f16c64 (79 M and 259 M); that its VAE is
this one is inference from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import Tensor, nn

from model.vae_base import Vae, VaeConfig
from model.vae_parts import Double, Halve, Head, MiddleBlock, PlainConv, ResidualBlock
from warehouse.errors import UsageError

TIME_KERNEL = (1, 1)


@dataclass(frozen=True)
class ResidualVaeConfig(VaeConfig):
    """Configuration of diffusers' AutoencoderKLQwenImage21; the defaults are the released model's sizes.

    `in_channels`, `out_channels`: 3, or 4 with an alpha, which is opaque on the way in and left out on the way out.
    """

    class_name: ClassVar[str] = "AutoencoderKLQwenImage21"

    base_dim: int = 96
    z_dim: int = 64
    dim_mult: tuple[int, ...] = (1, 2, 4, 8, 8)
    num_res_blocks: int = 2
    temperal_downsample: tuple[bool, ...] = (False, True, True, True)
    latents_mean: tuple[float, ...] = (0.0,) * 64
    latents_std: tuple[float, ...] = (1.0,) * 64
    decoder_base_dim: int = 144
    in_channels: int = 4
    out_channels: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decoder_base_dim < 1:
            raise UsageError("decoder_base_dim must be positive")
        for channels in (self.in_channels, self.out_channels):
            if channels not in (3, 4):
                raise UsageError(f"in_channels and out_channels are 3 (RGB) or 4 (with alpha), not {channels}")

    @classmethod
    def fixed(cls) -> dict[str, Any]:
        return {**super().fixed(), "is_residual": True, "patch_size": None}

    def to_dict(self) -> dict[str, Any]:
        factors = {"scale_factor_spatial": self.spatial_factor, "scale_factor_temporal": self.temporal_factor}
        return {**super().to_dict(), **factors}

    @property
    def temporal_factor(self) -> int:
        """Frames of a video to one latent, for those who run the public class on one."""
        return 1 << sum(self.temperal_downsample)

    @classmethod
    def from_dict(cls, found: Any) -> ResidualVaeConfig:
        """As VaeConfig.from_dict; the two scale factors follow from the levels and must agree with them."""
        values = dict(found)
        factors = {key: values.pop(f"scale_factor_{key}", None) for key in ("spatial", "temporal")}
        if values.get("decoder_base_dim", 0) is None:
            values["decoder_base_dim"] = values.get("base_dim", cls.base_dim)
        config = super().from_dict(values)
        if factors["spatial"] not in (None, config.spatial_factor):
            raise UsageError(
                f"config.json says scale_factor_spatial = {factors['spatial']}, its levels make {config.spatial_factor}"
            )
        return config


def average_down(x: Tensor, channels: int, space: int, time: int) -> Tensor:
    """(B, I, H, W) -> (B, channels, H/space, W/space) without parameters: pixels move into channels, and groups of
    neighbouring channels are averaged. `time` 2: the frame before the first is zeros, as for a video's first frame."""
    folded = F.pixel_unshuffle(x, space)  # channel index c * space^2 + dy * space + dx
    batch, _, height, width = folded.shape
    if time > 1:
        frames = folded.view(batch, x.shape[1], 1, space * space, height, width)
        empty = frames.new_zeros(()).expand(batch, x.shape[1], time - 1, space * space, height, width)
        folded = torch.cat([empty, frames], dim=2)
    return folded.reshape(batch, channels, -1, height, width).mean(2)


def duplicate_up(x: Tensor, channels: int, space: int, time: int) -> Tensor:
    """(B, I, h, w) -> (B, channels, h*space, w*space) without parameters: channels are repeated and move into pixels.
    `time` 2: of the two frames so made the last is taken, which is a video's first."""
    repeats = channels * space * space * time // x.shape[1]
    batch, _, height, width = x.shape
    folded = x.repeat_interleave(repeats, dim=1).view(batch, channels, time, space * space, height, width)
    return F.pixel_shuffle(folded[:, :, -1].reshape(batch, channels * space * space, height, width), space)


class DownLevel(nn.Module):
    """Residual blocks and a halving (where `halves`), beside their average."""

    def __init__(self, before: int, width: int, blocks: int, *, halves: bool, in_time: bool) -> None:
        super().__init__()
        self.width, self.space, self.time = width, 2 if halves else 1, 2 if in_time else 1
        if before * self.space**2 * self.time % width:
            raise UsageError(f"dim_mult cannot be averaged: {before} channels do not divide into {width}")
        self.resnets = nn.ModuleList(
            ResidualBlock(width if block else before, width, PlainConv) for block in range(blocks)
        )
        self.downsampler = Halve(width, TIME_KERNEL if in_time else None) if halves else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for block in self.resnets:
            y = block(y)
        down: Tensor = self.downsampler(y)
        return down + average_down(x, self.width, self.space, self.time)


class UpLevel(nn.Module):
    """Residual blocks and a doubling beside its copies; the highest level (not `doubles`) has blocks only."""

    def __init__(self, before: int, width: int, blocks: int, *, doubles: bool, in_time: bool) -> None:
        super().__init__()
        self.width, self.doubles, self.time = width, doubles, 2 if in_time else 1
        if doubles and width * 4 * self.time % before:
            raise UsageError(f"dim_mult cannot be copied: {before} channels do not divide into {width} doubled")
        self.resnets = nn.ModuleList(
            ResidualBlock(width if block else before, width, PlainConv) for block in range(blocks)
        )
        self.upsampler = Double(width, width, TIME_KERNEL if in_time else None) if doubles else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for block in self.resnets:
            y = block(y)
        return self.upsampler(y) + duplicate_up(x, self.width, 2, self.time) if self.doubles else y


class ResidualEncoder(Head):
    """(B, in_channels, H, W) -> moments (B, 2 z_dim, H/f, W/f)."""

    def __init__(self, config: ResidualVaeConfig) -> None:
        widths = [config.base_dim * multiple for multiple in (1, *config.dim_mult)]
        super().__init__(widths[-1], 2 * config.z_dim, PlainConv)
        in_time = (*config.temperal_downsample, False)
        self.conv_in = PlainConv(config.in_channels, widths[0], 3)
        self.down_blocks = nn.ModuleList(
            DownLevel(before, width, config.num_res_blocks, halves=level < len(in_time) - 1, in_time=in_time[level])
            for level, (before, width) in enumerate(pairwise(widths))
        )
        self.mid_block = MiddleBlock(widths[-1], PlainConv)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return self.head(self.mid_block(x))


class ResidualDecoder(Head):
    """(B, z_dim, h, w) -> (B, out_channels, fh, fw), with one residual block more on each level."""

    def __init__(self, config: ResidualVaeConfig) -> None:
        upward = config.dim_mult[::-1]
        widths = [config.decoder_base_dim * multiple for multiple in (upward[0], *upward)]
        super().__init__(widths[-1], config.out_channels, PlainConv)
        in_time = (*config.temperal_downsample[::-1], False)
        self.conv_in = PlainConv(config.z_dim, widths[0], 3)
        self.mid_block = MiddleBlock(widths[0], PlainConv)
        self.up_blocks = nn.ModuleList(
            UpLevel(before, width, config.num_res_blocks + 1, doubles=level < len(in_time) - 1, in_time=in_time[level])
            for level, (before, width) in enumerate(pairwise(widths))
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.mid_block(self.conv_in(x))
        for block in self.up_blocks:
            x = block(x)
        return self.head(x)


class ResidualVae(Vae):
    """The f16c64 autoencoder, any width and number of levels."""

    config: ResidualVaeConfig

    def __init__(self, config: ResidualVaeConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = ResidualEncoder(config)
        self.quant_conv = PlainConv(2 * config.z_dim, 2 * config.z_dim, 1)
        self.post_quant_conv = PlainConv(config.z_dim, config.z_dim, 1)
        self.decoder = ResidualDecoder(config)

    def channels_in(self, pixels: Tensor) -> Tensor:
        return pixels if self.config.in_channels == 3 else F.pad(pixels, (0, 0, 0, 0, 0, 1), value=1.0)

    def channels_out(self, pixels: Tensor) -> Tensor:
        return pixels[:, :3]


def small_residual(
    base_dim: int = 8, *, num_res_blocks: int = 1, dim_mult: tuple[int, ...] = (1, 2, 4, 8, 8), z_dim: int = 64
) -> ResidualVaeConfig:
    """A configuration to train: the decoder half as wide again as the encoder, RGB, latents not normalised yet."""
    return ResidualVaeConfig(
        base_dim=base_dim,
        decoder_base_dim=base_dim * 3 // 2,
        z_dim=z_dim,
        dim_mult=dim_mult,
        num_res_blocks=num_res_blocks,
        temperal_downsample=tuple(level > 0 for level in range(len(dim_mult) - 1)),
        latents_mean=(0.0,) * z_dim,
        latents_std=(1.0,) * z_dim,
        in_channels=3,
        out_channels=3,
    )
