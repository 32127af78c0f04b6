"""The norm with its own backward equals the plain operations, gradients included."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st

from model.norm_silu import NormSilu, norm_silu


@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 4), st.booleans(), st.integers(0, 100))
def test_it_is_the_plain_operations(batch: int, channels: int, side: int, last: bool, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, channels, side, side + 1, generator=draw, dtype=torch.float64)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    weight = torch.randn(channels, generator=draw, dtype=torch.float64)
    assert torch.autograd.gradcheck(NormSilu.apply, (x.requires_grad_(), weight.requires_grad_()))
    plain = F.silu(F.normalize(x, dim=1) * weight.view(1, -1, 1, 1))
    torch.testing.assert_close(norm_silu(x, weight), plain)


def test_a_pixel_of_zeros_stays_zero_and_half_precision_is_normed_in_full() -> None:
    empty = torch.zeros(1, 4, 2, 2, requires_grad=True)
    made = norm_silu(empty, torch.ones(4))
    made.sum().backward()
    assert not made.any()
    assert empty.grad is not None
    assert bool(empty.grad.isfinite().all())
    large = torch.full((1, 4, 1, 1), 3e4, dtype=torch.float16)  # its square is infinite in half precision
    torch.testing.assert_close(norm_silu(large, torch.ones(4).half()), F.silu(torch.full_like(large, 0.5)))
