"""The f8c16 autoencoder of Qwen-Image 1.0 (arXiv 2508.02324, section 2.3), which is Wan 2.1's, for images.

Names and shapes of the state dict are the public ones, 3D kernels included, so weights go both ways bit for bit; what
runs are 2D convolutions (`FrameConv` says why that is exact).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from model.vae_base import Vae, VaeConfig
from model.vae_parts import Double, FrameConv, Halve, Head, MiddleBlock, ResidualBlock
from warehouse.errors import UsageError

#: The released VAE's own, for those who have its weights; one trained here measures its own.
MEAN = (
    -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
    0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
)  # fmt: skip
STD = (
    2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
    3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
)  # fmt: skip
TIME_KERNEL = (3, 1, 1)


@dataclass(frozen=True)
class QwenVaeConfig(VaeConfig):
    """Configuration of diffusers' AutoencoderKLQwenImage; the defaults are the released model's."""

    class_name: ClassVar[str] = "AutoencoderKLQwenImage"

    base_dim: int = 96
    z_dim: int = 16
    dim_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    temperal_downsample: tuple[bool, ...] = (False, True, True)
    latents_mean: tuple[float, ...] = MEAN
    latents_std: tuple[float, ...] = STD
    input_channels: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.input_channels != 3:
            raise UsageError(f"input_channels is {self.input_channels}; images here are RGB: 3")


class Encoder(Head):
    """(B, 3, H, W) -> moments (B, 2 z_dim, H/f, W/f). Blocks and halvings stand in one list, as in the weights."""

    def __init__(self, config: QwenVaeConfig) -> None:
        widths = [config.base_dim * multiple for multiple in (1, *config.dim_mult)]
        super().__init__(widths[-1], 2 * config.z_dim, FrameConv)
        self.conv_in = FrameConv(config.input_channels, widths[0], 3)
        self.down_blocks = nn.ModuleList()
        for level, (before, width) in enumerate(pairwise(widths)):
            for block in range(config.num_res_blocks):
                self.down_blocks.append(ResidualBlock(width if block else before, width, FrameConv))
            if level < len(config.temperal_downsample):
                self.down_blocks.append(Halve(width, TIME_KERNEL if config.temperal_downsample[level] else None))
        self.mid_block = MiddleBlock(widths[-1], FrameConv)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return self.head(self.mid_block(x))


class UpBlock(nn.Module):
    """Residual blocks, and a doubling that halves the channels where there is a higher level."""

    def __init__(self, before: int, width: int, blocks: int, doubles: bool, in_time: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(
            ResidualBlock(width if block else before, width, FrameConv) for block in range(blocks)
        )
        doubling = [Double(width, width // 2, TIME_KERNEL if in_time else None)] if doubles else []
        if doubling:
            self.upsamplers = nn.ModuleList(doubling)
        self.doubles = doubles

    def forward(self, x: Tensor) -> Tensor:
        for block in self.resnets:
            x = block(x)
        return self.upsamplers[0](x) if self.doubles else x


class Decoder(Head):
    """(B, z_dim, h, w) -> (B, 3, fh, fw), the levels in reverse, with one residual block more on each."""

    def __init__(self, config: QwenVaeConfig) -> None:
        widths = [config.base_dim * multiple for multiple in config.dim_mult[::-1]]
        super().__init__(widths[-1], config.input_channels, FrameConv)
        self.conv_in = FrameConv(config.z_dim, widths[0], 3)
        self.mid_block = MiddleBlock(widths[0], FrameConv)
        in_time = (*config.temperal_downsample[::-1], False)
        befores = [widths[0], *(width // 2 for width in widths[:-1])]
        self.up_blocks = nn.ModuleList(
            UpBlock(before, width, config.num_res_blocks + 1, level < len(widths) - 1, in_time[level])
            for level, (before, width) in enumerate(zip(befores, widths, strict=True))
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.mid_block(self.conv_in(x))
        for block in self.up_blocks:
            x = block(x)
        return self.head(x)


class QwenVae(Vae):
    """The f8c16 autoencoder (any width, any number of levels: 2^(levels - 1) pixels to a latent)."""

    config: QwenVaeConfig

    def __init__(self, config: QwenVaeConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quant_conv = FrameConv(2 * config.z_dim, 2 * config.z_dim, 1)
        self.post_quant_conv = FrameConv(config.z_dim, config.z_dim, 1)
        self.decoder = Decoder(config)


def small(
    base_dim: int = 8, *, num_res_blocks: int = 1, dim_mult: tuple[int, ...] = (1, 2, 4, 4), z_dim: int = 16
) -> QwenVaeConfig:
    """A configuration to train: by default one that trains on a laptop. Its latents are not normalised yet."""
    halvings = len(dim_mult) - 1
    return QwenVaeConfig(
        base_dim=base_dim,
        z_dim=z_dim,
        dim_mult=dim_mult,
        num_res_blocks=num_res_blocks,
        temperal_downsample=tuple(level > 0 for level in range(halvings)),
        latents_mean=(0.0,) * z_dim,
        latents_std=(1.0,) * z_dim,
    )
