"""Quotas as arithmetic: sums, bounds, monotony, exact deficits, and no order of keys plays a part."""

from __future__ import annotations

import math
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.balancing.quota import GENERAL, fill, plan, planned_size, track_cells
from pipelines.categories.taxonomy import load_taxonomy

NAMES = [f"c{n % 3}/l{n}" for n in range(9)]
SUPPLY = st.lists(st.integers(0, 50_000), min_size=9, max_size=9).map(lambda ns: dict(zip(NAMES, ns, strict=True)))
SHARES = st.lists(st.integers(1, 1000), min_size=9, max_size=9).map(
    lambda ns: {name: n / sum(ns) for name, n in zip(NAMES, ns, strict=True)}
)
CLASSES = {name: name.partition("/")[0] for name in NAMES}
PERCENT = st.sampled_from([0.002, 0.01, 0.05])
FEW = settings(max_examples=60)
KEEP = st.sampled_from([0.0, 0.1, 0.5, 0.9])


def shuffled(mapping: dict[str, int] | dict[str, float], seed: int) -> dict[str, float]:
    items = list(mapping.items())
    random.Random(seed).shuffle(items)
    return dict(items)


@FEW
@given(st.integers(0, 10_000), SHARES, SUPPLY, st.integers(0, 99))
def test_fill_sums_to_the_total_within_its_bounds(
    total: int, weights: dict[str, float], upper: dict[str, int], seed: int
) -> None:
    lower = {name: min(bound, 3) for name, bound in upper.items()}
    found = fill(total, weights, lower=lower, upper=upper)
    assert all(lower[n] <= found[n] <= upper[n] for n in NAMES)
    assert sum(found.values()) == min(max(total, sum(lower.values())), sum(upper.values()))
    assert found == fill(total, shuffled(weights, seed), lower=lower, upper=upper)


@FEW
@given(st.integers(0, 10_000), SHARES)
def test_without_bounds_each_is_within_one_of_its_share(total: int, shares: dict[str, float]) -> None:
    for name, images in fill(total, shares).items():
        assert abs(images - total * shares[name]) < 1


def test_a_water_level_by_hand() -> None:
    assert fill(10, {"a": 1, "b": 1, "c": 1}) == {"a": 4, "b": 3, "c": 3}
    assert fill(10, {"a": 0.5, "b": 0.3, "c": 0.2}, upper={"a": 2, "b": 9, "c": 9}) == {"a": 2, "b": 5, "c": 3}
    assert fill(9, {"a": 1, "b": 1}, upper={"a": 2, "b": 3}) == {"a": 2, "b": 3}
    assert fill(3, {"a": 1, "b": 0}, lower={"a": 0, "b": 2}) == {"a": 1, "b": 2}


@FEW
@given(SHARES, SUPPLY, PERCENT, KEEP, st.integers(0, 99))
def test_a_plan_takes_what_there_is_and_tells_exactly_what_lacks(
    shares: dict[str, float], supply: dict[str, int], tolerance: float, keep: float, seed: int
) -> None:
    made = plan(shares, supply, CLASSES, tolerance=tolerance, keep=keep)
    assert sum(made.quotas.values()) == made.size
    assert made.taken == {name: min(supply[name], made.quotas[name]) for name in NAMES}
    assert made.deficits == {n: made.quotas[n] - supply[n] for n in NAMES if made.quotas[n] > supply[n]}
    again = plan(shuffled(shares, seed), shuffled(supply, seed + 1), CLASSES, tolerance=tolerance, keep=keep)  # type: ignore[arg-type]
    assert again == made


@FEW
@given(SHARES, SUPPLY, PERCENT)
def test_no_class_or_leaf_stands_further_above_its_share_than_allowed(
    shares: dict[str, float], supply: dict[str, int], tolerance: float
) -> None:
    """Among the leaves that have images, whose shares count as the whole; give or take an image of rounding each."""
    size, scarce = planned_size(shares, supply, CLASSES, tolerance=tolerance)
    counted = {n: share for n, share in shares.items() if n not in scarce}
    if not counted:
        assert size == 0
        return
    assert scarce == {n for n in NAMES if not supply[n]}
    taken = {n: min(float(supply[n]), size * share) for n, share in counted.items()}
    total, whole = math.fsum(taken.values()), math.fsum(counted.values())
    for group in ([n] for n in counted), ([n for n in counted if CLASSES[n] == c] for c in set(CLASSES.values())):
        for members in group:
            share = math.fsum(taken[n] for n in members) / total
            assert share - math.fsum(counted[n] for n in members) / whole <= tolerance + 1e-9


@FEW
@given(SHARES, SUPPLY)
def test_a_larger_tolerance_or_keep_never_plans_for_fewer(shares: dict[str, float], supply: dict[str, int]) -> None:
    by_tolerance = [planned_size(shares, supply, CLASSES, tolerance=t)[0] for t in (0.001, 0.01, 0.1)]
    assert by_tolerance == sorted(by_tolerance)
    taken = [sum(plan(shares, supply, CLASSES, keep=k).taken.values()) for k in (0.0, 0.3, 0.6, 1.0)]
    for share, images in zip((0.0, 0.3, 0.6), taken[:3], strict=True):
        assert images >= share * sum(supply.values()) - len(NAMES)  # rounding down costs less than an image a leaf


@FEW
@given(SHARES, SUPPLY, st.integers(0, 200_000), st.integers(0, 5_000))
def test_a_larger_size_only_adds(shares: dict[str, float], supply: dict[str, int], size: int, more: int) -> None:
    small = plan(shares, supply, CLASSES, size=size or 1)
    large = plan(shares, supply, CLASSES, size=(size or 1) + more)
    assert sum(large.taken.values()) >= sum(small.taken.values())
    # largest remainder may take one image from a leaf as the total grows, the known Alabama paradox; never more
    assert all(large.taken[n] >= small.taken[n] - 1 for n in NAMES)


@st.composite
def leaves_and_cells(draw: st.DrawFn) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    supply = {(leaf, track): draw(st.integers(0, 300)) for leaf in NAMES[:5] for track in (GENERAL, "text", "portrait")}
    taken = {
        leaf: draw(st.integers(0, sum(n for (owner, _), n in supply.items() if owner == leaf))) for leaf in NAMES[:5]
    }
    return taken, supply


@FEW
@given(leaves_and_cells(), st.integers(0, 500), st.integers(0, 500))
def test_tracks_are_raised_to_their_floors_and_leaves_keep_their_quotas(
    made: tuple[dict[str, int], dict[tuple[str, str], int]], text: int, portrait: int
) -> None:
    taken, supply = made
    cells = track_cells(taken, supply, {"text": text, "portrait": portrait})
    for leaf, images in taken.items():
        assert sum(n for (owner, _), n in cells.items() if owner == leaf) == images
    assert all(0 <= cells[cell] <= supply[cell] for cell in cells)
    room = sum(min(supply[leaf, "text"], taken[leaf]) for leaf in taken)
    assert sum(n for (_, track), n in cells.items() if track == "text") >= min(text, room)
    left = sum(min(supply[leaf, "portrait"], taken[leaf] - cells[leaf, "text"]) for leaf in taken)
    assert sum(n for (_, track), n in cells.items() if track == "portrait") >= min(portrait, left)
    without = track_cells(taken, supply, {"text": 0, "portrait": 0})
    assert all(cells[leaf, "text"] >= without[leaf, "text"] for leaf in taken)


def test_the_published_shares_hold_where_there_is_enough_of_everything() -> None:
    taxonomy = load_taxonomy()
    shares = {leaf.path: leaf.share for leaf in taxonomy.leaves}
    classes = {leaf.path: leaf.class_name for leaf in taxonomy.leaves}
    made = plan(shares, dict.fromkeys(shares, 40_000), classes, size=100_000)
    assert made.deficits == {}
    assert all(abs(made.taken[leaf] / 100_000 - share) < 1e-5 for leaf, share in shares.items())
