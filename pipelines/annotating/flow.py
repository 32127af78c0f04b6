"""How requests flow: images are read and encoded, asked about, and their answers judged, all at once.

    read (one thread, in the order of the files) -> encode (threads) -> ask (the backend) -> judge (a thread)

At most `AHEAD` times as many images as the backend takes at once are on their way in all, which bounds every queue, and
is enough for encoded images to lie ready when the backend is: it never waits for a JPEG or for JSON.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace

from annotate.backends.base import Answer, Backend, BudgetSpent, Meter, Request, Status
from annotate.cache import AnswerCache
from annotate.expert_rules import correct
from annotate.judge import Judged, judge
from annotate.prompting import Prompt
from annotate.schema import Annotation
from annotate.vision import SentImage
from warehouse.errors import GlyphmillError

AHEAD = 2
REPAIRS = 1
#: So many images in a row without an answer, and the server is given up for now.
HOPELESS = 24
RAW_LIMIT = 32_000  # characters of an answer that are kept; a valid one has at most some 25,000
SENT_BACK = 8_000  # characters of an invalid answer that are sent back with what is wrong


class ServerDownError(GlyphmillError):
    """One image after the other got no answer."""

    exit_code = 6


@dataclass
class Spent:
    """What the answers about one image come to, whoever asked; `sends` and `new_...`: of these, this run's, so 0 where
    all of it was in the cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    attempts: int = 0
    sends: int = 0
    new_input_tokens: int = 0
    new_output_tokens: int = 0
    seconds: float = 0.0

    def add(self, answer: Answer, *, cached: bool) -> None:
        self.input_tokens += answer.input_tokens
        self.output_tokens += answer.output_tokens
        self.attempts += answer.sends
        self.seconds += answer.seconds
        if not cached:
            self.sends += answer.sends
            self.new_input_tokens += answer.input_tokens
            self.new_output_tokens += answer.output_tokens


@dataclass(frozen=True)
class Outcome:
    """What became of one image: its one status, and what all that was ever asked about it with this prompt came to."""

    request: Request
    status: Status
    annotation: Annotation | None = None
    corrections: tuple[str, ...] = ()
    error: str | None = None
    raw: str = ""
    spent: Spent = field(default_factory=Spent)


@dataclass
class Flow:
    """Asks a backend about many images. `read` gives an image's bytes, `encode` the image as it is sent; both run in
    threads and raise OSError for an image that cannot be had. `unasked` counts images that the budget left out."""

    backend: Backend
    cache: AnswerCache | None
    meter: Meter
    prompt: Prompt
    read: Callable[[Request], bytes]
    encode: Callable[[bytes], SentImage]
    encoders: int = 2
    unasked: int = 0
    _waiting: asyncio.Queue[tuple[Request, asyncio.Future[Answer]]] = field(default_factory=asyncio.Queue)
    _spent: bool = False
    _failures: int = 0

    async def run(self, requests: Iterable[Request]) -> AsyncGenerator[Outcome, None]:
        """The outcome of each request as it is known. Once the budget is spent no further one is drawn.

        Raises what the backend raises for all requests (UsageError), and ServerDownError.
        """
        window = AHEAD * self.backend.askers * self.backend.batch
        self._readers, self._encoders = ThreadPoolExecutor(1), ThreadPoolExecutor(self.encoders)
        self._judges = ThreadPoolExecutor(1)
        workers = [asyncio.create_task(self._work()) for _ in range(self.backend.askers)]
        chains: set[asyncio.Task[Outcome | None]] = set()
        source = iter(requests)
        try:
            while True:
                while not self._spent and len(chains) < window and (request := next(source, None)) is not None:
                    chains.add(asyncio.create_task(self._chain(request)))
                if not chains:
                    return
                done, chains = await asyncio.wait(chains, return_when=asyncio.FIRST_COMPLETED)
                for chain in done:
                    outcome = chain.result()
                    if outcome is None:
                        self.unasked += 1
                    else:
                        yield outcome
                        self._watch(outcome)
        finally:
            tasks = [*workers, *chains]
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)
            for pool in (self._readers, self._encoders, self._judges):
                pool.shutdown(cancel_futures=True)  # what they hold open is closed after this
            await self.backend.close()

    async def _chain(self, request: Request) -> Outcome | None:
        """One image from its first request to its one status; None where the budget does not reach."""
        spent = Spent()
        while True:
            answer = self.cache.get(request.image_id, request.key) if self.cache is not None else None
            cached = answer is not None
            if answer is None:
                try:
                    request = await self._ready(request)
                    answer = await self._ask(request)
                except OSError as error:
                    return Outcome(request, Status.ERROR, error=f"image: {error}")
                except BudgetSpent:
                    self._spent = True
                    return None
                if self.cache is not None and answer.status is not Status.ERROR:
                    self.cache.put(request.image_id, request.key, answer)
            spent.add(answer, cached=cached)
            loop = asyncio.get_running_loop()
            judged, corrections = await loop.run_in_executor(self._judges, _judged, answer, request)
            if judged.fault is None or len(request.turns) >= REPAIRS:
                return Outcome(
                    replace(request, image=None), judged.status, judged.annotation, corrections, judged.error,
                    answer.text.rstrip()[:RAW_LIMIT], spent,
                )  # fmt: skip
            request = request.after(answer.text[:SENT_BACK], self.prompt.repair(judged.fault))

    async def _ready(self, request: Request) -> Request:
        """The request with its image, read and encoded."""
        if not self.backend.needs_image or request.image is not None:
            return request
        loop = asyncio.get_running_loop()
        data = await loop.run_in_executor(self._readers, self.read, request)
        return replace(request, image=await loop.run_in_executor(self._encoders, self.encode, data))

    async def _ask(self, request: Request) -> Answer:
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((request, answered))
        return await answered

    async def _work(self) -> None:
        """One of the backend's askers: takes what lies ready, up to a batch, and hands out the answers."""
        while True:
            taken = [await self._waiting.get()]
            while len(taken) < self.backend.batch and not self._waiting.empty():
                taken.append(self._waiting.get_nowait())
            await self._answer(taken)

    async def _answer(self, taken: list[tuple[Request, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self.backend.answer([request for request, _ in taken], self.meter)
        except BudgetSpent as spent:
            if len(taken) > 1:  # not all of them at once: perhaps some
                for one in taken:
                    await self._answer([one])
                return
            _fail(taken, spent)
        except Exception as error:  # noqa: BLE001 - it is raised again where the answers are awaited
            _fail(taken, error)
        else:
            for (_, answered), answer in zip(taken, answers, strict=True):
                if not answered.done():
                    answered.set_result(answer)

    def _watch(self, outcome: Outcome) -> None:
        """Give up where nothing is answered any more: a server that is down must not cost every image its retries."""
        if not outcome.spent.attempts:
            return
        self._failures = self._failures + 1 if outcome.status is Status.ERROR else 0
        if self._failures >= HOPELESS:
            raise ServerDownError(
                f"the last {self._failures} images got no answer, stopped ({outcome.error}): check the server and run "
                "the same command again, what was answered is kept"
            )


def _fail(taken: list[tuple[Request, asyncio.Future[Answer]]], error: Exception) -> None:
    for _, answered in taken:
        if not answered.done():
            answered.set_exception(error)


def _judged(answer: Answer, request: Request) -> tuple[Judged, tuple[str, ...]]:
    """The verdict on an answer, and the annotation as the expert rules leave it."""
    judged = judge(answer, request)
    if judged.annotation is None:
        return judged, ()
    corrected, names = correct(judged.annotation, request.facts)
    return replace(judged, annotation=corrected), names
