"""Inspect: the second pass over bytes, for images that are not dropped by then: OCR, codes, faces, alignment, captions.

Each image is measured for what it lacks and no more: a new extractor, a raised version, other weights or a caption that
came later cost just that. The rows of many units are committed together, several times in a long run.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import duckdb

from pipelines import all_signals
from pipelines.dead_letters import MOST_ATTEMPTS, Letter, open_letters, settle
from pipelines.edit_scores import score_edits, scorers
from pipelines.engines import Engine, Result
from pipelines.examine import IMAGE_SECONDS
from pipelines.extractors import discover, folders, in_inspect
from pipelines.extractors.base import CaptionText, Extractor
from pipelines.inspect_unit import Inspected, Inspection, Item, in_order, version_of, work
from pipelines.progress import Progress, silent
from pipelines.recipe import Recipe, stored_tables
from pipelines.tables import ensure
from warehouse.commit import RunInfo, commit_parts
from warehouse.errors import UsageError
from warehouse.lake import Lake, quoted
from warehouse.metadata import relations, stored_columns
from warehouse.parts import Part, find_part, key
from warehouse.schema import EDIT_SCORES, EDITS, ERRORS, NIGHTS, SHARD_INDEX

UNIT_IMAGES = 32
ASKED_AT_ONCE = 4096  # images whose captions and stored rows are read by one query
COMMIT_PARTS = 2000  # staged parts that make a commit


@dataclass
class InspectSummary:
    """What an inspection did. `str()` says it in one line."""

    extractors: tuple[str, ...] = ()
    images: int = 0
    edit_pairs: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    unread: list[tuple[str, str]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    set_aside: int = 0  # images of units that failed too often
    seconds: float = 0.0
    committed: bool = False

    def __str__(self) -> str:
        if not self.extractors:
            return "nothing to inspect: the recipe asks for no signal beyond scan's"
        names = ", ".join(self.extractors)
        if not self.images and not self.unread and not self.failed and not self.edit_pairs:
            return f"nothing to inspect: no image lacks {names}{self._aside}"
        said = f"{self.images} images inspected for {names}, {self.seconds:.1f} s"
        if self.edit_pairs:
            said += f"; {self.edit_pairs} edit pairs scored"
        if self.errors:
            said += "; errors: " + ", ".join(f"{count} {what}" for what, count in sorted(self.errors.items()))
        if self.unread:
            uri, reason = self.unread[0]
            first = reason if uri in reason else f"{uri}: {reason}"
            said += f"; {len(self.unread)} could not be read and stay pending ({first})"
        if self.failed:
            said += f"; {len(self.failed)} units could not be finished, the next run tries them again: {self.failed[0]}"
        return said + self._aside

    @property
    def _aside(self) -> str:
        if not self.set_aside:
            return ""
        return (
            f"; {self.set_aside} left alone after {MOST_ATTEMPTS} failed runs: see the table errors, glyphmill replay"
        )


def chosen_extractors(recipe: Recipe, named: Sequence[str] = ()) -> tuple[Extractor, ...]:
    """The inspecting extractors to run: those `named`, else those whose signals the recipe asks for, and what these
    come after; in the order to run them. Raises UsageError for a name nobody has and for one that cannot run here."""
    known = {e.name: e for e in in_inspect()}
    unknown = sorted(set(named) - known.keys())
    if unknown:
        raise UsageError(f"no extractor {unknown[0]} for inspect; there are {', '.join(sorted(known))}")
    tables = {signal.measured_in for signal in recipe.signals}
    todo = list(named) or [name for name, e in known.items() if e.table.name in tables]
    chosen: dict[str, Extractor] = {}
    while todo:
        extractor = known.get(todo.pop())
        if extractor is not None and extractor.name not in chosen:
            chosen[extractor.name] = extractor
            todo.extend(extractor.after)
    for extractor in chosen.values():
        lacking = extractor.missing()
        if lacking:
            raise UsageError(absent(recipe, extractor, lacking))
    return in_order(list(chosen.values()))


def absent(recipe: Recipe, extractor: Extractor, lacking: str) -> str:
    """One line on an extractor that cannot run here: the rule that asks for it and what to do."""
    rule = next((r for r in recipe.rules if any(s.measured_in == extractor.table.name for s in r.signals)), None)
    asked = f"recipe {recipe.name}, rule {rule.name!r}: " if rule else ""
    return f"{asked}extractor {extractor.name} cannot run here: {lacking}"


def inspect(
    lake: Lake,
    recipe: Recipe,
    *,
    engine: Engine,
    extractors: Sequence[str] = (),
    pending: bool = False,
    limit: int | None = None,
    source: str | None = None,
    images: Sequence[str] | None = None,
    image_seconds: float = IMAGE_SECONDS,
    wait_s: float = 0,
    progress: Progress = silent,
) -> InspectSummary:
    """Measure what images that the recipe did not drop lack, and commit it. `pending`: only images that wait for it;
    `source`: only those of this source and of sources that no night takes care of; `images`: these, decided or not.
    The lake's lock is taken to commit only, and waited for `wait_s` seconds.

    Where embeddings are among it, edit pairs whose pictures have one are scored too.

    Raises UsageError where the recipe was never decided with, or needs what this machine lacks; LakeBusy, LakeError.
    """
    began = time.monotonic()
    chosen = chosen_extractors(recipe, extractors)
    summary = InspectSummary(tuple(e.name for e in chosen))
    if not chosen:
        return summary
    tables = {e.table.name: e.table for e in chosen}
    con = lake.connect()
    try:
        ensure(lake, con, (*tables.values(), SHARD_INDEX, EDITS, EDIT_SCORES, ERRORS, NIGHTS), wait_s=wait_s)
        snapshot = lake.snapshot(con)
        due = find_due(con, recipe, chosen, pending=pending, limit=limit, source=source, images=images)
        summary.set_aside = _set_aside(con, chosen) if images is None else 0
        letters: list[Letter] = []
        staged: list[Part] = []

        def commit() -> None:
            run = RunInfo(
                command="inspect",
                engine=engine.name,
                recipe=recipe.hash,
                versions={e.name: version_of(e, folders()) for e in chosen},
                counts={"images": summary.images, "errors": dict(sorted(summary.errors.items()))},
                seconds=time.monotonic() - began,
                snapshot=snapshot,
            )
            with lake.lock("inspect", wait_s):
                summary.committed |= commit_parts(lake, con, run, staged, tables).committed
            staged.clear()

        progress(0, due)
        seen = 0
        for result in engine.map(work, _fresh(lake, jobs(lake, con, chosen, image_seconds), staged, summary)):
            if result.value is None:
                summary.failed.append((result.error or "").split("\n")[0])
                letters.append(_letter(recipe, chosen, result))
            else:
                _count(result.value, staged, summary)
            seen = summary.images + len(summary.unread)
            progress(seen, due, ", ".join(summary.extractors))
            if len(staged) >= COMMIT_PARTS:
                commit()
        progress(due, due)
        if staged:
            commit()
        resolved = {letter.key for letter in open_letters(con, "inspect") if _is_measured(con, recipe, chosen, letter)}
        with lake.lock("inspect", wait_s):
            settle(lake, con, "inspect", letters, resolved, None)
            for scorer, version in scorers(chosen).items():
                summary.edit_pairs += score_edits(lake, con, scorer, version, progress=progress)
            all_signals.refresh(con, stored_tables(con))
    finally:
        con.close()
    summary.seconds = time.monotonic() - began
    return summary


def plan(lake: Lake, recipe: Recipe, extractors: Sequence[str] = (), *, pending: bool = False) -> str:
    """What `inspect` would do, in one line; nothing is read but the lake, nothing is written."""
    chosen = chosen_extractors(recipe, extractors)
    con = lake.connect(read_only=True)
    try:
        due = find_due(con, recipe, chosen, pending=pending) if chosen else 0
    finally:
        con.close()
    return f"inspect: {due} images lack one of {', '.join(e.name for e in chosen)}" if chosen else str(InspectSummary())


def find_due(
    con: duckdb.DuckDBPyConnection,
    recipe: Recipe,
    extractors: Sequence[Extractor],
    *,
    pending: bool = False,
    limit: int | None = None,
    source: str | None = None,
    images: Sequence[str] | None = None,
) -> int:
    """Make the temporary tables `lacks` (image_id, extractor, caption_ids) and `due` (images to read and which chunk of
    which unit they are in); returns how many images are due. What failed too often is not, unless `images` names it.

    An image that fails a late stage may still be trained at an early scale. So an extractor is due where no rule fails
    up to the first stage that a scale begins at, or up to the stage that asks for the extractor, whichever is later.
    """
    if images is not None:
        named = ", ".join(quoted(image) for image in images)
        con.execute(
            "CREATE OR REPLACE TEMP TABLE open_images AS "
            f"SELECT unnest([{named}]::VARCHAR[]) AS image_id, 0::UBIGINT AS failed_bits"
        )
    elif not con.execute("SELECT 1 FROM lake.recipes WHERE recipe = ?", [recipe.hash]).fetchall():
        raise UsageError(f"nothing is decided by recipe {recipe.name} yet: run glyphmill decide with it first")
    else:
        con.execute(
            f"""CREATE OR REPLACE TEMP TABLE open_images AS
            SELECT image_id, failed_bits FROM lake.decisions
            WHERE recipe = {quoted(recipe.hash)} AND outcome <> 'duplicate'
            {"AND pending_bits <> 0" if pending else ""}"""
        )
    asked_at = _stages(recipe, extractors)
    tables = stored_columns(con)
    con.execute("CREATE OR REPLACE TEMP TABLE lacks (image_id VARCHAR, extractor VARCHAR, caption_ids VARCHAR[])")
    for extractor in extractors:
        per_caption = extractor.per == "caption"
        keys = "image_id, caption_id" if per_caption else "image_id"
        ids = "list(caption_id ORDER BY caption_id)" if per_caption else "NULL"
        early = sum(1 << place for place, rule in enumerate(recipe.rules) if rule.stage <= asked_at[extractor.name])
        lacking = f"(SELECT image_id FROM temp.open_images WHERE failed_bits & {early}::UBIGINT = 0) AS o"
        lacking = f"lake.captions SEMI JOIN {lacking} USING (image_id)" if per_caption else lacking
        if extractor.table.name in tables:
            version = quoted(version_of(extractor, folders()))
            measured = f"SELECT {keys} FROM lake.{extractor.table.name} WHERE version = {version}"
            lacking += f" ANTI JOIN ({measured}) USING ({keys})"
            if images is None and ERRORS.name in tables:
                lacking += f" ANTI JOIN ({_hopeless([extractor])}) USING (image_id)"
        con.execute(
            f"INSERT INTO lacks SELECT image_id, {quoted(extractor.name)}, {ids} FROM {lacking} "
            + ("GROUP BY image_id" if per_caption else "")
        )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE due AS
        SELECT image_id, unit, (row_number() OVER (PARTITION BY unit ORDER BY uri, "offset", "row") - 1)
                // {UNIT_IMAGES} AS chunk, row_number() OVER (ORDER BY unit, uri, "offset", "row") AS place
        FROM (
            SELECT * FROM lake.inputs SEMI JOIN temp.lacks USING (image_id)
            WHERE status = 'ok' {_theirs(source, tables)}
            ORDER BY unit, uri, "offset", "row" {f"LIMIT {limit}" if limit is not None else ""}
        )"""
    )
    return int(con.execute("SELECT count(*) FROM due").fetchall()[0][0])


def _theirs(source: str | None, tables: Mapping[str, object]) -> str:
    """SQL condition on `inputs`: those of one source, and of sources that have no nights of their own."""
    if source is None:
        return ""
    others = " OR source NOT IN (SELECT source FROM lake.nights)" if NIGHTS.name in tables else ""
    return f"AND (source = {quoted(source)}{others})"


def _hopeless(extractors: Sequence[Extractor]) -> str:
    """Query: images of units that failed too often with one of the extractors as they are now."""
    now = ", ".join(quoted(_named(e)) for e in extractors)
    return (
        f"SELECT DISTINCT unnest(images) AS image_id FROM lake.errors WHERE command = 'inspect' AND status = 'open' "
        f"AND attempts >= {MOST_ATTEMPTS} AND list_has_any(extractors, [{now}])"
    )


def _set_aside(con: duckdb.DuckDBPyConnection, extractors: Sequence[Extractor]) -> int:
    return int(con.execute(f"SELECT count(*) FROM ({_hopeless(extractors)})").fetchall()[0][0])


def _named(extractor: Extractor) -> str:
    return f"{extractor.name} {version_of(extractor, folders())}"


def _letter(recipe: Recipe, extractors: Sequence[Extractor], result: Result[Inspection, Inspected]) -> Letter:
    """The row of `errors` of a unit that failed for good; it is known by its images, as its name may change."""
    images = tuple(sorted(item.image_id for item in result.unit.items))
    wanted = {name for name, _ in result.unit.parts}
    letter = Letter(
        command="inspect",
        unit=key("inspect", images),
        recipe=recipe.hash,
        extractors=tuple(_named(e) for e in extractors if e.name in wanted),
        images=images,
    )
    return letter.told(result)


def _is_measured(
    con: duckdb.DuckDBPyConnection, recipe: Recipe, extractors: Sequence[Extractor], letter: Letter
) -> bool:
    """Whether the images of a unit that failed once lack nothing more of what was asked. Makes `due` anew."""
    asked = {told.partition(" ")[0] for told in letter.extractors}
    chosen = [e for e in extractors if e.name in asked]
    return len(chosen) == len(asked) and find_due(con, recipe, chosen, images=letter.images) == 0


def _stages(recipe: Recipe, extractors: Sequence[Extractor]) -> dict[str, int]:
    """For each extractor, the stage up to which no rule may fail for it to be worth running."""
    first = min(scale.from_stage or 7 for scale in recipe.scales)
    asked: dict[str, int] = {}
    for extractor in reversed(extractors):  # those that come after it before itself
        stages = [
            rule.stage for rule in recipe.rules if any(s.measured_in == extractor.table.name for s in rule.signals)
        ]
        stages += [asked[e.name] for e in extractors if extractor.name in e.after]
        asked[extractor.name] = max(first, min(stages, default=first))
    return asked


def jobs(
    lake: Lake, con: duckdb.DuckDBPyConnection, extractors: Sequence[Extractor], image_seconds: float
) -> Iterator[Inspection]:
    """The units of work over what `find_due` found, a few thousand images asked of the lake at a time."""
    (total,) = con.execute("SELECT count(*) FROM due").fetchall()[0]
    order = {e.name: place for place, e in enumerate(extractors)}
    versions = {e.name: version_of(e, folders()) for e in extractors}
    before = _stored_before(extractors)
    start = 0
    while start < total:
        # Whole chunks only, so that how many are asked at once decides nothing.
        (end,) = con.execute(
            "SELECT max(place) FROM due SEMI JOIN (SELECT unit, chunk FROM due WHERE place > ? AND place <= ?) "
            "USING (unit, chunk)",
            [start, start + ASKED_AT_ONCE],
        ).fetchall()[0]
        con.execute("CREATE OR REPLACE TEMP TABLE asked AS FROM due WHERE place > ? AND place <= ?", [start, end])
        start = end
        chunks: dict[tuple[str, int], list[Item]] = {}
        rows = _stored_rows(con, before)
        for unit, chunk, item in _items(con, lake.pool, order, rows):
            chunks.setdefault((unit, chunk), []).append(item)
        for (unit, chunk), items in chunks.items():
            names = sorted({name for item in items for name in item.wanted}, key=order.__getitem__)
            parts = tuple((name, _part_name(name, versions[name], items)) for name in names)
            yield Inspection(str(lake.root), f"{unit}-{chunk}", tuple(items), parts, folders(), image_seconds)


def _part_name(extractor: str, version: str, items: Sequence[Item]) -> str:
    measured = [(i.image_id, sorted(i.unmeasured.get(extractor, ()))) for i in items if extractor in i.wanted]
    return key("inspect", extractor, version, measured)


def _stored_before(extractors: Sequence[Extractor]) -> dict[str, str]:
    """Tables of the extractors that some chosen one comes after, and what it reads besides."""
    wanted = {name for e in extractors for name in e.after}
    return {e.name: e.table.name for e in discover() if e.name in wanted} | {r: r for e in extractors for r in e.reads}


def _stored_rows(con: duckdb.DuckDBPyConnection, before: Mapping[str, str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Rows of the asked images in those tables and views, by name and image."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    there = relations(con)
    for name, relation in before.items():
        if relation in there:
            got = con.execute(f"SELECT * FROM lake.{relation} SEMI JOIN asked USING (image_id)").to_arrow_table()
            found[name] = {row["image_id"]: row for row in got.to_pylist()}
    return found


def _items(
    con: duckdb.DuckDBPyConnection,
    pool: PurePath,
    order: Mapping[str, int],
    rows: Mapping[str, Mapping[str, dict[str, Any]]],
) -> Iterator[tuple[str, int, Item]]:
    lacks: dict[str, dict[str, frozenset[str]]] = {}
    for image_id, extractor, ids in con.execute("FROM lacks SEMI JOIN asked USING (image_id)").fetchall():
        lacks.setdefault(image_id, {})[extractor] = frozenset(ids or ())
    captions: dict[str, list[CaptionText]] = {}
    for image_id, *told in con.execute(
        "SELECT image_id, caption_id, kind, text, lang FROM lake.captions SEMI JOIN asked USING (image_id) ORDER BY ALL"
    ).fetchall():
        captions.setdefault(image_id, []).append(CaptionText(*told))
    # Bytes that are in the pool are read there: the delivery may be gone by now.
    found = con.execute(
        """SELECT a.unit, a.chunk, a.image_id, coalesce(? || x.shard, i.uri) AS uri,
            if(x.shard IS NULL, i."offset", x."offset") AS "offset", if(x.shard IS NULL, i.length, x.size) AS length,
            i."row", coalesce(h.width::BIGINT * h.height, 0) AS pixels
        FROM asked a
        JOIN lake.inputs i ON i.image_id = a.image_id AND i.status = 'ok'
        LEFT JOIN lake.shard_index x ON x.image_id = a.image_id
        LEFT JOIN lake.signals_header h ON h.image_id = a.image_id
        ORDER BY a.place""",
        [f"{pool}/"],
    ).fetchall()
    for unit, chunk, image_id, uri, offset, length, row, pixels in found:
        lacking = lacks[image_id]
        yield (
            unit,
            chunk,
            Item(
                image_id=image_id,
                uri=uri,
                offset=offset,
                length=length,
                row=row,
                pixels=pixels,
                wanted=tuple(sorted(lacking, key=order.__getitem__)),
                captions=tuple(captions.get(image_id, ())),
                unmeasured=lacking,
                rows={name: by_image[image_id] for name, by_image in rows.items() if image_id in by_image},
            ),
        )


def _fresh(
    lake: Lake, found: Iterable[Inspection], staged: list[Part], summary: InspectSummary
) -> Iterator[Inspection]:
    """The units that are still to be done; those a former run finished and staged are counted as they are."""
    tables = {e.name: e.table.name for e in discover()}
    for job in found:
        parts = [find_part(lake, tables[name], part, job.name) for name, part in job.parts]
        whole = [part for part in parts if part is not None]
        if len(whole) == len(parts):
            staged.extend(whole)
            summary.images += len(job.items)
        else:
            yield job


def _count(done: Inspected, staged: list[Part], summary: InspectSummary) -> None:
    staged.extend(done.parts)
    summary.images += done.images
    summary.errors.update(done.errors)
    summary.unread.extend(done.unread)
