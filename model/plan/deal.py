"""Dealing whole samples to fractional shares, so that running totals are right to within one sample at every step."""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

_BITS = 24
UNIT = 1 << _BITS  # parts of one sample that shares are counted in: exact sums, whatever the number of steps


def deal(shares: Float64, sizes: Int64) -> Int64:
    """Counts (steps, items) of whole samples: row n sums to `sizes[n]`, and after every row each item has had its
    running share, `sum of shares * sizes`, rounded down or up.

    `shares` (steps, items) are >= 0 and need not sum to 1; each row has one above 0. The rule is the earliest deadline
    first: the k-th sample of an item may not come before its running share exceeds k - 1 and must have come when it
    reaches k. That such a dealing exists is Tijdeman's theorem (The chairman assignment problem, 1980).
    """
    growth = _growth(shares, sizes)
    counts = np.ascontiguousarray(growth >> _BITS)
    if shares.shape[1] > 1:
        _deal_rest(growth & (UNIT - 1), sizes - counts.sum(axis=1), counts)
    return counts


def deal_ones(shares: Float64) -> Int64:
    """The item (steps,) that each step belongs to: `deal` of one sample a step."""
    if shares.shape[1] == 1:
        return np.zeros(len(shares), np.int64)
    found: Int64 = deal(shares, np.ones(len(shares), np.int64)).argmax(axis=1)
    return found


def _growth(shares: Float64, sizes: Int64) -> Int64:
    """What each item is due of each row, in UNITs; rows sum to `sizes` exactly."""
    if len(shares) and not (shares.sum(axis=1) > 0).all():
        raise ValueError("a row of shares has none above 0")
    upto = np.cumsum(shares, axis=1)
    upto /= upto[:, -1:]
    total = sizes * UNIT
    bounds = np.minimum(np.rint(upto * total[:, None]).astype(np.int64), total[:, None])
    bounds[:, -1] = total
    return np.diff(bounds, axis=1, prepend=np.int64(0))


def _deal_rest(parts: Int64, places: Int64, counts: Int64) -> None:
    """Give the `places` that whole samples left over in each row to the items whose `parts` of samples add up."""
    due = np.cumsum(parts, axis=0)
    items = parts.shape[1]
    released: list[list[int]] = []
    deadline: list[list[int]] = []
    for item in range(items):
        last = int(due[-1, item]) if len(due) else 0
        number = np.arange(-(-last // UNIT), dtype=np.int64)
        released.append(np.searchsorted(due[:, item], number * UNIT, side="right").tolist())
        deadline.append(np.searchsorted(due[:, item], (number + 1) * UNIT, side="left").tolist())
    given = [0] * items
    waiting = [(rows[0], item) for item, rows in enumerate(released) if rows]  # next sample of an item, by release
    waiting.sort()
    ready: list[tuple[int, int]] = []  # the same once released, by deadline
    cells: list[int] = []
    open_rows = np.flatnonzero(places)
    for row, number in zip(open_rows.tolist(), places[open_rows].tolist(), strict=True):
        while waiting and waiting[0][0] <= row:
            _, item = heappop(waiting)
            heappush(ready, (deadline[item][given[item]], item))
        for _ in range(number):
            _, item = heappop(ready)
            cells.append(row * items + item)
            given[item] += 1
            if given[item] < len(released[item]):
                at = released[item][given[item]]
                if at <= row:
                    heappush(ready, (deadline[item][given[item]], item))
                else:
                    heappush(waiting, (at, item))
    np.add.at(counts.ravel(), np.array(cells, np.int64), 1)  # a view: counts lie row by row
