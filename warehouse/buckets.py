"""Aspect buckets: images of like shape are batched together, so that a batch has one shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

ASPECT_BUCKETS: tuple[str, ...] = ("1:1", "2:3", "3:2", "3:4", "4:3", "9:16", "16:9", "1:3", "3:1")
"""The default buckets, width:height (Qwen-Image technical report); a recipe may name others."""


def ratio(bucket: str) -> float:
    """Width over height of a bucket label such as "16:9"; ValueError where it is not one."""
    width, _, height = bucket.partition(":")
    try:
        value = float(width) / float(height)
    except (ValueError, ZeroDivisionError):
        value = 0.0
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"'{bucket}' is not an aspect bucket: write width:height, as in 16:9")
    return value


def nearest(width: int, height: int, buckets: Sequence[str] = ASPECT_BUCKETS) -> str:
    """Label of the bucket nearest to an upright image of this size in pixels; the earlier one on a tie.

    Nearest in the logarithm of the ratio: linearly, 1:2 would be nearer to 1:1 than to 1:3 and 2:1 would not.
    """
    if width <= 0 or height <= 0:
        raise ValueError(f"an image of {width}x{height} pixels has no aspect ratio")
    at = math.log(width / height)
    return min(buckets, key=lambda bucket: round(abs(math.log(ratio(bucket)) - at), 9))


def nearest_sql(width: str, height: str, buckets: Sequence[str] = ASPECT_BUCKETS) -> str:
    """`nearest` as a DuckDB expression over two column names or expressions; NULL where a size is NULL or not positive.

    Neighbouring buckets meet at the geometric mean of their ratios, so the rule is a ladder of comparisons.
    """
    ranks = {bucket: i for i, bucket in reversed(list(enumerate(buckets)))}
    unique: dict[float, str] = {}
    for bucket in ranks:  # of buckets with one ratio the first in the list stands, as in `nearest`
        unique[ratio(bucket)] = bucket
    ordered = [unique[value] for value in sorted(unique)]
    at = f"round(ln(CAST({width} AS DOUBLE) / {height}), 9)"
    steps = []
    for low, high in pairwise(ordered):
        middle = round((math.log(ratio(low)) + math.log(ratio(high))) / 2, 9)
        # on a tie the bucket that comes first in the list wins, as in `nearest`
        sign = "<=" if ranks[low] < ranks[high] else "<"
        steps.append(f"WHEN {at} {sign} {middle!r} THEN '{low}'")
    ladder = f"CASE {' '.join(steps)} ELSE '{ordered[-1]}' END" if steps else f"'{ordered[0]}'"
    return f"CASE WHEN {width} > 0 AND {height} > 0 THEN {ladder} END"
