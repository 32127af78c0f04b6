"""Norms with gradients by hand: those of the plain formulas, for less memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from model import fused  # noqa: E402


def gradients(function: Callable[..., Tensor], *given: Tensor) -> list[Tensor]:
    leaves = [one.detach().clone().requires_grad_() for one in given]
    found = function(*leaves)
    weight = torch.linspace(-1, 2, found.numel(), dtype=found.dtype).reshape(found.shape)
    return [found.detach(), *torch.autograd.grad((found * weight).sum(), leaves)]


@pytest.mark.parametrize("rows", [1, 5])
def test_modulated_is_the_formula(rows: int) -> None:
    given = [torch.randn(3, 5, 8).double(), *(torch.randn(3, rows, 8).double() for _ in range(2))]
    for ours, plain in zip(gradients(fused.modulated, *given), gradients(fused.plain_modulated, *given), strict=True):
        assert (ours - plain).abs().max() < 1e-12
    leaves = [one.requires_grad_() for one in given]
    assert torch.autograd.gradcheck(fused.modulated, leaves)


def test_rms_norm_is_the_formula() -> None:
    given = [torch.randn(2, 5, 3, 8).double(), torch.randn(8).double()]
    given[0][0, 0] = 0  # a row of zeros has a gradient too
    for ours, plain in zip(gradients(fused.rms_norm, *given), gradients(fused.plain_rms_norm, *given), strict=True):
        assert (ours - plain).abs().max() < 1e-9 * max(1.0, float(plain.abs().max()))
    leaves = [torch.randn(2, 3, 8).double().requires_grad_(), given[1].requires_grad_()]
    assert torch.autograd.gradcheck(fused.rms_norm, leaves)


def test_one_token_and_none() -> None:
    for tokens in (0, 1):
        x, row = torch.randn(2, tokens, 8, requires_grad=True), torch.randn(2, 1, 8, requires_grad=True)
        fused.modulated(x, row, row).sum().backward()
        fused.rms_norm(x, torch.ones(8, requires_grad=True)).sum().backward()
        assert row.grad is not None
        assert row.grad.shape == row.shape


def kept(function: Callable[..., Tensor], *given: Tensor) -> int:
    """Bytes that are kept for the backward pass."""
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = function(*given)
    del result
    return sum(found.values())


def test_less_is_kept() -> None:
    x, row, weight = (torch.randn(shape, requires_grad=True) for shape in ((4, 50, 64), (4, 1, 64), (64,)))
    assert kept(fused.modulated, x, row, row) < 0.6 * kept(fused.plain_modulated, x, row, row)
    assert kept(fused.rms_norm, x, weight) < 0.6 * kept(fused.plain_rms_norm, x, weight)


def test_half_precision_takes_the_formula() -> None:
    x, weight = torch.randn(2, 3, 8).to(torch.bfloat16).requires_grad_(), torch.randn(8)
    assert torch.equal(fused.rms_norm(x, weight), fused.plain_rms_norm(x, weight))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        row = torch.randn(2, 1, 8).to(torch.bfloat16)
        assert torch.equal(fused.modulated(x, row, row), fused.plain_modulated(x, row, row))
