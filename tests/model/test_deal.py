"""Dealing whole samples to fractional shares: never off by a whole sample, whatever the shares and sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.plan.deal import deal, deal_ones
from model.plan.shuffle import shuffled

share = st.floats(0, 1).map(lambda value: value if value > 1e-6 else 0.0)


@st.composite
def dealings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    steps, items = draw(st.integers(1, 60)), draw(st.integers(1, 7))
    begin, end = (np.array(draw(st.lists(share, min_size=items, max_size=items))) for _ in range(2))
    begin[0], end[-1] = max(begin[0], 0.01), max(end[-1], 0.01)
    way = np.linspace(0, 1, steps)[:, None]
    shares = begin * (1 - way) + end * way
    sizes = np.array(draw(st.lists(st.integers(1, 40), min_size=steps, max_size=steps)), np.int64)
    return shares, sizes


@given(dealings())
def test_running_totals_are_the_share_rounded_up_or_down(given_: tuple[np.ndarray, np.ndarray]) -> None:
    shares, sizes = given_
    counts = deal(shares, sizes)
    assert counts.sum(axis=1).tolist() == sizes.tolist()
    assert (counts >= 0).all()
    due = np.cumsum(shares / shares.sum(axis=1, keepdims=True) * sizes[:, None], axis=0)
    assert np.abs(np.cumsum(counts, axis=0) - due).max() < 1 + 1e-4


@given(dealings())
def test_an_item_without_a_share_gets_nothing(given_: tuple[np.ndarray, np.ndarray]) -> None:
    shares, sizes = given_
    shares = np.concatenate([shares, np.zeros((len(shares), 1))], axis=1)
    assert deal(shares, sizes)[:, -1].sum() == 0


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_layout_in_memory_does_not_matter(order: str) -> None:
    shares = np.array(np.tile([0.3, 0.45, 0.25], (50, 1)), order=order)  # type: ignore[call-overload]
    assert deal(shares, np.full(50, 4)).sum(axis=1).tolist() == [4] * 50


def test_one_a_step_keeps_within_one_step() -> None:
    shares = np.tile([0.9, 0.07, 0.03], (1000, 1))
    item = deal_ones(shares)
    for number, part in enumerate([0.9, 0.07, 0.03]):
        taken = np.cumsum(item == number)
        assert np.abs(taken - part * np.arange(1, 1001)).max() < 1 + 1e-4


def test_a_row_without_any_share_is_refused() -> None:
    with pytest.raises(ValueError, match="none above 0"):
        deal(np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([1, 1]))


@given(size=st.one_of(st.integers(1, 300), st.integers(2040, 2060)), secret=st.integers(0, 2**64 - 1))
def test_shuffling_is_a_permutation_by_key(size: int, secret: int) -> None:
    found = shuffled(np.arange(size), size, secret)
    assert sorted(found.tolist()) == list(range(size))
    assert shuffled(np.array([size - 1]), size, secret)[0] == found[-1]
    if size > 30:
        assert found.tolist() != shuffled(np.arange(size), size, secret ^ 1).tolist()
