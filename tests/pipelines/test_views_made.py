"""Every view and macro is made once the tables of a scan are there: none of them waits in silence for a column."""

from __future__ import annotations

from pathlib import Path

from decision_lakes import fill, image_id

from pipelines.decide import decide
from pipelines.extractors import discover
from pipelines.recipe import load
from warehouse import views
from warehouse.lake import Lake


def test_no_view_waits_once_every_signal_has_its_table(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    with lake.connect() as con:
        tables = [extractor.table for extractor in discover()]
        lake.ensure_tables(con, tables)
        assert views.refresh(con) == []
        made = con.execute(
            "SELECT view_name FROM duckdb_views() WHERE database_name = 'lake' "
            "UNION SELECT function_name FROM duckdb_functions() WHERE database_name = 'lake'"
        ).fetchall()
    assert {name for (name,) in made} == views.read().keys() | views.read_each(t.name for t in tables).keys()


def test_all_signals_has_a_column_for_each_and_grows_with_the_lake(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    fill(lake, {"a": {"luma": 77.0}, "b": {}}, captions=[("a", "raw", "a page")])
    decide(lake, load("basic"))
    with lake.connect() as con:
        asked = "SELECT luma, caption_count, synthetic FROM all_signals WHERE image_id = ?"
        assert con.execute(asked, [image_id("a")]).fetchall() == [(77.0, 1, False)]
        before = {row[0] for row in con.execute("DESCRIBE all_signals").fetchall()}
        (codes,) = (e.table for e in discover(()) if e.name == "codes")
        lake.ensure_tables(con, [codes])
    decide(lake, load("basic"))
    with lake.connect(read_only=True) as con:
        after = {row[0] for row in con.execute("DESCRIBE all_signals").fetchall()}
        assert con.execute("SELECT count(*) FROM all_signals").fetchall() == [(2,)]
    assert after - before == {c.name for c in codes.columns} - {"image_id", "version", "status", "error"}
