"""Two norms whose gradients are written by hand, so that training on a CPU keeps less and touches memory less often.

Left to autograd, a modulated LayerNorm keeps two tensors as large as its input for the backward pass, and RMSNorm
three; here each keeps one. Values and gradients are those of the plain formulas. A compiler gets these: it fuses them,
and chooses by itself what to keep; and so does a GPU, which is to be used with one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

EPSILON = 1e-6
WIDE = (torch.float32, torch.float64)


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """LayerNorm(x) * (1 + scale) + shift over the last axis; the norm has no weights and epsilon 1e-6.

    `x` (B, N, dim); `shift` and `scale` (B, 1, dim) or (B, N, dim).
    """
    if not _by_hand(x, scale):
        return plain_modulated(x, shift, scale)
    found: Tensor = _Modulated.apply(x, shift, scale)  # type: ignore[no-untyped-call]
    return found


def plain_modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """The formula of `modulated`."""
    return torch.addcmul(shift, functional.layer_norm(x, x.shape[-1:], eps=EPSILON), 1 + scale)


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    """x / sqrt(mean(x^2) + 1e-6) * weight over the last axis, in float32 or wider; the result has the type of `x`."""
    if not _by_hand(x, weight):
        return plain_rms_norm(x, weight)
    found: Tensor = _RmsNorm.apply(x, weight)  # type: ignore[no-untyped-call]
    return found


def plain_rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    """The formula of `rms_norm`."""
    wide = torch.promote_types(x.dtype, torch.float32)
    return functional.rms_norm(x.to(wide), weight.shape, weight.to(wide), EPSILON).to(x.dtype)


def _by_hand(x: Tensor, other: Tensor) -> bool:
    """Eager training in float32 or wider on a CPU, where nothing else would fuse."""
    return (
        x.device.type == "cpu"
        and x.dtype in WIDE
        and other.dtype == x.dtype
        and torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
    )


class _Modulated(torch.autograd.Function):
    """Keeps the normalised input and one number for each token; the input itself is not needed again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        normed, _, inverse = torch.native_layer_norm(x, x.shape[-1:], None, None, EPSILON)
        widened = 1 + scale
        ctx.save_for_backward(normed, inverse, widened)
        return torch.addcmul(shift, normed, widened)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        normed, inverse, widened = ctx.saved_tensors
        along = _reduced(gradient * normed, widened)
        # The norm's own backward pass, told that its input was normalised already; then what that leaves out.
        moved, _, _ = torch.ops.aten.native_layer_norm_backward(
            gradient * widened,
            normed,
            normed.shape[-1:],
            torch.zeros_like(inverse),
            torch.ones_like(inverse),
            None,
            None,
            [True, False, False],
        )
        return moved.mul_(inverse), _reduced(gradient, widened), along


def _reduced(gradient: Tensor, like: Tensor) -> Tensor:
    """Summed over the tokens, where one row serves them all."""
    return gradient if like.shape[1] == gradient.shape[1] else gradient.sum(1, keepdim=True)


class _RmsNorm(torch.autograd.Function):
    """Keeps the input and one number for each row of it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        inverse = length.square_().div_(x.shape[-1]).add_(EPSILON).rsqrt_()
        ctx.save_for_backward(x, inverse, weight)
        normed: Tensor = x * inverse
        normed *= weight
        return normed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, inverse, weight = ctx.saved_tensors
        normed: Tensor = x * inverse
        along = (gradient * normed).flatten(0, -2)
        # The mean over a row of gradient * weight * normed is a product with the weight
        mean = torch.mv(along, weight).div_(x.shape[-1]).view(inverse.shape)
        moved = (gradient * weight).sub_(normed.mul_(mean)).mul_(inverse)
        return moved, along.sum(0)
