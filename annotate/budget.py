"""The cost cap: so many requests and tokens under one name, whatever fails, is repeated, or dies on the way.

A request's tokens are reserved before it is sent, at the most that it can come to, and settled when its real usage is
known. A reservation that nobody settles, because the process was killed or the answer was lost, stays counted: it may
have been billed. So the sum of what was sent never passes the cap, and what it falls short by is the price of crashes.
"""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass

from annotate.backends.base import BudgetSpent
from warehouse.errors import UsageError


@dataclass(frozen=True)
class Spent:
    """What a budget has seen: requests sent, tokens used, and tokens reserved that nobody settled (yet)."""

    requests: int = 0
    tokens: int = 0
    reserved: int = 0


class Budget:
    """One named budget in the file that `annotate.store.connect` opens. Each step is one atomic statement, so that
    any number of processes may draw on it. None: no limit, but counted all the same."""

    def __init__(
        self, db: sqlite3.Connection, name: str, *, max_requests: int | None = None, max_tokens: int | None = None
    ) -> None:
        self._db = db
        self.name = name
        self.max_requests = max_requests
        self.max_tokens = max_tokens

    def take(self, tokens: int, requests: int = 1) -> bool:
        """Reserve `requests` requests of `tokens` tokens in all, if that stays within both limits."""
        self._db.execute("INSERT OR IGNORE INTO budgets (name) VALUES (?)", (self.name,))
        done = self._db.execute(
            "UPDATE budgets SET requests = requests + :requests, reserved = reserved + :tokens WHERE name = :name "
            "AND (:max_requests IS NULL OR requests + :requests <= :max_requests) "
            "AND (:max_tokens IS NULL OR tokens + reserved + :tokens <= :max_tokens)",
            {
                "name": self.name,
                "requests": requests,
                "tokens": tokens,
                "max_requests": self.max_requests,
                "max_tokens": self.max_tokens,
            },
        )
        return done.rowcount == 1

    def settle(self, reserved: int, used: int) -> None:
        """Put what was used in the place of what was reserved."""
        self._db.execute(
            "UPDATE budgets SET reserved = reserved - ?, tokens = tokens + ? WHERE name = ?",
            (reserved, used, self.name),
        )

    def spent(self) -> Spent:
        row = self._db.execute("SELECT requests, tokens, reserved FROM budgets WHERE name = ?", (self.name,)).fetchone()
        return Spent() if row is None else Spent(*row)


class BudgetMeter:
    """A budget as backends ask it, from the tasks of one event loop.

    What does not fit while others are on their way waits for them: most come to less than was reserved.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._open = 0
        self._settled = asyncio.Condition()
        self._waking: set[asyncio.Task[None]] = set()

    async def reserve(self, tokens: int, requests: int = 1) -> None:
        """See `Meter`. Raises BudgetSpent where it does not fit and nothing of this process is on its way."""
        async with self._settled:
            while not self.budget.take(tokens, requests):
                if not self._open or not self._may_fit(requests):
                    raise BudgetSpent
                await self._settled.wait()
            self._open += 1

    def settle(self, reserved: int, used: int | None) -> None:
        """See `Meter`."""
        self._open -= 1
        wake = asyncio.get_running_loop().create_task(self._wake())
        self._waking.add(wake)
        wake.add_done_callback(self._waking.discard)
        if used is None:
            return
        self.budget.settle(reserved, used)
        if used > reserved and self.budget.max_tokens is not None:
            raise UsageError(
                f"a request was billed {used} tokens, at most {reserved} were expected, so the cap cannot be kept: "
                "stopped; give the most that one image is billed at with --image-tokens and run this again"
            )

    def _may_fit(self, requests: int) -> bool:
        """Requests once counted never come back; tokens do."""
        most = self.budget.max_requests
        return most is None or self.budget.spent().requests + requests <= most

    async def _wake(self) -> None:
        async with self._settled:
            self._settled.notify_all()
