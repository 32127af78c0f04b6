"""Rows and reductions for the tests of `group`: module-level functions, as workers import them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from engine_work import fail_on_two

Row = tuple[int | str, int | None]


def table_of(unit: list[Row]) -> pa.Table:
    kind = pa.string() if unit and isinstance(unit[0][0], str) else pa.int64()
    return pa.table({"value": pa.array([r[1] for r in unit], pa.int64()), "key": pa.array([r[0] for r in unit], kind)})


def whole(table: pa.Table) -> list[Row]:
    return [(row["key"], row["value"]) for row in table.to_pylist()]


def count(table: pa.Table) -> int:
    return int(table.num_rows)


NUMBERED = 250_000


def numbered(unit: int) -> pa.Table:
    keys = np.random.default_rng(unit).integers(0, 2**60, NUMBERED)
    return pa.table({"key": keys, "value": keys[::-1]})


def rows_fail_on_two(unit: int) -> pa.Table:
    return table_of([(fail_on_two(unit), 0)])


def reduce_fails(table: pa.Table) -> int:
    raise ValueError("not to be reduced")
