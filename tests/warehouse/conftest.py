"""Lakes to test on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from empty_lakes import empty_lake

from warehouse.lake import Lake


@pytest.fixture
def new_lake(tmp_path: Path) -> Callable[[], Lake]:
    """Makes empty lakes."""
    return lambda: empty_lake(tmp_path / f"lake-{len(list(tmp_path.glob('lake-*')))}")


@pytest.fixture
def lake(new_lake: Callable[[], Lake]) -> Lake:
    return new_lake()


@pytest.fixture
def con(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    with lake.connect() as connection:
        yield connection
