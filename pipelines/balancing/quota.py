"""How many images of each leaf and track to take: pure arithmetic over counts. The same on every machine.

Every question here is one of filling vessels to a common level: `fill` takes level x weight of each key, no less than
its lower and no more than its upper bound, so that the whole is as asked. Balance by entries, p = min(1, t / n) of Xu
et al. 2023 ("Demystifying CLIP Data"), is the case with equal weights; here the weights are target shares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

K = TypeVar("K", bound=str)

GENERAL = "general"  # the cell of images of a leaf that are on no track


@dataclass(frozen=True)
class Plan:
    """What stage 6 takes. `size`: planned images; `quotas` by leaf sum to it; `taken` = min(supply, quota) by leaf.

    `scarce`: leaves that cannot be balanced at the least size that was asked for, and so did not bound it.
    """

    size: int
    quotas: Mapping[str, int]
    taken: Mapping[str, int]
    scarce: frozenset[str] = frozenset()

    @property
    def deficits(self) -> dict[str, int]:
        """Images that each leaf lacks, quota - supply, where that is more than none."""
        return {leaf: quota - self.taken[leaf] for leaf, quota in self.quotas.items() if quota > self.taken[leaf]}


def plan(
    shares: Mapping[str, float],
    supply: Mapping[str, int],
    classes: Mapping[str, str],
    *,
    size: int | None = None,
    tolerance: float = 0.01,
    keep: float = 0.0,
) -> Plan:
    """Quotas of the leaves by their target `shares` (sum 1), for a total of `size`, or of `planned_size` where None.

    What a leaf lacks is not given to others: a deficit stays a deficit, and shares of the planned size hold exactly.
    """
    scarce: frozenset[str] = frozenset()
    if size is None:
        size, scarce = planned_size(shares, supply, classes, tolerance=tolerance, keep=keep)
    quotas = fill(size, shares)
    taken = {leaf: min(supply.get(leaf, 0), quota) for leaf, quota in quotas.items()}
    return Plan(size, quotas, taken, scarce)


def planned_size(
    shares: Mapping[str, float],
    supply: Mapping[str, int],
    classes: Mapping[str, str],
    *,
    tolerance: float,
    keep: float = 0.0,
) -> tuple[int, frozenset[str]]:
    """The largest total at which no class and no leaf stands more than `tolerance` above its share; and scarce leaves.

    With a total of c, leaf l (share T, supply n) gives min(n, c T): S(c) in all. A leaf that gives its quota then has
    the share T c / S(c) of what is taken: T d / (1 - d) too much, where d = 1 - S(c) / c is what is lacking of c. So
    the bound is d <= tolerance / (largest class share + tolerance); d never falls as c grows, and S is linear between
    the levels n / T at which a leaf runs out, so the largest c is found exactly.

    A leaf without images would bound the total at 0, and one with three at some forty. The total is therefore at least
    the level at which the share `keep` of the supply is taken; leaves that run out below it are scarce: they give what
    they have, their deficits are told, and shares are reckoned among the others. Returns 0 where there is no supply.
    """
    wanted = {leaf: share for leaf, share in sorted(shares.items()) if share > 0 and supply.get(leaf, 0) > 0}
    if not wanted:
        return 0, frozenset(leaf for leaf, share in shares.items() if share > 0)
    runs_out = {leaf: supply[leaf] / share for leaf, share in wanted.items()}
    least = min(_level(keep * sum(supply[leaf] for leaf in wanted), wanted, supply), max(runs_out.values()))
    counted = {leaf: share for leaf, share in wanted.items() if runs_out[leaf] >= least}
    scarce = frozenset(leaf for leaf, share in shares.items() if share > 0 and leaf not in counted)
    whole = math.fsum(counted.values())
    by_class: dict[str, list[float]] = {}
    for leaf, share in counted.items():
        by_class.setdefault(classes[leaf], []).append(share)
    largest = max(math.fsum(members) for members in by_class.values()) / whole
    lacking = tolerance / (largest + tolerance) if tolerance > 0 else 0.0
    at_least = (1 - lacking) * whole  # S(c) / c must not fall below this
    exhausted, open_share = 0.0, whole
    total = 0.0
    for leaf in sorted(counted, key=lambda name: (runs_out[name], name)):
        level = runs_out[leaf]
        if exhausted + level * open_share < at_least * level:
            total = min(level, exhausted / (at_least - open_share))
            break
        total = level
        exhausted += supply[leaf]
        open_share -= counted[leaf]
    return max(1, math.floor(total + 1e-9)), scarce


def track_cells(
    taken: Mapping[str, int], supply: Mapping[tuple[str, str], int], floors: Mapping[str, int]
) -> dict[tuple[str, str], int]:
    """Divide each leaf's `taken` among its tracks: (leaf, track) to images; the track `general` is no track.

    Each track first gets what its share of the leaf's supply is. A track that then has less than its floor in all is
    raised, in every leaf by the same level of its supply, at the cost of the leaf's other images; `floors` are met in
    their order, the first first, as far as there is supply.
    """
    cells: dict[tuple[str, str], int] = {}
    for leaf, total in sorted(taken.items()):
        have = {track: n for (owner, track), n in supply.items() if owner == leaf}
        cells |= {(leaf, track): n for track, n in fill(total, have, upper=have).items()}
    settled: list[str] = []
    for track, floor in floors.items():
        own = {leaf: supply[leaf, track] for leaf in taken if supply.get((leaf, track), 0)}
        room = {leaf: taken[leaf] - sum(cells.get((leaf, other), 0) for other in settled) for leaf in own}
        lower = {leaf: min(cells[leaf, track], room[leaf]) for leaf in own}
        upper = {leaf: min(own[leaf], room[leaf]) for leaf in own}
        raised = fill(max(floor, sum(lower.values())), own, lower=lower, upper=upper)
        settled.append(track)
        for leaf, images in raised.items():
            cells[leaf, track] = images
            _give_way(cells, leaf, taken[leaf], settled, supply)
    return cells


def _give_way(
    cells: dict[tuple[str, str], int],
    leaf: str,
    total: int,
    settled: list[str],
    supply: Mapping[tuple[str, str], int],
) -> None:
    """The tracks of a leaf that are not settled yet share what the settled ones leave."""
    others = {track: supply[owner, track] for owner, track in cells if owner == leaf and track not in settled}
    left = total - sum(cells.get((leaf, track), 0) for track in settled)
    for track, images in fill(left, others, upper=others).items():
        cells[leaf, track] = images


def fill(
    total: int,
    weights: Mapping[K, float],
    *,
    lower: Mapping[K, int] | None = None,
    upper: Mapping[K, int] | None = None,
) -> dict[K, int]:
    """Whole numbers in proportion to `weights`, within their bounds, that sum to `total` as far as the bounds let them.

    The numbers are level x weight for one level, cut at the bounds, then rounded by largest remainder (ties by name).
    What has no weight gets its lower bound.
    """
    keys = sorted(weights)
    low = {k: lower[k] if lower else 0 for k in keys}
    high: dict[K, float] = {k: (upper[k] if upper else math.inf) if weights[k] > 0 else low[k] for k in keys}
    at = _water_level(total, keys, weights, low, high)
    exact = {k: min(max(at * weights[k], low[k]), high[k]) if weights[k] > 0 else float(low[k]) for k in keys}
    whole = {k: math.floor(exact[k] + 1e-9) for k in keys}
    missing = total - sum(whole.values())
    by_remainder = sorted(keys, key=lambda k: (whole[k] - exact[k], k))
    for k in by_remainder:
        if missing <= 0:
            break
        if whole[k] < high[k]:
            whole[k] += 1
            missing -= 1
    return whole


def _water_level(
    total: float, keys: list[K], weights: Mapping[K, float], low: Mapping[K, float], high: Mapping[K, float]
) -> float:
    """The level at which the cut amounts sum to `total`, 0 or the last bend where none does."""
    # An amount rises between its two bends; both are compared as they were divided, so that no rounding moves a bend.
    spans = [(low[k] / weights[k], high[k] / weights[k], weights[k]) for k in keys if weights[k] > 0]
    at, amount = 0.0, float(sum(low[k] for k in keys))
    for bend in sorted({bend for start, end, _ in spans for bend in (start, end)}):
        rising = math.fsum(weight for start, end, weight in spans if start <= at < end)
        if amount + rising * (bend - at) >= total:
            return at + (total - amount) / rising if rising and total > amount else at
        if math.isfinite(bend):
            amount += rising * (bend - at)
            at = bend
    return at


def _level(total: float, shares: Mapping[str, float], supply: Mapping[str, int]) -> float:
    """The level c at which min(supply, c x share) sums to `total`."""
    keys = sorted(shares)
    return _water_level(total, keys, shares, dict.fromkeys(keys, 0), {k: supply[k] for k in keys})
