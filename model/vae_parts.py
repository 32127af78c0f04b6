"""The parts of which both autoencoders are made, for single images; names and shapes are the public weights'."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812 - what everybody calls it
from torch import Tensor, nn

from model.norm_silu import norm_silu

Conv = Callable[[int, int, int], nn.Module]  # channels in, channels out, side of the kernel -> same size out


class PlainConv(nn.Conv2d):
    """A 2D convolution that keeps the size: (B, I, H, W) -> (B, O, H, W)."""

    def __init__(self, channels_in: int, channels_out: int, side: int) -> None:
        super().__init__(channels_in, channels_out, side, padding=side // 2)


class FrameConv(nn.Module):
    """A causal 3D convolution, run on one frame: (B, I, H, W) -> (B, O, H, W).

    All temporal padding of the public causal convolution is on the left and zero, so for a single frame only the last
    temporal slice of its (O, I, k, k, k) kernel meets anything: a 2D convolution with it is exact. The other slices
    are kept, untouched, for whoever decodes video with these weights.
    """

    def __init__(self, channels_in: int, channels_out: int, side: int) -> None:
        super().__init__()
        like = nn.Conv3d(channels_in, channels_out, side)  # for its initialisation
        self.weight, self.bias = like.weight, like.bias
        with torch.no_grad():
            # what a single frame sees starts as a 2D convolution would, not `side` times weaker
            self.weight[:, :, -1] *= side**0.5
        self.padding = side // 2

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight[:, :, -1], self.bias, padding=self.padding)


class TimeConv(nn.Module):
    """The weights of a convolution over time. An image is one frame: this is never run."""

    def __init__(self, channels_in: int, channels_out: int, kernel: tuple[int, ...]) -> None:
        super().__init__()
        kind: Any = nn.Conv3d if len(kernel) == 3 else nn.Conv2d
        like = kind(channels_in, channels_out, kernel)
        self.weight, self.bias = like.weight, like.bias


class ChannelNorm(nn.Module):
    """x / |x| * sqrt(C) * gamma over the channels of (B, C, H, W): root mean square normalisation (Zhang & Sennrich
    2019, eq. 4) of each pixel, without bias. `ones`: dimensions of size 1 that the public gamma has behind it."""

    def __init__(self, channels: int, ones: int) -> None:
        super().__init__()
        self.scale = channels**0.5
        self.gamma = nn.Parameter(torch.ones(channels, *[1] * ones))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        normal: Tensor = F.normalize(wide, dim=1).to(x.dtype) * (self.scale * self.gamma.view(1, -1, 1, 1))
        return normal

    def activated(self, x: Tensor) -> Tensor:
        """SiLU of it."""
        return norm_silu(x, self.scale * self.gamma.flatten())


class ResidualBlock(nn.Module):
    """norm, SiLU, convolution, twice, beside a shortcut: (B, I, H, W) -> (B, O, H, W)."""

    def __init__(self, channels_in: int, channels_out: int, conv: Conv) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels_in, 3)
        self.conv1 = conv(channels_in, channels_out, 3)
        self.norm2 = ChannelNorm(channels_out, 3)
        self.conv2 = conv(channels_out, channels_out, 3)
        self.conv_shortcut = conv(channels_in, channels_out, 1) if channels_in != channels_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(self.norm1.activated(x))
        y = self.conv2(self.norm2.activated(y))
        return cast(Tensor, y + self.conv_shortcut(x))


class Attention(nn.Module):
    """Single-head self-attention over all pixels of (B, C, H, W), with a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels, 2)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.to_qkv(self.norm(x))
        q, k, v = qkv.flatten(2).transpose(1, 2).unsqueeze(1).chunk(3, dim=-1)  # (B, 1, H*W, C) each
        seen = F.scaled_dot_product_attention(q.contiguous(), k.contiguous(), v.contiguous())
        return cast(Tensor, x + self.proj(seen.squeeze(1).transpose(1, 2).reshape(x.shape)))


class MiddleBlock(nn.Module):
    """Residual block, attention, residual block, at the lowest resolution."""

    def __init__(self, channels: int, conv: Conv) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(ResidualBlock(channels, channels, conv) for _ in range(2))
        self.attentions = nn.ModuleList([Attention(channels)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.attentions[0](self.resnets[0](x))
        return cast(Tensor, self.resnets[1](x))


class Halve(nn.Module):
    """(B, C, H, W) -> (B, C, H/2, W/2): a row and a column of zeros at the bottom and right, then stride 2.
    `time_kernel`: shape of the temporal kernel that the public weights have here, None where there is none."""

    def __init__(self, channels: int, time_kernel: tuple[int, ...] | None) -> None:
        super().__init__()
        self.resample = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(channels, channels, 3, stride=2))
        if time_kernel is not None:
            self.time_conv = TimeConv(channels, channels, time_kernel)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.resample(x))


class Double(nn.Module):
    """(B, I, H, W) -> (B, O, 2H, 2W): each pixel twice each way, then a convolution. `time_kernel`: as in `Halve`."""

    def __init__(self, channels_in: int, channels_out: int, time_kernel: tuple[int, ...] | None) -> None:
        super().__init__()
        self.resample = nn.Sequential(nn.Upsample(scale_factor=2.0), nn.Conv2d(channels_in, channels_out, 3, padding=1))
        if time_kernel is not None:
            self.time_conv = TimeConv(channels_in, 2 * channels_in, time_kernel)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.resample(x))


class Head(nn.Module):
    """Base of encoder and decoder: their last norm, SiLU and convolution."""

    def __init__(self, channels: int, channels_out: int, conv: Conv) -> None:
        super().__init__()
        self.norm_out = ChannelNorm(channels, 3)
        self.conv_out = conv(channels, channels_out, 3)

    def head(self, x: Tensor) -> Tensor:
        """What closes an encoder or a decoder."""
        return cast(Tensor, self.conv_out(self.norm_out.activated(x)))
