"""Scan: every sample ends as one row, every image with its signals; poison costs one image; nothing is done twice."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import duckdb
import pytest
from empty_lakes import empty_lake
from pictures import encoded, photo

from pipelines import scan_unit
from pipelines.engines import Result
from pipelines.engines.local import LocalEngine
from pipelines.examine import Task, examine, examiner, nothing_found
from pipelines.reasons import Reason
from pipelines.scan import dry_run, scan
from pipelines.scan_unit import Delivery, Job, part_names
from warehouse.digest import digests
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.sources import Unit, open_source

HERE = LocalEngine(workers=0)


_READERS: dict[Path, duckdb.DuckDBPyConnection] = {}


def reader(lake: Lake) -> duckdb.DuckDBPyConnection:
    """An analyst's connection, kept for the test: attaching takes longer than most of what is asked here."""
    if lake.root not in _READERS:
        _READERS[lake.root] = lake.connect(read_only=True)
    return _READERS[lake.root]


@pytest.fixture(autouse=True)
def _close_readers() -> Iterator[None]:
    yield
    while _READERS:
        _READERS.popitem()[1].close()


def query(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    return reader(lake).execute(sql).fetchall()


def content(lake: Lake) -> dict[str, str]:
    return {name: d.digest for name, d in digests(reader(lake)).items()}


def small_pictures(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        (folder / f"{i:04}.jpg").write_bytes(encoded(photo(24, 16, seed=i), quality=80))
        (folder / f"{i:04}.txt").write_text(f"picture number {i}")
    return folder


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return empty_lake(tmp_path / "lake")


def extractor_file(folder: Path, body: str, *, name: str = "mine", version: str = "1", needs: str = "header") -> Path:
    """A folder with one extractor, whose `measure(sample)` is `body`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(
        "import os, signal, time\nimport pyarrow as pa\n"
        "from pipelines.extractors.base import Extractor\nfrom warehouse.schema import Column\n\n"
        f"def measure(sample):\n    {body}\n\n"
        f"EXTRACTOR = Extractor({name!r}, {version!r}, 'doc', (Column('{name}_n', pa.int64(), 'n'),),\n"
        f"    lambda batch: [{{'{name}_n': measure(s)}} for s in batch], needs={needs!r})\n"
    )
    return folder


# --- what is written -----------------------------------------------------------------------------------------------


def test_every_sample_is_a_row_and_every_image_has_its_signals(tmp_path: Path, lake: Lake) -> None:
    source = small_pictures(tmp_path / "src", 6)
    (source / "again.jpg").write_bytes((source / "0003.jpg").read_bytes())
    (source / "again.txt").write_text("the same once more")
    (source / "cut.jpg").write_bytes((source / "0001.jpg").read_bytes()[:-100])
    (source / "empty.png").write_bytes(b"")
    done = scan(lake, open_source(str(source)), engine=HERE, batch="monday", source_name="mine")
    assert (done.samples, done.errors, done.committed) == (9, {"truncated": 1, "empty": 1}, True)
    assert str(done).startswith("9 samples scanned, 7 readable")
    assert query(lake, "SELECT status, count(*) FROM inputs GROUP BY 1 ORDER BY 1") == [
        ("error", 2),
        ("ok", 6),
        ("repeat", 1),
    ]
    assert query(lake, "SELECT DISTINCT source, batch FROM inputs") == [("mine", "monday")]
    for uri, image_id, length in query(lake, "SELECT uri, image_id, length FROM inputs"):
        data = (source / uri.rsplit("/", 1)[1]).read_bytes()
        assert image_id == (hashlib.sha256(data).hexdigest()[:32] if data else None)
        assert length == len(data)
    for table in ("signals_pixels", "signals_hashes"):
        assert query(lake, f"SELECT status, count(*), count(version) FROM {table} GROUP BY 1") == [("ok", 6, 6)]
    texts = {t for (t,) in query(lake, "SELECT text FROM captions")}
    assert texts == {f"picture number {i}" for i in range(6)} | {"the same once more"}
    for caption_id, kind, text in query(
        lake, "SELECT caption_id, kind, text FROM captions SEMI JOIN inputs USING (image_id)"
    ):
        assert caption_id == hashlib.sha256(f"{kind}\0{text}".encode()).hexdigest()[:16]
    # The header of the cut file is known all the same.
    assert query(lake, "SELECT count(*) FROM signals_header") == [(7,)]


def test_captions_of_a_sample_without_bytes_are_kept(tmp_path: Path, lake: Lake) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (source / "empty.jpg").write_bytes(b"")
    (source / "empty.txt").write_text("what was there")
    scan(lake, open_source(str(source)), engine=HERE)
    ((image_id, error, extra),) = query(lake, "SELECT image_id, error, extra FROM inputs")
    assert (image_id, error) == (None, "empty: no bytes")
    assert json.loads(extra)["captions"] == ["what was there"]


def test_the_broken_set_every_file_one_outcome_one_reason(shared_data: Path, lake: Lake) -> None:
    """Hundreds of files that hang, crash or bomb decoders, through two workers."""
    done = scan(lake, open_source(str(shared_data / "broken"), "folder"), engine=LocalEngine(workers=2))
    files = [p for p in (shared_data / "broken").rglob("*") if p.is_file() and not p.name.startswith("manifest")]
    rows = query(lake, "SELECT uri, status, error, image_id FROM inputs")
    assert len(rows) == done.samples == len(files)
    assert len({uri for uri, *_ in rows}) == len(files)
    assert done.failed == 0
    codes = {str(reason) for reason in Reason}
    for uri, status, error, image_id in rows:
        assert image_id is not None, uri
        assert (status == "error") == (error is not None), uri
        assert error is None or (error.split(":")[0] in codes and len(error) < 300), error
    assert Counter(status for _, status, *_ in rows)["error"] == done.errors.total()
    assert done.errors["bomb"] == 10
    judged = query(lake, "SELECT count(*) FROM inputs WHERE status = 'ok'")
    assert query(lake, "SELECT count(*) FROM signals_pixels") == judged


def test_the_summary_and_the_run_say_what_was_done(tmp_path: Path, lake: Lake) -> None:
    source = small_pictures(tmp_path / "src", 5)
    seen: list[tuple[int, int | None, str]] = []
    done = scan(lake, open_source(str(source)), engine=HERE, progress=lambda *told: seen.append(told))  # type: ignore[arg-type]
    assert seen[-1][:2] == (done.units, done.units)
    ((run_id, command, engine, versions, counts),) = query(
        lake, "SELECT run_id, command, engine, versions, counts FROM runs"
    )
    assert (run_id, command, engine) == (done.run_id, "scan", "local")
    assert json.loads(counts)["samples"] == 5
    assert "pixels" in json.loads(versions)["extractors"]
    assert "pillow" in json.loads(versions)["decoders"]


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    source = open_source(str(small_pictures(tmp_path / "src", 5)))
    assert str(dry_run(tmp_path / "lake", source)) == "scan: 1 units to read, 0 in the lake already"
    assert not (tmp_path / "lake").exists()
    scan(empty_lake(tmp_path / "lake"), source, engine=HERE)
    assert str(dry_run(tmp_path / "lake", source)) == "scan: 0 units to read, 1 in the lake already"


# --- nothing is done twice -----------------------------------------------------------------------------------------


class NoEngine:
    """An engine that must not be given any work."""

    name = "none"

    def map(
        self, work: Callable[..., Any], units: Iterable[Any], *, setup: object = None
    ) -> Iterator[Result[Any, Any]]:
        assert list(units) == []
        return iter(())

    def group(self, rows: Iterable[Any], key: Callable[..., Any], reduce: Callable[..., Any]) -> Iterator[Any]:
        raise AssertionError


def test_a_second_scan_finds_nothing_to_do(tmp_path: Path, lake: Lake) -> None:
    source = open_source(str(small_pictures(tmp_path / "src", 8)))
    scan(lake, source, engine=HERE)
    before = content(lake)
    again = scan(lake, source, engine=NoEngine())
    assert (again.committed, again.units, again.skipped) == (False, 0, 1)
    assert str(again) == "nothing new: 1 units are in the lake already"
    assert content(lake) == before
    assert query(lake, "SELECT count(*) FROM runs") == [(1,)]


def test_staged_parts_of_a_killed_run_are_taken_over(tmp_path: Path, lake: Lake) -> None:
    source = open_source(str(small_pictures(tmp_path / "src", 8)))
    delivery = Delivery(str(lake.root), "src", "default")
    for unit in source.units():
        scan_unit.work(Job(delivery, unit, tuple(part_names(unit, delivery).items())))
    done = scan(lake, source, engine=NoEngine())
    assert done.committed
    reference = empty_lake(tmp_path / "reference")
    scan(reference, source, engine=HERE)
    assert content(lake) == content(reference)


def test_a_file_that_is_delivered_again_is_a_repeat_and_a_changed_one_replaces(tmp_path: Path, lake: Lake) -> None:
    folder = small_pictures(tmp_path / "src", 4)
    scan(lake, open_source(str(folder)), engine=HERE, batch="1")
    scan(lake, open_source(str(folder)), engine=HERE, batch="2")
    assert query(lake, "SELECT batch, status, count(*) FROM inputs GROUP BY ALL ORDER BY ALL") == [
        ("1", "ok", 4),
        ("2", "repeat", 4),
    ]
    (folder / "0002.jpg").write_bytes(encoded(photo(30, 30, seed=99)))
    scan(lake, open_source(str(folder)), engine=HERE, batch="1")
    rows = query(lake, "SELECT uri, image_id FROM inputs WHERE batch = '1'")
    assert len(rows) == 4
    changed = hashlib.sha256((folder / "0002.jpg").read_bytes()).hexdigest()[:32]
    assert changed in {image_id for _, image_id in rows}


def test_a_new_version_of_one_extractor_redoes_its_part_alone(tmp_path: Path, lake: Lake) -> None:
    source = open_source(str(small_pictures(tmp_path / "src", 4)))
    first = extractor_file(tmp_path / "v1", "return 1")
    second = extractor_file(tmp_path / "v2", "return 2", version="2")
    scan(lake, source, engine=HERE, extractors=[first])
    assert query(lake, "SELECT DISTINCT mine_n FROM signals_mine") == [(1,)]
    done = scan(lake, source, engine=HERE, extractors=[second])
    assert query(lake, "SELECT mine_n, count(*) FROM signals_mine GROUP BY 1") == [(2, 4)]
    assert query(lake, f"SELECT DISTINCT table_name FROM parts WHERE run_id = '{done.run_id}'") == [("signals_mine",)]


def test_a_new_extractor_measures_only_itself(tmp_path: Path, lake: Lake) -> None:
    source = open_source(str(small_pictures(tmp_path / "src", 4)))
    scan(lake, source, engine=HERE)
    before = content(lake)
    scan(lake, source, engine=HERE, extractors=[extractor_file(tmp_path / "v1", "return sample.header.width")])
    after = content(lake)
    assert {name: after[name] for name in before} == before
    assert query(lake, "SELECT DISTINCT mine_n FROM signals_mine") == [(24,)]


# --- the same on every path ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("workers", "unit_samples"), [(1, 512), (2, 20), (3, 7), (0, 1)])
def test_workers_and_unit_sizes_do_not_matter(
    workers: int, unit_samples: int, tmp_path: Path, lake: Lake, reference: dict[str, str], mixed: Path
) -> None:
    scan(lake, open_source(str(mixed)), engine=LocalEngine(workers=workers), unit_samples=unit_samples)
    assert content(lake) == reference


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = small_pictures(tmp_path_factory.mktemp("mixed"), 30)
    for i in range(5):
        (folder / f"again{i}.jpg").write_bytes((folder / f"000{i}.jpg").read_bytes())
    (folder / "cut.jpg").write_bytes((folder / "0001.jpg").read_bytes()[:300])
    (folder / "no.jpg").write_bytes(b"<html>not found</html>")
    return folder


@pytest.fixture(scope="module")
def reference(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    lake = empty_lake(tmp_path_factory.mktemp("reference") / "lake")
    scan(lake, open_source(str(mixed)), engine=HERE)
    return content(lake)


def test_the_careful_way_finds_the_same(shared_data: Path, tmp_path: Path) -> None:
    """The broken set again, each image in a process that may die: the same tables to the last bit."""
    source = open_source(str(shared_data / "broken" / "pillow"), "folder")
    fast, careful = empty_lake(tmp_path / "fast"), empty_lake(tmp_path / "careful")
    scan(fast, source, engine=HERE)
    delivery = Delivery(str(careful.root), "pillow", "default")
    for unit in source.units():
        names = tuple(part_names(unit, delivery).items())
        scan_unit.attempt_path(careful, Job(delivery, unit, names)).parent.mkdir(parents=True, exist_ok=True)
        scan_unit.attempt_path(careful, Job(delivery, unit, names)).touch()
    scan(careful, source, engine=HERE)
    assert content(careful) == content(fast)


# --- poison --------------------------------------------------------------------------------------------------------

KILL = "return os.kill(os.getpid(), signal.SIGSEGV) if sample.header.width == 31 else 1"
HANG = "return time.sleep(3600) if sample.header.width == 31 else 1"
RAISE = "return 1 // (sample.header.width - 31)"


def test_one_poison_sample_in_a_thousand_costs_one_error_row(tmp_path: Path, lake: Lake) -> None:
    source = small_pictures(tmp_path / "src", 999)
    (source / "0500a.jpg").write_bytes(encoded(photo(31, 16)))
    done = scan(
        lake,
        open_source(str(source)),
        engine=LocalEngine(workers=2),
        extractors=[extractor_file(tmp_path / "poison", KILL)],
        unit_samples=250,
    )
    assert (done.samples, done.errors, done.failed) == (1000, {"crash": 1}, 0)
    assert query(lake, "SELECT status, count(*) FROM inputs GROUP BY 1 ORDER BY 1") == [("error", 1), ("ok", 999)]
    ((uri, error),) = query(lake, "SELECT uri, error FROM inputs WHERE status = 'error'")
    assert uri.endswith("0500a.jpg")
    assert error == ("crash: decoding or measuring it killed the process, the worker died: signal 11 (SIGSEGV)")
    assert query(lake, "SELECT count(*) FROM signals_pixels") == [(999,)]


def test_an_image_that_hangs_costs_one_error_row(tmp_path: Path, lake: Lake) -> None:
    source = small_pictures(tmp_path / "src", 20)
    (source / "0010a.jpg").write_bytes(encoded(photo(31, 16)))
    done = scan(
        lake,
        open_source(str(source)),
        engine=LocalEngine(workers=2, stall_s=6),
        extractors=[extractor_file(tmp_path / "poison", HANG)],
        image_seconds=6,
    )
    assert (done.samples, done.errors, done.failed) == (21, {"timeout": 1}, 0)


def test_a_signal_whose_code_fails_costs_one_row_of_that_signal(tmp_path: Path, lake: Lake) -> None:
    source = small_pictures(tmp_path / "src", 5)
    (source / "odd.jpg").write_bytes(encoded(photo(31, 16)))
    done = scan(lake, open_source(str(source)), engine=HERE, extractors=[extractor_file(tmp_path / "x", RAISE)])
    assert (done.samples, done.errors) == (6, {})
    assert query(lake, "SELECT status, count(*), count(mine_n) FROM signals_mine GROUP BY 1 ORDER BY 1") == [
        ("error", 1, 0),
        ("ok", 5, 5),
    ]


def test_the_careful_process_finds_the_same() -> None:
    with examiner(examine, nothing_found, careful=True, seconds=60) as ask:
        task = Task("a" * 32, encoded(photo()), ("header", "pixels"))
        assert ask([task]) == examine([task])


def test_an_image_that_wants_too_much_memory_says_so(tmp_path: Path) -> None:
    greedy = extractor_file(tmp_path / "x", "return len(bytearray(20 << 30)) if sample.header.width == 31 else 1")
    with examiner(examine, nothing_found, careful=True, seconds=60) as ask:
        task = Task("a" * 32, encoded(photo(31, 20)), ("mine",), folders=(str(greedy),))
        (found,) = ask([task])
        assert found.rows["mine"]["status"] == "error"
        assert "MemoryError" in str(found.rows["mine"]["error"])


def test_a_unit_that_cannot_be_finished_is_listed_and_tried_again(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(str(small_pictures(tmp_path / "src", 5)))
    whole = scan_unit.examiner

    def broken(tasks: Sequence[Task]) -> Any:
        raise RuntimeError("the machine is on fire")

    monkeypatch.setattr(scan_unit, "examiner", lambda look, lost, *, careful, seconds: nullcontext(broken))
    listed = scan(lake, source, engine=HERE)
    assert (listed.failed, listed.samples, listed.errors) == (1, 5, {"unit failed": 5})
    assert "tries them again" in str(listed)
    rows = query(lake, "SELECT status, error, count(*) FROM inputs GROUP BY ALL")
    assert rows == [("error", "unit failed: RuntimeError, see the table errors", 5)]
    monkeypatch.setattr(scan_unit, "examiner", whole)
    scan(lake, source, engine=HERE)
    assert query(lake, "SELECT status, count(*) FROM inputs GROUP BY 1") == [("ok", 5)]


def test_a_unit_that_cannot_even_be_read_is_one_row(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(str(small_pictures(tmp_path / "src", 3)))

    def unreadable(unit: Unit) -> Iterator[object]:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(scan_unit.sources, "read", unreadable)
    done = scan(lake, source, engine=HERE)
    assert done.failed == 1
    assert {e for (e,) in query(lake, "SELECT error FROM inputs")} == {
        "unit failed: RuntimeError, see the table errors"
    }
    monkeypatch.undo()
    scan(lake, source, engine=HERE)
    assert query(lake, "SELECT count(*) FROM inputs WHERE status = 'ok'") == [(3,)]


def test_a_folder_of_extractors_that_is_not_there(tmp_path: Path, lake: Lake) -> None:
    source = open_source(str(small_pictures(tmp_path / "src", 1)))
    with pytest.raises(UsageError, match="no folder of extractors"):
        scan(lake, source, engine=HERE, extractors=[tmp_path / "nowhere"])


# --- docs/add-a-signal.md ------------------------------------------------------------------------------------------

DOC = Path(__file__).resolve().parents[2] / "docs" / "add-a-signal.md"


def test_the_worked_example_adds_its_column(tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL)
    (sql,) = re.findall(r'glyphmill query "(.*?)"', DOC.read_text())
    mine = tmp_path / "my-signals"
    mine.mkdir()
    (mine / "symmetry.py").write_text(code)
    source = small_pictures(tmp_path / "src", 6)
    whole = photo(200, 100)
    whole.paste(whole.crop((0, 0, 100, 100)).transpose(0), (100, 0))
    (source / "mirrored.png").write_bytes(encoded(whole, "PNG"))
    scan(lake, open_source(str(source)), engine=HERE)
    before = content(lake)
    monkeypatch.setenv("GLYPHMILL_EXTRACTORS", str(mine))
    scan(lake, open_source(str(source)), engine=LocalEngine(workers=1))
    rows = query(lake, sql)
    assert rows[0] == (hashlib.sha256((source / "mirrored.png").read_bytes()).hexdigest()[:32], 1.0)
    assert all(0 < value < 1 for _, value in rows[1:])
    assert {name: content(lake)[name] for name in before} == before
    described = query(lake, "SELECT data_type FROM duckdb_columns() WHERE column_name = 'symmetry'")
    assert described
    assert set(described) == {("FLOAT",)}
