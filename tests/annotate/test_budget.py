"""The cost cap and the cache of answers: what they say holds, from any number of processes, whatever dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate import store
from annotate.backends.base import Answer, BudgetSpent, Status
from annotate.budget import Budget, BudgetMeter, Spent
from annotate.cache import AnswerCache
from warehouse.errors import UsageError

REPO = Path(__file__).resolve().parent.parent.parent
ANSWER = Answer(Status.SUCCESS, "{}", None, 10, 5, 1, 0.25)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lake" / store.FILE


steps = st.lists(st.tuples(st.integers(1, 40), st.one_of(st.none(), st.integers(0, 40))), max_size=40)


@given(steps, st.integers(0, 20), st.integers(0, 200))
def test_no_order_of_steps_passes_either_limit(
    steps: list[tuple[int, int | None]], max_requests: int, max_tokens: int
) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.executescript(store.TABLES)
        budget = Budget(db, "b", max_requests=max_requests, max_tokens=max_tokens)
        sent = billed_at_most = 0
        for bound, used in steps:
            if not budget.take(bound):
                continue
            sent += 1
            if used is None:
                billed_at_most += bound
            else:
                billed_at_most += min(used, bound)
                budget.settle(bound, min(used, bound))
        assert sent <= max_requests
        assert billed_at_most <= max_tokens
        spent = budget.spent()
        assert (spent.requests, spent.tokens + spent.reserved) == (sent, billed_at_most)


GREEDY = """
import sys
from pathlib import Path
from annotate import store
from annotate.budget import Budget
budget = Budget(store.connect(Path(sys.argv[1])), "b", max_requests=400, max_tokens=4000)
print("up", flush=True)
while budget.take(10):
    budget.settle(10, 9)
"""


def test_processes_that_draw_at_once_and_die_keep_within_it(file: Path) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", GREEDY, str(file)], cwd=REPO, stdout=subprocess.PIPE) for _ in range(3)
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    time.sleep(0.01)
    os.kill(running[0].pid, signal.SIGKILL)
    for process in running:
        process.communicate(timeout=60)
    with closing(store.connect(file)) as db:
        spent = Budget(db, "b").spent()
        assert spent.requests == 400
        assert spent.tokens + spent.reserved <= 4000
        assert not Budget(db, "b", max_requests=400).take(1)
        assert Budget(db, "other", max_requests=400).take(1)


def test_what_waits_for_others_is_let_in_when_they_cost_less(file: Path) -> None:
    async def run() -> list[str]:
        with closing(store.connect(file)) as db:
            meter = BudgetMeter(Budget(db, "b", max_tokens=100))
            said = []

            async def one(name: str) -> None:
                await meter.reserve(60)
                said.append(f"{name} in")
                await asyncio.sleep(0.01)
                meter.settle(60, 20)

            await asyncio.gather(one("first"), one("second"))
            with pytest.raises(BudgetSpent):
                await asyncio.wait_for(meter.reserve(61), 5)
            await meter.reserve(60)
            meter.settle(60, None)  # nobody knows: it stays counted
            with pytest.raises(BudgetSpent):
                await asyncio.wait_for(meter.reserve(1), 5)
            assert meter.budget.spent() == Spent(3, 40, 60)
            return said

    assert asyncio.run(run()) == ["first in", "second in"]


def test_requests_never_come_back_so_nobody_waits_for_them(file: Path) -> None:
    async def run() -> None:
        with closing(store.connect(file)) as db:
            meter = BudgetMeter(Budget(db, "b", max_requests=1))
            await meter.reserve(10)
            with pytest.raises(BudgetSpent):
                await asyncio.wait_for(meter.reserve(10), 5)

    asyncio.run(run())


def test_a_bill_above_the_reservation_stops_a_capped_run_only(file: Path) -> None:
    async def run() -> None:
        with closing(store.connect(file)) as db:
            free = BudgetMeter(Budget(db, "free"))
            await free.reserve(10)
            free.settle(10, 30)
            capped = BudgetMeter(Budget(db, "capped", max_tokens=100))
            await capped.reserve(10)
            with pytest.raises(UsageError, match="billed 30 tokens"):
                capped.settle(10, 30)
            assert capped.budget.spent().tokens == 30

    asyncio.run(run())


def test_answers_are_found_by_all_of_what_was_asked(file: Path) -> None:
    with closing(store.connect(file)) as db:
        cache = AnswerCache(db, "m", "v1")
        cache.put("a", "p", ANSWER)
        assert cache.get("a", "p") == ANSWER
        assert cache.get("a", "q") is None
        assert cache.get("b", "p") is None
        assert AnswerCache(db, "m", "v2").get("a", "p") is None
        assert AnswerCache(db, "n", "v1").get("a", "p") is None
        cache.put("a", "p", Answer(Status.INVALID, "another"))
        assert cache.get("a", "p") == ANSWER
        with pytest.raises(ValueError, match="no answer"):
            cache.put("a", "q", Answer(Status.ERROR, error="down"))
        assert cache.image_ids() == ["a"]
    with closing(store.connect(file)) as db:
        assert AnswerCache(db, "m", "v1").get("a", "p") == ANSWER


WRITER = """
import itertools, sys
from pathlib import Path
from annotate import store
from annotate.backends.base import Answer, Status
from annotate.cache import AnswerCache
cache = AnswerCache(store.connect(Path(sys.argv[1])), "m", "v")
for number in itertools.count():
    cache.put(str(number), "p", Answer(Status.SUCCESS, "x" * 5000))
    print(number, flush=True)
"""


def test_what_was_said_to_be_stored_survives_kill_9(file: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(file)], cwd=REPO, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(200)]
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with closing(store.connect(file)) as db:
        cache = AnswerCache(db, "m", "v")
        assert len(cache) >= len(told)
        for number in told:
            answer = cache.get(str(number), "p")
            assert answer is not None
            assert answer.text == "x" * 5000
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
