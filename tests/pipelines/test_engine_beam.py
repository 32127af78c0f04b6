"""The Beam engine on Beam's own runner, with several worker processes."""

from __future__ import annotations

import signal
from pathlib import Path

import apache_beam as beam
import engine_cases as cases
import engine_rows as rows
import engine_work as work
import psutil
import pytest
from hypothesis import given, settings
from synth_lakes import assert_draws_the_same

from pipelines.engines import beam_job
from pipelines.engines.beam import BeamEngine, Job
from pipelines.engines.choice import choose
from pipelines.engines.pool import Watch
from warehouse.errors import UsageError

ENGINE = choose("beam", 2, ["attempts=2", "wave=12", "buckets=4", f"stall_s={cases.STALL_S}"])


def test_what_fails_costs_only_itself() -> None:
    cases.assert_isolated(ENGINE)


def test_samples_are_drawn_the_same(tmp_path: Path) -> None:
    assert_draws_the_same(ENGINE, tmp_path)


def test_units_are_drawn_in_waves() -> None:
    cases.assert_drawn_as_needed(ENGINE)


def test_what_ends_a_pipeline() -> None:
    cases.assert_stopped_by_what_fails(ENGINE)


@settings(max_examples=2)
@given(units=cases.BUSY)
def test_group_is_a_plain_group(units: cases.Units) -> None:
    cases.assert_grouped(ENGINE, units)


def test_nothing_to_do_starts_nothing() -> None:
    assert list(ENGINE.map(work.double, [])) == []
    assert list(ENGINE.group(rows.table_of, [], key="key", reduce=rows.whole)) == []


def test_units_are_counted_as_metrics(tmp_path: Path) -> None:
    units = [(number, cases.pickled(unit)) for number, unit in enumerate([("fine", 0), ("fine", 1), ("raise", 2)])]
    options = {"direct_running_mode": "in_memory", "direct_num_workers": "1"}
    job = Job(options, str(tmp_path), units, work.trouble, None, Watch(attempts=1))
    result = beam_job.pipeline(job).run()
    result.wait_until_finish()
    counters = result.metrics().query(beam.metrics.MetricsFilter().with_namespace("glyphmill"))["counters"]
    assert {c.key.metric.name: c.committed for c in counters} == {"done": 2, "raised": 1}


@pytest.mark.parametrize("of", ["driver", "worker"])
def test_what_is_killed(of: str, tmp_path: Path) -> None:
    """Nothing outlives a killed driver; a killed worker of the runner is made up for."""
    driver, below = cases.started("beam", [], tmp_path)
    try:
        if of == "driver":
            driver.send_signal(signal.SIGKILL)
            driver.wait()
            assert cases.wait_until(lambda: not any(map(cases.runs, below)), 30)
        else:
            (worker, *_) = [p for p in below if "sdk_worker_main" in " ".join(p.cmdline()) and "python" in p.name()]
            worker.kill()
            assert cases.wait_until(lambda: len(list(tmp_path.glob("*.pid"))) > 2, 60)
    finally:
        for process in psutil.Process(driver.pid).children(recursive=True) if driver.poll() is None else []:
            process.kill()
        driver.kill()
        driver.wait()


def test_an_option_that_nobody_knows_is_said() -> None:
    with pytest.raises(UsageError, match="nonsense"):
        list(choose("beam", 2, ["nonsense=1"]).map(work.double, [1]))


def test_a_cluster_needs_a_place_that_all_see() -> None:
    with pytest.raises(UsageError, match="scratch=FOLDER"):
        choose("beam", 2, ["runner=FlinkRunner", "flink_master=somewhere:8081"])
    engine = choose("beam", 2, ["runner=FlinkRunner", "flink_master=somewhere:8081", "scratch=/shared"])
    assert engine == BeamEngine({"runner": "FlinkRunner", "flink_master": "somewhere:8081"}, scratch="/shared")
