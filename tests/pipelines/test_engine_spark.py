"""The Spark engine on a real Spark, in local mode: one session for all tests of this file."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import engine_cases as cases
import engine_rows as rows
import engine_work as work
import pytest
from hypothesis import given, settings
from synth_lakes import assert_draws_the_same

from pipelines.engines import spark_session
from pipelines.engines.choice import choose
from pipelines.engines.spark import SparkEngine
from warehouse.errors import EngineError, MissingDependency

pytestmark = pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java, which is not installed")
ENGINE = choose("spark", 2, ["master=local[2]", "attempts=2", "wave=6", "buckets=4", f"stall_s={cases.STALL_S}"])


@pytest.fixture(scope="module", autouse=True)
def _session() -> Iterator[None]:
    yield
    spark_session.stop()


def test_what_fails_costs_only_itself() -> None:
    cases.assert_isolated(ENGINE)


def test_samples_are_drawn_the_same(tmp_path: Path) -> None:
    assert_draws_the_same(ENGINE, tmp_path)


def test_units_are_drawn_in_waves() -> None:
    cases.assert_drawn_as_needed(ENGINE)


def test_what_ends_a_job() -> None:
    cases.assert_stopped_by_what_fails(ENGINE)


@settings(max_examples=3)
@given(units=cases.BUSY)
def test_group_is_a_plain_group(units: cases.Units) -> None:
    cases.assert_grouped(ENGINE, units)


def test_many_rows_are_shuffled() -> None:
    engine = choose("spark", 2, ["master=local[2]", "buckets=4"])
    counts = list(engine.group(rows.numbered, range(4), key="key", reduce=rows.count))
    assert len(counts) == 4
    assert sum(counts) == 4 * rows.NUMBERED


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("GLYPHMILL_SOAK"), reason="a long job: make soak")
def test_a_job_left_early_is_cancelled(tmp_path: Path) -> None:
    left = ENGINE.map(work.one_then_sleep, [(str(tmp_path), i) for i in range(12)])
    next(left)
    left.close()  # type: ignore[attr-defined]
    (session,) = [s[1] for s in [spark_session._session] if s]
    assert cases.wait_until(lambda: not session.sparkContext.statusTracker().getActiveJobsIds(), 30)
    assert [r.value for r in ENGINE.map(work.double, [4])] == [8]


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("GLYPHMILL_SOAK"), reason="executors in processes of their own: make soak")
def test_executors_in_processes_of_their_own() -> None:
    engine = choose("spark", 2, ["master=local-cluster[2,1,2048]", "attempts=2", f"stall_s={cases.STALL_S}"])
    cases.assert_isolated(engine)
    counts = list(engine.group(rows.numbered, range(4), key="key", reduce=rows.count))
    assert sum(counts) == 4 * rows.NUMBERED


def test_the_session_is_kept_for_the_same_conf_and_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    assert [r.value for r in ENGINE.map(work.double, [1])] == [2]
    (before,) = [s[1] for s in [spark_session._session] if s]
    assert [r.value for r in ENGINE.map(work.double, [2])] == [4]
    assert spark_session.session({"spark.master": "local[2]"}) is before
    assert capfd.readouterr() == ("", "")


def test_nothing_to_do_starts_no_session() -> None:
    nowhere = SparkEngine({"spark.master": "spark://127.0.0.1:1"})
    assert list(nowhere.map(work.double, [])) == []
    assert list(nowhere.group(rows.table_of, [], key="key", reduce=rows.whole)) == []


def test_no_java_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(MissingDependency, match="Java 17"):
        list(SparkEngine({"spark.master": "local[1]"}).map(work.double, [1]))


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("GLYPHMILL_SOAK"), reason="another session of Spark: make soak")
def test_nothing_outlives_a_killed_driver(tmp_path: Path) -> None:
    driver, below = cases.started("spark", ["master=local[2]"], tmp_path)
    assert any("java" in process.name() for process in below)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert cases.wait_until(lambda: not any(map(cases.runs, below)), 30)


@pytest.mark.soak  # Spark itself waits for a minute
@pytest.mark.skipif(not os.environ.get("GLYPHMILL_SOAK"), reason="takes a minute: make soak")
def test_a_master_that_is_not_there_is_said() -> None:
    options = ["master=spark://127.0.0.1:1", "patience_s=1", "spark.driver.host=127.0.0.1"]
    with pytest.raises(EngineError, match=r"127\.0\.0\.1:1"):
        list(choose("spark", 1, options).map(work.double, [1]))
