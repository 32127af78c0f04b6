"""What every engine is held to: made rows, and what a plain Python group makes of them."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import engine_rows as rows
import engine_work as work
import psutil
import pytest
from hypothesis import strategies as st

from pipelines.engines import Engine
from warehouse.errors import EngineError, LakeError

REPO = Path(__file__).resolve().parents[2]
STALL_S = 4  # a busy machine may take seconds to start a process

Units = list[list[rows.Row]]

_VALUES = st.one_of(st.none(), st.integers(-5, 5))
_NUMBERS = st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1))
_WORDS = st.text("ab字\n", max_size=3)


def _units(least: int) -> st.SearchStrategy[Units]:
    kinds = (st.lists(st.tuples(keys, _VALUES), min_size=max(least, 1), max_size=12) for keys in (_NUMBERS, _WORDS))
    return st.one_of(*(st.lists(rows_of_one, min_size=least, max_size=6) for rows_of_one in kinds))


UNITS = _units(0)
BUSY = _units(4)  # for engines where each example is seconds: none of them next to nothing


def assert_grouped(engine: Engine, units: Units) -> None:
    """Each row is in one call of `reduce`, each key in one alone, and the rows of a call are in order."""
    calls = list(engine.group(rows.table_of, iter(units), key="key", reduce=rows.whole))
    assert Counter(row for call in calls for row in call) == Counter(row for unit in units for row in unit)
    keys = Counter(key for call in calls for key in {row[0] for row in call})
    assert set(keys.values()) <= {1}
    for call in calls:
        assert call
        assert call == sorted(call, key=_order)


def _order(row: rows.Row) -> tuple[object, ...]:
    key, value = row
    return (key.encode() if isinstance(key, str) else key, value is None, value or 0)


def assert_isolated(engine: Engine) -> None:
    """What raises, dies or hangs costs only itself, whatever long work that beats takes; set-up is once a process.

    The engine counts a worker as hung after a second, tries twice and draws at most 6 units at a time.
    """
    kinds = ("fine", "fine", "raise", "die", "hang", "beat")
    results = {
        r.unit: r for r in engine.map(work.trouble, ((k, i) for i, k in enumerate(kinds)), setup=work.count_ready)
    }
    assert sorted(results) == sorted((kind, number) for number, kind in enumerate(kinds))
    seen = {kind: (r.failure, (r.error or "").split("\n")[0]) for (kind, _), r in results.items()}
    assert seen == {
        "fine": (None, ""),
        "beat": (None, ""),
        "raise": ("raised", "ValueError: two is not welcome"),
        "die": ("died", "the worker died: exit code 7"),
        "hang": ("hung", f"no sign of life for {STALL_S} s"),
    }
    assert {r.value[1] for r in results.values() if r.value} == {1}


def assert_drawn_as_needed(engine: Engine) -> None:
    """At most 12 units are drawn before the first result; set-up is done in a process for all its units."""
    drawn: list[int] = []

    def units() -> Iterator[tuple[str, int]]:
        for number in range(20):
            drawn.append(number)
            yield "fine", number

    results = engine.map(work.trouble, units(), setup=work.count_ready)
    first = next(results)
    assert len(drawn) <= 12
    rest = list(results)
    values = [r.value for r in (first, *rest)]
    assert len(values) == 20
    assert {times for _, times in values if times} == {1}
    assert len({pid for pid, _ in values}) <= 16


def assert_stopped_by_what_fails(engine: Engine) -> None:
    """A GlyphmillError is raised as it is; what else fails for good in a group is an EngineError of one line."""
    with pytest.raises(LakeError, match="the disk is full"):
        list(engine.map(work.disk_full, range(3)))
    with pytest.raises(EngineError, match=r"^ValueError: two is not welcome$"):
        list(engine.group(rows.rows_fail_on_two, range(4), key="key", reduce=rows.count))
    with pytest.raises(EngineError, match=r"^ValueError: not to be reduced$"):
        list(engine.group(rows.table_of, [[("a", 1)]], key="key", reduce=rows.reduce_fails))


RUN = """
import sys
sys.path[:0] = {paths!r}
import engine_rows as rows
import engine_work as work
from pipelines.engines.choice import choose
list(choose({name!r}, 2, {options!r}).map(work.pid_and_sleep, [{folder!r}] * 2))
"""


def started(name: str, options: list[str], folder: Path) -> tuple[subprocess.Popen[bytes], list[psutil.Process]]:
    """A driver whose two units are at work, and every process below it and them."""
    paths = [str(REPO), str(Path(work.__file__).parent)]
    code = RUN.format(paths=paths, folder=str(folder), name=name, options=options)
    driver = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL, start_new_session=True)
    assert wait_until(lambda: len(list(folder.glob("*.pid"))) == 2, 120)
    at_work = [psutil.Process(int(p.stem)) for p in folder.glob("*.pid")]
    return driver, [*psutil.Process(driver.pid).children(recursive=True), *at_work]


def wait_until(true: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return true()


def runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def pickled(unit: object) -> bytes:
    return pickle.dumps(unit)
