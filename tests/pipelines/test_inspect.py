"""Inspect: what an image lacks is measured, once; what cannot be read stays pending; captions cost no decode."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from decision_lakes import fill
from empty_lakes import empty_lake
from pictures import encoded, photo

from pipelines.decide import decide
from pipelines.engines.local import LocalEngine
from pipelines.export import export
from pipelines.extractors import discover
from pipelines.inspect import inspect, plan
from pipelines.recipe import Recipe, installed_tables, loads
from pipelines.scan import scan
from warehouse.digest import digests
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.sources import open_source

HERE = LocalEngine(workers=0)
CHANGED = "its bytes changed since the scan"

EXTRACTORS = {
    "shade": '''
        """Mean red of the full picture, and how often this was asked, in a file beside this one."""
        from pathlib import Path
        import pyarrow as pa
        from pipelines.extractors.base import Extractor
        from warehouse.schema import Column

        def measure(batch):
            with Path(__file__).with_suffix(".log").open("a") as log:
                log.writelines(f"{s.image_id}\\n" for s in batch)
            return [{"shade": round(sum(s.full.resize((1, 1)).getpixel((0, 0))) / 3, 2), "full_width": s.full.width}
                    for s in batch]

        COLUMNS = (Column("shade", pa.float32(), "0 to 255"), Column("full_width", pa.int32(), "pixels"))
        EXTRACTOR = Extractor("shade", "VERSION", "mean shade", COLUMNS, measure, needs="image")
        ''',
    "words": '''
        """Words of each caption, with what came before."""
        import pyarrow as pa
        from pipelines.extractors.base import Extractor
        from warehouse.schema import Aggregate, Column

        def measure(batch):
            return [[{"caption_id": c.caption_id, "words": len(c.text.split()), "of_shade": s.rows["shade"]["shade"]}
                     for c in s.captions] for s in batch]

        COLUMNS = (Column("words", pa.int32(), ""), Column("of_shade", pa.float32(), ""))
        EXTRACTOR = Extractor("words", "1", "words", COLUMNS, measure, needs="captions", per="caption",
            after=("shade",),
            aggregates=(Aggregate("most_words", "max(words)", "words of the longest caption", none="0"),))
        ''',
    "absent": '''
        """Needs weights that nobody has."""
        import pyarrow as pa
        from pipelines.extractors.base import Extractor
        from warehouse.schema import Column

        def measure(batch):
            raise AssertionError("never called")

        EXTRACTOR = Extractor("absent", "1", "absent", (Column("beauty", pa.float32(), ""),), measure, needs="image",
            missing=lambda: "put its weights at [absent] in models.toml")
        ''',
}  # fmt: skip

RECIPE = """
name = "inspected"
store_from = 1
scales = [256]
[[stage]]
number = 1
name = "size"
rules = [{ name = "wide", when = "width >= 100" }]
[[stage]]
number = 3
name = "words"
rules = [{ name = "told", when = "most_words >= LEAST" }, { name = "light", when = "shade >= 0" }]
"""


@pytest.fixture
def signals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "signals"
    folder.mkdir()
    for name, code in EXTRACTORS.items():
        (folder / f"{name}.py").write_text(dedent(code).replace("VERSION", "1"))
    monkeypatch.setenv("GLYPHMILL_EXTRACTORS", str(folder))
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(6):
        size = (80, 60) if number == 5 else (160 + number, 120)
        (folder / f"{number}.png").write_bytes(encoded(photo(*size, number), "PNG"))
        if number != 4:
            (folder / f"{number}.txt").write_text("one two three" if number else "one")
    return folder


def recipe(least: int = 2) -> Recipe:
    return loads(RECIPE.replace("LEAST", str(least)), "test.toml", installed_tables())


def prepared(root: Path, photos: Path, chosen: Recipe) -> Lake:
    lake = empty_lake(root)
    scan(lake, open_source(str(photos)), engine=HERE)
    decide(lake, chosen)
    return lake


def rows(lake: Lake, sql: str) -> list[tuple[object, ...]]:
    with lake.connect(read_only=True) as con:
        return con.execute(sql).fetchall()


def asked(signals: Path) -> list[str]:
    log = signals / "shade.log"
    return log.read_text().split() if log.exists() else []


def raised(signals: Path) -> Path:
    """The extractors in another folder, the one of shades in a raised version."""
    moved = signals.with_name("raised")
    shutil.copytree(signals, moved, ignore=shutil.ignore_patterns("*.log"))
    code = (moved / "shade.py").read_text()
    (moved / "shade.py").write_text(code.replace('"shade", "1"', '"shade", "2"'))
    return moved


def test_what_is_not_dropped_is_measured_once(tmp_path: Path, photos: Path, signals: Path) -> None:
    chosen = recipe()
    lake = prepared(tmp_path / "lake", photos, chosen)
    assert rows(lake, "SELECT outcome, count(*) FROM decisions GROUP BY ALL ORDER BY ALL") == [
        ("dropped", 2),  # one is small, one has no caption: no words, and nothing to wait for
        ("pending", 4),
    ]
    assert plan(lake, chosen) == "inspect: 4 images lack one of shade, words"
    done = inspect(lake, chosen, engine=HERE)
    assert (done.images, done.errors, done.unread) == (4, {}, [])
    assert len(asked(signals)) == 4
    assert rows(lake, "SELECT min(full_width), max(full_width) FROM signals_shade") == [(160, 163)]
    assert rows(lake, "SELECT count(*) FROM signals_words WHERE of_shade IS NULL") == [(0,)]
    decide(lake, chosen)
    assert rows(lake, "SELECT outcome, count(*) FROM decisions GROUP BY ALL ORDER BY ALL") == [
        ("dropped", 3),
        ("kept", 3),
    ]
    assert not inspect(lake, chosen, engine=HERE).committed
    assert len(asked(signals)) == 4


def test_a_later_caption_is_measured_alone_and_leaves_the_image_pending_until_then(
    tmp_path: Path, photos: Path, signals: Path
) -> None:
    chosen = recipe()
    lake = prepared(tmp_path / "lake", photos, chosen)
    inspect(lake, chosen, engine=HERE)
    (kept,) = rows(lake, "SELECT image_id FROM inputs WHERE uri LIKE '%/1.png'")[0]
    (photos / "again").mkdir()
    shutil.copy(photos / "1.png", photos / "again")
    (photos / "again" / "1.txt").write_text("four words are here")
    scan(lake, open_source(str(photos / "again")), engine=HERE, batch="later")
    decide(lake, chosen)
    assert rows(lake, f"SELECT outcome, missing_signals FROM decisions WHERE image_id = '{kept}'") == [
        ("pending", ["most_words"])
    ]
    before = asked(signals)
    assert inspect(lake, chosen, engine=HERE, pending=True).images == 1
    assert asked(signals) == before  # no byte was read for it
    decide(lake, chosen)
    assert rows(lake, f"SELECT outcome FROM decisions WHERE image_id = '{kept}'") == [("kept",)]
    assert sorted(rows(lake, f"SELECT words FROM signals_words WHERE image_id = '{kept}'")) == [(3,), (4,)]


def test_a_raised_version_redoes_it_and_what_comes_after_it(
    tmp_path: Path, photos: Path, signals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = recipe()
    lake = prepared(tmp_path / "lake", photos, chosen)
    inspect(lake, chosen, engine=HERE)
    moved = raised(signals)
    monkeypatch.setenv("GLYPHMILL_EXTRACTORS", str(moved))
    assert inspect(lake, recipe(), engine=HERE).images == 4
    assert len(asked(moved)) == 4
    assert not inspect(lake, recipe(), engine=HERE).images
    assert rows(lake, "SELECT count(DISTINCT version), count(*) FROM signals_words") == [(1, 4)]


def test_a_loosened_recipe_shows_as_pending_until_it_is_inspected(tmp_path: Path, photos: Path, signals: Path) -> None:
    chosen = recipe()
    lake = prepared(tmp_path / "lake", photos, chosen)
    inspect(lake, chosen, engine=HERE)
    decide(lake, chosen)
    loose = loads(chosen.toml.replace("width >= 100", "width >= 50"), "loose.toml", installed_tables())
    measured = len(asked(signals))
    decide(lake, loose)
    assert rows(
        lake, f"SELECT outcome, count(*) FROM decisions WHERE recipe = '{loose.hash}' GROUP BY ALL ORDER BY ALL"
    ) == [
        ("dropped", 2),
        ("kept", 3),
        ("pending", 1),
    ]
    assert len(asked(signals)) == measured
    assert inspect(lake, loose, engine=HERE, pending=True).images == 1
    decide(lake, loose)
    assert rows(lake, f"SELECT count(*) FROM decisions WHERE recipe = '{loose.hash}' AND outcome = 'pending'") == [(0,)]


def test_what_only_a_late_stage_drops_is_inspected_for_the_early_scale(
    tmp_path: Path, photos: Path, signals: Path
) -> None:
    late = """
[[stage]]
number = 5
name = "late"
rules = [{ name = "wider", when = "width >= 162" }, { name = "lighter", when = "full_width >= 0" }]
"""
    staged = RECIPE.replace("LEAST", "1").replace("scales = [256]", "[[scale]]\nside = 64\nfrom_stage = 3") + late
    chosen = loads(staged, "staged.toml", installed_tables())
    lake = prepared(tmp_path / "lake", photos, chosen)
    assert inspect(lake, chosen, engine=HERE).images == 4  # all but the small one and the one without a caption
    assert decide(lake, chosen).counts["kept"] == 2
    assert export(lake, chosen, engine=HERE).by_scale == {64: 4}
    only_late = loads(staged.replace("from_stage = 3", "from_stage = 1"), "late.toml", installed_tables())
    decide(lake, only_late)
    again = raised(signals)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLYPHMILL_EXTRACTORS", str(again))
        assert plan(lake, only_late) == "inspect: 4 images lack one of shade, words"


def test_an_absent_extractor_is_refused_by_name_before_any_work(tmp_path: Path, photos: Path, signals: Path) -> None:
    lake = prepared(tmp_path / "lake", photos, recipe())
    text = RECIPE.replace("most_words >= LEAST", "beauty > 5")
    wanting = loads(text, "test.toml", installed_tables())
    with pytest.raises(
        UsageError, match=r"recipe inspected, rule 'told': extractor absent cannot run here: put its weights"
    ):
        inspect(lake, wanting, engine=HERE)
    with pytest.raises(UsageError, match="no extractor nowhere for inspect"):
        inspect(lake, recipe(), engine=HERE, extractors=["nowhere"])
    with pytest.raises(UsageError, match="nothing is decided by recipe inspected yet"):
        inspect(lake, recipe(7), engine=HERE)
    assert not asked(signals)


def test_bytes_that_are_gone_leave_the_image_pending_and_are_read_from_the_pool(
    tmp_path: Path, photos: Path, signals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = recipe()
    lake = prepared(tmp_path / "lake", photos, chosen)
    (photos / "1.png").rename(photos / "1.away")
    (photos / "2.png").write_bytes(encoded(photo(200, 100, 99), "PNG"))
    done = inspect(lake, chosen, engine=HERE)
    assert done.images == 2
    gone = f"read: {photos / '1.png'}: No such file or directory"
    assert {reason for _, reason in done.unread} == {gone, CHANGED}
    assert rows(lake, "SELECT count(*) FROM signals_shade WHERE status = 'error'") == [(0,)]
    assert rows(lake, "SELECT count(*) FROM signals_words") == [(2,)]  # nor is a row made of captions without its shade
    (photos / "1.away").rename(photos / "1.png")
    assert inspect(lake, chosen, engine=HERE).images == 1
    decide(lake, chosen)
    export(lake, chosen, engine=HERE)
    shutil.rmtree(photos)
    monkeypatch.setenv("GLYPHMILL_EXTRACTORS", str(raised(signals)))
    stored = inspect(lake, recipe(), engine=HERE)
    assert (stored.images, len(stored.unread)) == (2, 1)  # the changed one was never stored


def test_a_failing_extractor_costs_one_image_and_workers_change_nothing(
    tmp_path: Path, photos: Path, signals: Path
) -> None:
    code = (signals / "shade.py").read_text()
    (signals / "shade.py").unlink()
    (signals / "shade_bad.py").write_text(
        code.replace(
            "    return [", "    if any(s.full.width == 162 for s in batch): raise ValueError('no 162')\n    return ["
        )
    )
    found: list[dict[str, object]] = []
    for name, workers in (("a", 0), ("b", 2)):
        chosen = recipe()
        lake = prepared(tmp_path / name, photos, chosen)
        done = inspect(lake, chosen, engine=LocalEngine(workers=workers))
        assert done.errors == {"shade: extractor": 1, "words: extractor": 1}
        assert rows(lake, "SELECT error FROM signals_shade WHERE status = 'error'") == [
            ("extractor: ValueError: no 162",)
        ]
        with lake.connect(read_only=True) as con:
            found.append(dict(digests(con)))
    assert found[0]["signals_shade"] == found[1]["signals_shade"]
    assert found[0]["signals_words"] == found[1]["signals_words"]


def test_an_image_that_kills_its_process_is_an_error_row_of_each_extractor(
    tmp_path: Path, photos: Path, signals: Path
) -> None:
    code = (signals / "shade.py").read_text()
    (signals / "shade.py").unlink()
    (signals / "shade_kill.py").write_text(
        code.replace(
            "    return [",
            "    import os\n    if any(s.full.width == 162 for s in batch): os.kill(os.getpid(), 9)\n    return [",
        )
    )
    chosen = recipe()
    lake = prepared(tmp_path / "lake", photos, chosen)
    done = inspect(lake, chosen, engine=LocalEngine(workers=1, attempts=3))
    assert done.images == 4
    assert done.errors == {"shade: crash": 1, "words: crash": 1}


@pytest.fixture(autouse=True)
def _nothing_left(tmp_path: Path) -> Iterator[None]:
    yield
    for lake in tmp_path.glob("*/staging/attempts"):
        assert not list(lake.iterdir())


def test_every_extractor_that_ships_declares_what_it_needs() -> None:
    for extractor in discover(()):
        assert extractor.per == "image" or extractor.needs in ("image", "captions")
        assert all(column.doc for column in extractor.columns), extractor.name
        assert {e.name for e in discover(())} >= set(extractor.after), extractor.name


def test_pending_images_of_a_hand_made_lake_are_found(tmp_path: Path, signals: Path) -> None:
    lake = empty_lake(tmp_path / "lake")
    fill(lake, {"a": {}, "b": {"width": 60}}, captions=[("a", "raw", "one two")])
    decide(lake, recipe())
    assert plan(lake, recipe(), pending=True) == "inspect: 1 images lack one of shade, words"


def test_a_lake_of_broken_files_alone_has_nothing_to_inspect(tmp_path: Path, signals: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cut.jpg").write_bytes(encoded(photo(160, 120, 1), "JPEG")[:200])
    chosen = recipe()
    lake = prepared(tmp_path / "lake", tmp_path / "photos", chosen)
    assert rows(lake, "SELECT status FROM inputs") == [("error",)]
    assert plan(lake, chosen) == "inspect: 0 images lack one of shade, words"
    assert inspect(lake, chosen, engine=HERE).images == 0
