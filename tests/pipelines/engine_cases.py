"""What every engine is held to: made rows, and what a plain Python group makes of them."""

from __future__ import annotations

from collections import Counter

import engine_work as work
from hypothesis import strategies as st

from pipelines.engines import Engine

Units = list[list[work.Row]]

_VALUES = st.one_of(st.none(), st.integers(-5, 5))
_NUMBERS = st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1))
_WORDS = st.text("ab字\n", max_size=3)
UNITS = st.one_of(
    *(st.lists(st.lists(st.tuples(keys, _VALUES), min_size=1), max_size=6) for keys in (_NUMBERS, _WORDS))
)


def assert_grouped(engine: Engine, units: Units) -> None:
    """Each row is in one call of `reduce`, each key in one alone, and the rows of a call are in order."""
    calls = list(engine.group(work.table_of, iter(units), key="key", reduce=work.whole))
    assert Counter(row for call in calls for row in call) == Counter(row for unit in units for row in unit)
    keys = Counter(key for call in calls for key in {row[0] for row in call})
    assert set(keys.values()) <= {1}
    for call in calls:
        assert call
        assert call == sorted(call, key=_order)


def _order(row: work.Row) -> tuple[object, ...]:
    key, value = row
    return (key.encode() if isinstance(key, str) else key, value is None, value or 0)
