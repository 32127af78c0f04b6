"""`glyphmill query`: the same rows as a table, CSV and JSON; wrong or writing SQL is one line."""

from __future__ import annotations

import csv
import io
import json

import duckdb
import pytest
from lakes import scan
from typer.testing import CliRunner

from warehouse.cli import app
from warehouse.errors import UsageError
from warehouse.lake import Lake

ODD = """
    SELECT 1 AS n, 'a "b", ü 字
line' AS t, NULL AS missing, [1, 2] AS l, {'k': 'v'} AS s, '\\xAB\\x00'::BLOB AS b,
    TIMESTAMPTZ '2026-01-02 03:04:05+00' AS at, true AS yes, 0.1::DOUBLE AS f,
    sum(2::HUGEINT) AS h, 1.50::DECIMAL(5, 2) AS d
"""


def ask(lake: Lake, sql: str, form: str = "json"):
    return CliRunner().invoke(app, ["query", sql, "--lake", str(lake.root), "--format", form])


def test_json_keeps_types(lake: Lake) -> None:
    (row,) = json.loads(ask(lake, ODD).stdout)
    assert row == {
        "n": 1,
        "t": 'a "b", ü 字\nline',
        "missing": None,
        "l": [1, 2],
        "s": {"k": "v"},
        "b": "ab00",
        "at": "2026-01-02T03:04:05+00:00",
        "yes": True,
        "f": 0.1,
        "h": 2,
        "d": 1.5,
    }
    assert json.loads(ask(lake, "SELECT 1 WHERE false").stdout) == []
    told = ask(lake, "SELECT 'inf'::FLOAT AS f, [1.5, 'nan'::DOUBLE] AS l").stdout
    assert json.loads(told, parse_constant=pytest.fail) == [{"f": "inf", "l": [1.5, "nan"]}]


def test_csv_reads_back(lake: Lake) -> None:
    (row,) = csv.DictReader(io.StringIO(ask(lake, ODD, "csv").stdout, newline=""))
    assert row == {
        "n": "1",
        "t": 'a "b", ü 字\nline',
        "missing": "",
        "l": "[1, 2]",
        "s": '{"k": "v"}',
        "b": "ab00",
        "at": "2026-01-02T03:04:05+00:00",
        "yes": "true",
        "f": "0.1",
        "h": "2",
        "d": "1.5",
    }
    assert ask(lake, "SELECT 1 AS a WHERE false", "csv").stdout == "a\n"


def test_many_rows_come_whole(lake: Lake) -> None:
    assert len(json.loads(ask(lake, "FROM range(25000)").stdout)) == 25_000
    assert ask(lake, "FROM range(25000)", "csv").stdout.count("\n") == 25_001


def test_the_table_shows_views(lake: Lake, con: duckdb.DuckDBPyConnection) -> None:
    scan(lake, con, [("/a", [1, 2])])
    told = ask(lake, "SELECT uri, status FROM lineage", "table")
    assert told.exit_code == 0
    assert told.stdout.count("/a") == 2


@pytest.mark.parametrize("form", ["table", "csv", "json"])
@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELCT 1", "SELCT"),
        ("SELECT * FROM nothing_there", "nothing_there"),
        ("DELETE FROM inputs", "read-only"),
        ("CREATE TABLE lake.t (a INT)", "read-only"),
        ("SELECT error('at the second row')", "second row"),
    ],
)
def test_wrong_or_writing_sql_is_one_line(lake: Lake, form: str, sql: str, says: str) -> None:
    caught = ask(lake, sql, form).exception
    assert isinstance(caught, UsageError)
    assert says in str(caught)
    assert "\n" not in str(caught)
