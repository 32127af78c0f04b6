"""Annotate: asks an annotator about every image that is not dropped, once, and keeps all it said.

What is asked is asked through a cache and under a cost cap that both lie in the lake's folder, so the run may be killed
at any moment: run again, it finds what was answered, asks the rest, and spends no more than it was given.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from annotate import prompting, store
from annotate.backends.base import Backend, Request, Status
from annotate.budget import Budget, BudgetMeter, Spent
from annotate.cache import AnswerCache
from annotate.schema import json_schema
from annotate.vision import SentImage, Sizing, encode
from pipelines.annotating import facts as annotate_facts
from pipelines.annotating.flow import Flow, Outcome
from pipelines.annotating.rows import Row, annotation_row, caption_origin, caption_rows, commit_rows
from pipelines.decode import decode_full
from pipelines.progress import Progress, silent
from pipelines.reasons import UnreadableError
from warehouse.commit import RunInfo
from warehouse.errors import GlyphmillError, UsageError
from warehouse.lake import Lake, quoted
from warehouse.shards import image_id_of
from warehouse.sources import ImageReader

COMMIT_ROWS = 10_000
PAGE = 512  # images whose facts are asked for by one query
LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class Wish:
    """What is wanted of an annotator. `languages` of the captions; the first is also the prompt's. `again`: statuses
    that are asked again, beside error, which always is. `answer_tokens`: the most that one answer may have."""

    languages: tuple[str, ...] = ("en",)
    answer_tokens: int = 2048
    sizing: Sizing = field(default_factory=Sizing)
    limit: int | None = None
    again: frozenset[Status] = frozenset()

    def __post_init__(self) -> None:
        unknown = [name for name in self.languages if name not in LANGUAGES]
        if unknown or not self.languages or len(set(self.languages)) < len(self.languages):
            raise UsageError(f"languages are {' and '.join(LANGUAGES)}, each once; got {', '.join(self.languages)}")

    @property
    def prompt_version(self) -> str:
        return prompting.load(self.languages[0]).version_for(self.languages)


def sized(wish: Wish, multiple: int) -> Wish:
    """The wish with images in whole patches of so many pixels."""
    return replace(wish, sizing=replace(wish.sizing, multiple=multiple))


@dataclass(frozen=True)
class Cap:
    """A cost cap: what may be sent under the name `budget`, by however many runs; None: no limit. The name is today's
    date (UTC) if none is given, so that a limit is one of a day."""

    max_requests: int | None = None
    max_tokens: int | None = None
    budget: str | None = None

    @property
    def name(self) -> str:
        return self.budget or datetime.now(UTC).date().isoformat()


@dataclass
class AnnotateSummary:
    """What a run did. `cached`: images whose answers were all in the cache. `left`: due images that were not asked
    about, because the budget ended. Tokens and `requests` are this run's own spending."""

    annotator: str
    model: str
    due: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    left: int = 0
    budget: str = ""
    spent: Spent = field(default_factory=Spent)
    seconds: float = 0.0

    def __str__(self) -> str:
        if not self.due:
            return f"nothing to annotate: no image is due for {self.annotator} {self.model}"
        told = ", ".join(f"{count} {status}" for status, count in sorted(self.statuses.items())) or "none annotated"
        text = f"{sum(self.statuses.values())} images by {self.annotator} {self.model}: {told}"
        text += f"; {self.requests} requests, {self.input_tokens} tokens in, {self.output_tokens} out"
        if self.cached:
            text += f", {self.cached} images from the cache"
        if self.left:
            text += (
                f"; {self.left} left: the budget {self.budget} is spent "
                f"({self.spent.requests} requests, {self.spent.tokens + self.spent.reserved} tokens)"
            )
        return f"{text}; {self.seconds:.1f} s"


def annotate(
    lake: Lake, backend: Backend, *, wish: Wish | None = None, cap: Cap | None = None, progress: Progress = silent
) -> AnnotateSummary:
    """Annotate what is due and commit it, many rows at a time. Of several runs at once each may find the other's images
    due; the cache then keeps the cost down, not to nothing.

    Raises UsageError for what is wrong with all requests (key, address, model), ServerDownError where the server stops
    answering, LakeBusy. What was answered until then is in the lake or the cache.
    """
    return asyncio.run(_Run(lake, backend, wish or Wish(), cap or Cap(), progress).go())


@dataclass(frozen=True)
class Plan:
    """What a run would do. `cached`: due images with an answer in the cache, though perhaps one to be repaired."""

    due: int
    cached: int
    budget: str
    spent: Spent

    def __str__(self) -> str:
        spent = f"{self.spent.requests} requests and {self.spent.tokens + self.spent.reserved} tokens"
        return (
            f"would annotate {self.due} images, {self.cached} of them with an answer in the cache; "
            f"{spent} are spent of the budget {self.budget}"
        )


def plan(lake: Lake, name: str, model: str, *, wish: Wish | None = None, cap: Cap | None = None) -> Plan:
    """What `annotate` by the backend `name` would do; nothing is asked or written."""
    wish, cap = wish or Wish(), cap or Cap()
    spent, cached = Spent(), pa.table({"image_id": pa.array([], pa.string())})
    if (lake.local / store.FILE).exists():
        with closing(store.connect(lake.local / store.FILE)) as db:
            spent = Budget(db, cap.name).spent()
            cached = _cached_ids(AnswerCache(db, model, wish.prompt_version))
    with lake.connect(read_only=True) as con:
        due = find_due(con, name, model, wish, cached)
        answered = con.execute("SELECT count(*) FROM due WHERE cached").fetchall()[0][0]
    return Plan(due, answered, cap.name, spent)


def find_due(con: duckdb.DuckDBPyConnection, annotator: str, model: str, wish: Wish, cached: pa.Table) -> int:
    """Make the temporary table `due`, numbered from 0, and count it: images that are neither dropped nor a duplicate
    under the current recipe and lack an annotation by this annotator, model and prompt.

    A limit takes the smallest ids, which is a sample, as ids are hashes. First come those with an answer in the cache,
    which cost nothing, then all in the order in which they lie in their files.
    """
    done = [s for s in Status if s is not Status.ERROR and s not in wish.again]
    con.register("cached_ids", cached)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE due AS
        WITH wanted AS (
            SELECT i.image_id, i.uri, i."offset", i.length, i."row"
            FROM lake.inputs AS i
            LEFT JOIN (
                FROM lake.decisions WHERE recipe = (SELECT recipe FROM lake.current_recipe)
            ) AS d USING (image_id)
            ANTI JOIN (
                FROM lake.annotations
                WHERE annotator = {quoted(annotator)} AND model = {quoted(model)}
                    AND prompt_version = {quoted(wish.prompt_version)} AND status IN ({", ".join(map(quoted, done))})
            ) AS a USING (image_id)
            WHERE i.status = 'ok' AND coalesce(d.outcome, 'pending') NOT IN ('dropped', 'duplicate')
            ORDER BY image_id
            LIMIT {wish.limit if wish.limit is not None else "ALL"}
        )
        SELECT w.*, c.image_id IS NOT NULL AS cached,
            row_number() OVER (ORDER BY c.image_id IS NULL, uri, "offset", "row", w.image_id) - 1 AS n
        FROM wanted AS w LEFT JOIN cached_ids AS c USING (image_id)"""
    )
    con.unregister("cached_ids")
    return int(con.execute("SELECT count(*) FROM due").fetchall()[0][0])


def _cached_ids(cache: AnswerCache) -> pa.Table:
    return pa.table({"image_id": pa.array(cache.image_ids(), pa.string())})


@dataclass(frozen=True)
class _Place:
    uri: str
    offset: int | None
    length: int | None
    row: int


@dataclass
class _Run:
    """One run of `annotate`."""

    lake: Lake
    backend: Backend
    wish: Wish
    cap: Cap
    progress: Progress
    rows: list[Row] = field(default_factory=list)
    captions: list[Row] = field(default_factory=list)
    places: dict[str, _Place] = field(default_factory=dict)

    async def go(self) -> AnnotateSummary:
        began = time.monotonic()
        prompt = prompting.load(self.wish.languages[0])
        done = AnnotateSummary(self.backend.name, self.backend.model, budget=self.cap.name)
        with (
            closing(store.connect(self.lake.local / store.FILE)) as db,
            self.lake.connect(read_only=True) as con,
            ImageReader() as reader,
        ):
            budget = Budget(db, done.budget, max_requests=self.cap.max_requests, max_tokens=self.cap.max_tokens)
            cache = AnswerCache(db, self.backend.model, self.wish.prompt_version) if self.backend.needs_image else None
            known = _cached_ids(cache) if cache is not None else pa.table({"image_id": pa.array([], pa.string())})
            done.due = find_due(con, self.backend.name, self.backend.model, self.wish, known)
            flow = Flow(
                self.backend,
                cache,
                BudgetMeter(budget),
                prompt,
                read=lambda request: self._read(reader, request),
                encode=self._encode,
                encoders=max(2, (os.cpu_count() or 2) - 1),
            )
            self.progress(0, done.due)
            try:
                async with aclosing(flow.run(self._requests(con, prompt))) as outcomes:
                    await self._collect(outcomes, done)
            except GlyphmillError:
                await self._commit(done, began)  # what stopped the run is told; what was answered until then is kept
                raise
            done.spent = budget.spent()
            done.left = done.due - sum(done.statuses.values())
            done.seconds = time.monotonic() - began
            await self._commit(done, began)
        done.seconds = time.monotonic() - began
        return done

    async def _collect(self, outcomes: AsyncGenerator[Outcome, None], done: AnnotateSummary) -> None:
        began = time.monotonic()
        async for outcome in outcomes:
            self.places.pop(outcome.request.image_id, None)
            done.statuses[outcome.status.value] += 1
            done.requests += outcome.spent.sends
            done.input_tokens += outcome.spent.new_input_tokens
            done.output_tokens += outcome.spent.new_output_tokens
            done.cached += bool(outcome.spent.attempts and not outcome.spent.sends)
            self.rows.append(annotation_row(outcome, self.backend.name, self.backend.model, self.wish.prompt_version))
            if self.backend.needs_image:  # what no model has looked at is no new caption
                self.captions.extend(caption_rows(outcome, caption_origin(self.backend.model)))
            finished = sum(done.statuses.values())
            self.progress(finished, done.due, ", ".join(f"{n} {s}" for s, n in sorted(done.statuses.items())))
            if len(self.rows) >= COMMIT_ROWS:
                await self._commit(done, began)
                began = time.monotonic()

    async def _commit(self, done: AnnotateSummary, began: float) -> None:
        """Commit what there is, in a thread, so that answers on their way are taken meanwhile."""
        rows, captions, self.rows, self.captions = self.rows, self.captions, [], []
        if not rows:
            return
        run = RunInfo(
            command="annotate",
            versions={"annotator": done.annotator, "model": done.model, "prompt": self.wish.prompt_version},
            counts={
                "images": len(rows),
                **Counter(str(row["status"]) for row in rows),
                "input_tokens": sum(int(str(row["input_tokens"])) for row in rows),
                "output_tokens": sum(int(str(row["output_tokens"])) for row in rows),
            },
            seconds=time.monotonic() - began,
        )
        await asyncio.to_thread(
            commit_rows, self.lake, rows, captions, model=done.model, languages=self.wish.languages, run=run
        )

    def _requests(self, con: duckdb.DuckDBPyConnection, prompt: prompting.Prompt) -> Iterator[Request]:
        """A request for each due image, in order."""
        schema = json_schema(self.wish.languages)
        settings = f"{self.backend.settings} {self.wish.sizing}"
        for start in range(0, _count(con), PAGE):
            page = con.execute(
                'SELECT image_id, uri, "offset", length, "row" FROM due WHERE n BETWEEN ? AND ? ORDER BY n',
                [start, start + PAGE - 1],
            ).fetchall()
            facts = annotate_facts.load(con, [row[0] for row in page])
            for image_id, *place in page:
                self.places[image_id] = _Place(*place)
                yield Request(
                    facts=facts[image_id],
                    system=prompt.system,
                    prompt=prompt.user(self.wish.languages, facts[image_id]),
                    schema=schema,
                    languages=self.wish.languages,
                    answer_tokens=self.wish.answer_tokens,
                    settings=settings,
                )

    def _read(self, reader: ImageReader, request: Request) -> bytes:
        place = self.places[request.image_id]
        data = reader.read(place.uri, place.offset, place.length, place.row)
        if image_id_of(data) != request.image_id:
            raise OSError(f"changed: the bytes at {place.uri} are not those that were scanned")
        return data

    def _encode(self, data: bytes) -> SentImage:
        try:
            return encode(decode_full(data), self.wish.sizing)
        except UnreadableError as error:
            raise OSError(str(error)) from error


def _count(con: duckdb.DuckDBPyConnection) -> int:
    return int(con.execute("SELECT count(*) FROM due").fetchall()[0][0])
