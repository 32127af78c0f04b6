"""Masks: what is padded is not seen, and variable-length attention is the same as a mask."""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402
from torch.nn.functional import scaled_dot_product_attention  # noqa: E402

import model.attention  # noqa: E402
from model.attention import attend, padding_of  # noqa: E402

CPU = torch.device("cpu")


def test_nothing_padded_no_mask() -> None:
    assert padding_of([5, 5], [9, 9], 5, 9, CPU) is None
    assert padding_of([], [], 5, 9, CPU) is None


def test_what_is_marked_valid() -> None:
    padding = padding_of([2, 0], [1, 3], 2, 3, CPU)
    assert padding is not None
    assert padding.mask.tolist() == [[[[True, True, True, False, False]]], [[[False, False, True, True, True]]]]
    assert padding.joint.places.tolist() == [0, 1, 2, 7, 8, 9]
    assert padding.joint.offsets.tolist() == [0, 3, 6]
    assert padding.joint.longest == 3
    assert padding.image.places.tolist() == [0, 3, 4, 5]
    assert padding.image.offsets.tolist() == [0, 1, 4]
    assert padding.image.longest == 3


@pytest.mark.parametrize(("texts", "images"), [([6], [9]), ([5], [10]), ([-1], [9])])
def test_more_than_fits_is_an_error(texts: list[int], images: list[int]) -> None:
    with pytest.raises(ValueError, match="but the batch holds"):
        padding_of(texts, images, 5, 9, CPU)


def by_rows(
    query: Tensor, key: Tensor, value: Tensor, queries: Tensor, keys: Tensor, most_queries: int, most_keys: int
) -> Tensor:
    """What torch's variable-length kernel gives, row by row; it runs on GPUs only."""
    found = []
    for first, last, k_first, k_last in zip(queries, queries[1:], keys, keys[1:], strict=False):
        assert last - first <= most_queries
        assert k_last - k_first <= most_keys
        part = (query[first:last], key[k_first:k_last], value[k_first:k_last])
        heads_first = [one.transpose(0, 1)[None] for one in part]
        found.append(scaled_dot_product_attention(*heads_first)[0].transpose(0, 1))
    return torch.cat(found)


@pytest.mark.parametrize("last_block", [False, True])
def test_variable_length_attention_is_masked_attention(monkeypatch: pytest.MonkeyPatch, last_block: bool) -> None:
    padding = padding_of([3, 1, 2], [6, 6, 4], 3, 6, CPU)
    assert padding is not None
    whole = [torch.randn(3, 9, 2, 8, requires_grad=True) for _ in range(3)]
    query = whole[0][:, 3:] if last_block else whole[0]
    valid = padding.mask[:, 0, 0, 3 if last_block else 0 :, None, None]
    weight = torch.randn(query.shape) * valid

    def gradients(found: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad((found * weight).sum(), whole))

    masked = attend(query, whole[1], whole[2], padding)
    stand_in: Callable[..., Tensor] = by_rows
    monkeypatch.setattr(model.attention, "varlen_attn", stand_in)
    queries = padding.image if last_block else padding.joint
    ragged = model.attention._attend_ragged(query, whole[1], whole[2], queries, padding.joint)
    assert ragged.shape == masked.shape
    assert not (ragged * ~valid).any()
    assert ((ragged - masked) * valid).abs().max() < 1e-6
    for one, other in zip(gradients(masked), gradients(ragged), strict=True):
        assert (one - other).abs().max() < 1e-6
