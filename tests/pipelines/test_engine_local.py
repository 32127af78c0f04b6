"""The local engine: every unit ends in exactly one result, whatever its worker does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import engine_rows as rows
import engine_work as work
import psutil
import pyarrow as pa
import pytest
from engine_cases import STALL_S, UNITS, Units, assert_grouped, assert_isolated, wait_until
from hypothesis import given, settings

from pipelines.engines.local import LocalEngine
from pipelines.engines.pool import Pool, Watch, lent, workers_kept
from pipelines.engines.shuffle import bucket_of
from warehouse.errors import EngineError, LakeError

REPO = Path(__file__).resolve().parents[2]


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_every_unit_has_its_value(workers: int) -> None:
    results = list(LocalEngine(workers=workers).map(work.double, range(20)))
    assert sorted(r.unit for r in results) == list(range(20))
    assert all(r.value == 2 * r.unit and r.error is None for r in results)


def test_setup_runs_in_every_worker() -> None:
    assert all(r.value for r in LocalEngine(workers=2).map(work.is_ready, range(6), setup=work.make_ready))


def test_no_units_start_no_workers() -> None:
    assert list(LocalEngine(workers=2).map(work.double, [])) == []


def test_results_come_as_they_are_finished() -> None:
    order = [r.unit for r in LocalEngine(workers=2).map(work.slow_first, range(6))]
    assert order[-1] == 0


def test_units_are_drawn_as_needed() -> None:
    drawn: list[int] = []

    def units() -> object:
        for i in range(100):
            drawn.append(i)
            yield i

    results = LocalEngine(workers=2).map(work.double, units())  # type: ignore[arg-type]
    next(results)
    assert len(drawn) < 10
    results.close()  # type: ignore[attr-defined]


def test_what_fails_costs_only_itself() -> None:
    assert_isolated(LocalEngine(workers=2, stall_s=STALL_S, attempts=2))


def test_a_worker_that_always_dies_costs_only_its_unit() -> None:
    results = {r.unit: r for r in LocalEngine(workers=2).map(work.die_on_three, range(8))}
    assert sorted(results) == list(range(8))
    assert [u for u, r in results.items() if r.error] == [3]
    assert "SIGSEGV" in (results[3].error or "")


def test_a_worker_that_dies_once_is_replaced_and_its_unit_retried(tmp_path: Path) -> None:
    results = list(LocalEngine(workers=2).map(work.die_once, [(str(tmp_path), i) for i in range(8)]))
    assert sorted(r.value for r in results if r.value is not None) == list(range(8))
    assert (tmp_path / "tried").exists()


def test_a_hung_worker_is_ended_and_its_unit_reported() -> None:
    results = {r.unit: r for r in LocalEngine(workers=2, stall_s=1, attempts=2).map(work.hang_on_one, range(4))}
    assert [u for u, r in results.items() if r.error] == [1]
    assert "no sign of life for 1 s" in (results[1].error or "")


def test_long_work_that_beats_is_not_hung() -> None:
    results = list(LocalEngine(workers=1, stall_s=1, attempts=1).map(work.long_but_alive, [7]))
    assert [r.value for r in results] == [7]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_exception_is_reported_with_its_traceback(workers: int) -> None:
    results = {r.unit: r for r in LocalEngine(workers=workers).map(work.fail_on_two, range(4))}
    assert [u for u, r in results.items() if r.error] == [2]
    assert "two is not welcome" in (results[2].error or "")


@pytest.mark.parametrize("workers", [0, 2])
def test_what_the_user_must_mend_ends_the_map(workers: int) -> None:
    with pytest.raises(LakeError, match="the disk is full"):
        list(LocalEngine(workers=workers).map(work.disk_full, range(4)))


def test_workers_are_told_to_use_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [r.value for r in LocalEngine(workers=1).map(work.threads, [0])] == ["1"]


RUN = """
import sys
sys.path[:0] = {paths!r}
import engine_rows as rows
import engine_work as work
from pipelines.engines.local import LocalEngine
list(LocalEngine(workers=2).map(work.pid_and_sleep, [{folder!r}] * 2))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_the_engine(how: signal.Signals, tmp_path: Path) -> None:
    code = RUN.format(paths=[str(REPO), str(Path(work.__file__).parent)], folder=str(tmp_path))
    engine = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL, start_new_session=True)
    assert wait_until(lambda: len(list(tmp_path.glob("*.pid"))) == 2, 30)
    pids = [int(p.stem) for p in tmp_path.glob("*.pid")]
    if how is signal.SIGINT:
        os.killpg(engine.pid, how)  # as a terminal does: the whole group gets it
    else:
        engine.send_signal(how)
    assert engine.wait(20) != 0
    assert wait_until(lambda: not any(alive(pid) for pid in pids))


@settings(max_examples=60)
@given(units=UNITS)
def test_group_is_a_plain_group(units: Units) -> None:
    assert_grouped(LocalEngine(workers=0), units)


@settings(max_examples=3)
@given(units=UNITS)
def test_group_in_workers(units: Units) -> None:
    assert_grouped(LocalEngine(workers=2), units)


def test_group_of_nothing() -> None:
    here = LocalEngine(workers=0)
    assert list(here.group(rows.table_of, [], key="key", reduce=rows.whole)) == []
    assert list(here.group(rows.table_of, [[], []], key="key", reduce=rows.whole)) == []


def test_many_rows_are_reduced_in_portions() -> None:
    """A million keys make several calls, and each row is in one of them."""
    counts = list(LocalEngine(workers=2).group(rows.numbered, range(4), key="key", reduce=rows.count))
    assert len(counts) > 4
    assert sum(counts) == 4 * rows.NUMBERED


@pytest.mark.parametrize("workers", [0, 2])
def test_what_fails_for_good_ends_the_group(workers: int) -> None:
    engine = LocalEngine(workers=workers)
    with pytest.raises(EngineError, match=r"^ValueError: two is not welcome$"):
        list(engine.group(rows.rows_fail_on_two, range(4), key="key", reduce=rows.count))
    with pytest.raises(EngineError, match=r"^ValueError: not to be reduced$"):
        list(engine.group(rows.table_of, [[("a", 1)]], key="key", reduce=rows.reduce_fails))
    with pytest.raises(LakeError, match="the disk is full"):
        list(engine.group(rows.table_of, [[("a", 1)]], key="key", reduce=work.disk_full))


def test_group_leaves_nothing_behind(tmp_path: Path) -> None:
    engine = LocalEngine(workers=2, scratch=str(tmp_path))
    assert sum(engine.group(rows.numbered, range(1), key="key", reduce=rows.count)) == rows.NUMBERED
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_is_the_same_everywhere() -> None:
    """A rerun on another machine, Python or hash seed must cut alike: these figures are not to change."""
    ints = bucket_of(pa.chunked_array([[0, 1, -1, 2**63 - 1]], pa.int64()), 256)
    words = bucket_of(pa.chunked_array([["", "a", "字"], ["a"]], pa.string()), 256)
    assert (ints.tolist(), words.tolist()) == ([0, 229, 123, 189], [194, 31, 193, 31])


def test_a_pool_is_lent_again_for_the_same_work_alone() -> None:
    watch = Watch(attempts=1)
    with lent(work.pid, None, watch) as pool, lent(work.pid, None, watch) as other:
        first, second = ([r.value for r in p.run([0, 1])] for p in (pool, other))
    assert len(set(first)) == len(set(second)) == 1
    assert first != second
    with lent(work.pid, None, watch) as pool:
        assert next(r.value for r in pool.run([0])) in {first[0], second[0]}
    with lent(work.double, None, watch) as pool:
        assert [r.value for r in pool.run([4])] == [8]
    assert not any(alive(pid) for pid in (first[0], second[0]) if pid is not None)


def test_a_pool_goes_on_after_an_error() -> None:
    pool = Pool(work.disk_full_on_one, None, workers=1)
    with pytest.raises(LakeError):
        list(pool.run([1]))
    assert [r.value for r in pool.run([2, 3])] == [2, 3]
    left = pool.run([4, 5])
    next(left)
    left.close()
    assert [r.value for r in pool.run([6])] == [6]
    pool.close()


def test_kept_workers_serve_the_next_pass_with_its_own_setup_and_end_with_the_command() -> None:
    engine = LocalEngine(workers=2)
    with workers_kept():
        first = {r.value for r in engine.map(work.pid, range(40))}
        assert all(r.value for r in engine.map(work.is_ready, range(6), setup=work.make_ready))
        again = {r.value for r in engine.map(work.pid, range(40))}
        assert again <= first
        assert all(alive(pid) for pid in again if pid is not None)
        victim = next(iter(again))
        assert victim is not None
        os.kill(victim, signal.SIGKILL)  # while nobody waits for it
        psutil.wait_procs([psutil.Process(victim)] if psutil.pid_exists(victim) else [], timeout=5)
        results = list(engine.map(work.double, range(20)))
        assert sorted(r.value for r in results if r.value is not None) == [2 * n for n in range(20)]
        with workers_kept():  # a command within a command: the outer one's go on
            assert {r.value for r in engine.map(work.pid, range(20))} & first
    assert not any(alive(pid) for pid in first if pid is not None)


def test_workers_are_not_kept_where_nobody_asks() -> None:
    first = {r.value for r in LocalEngine(workers=1).map(work.pid, range(3))}
    assert not {r.value for r in LocalEngine(workers=1).map(work.pid, range(3))} & first
