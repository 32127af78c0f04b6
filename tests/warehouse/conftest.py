"""Lakes to test on. Making a catalog takes half a second, so one is made and copied."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from warehouse.lake import Lake


@pytest.fixture(scope="session")
def empty_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Lake.create(tmp_path_factory.mktemp("template") / "lake").root


@pytest.fixture
def new_lake(empty_lake: Path, tmp_path: Path) -> Callable[[], Lake]:
    """Makes empty lakes."""

    def make() -> Lake:
        root = tmp_path / f"lake-{len(list(tmp_path.glob('lake-*')))}"
        shutil.copytree(empty_lake, root)
        return Lake.open(root)

    return make


@pytest.fixture
def lake(new_lake: Callable[[], Lake]) -> Lake:
    return new_lake()


@pytest.fixture
def con(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    with lake.connect() as connection:
        yield connection
