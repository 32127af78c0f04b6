"""Every view and macro is made once the tables of a scan are there: none of them waits in silence for a column."""

from __future__ import annotations

from pathlib import Path

from pipelines.extractors import discover
from warehouse import views
from warehouse.lake import Lake


def test_no_view_waits_once_every_signal_has_its_table(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    with lake.connect() as con:
        tables = [extractor.table for extractor in discover()]
        for table in tables:
            lake.ensure_table(con, table)
        assert views.refresh(con) == []
        made = con.execute(
            "SELECT view_name FROM duckdb_views() WHERE database_name = 'lake' "
            "UNION SELECT function_name FROM duckdb_functions() WHERE database_name = 'lake'"
        ).fetchall()
    assert {name for (name,) in made} == views.read().keys() | views.read_each(t.name for t in tables).keys()
