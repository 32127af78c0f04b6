"""Digests: equal for the same rows however they are stored, different for every change that matters."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pyarrow as pa
import pytest
from lakes import TABLES, scan, signals, stage, unit_rows

from warehouse.commit import RunInfo, commit_parts
from warehouse.digest import TableDigest, digests
from warehouse.lake import Lake
from warehouse.parts import key, write_part
from warehouse.schema import Column, signal_table


def digest_of(lake: Lake, row: dict[str, object]) -> TableDigest:
    """The digest of a lake that holds one signal row."""
    with lake.connect() as con:
        commit_parts(lake, con, RunInfo("scan"), stage(lake, {"signals_header": [row]}, "u"), TABLES)
        return digests(con)["signals_header"]


def test_neither_files_nor_runs_nor_row_order_matter(new_lake: Callable[[], Lake]) -> None:
    one, two = new_lake(), new_lake()
    with one.connect() as a, two.connect() as b:
        scan(one, a, [("/a", [1, 2, 3]), ("/b", [4, 5])])
        scan(two, b, [("/b", [4, 5])])
        scan(two, b, [("/a", [1, 2, 3])])
        assert digests(a) == digests(b)
        assert len(list(one.files("inputs").iterdir())) < len(list(two.files("inputs").iterdir()))


def test_units_and_file_times_are_left_out_but_nothing_else(new_lake: Callable[[], Lake]) -> None:
    found = []
    for change in (
        {},
        {"unit": "other"},
        {"file_stamp": "later"},
        {"license": "CC0"},
        {"offset": 7},
        {"opt_out": False},
    ):
        lake = new_lake()
        rows = [row | change for row in unit_rows([1, 2], "/a")["inputs"]]
        with lake.connect() as con:
            commit_parts(lake, con, RunInfo("scan"), stage(lake, {"inputs": rows}, "u"), TABLES)
            found.append(digests(con)["inputs"].digest)
    assert found[0] == found[1] == found[2]
    assert len(set(found)) == 4


def test_ledgers_are_left_out(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    scan(lake, con, [("/a", [1])])
    assert not {"runs", "parts"} & digests(con).keys()
    assert {"inputs", "captions", "signals_header", "decisions"} <= digests(con).keys()


@pytest.mark.parametrize(
    "change",
    [
        {"sharpness": 1 / 3 + 1e-6},
        {"phash": b"\0" * 7},
        {"phash": None},
        {"width": None},
        {"width": 101, "byte_size": 1002},
        {"media_type": ""},
        {"media_type": None},
        {"media_type": "image/jpeg\nstatus=2:ok"},
        {"error": "x"},
    ],
)
def test_every_change_of_a_value_shows(new_lake: Callable[[], Lake], change: dict[str, object]) -> None:
    assert digest_of(new_lake(), signals(1)) != digest_of(new_lake(), signals(1) | change)


def test_minus_zero_is_zero(new_lake: Callable[[], Lake]) -> None:
    zero, minus = (digest_of(new_lake(), signals(1) | {"sharpness": value}) for value in (0.0, -0.0))
    assert zero == minus


def test_the_order_in_which_columns_came_does_not_matter(new_lake: Callable[[], Lake]) -> None:
    columns = (Column("x", pa.int32(), "a number"), Column("y", pa.string(), "a text"))
    found = []
    for order in ((0, 1), (1, 0)):
        lake = new_lake()
        first = signal_table("extra", (columns[order[0]],), "one column")
        both = signal_table("extra", tuple(columns[i] for i in order), "both columns")
        with lake.connect() as con:
            lake.ensure_tables(con, [first])
            row = {"image_id": "a" * 32, "version": "1", "status": "ok", "x": 1, "y": "2"}
            part = write_part(lake, both, key("p"), "u", both.from_rows([row]))
            commit_parts(lake, con, RunInfo("scan"), [part], {both.name: both})
            found.append(digests(con)["signals_extra"])
    assert found[0] == found[1]
    assert found[0].rows == 1
