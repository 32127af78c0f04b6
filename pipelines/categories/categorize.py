"""Categorize: a leaf, a class and tracks for every image whose facts changed since, as rows of `signals_category`.

The state of an image is a hash of what its category is made from (captions, annotation, versions of signals, taxonomy,
code). SQL finds the images whose stored state is another; ranges of ids of them are the units of work. Images of units
that failed are apart from the others, each such unit for itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePath

import duckdb

from pipelines.categories import facts as category_facts
from pipelines.categories.assign import VERSION, Assigner, Category, ImageFacts
from pipelines.categories.facts import Sources
from pipelines.categories.table import CATEGORY
from pipelines.categories.taxonomy import DEFAULT, Taxonomy, load_taxonomy
from pipelines.dead_letters import MOST_ATTEMPTS, Letter, open_keys, settle
from pipelines.engines import Engine, Result, beat
from pipelines.narrow import PIECES, narrowed
from pipelines.progress import Progress, silent
from warehouse import views
from warehouse.commit import RunInfo, commit_parts
from warehouse.errors import UsageError
from warehouse.lake import Lake, quoted
from warehouse.parts import Part, find_part, key, write_part
from warehouse.schema import ERRORS

UNIT_IMAGES = 25_000
LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class Settings:
    """What decides the categories besides the facts. `scorer`: name of the image-text scorer of zero-shot, or None."""

    taxonomy: str
    scorer: str | None = None
    language: str = "en"


@dataclass(frozen=True)
class CategoryUnit:
    """Images `low` to `high` of a lake; `prefix` opens their states, `name` is the key of the part to be staged.

    `letter`: of these, the images of the unit that failed under this key; without it, those of no unit that failed.
    """

    lake: PurePath
    settings: Settings
    prefix: str
    low: str
    high: str
    name: str
    letter: str = ""

    @property
    def within(self) -> str:
        """SQL predicate of the images."""
        return f"{category_facts.between(self.low, self.high)} AND {_of_letter(self.letter)}"


@dataclass(frozen=True)
class CategorizeSummary:
    """What a run did. `by_origin`: images of the whole lake by what told their category. `failed`: units that could not
    be finished. `set_aside`: images of units that failed too often."""

    taxonomy: str
    images: int
    by_origin: dict[str, int]
    committed: bool
    seconds: float
    failed: tuple[Letter, ...] = ()
    set_aside: int = 0

    def __str__(self) -> str:
        told = "no image to categorize anew"
        if self.images:
            origins = ", ".join(f"{count:,} by {origin}" for origin, count in self.by_origin.items())
            told = (
                f"{self.images:,} images categorized by {self.taxonomy}, {self.seconds:.1f} s; the lake has {origins}"
            )
        if self.failed:
            first = self.failed[0]
            told += f"; {len(self.failed)} units, {sum(len(one.images) for one in self.failed):,} images, could not be "
            told += f"finished, the next run tries them again (glyphmill replay --unit {first.unit[:8]}): {first.error}"
        if self.set_aside:
            told += f"; {self.set_aside:,} left alone after {MOST_ATTEMPTS} failed runs: table errors, glyphmill replay"
        return told


@dataclass
class _Run:
    """What came of the units."""

    parts: list[Part] = field(default_factory=list)
    failed: list[Letter] = field(default_factory=list)


def categorize(
    lake: Lake,
    *,
    engine: Engine,
    taxonomy: str = DEFAULT,
    scorer: str | None = None,
    language: str = "en",
    letter: str | None = None,
    progress: Progress = silent,
) -> CategorizeSummary:
    """Assign every image whose facts changed since it was assigned, and commit the rows in place of the old ones.

    `scorer` names a section [alignment.NAME] of models.toml; where it is None, the first one whose embeddings the lake
    has is used, and none where there is none. `language` is that of the zero-shot prompts. `letter`: the unit that
    failed under this key alone, however often. A unit that fails is narrowed down to the images it fails for, which
    become dead letters. Raises UsageError, LakeBusy.
    """
    started = time.monotonic()
    tree = load_taxonomy(taxonomy)
    if language not in LANGUAGES:
        raise UsageError(f"zero-shot prompts are in {' or '.join(LANGUAGES)}, not {language}")
    with lake.lock("categorize"):
        con = lake.connect()
        try:
            lake.ensure_tables(con, [CATEGORY, ERRORS])
            views.refresh(con)
            snapshot = lake.snapshot(con)
            settings = Settings(taxonomy, _scorer(con, scorer), language)
            prefix = state_prefix(tree, settings)
            find_stale(con, Sources.of(con, settings.scorer), prefix)
            done = _Run()
            units = list(plan(lake, con, settings, prefix, letter))
            due = {(unit, "") for (unit,) in con.execute("SELECT DISTINCT letter FROM temp.stale").fetchall()}
            finished = {(unit.letter, "") for unit in units if unit.letter} | (open_keys(con, "categorize") - due)

            def cut(unit: CategoryUnit) -> list[CategoryUnit]:
                return [] if unit.letter else _ranges(lake, con, settings, prefix, unit.within, PIECES)

            progress(0, len(units))
            for number, result in enumerate(narrowed(engine, work, units, cut), 1):
                if result.value is None:
                    done.failed.append(_letter(con, result))
                else:
                    done.parts.append(result.value)
                progress(min(number, len(units)), len(units), f"{sum(p.rows for p in done.parts):,} images")
            images = sum(part.rows for part in done.parts)
            run = RunInfo(
                command="categorize",
                engine=engine.name,
                versions={"categories": VERSION, "taxonomy": f"{tree.name}:{tree.hash}", "zero_shot": settings.scorer},
                counts={"images": images},
                seconds=time.monotonic() - started,
                snapshot=snapshot,
            )
            wrote = commit_parts(lake, con, run, done.parts, {CATEGORY.name: CATEGORY}) if done.parts else None
            settle(lake, con, "categorize", done.failed, finished, wrote.run_id if wrote else None)
            by_origin = dict(
                con.execute(
                    f"SELECT category_origin, count(*) AS n FROM lake.{CATEGORY.name} GROUP BY 1 ORDER BY n DESC, 1"
                ).fetchall()
            )
            aside = 0 if letter is not None else _count(con, f"temp.stale WHERE {_hopeless(prefix)}")
        finally:
            con.close()
    committed = wrote is not None and wrote.committed
    seconds = time.monotonic() - started
    return CategorizeSummary(tree.name, images, by_origin, committed, seconds, tuple(done.failed), aside)


def categorize_unit(lake: Lake, letter: Letter, *, engine: Engine) -> CategorizeSummary:
    """Assign the images of one unit that failed before, as it was to be done then. Raises UsageError, LakeBusy."""
    settings = Settings(**json.loads(letter.content or "{}"))
    return categorize(
        lake,
        engine=engine,
        taxonomy=settings.taxonomy,
        scorer=settings.scorer,
        language=settings.language,
        letter=letter.unit,
    )


def state_prefix(taxonomy: Taxonomy, settings: Settings) -> str:
    """How the state of every image begins: code, taxonomy and scorer; the facts' hash follows."""
    model = ""
    if settings.scorer:
        from annotate.scoring import alignment

        model = f"+{key(settings.scorer, settings.language, alignment.fingerprint(settings.scorer))[:8]}"
    return f"{VERSION}.{taxonomy.hash[:8]}{model}:"


def find_stale(con: duckdb.DuckDBPyConnection, sources: Sources, prefix: str) -> None:
    """Make the temporary table `stale`: images to be assigned, their state and what it was, and of each that was in a
    unit that failed, its key, attempts and what it was made by (image_id, state, was, letter, attempts, made_by)."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE stale AS
        SELECT s.image_id, s.state, c.version AS was, coalesce(f.told.unit, '') AS letter,
            coalesce(f.told.attempts, 0) AS attempts, coalesce(f.told.extractors, []) AS made_by
        FROM ({category_facts.states(sources, prefix)}) AS s
        LEFT JOIN (SELECT image_id, version FROM lake.{CATEGORY.name}) AS c USING (image_id)
        LEFT JOIN (
            SELECT image_id, max_by({{unit: unit, attempts: attempts, extractors: extractors}}, unit) AS told
            FROM (SELECT *, unnest(images) AS image_id FROM lake.errors WHERE {_FAILED}) GROUP BY image_id
        ) AS f USING (image_id)
        WHERE c.version IS DISTINCT FROM s.state"""
    )


def plan(
    lake: Lake, con: duckdb.DuckDBPyConnection, settings: Settings, prefix: str, letter: str | None = None
) -> list[CategoryUnit]:
    """Ranges of at most UNIT_IMAGES stale images, and each unit that failed before, but not too often; or `letter`
    alone. The same lake gives the same units, under the same names."""
    chosen = f"letter <> '' AND NOT ({_hopeless(prefix)})" if letter is None else f"letter = {quoted(letter)}"
    tried = con.execute(
        f"SELECT letter, min(image_id), max(image_id), {_STATE} FROM temp.stale WHERE {chosen} GROUP BY 1 ORDER BY 1"
    ).fetchall()
    turn = _turn(con)
    again = [
        CategoryUnit(lake.root, settings, prefix, low, high, _part_name(low, high, told, digest, turn), told)
        for told, low, high, digest in tried
    ]
    return again + (_ranges(lake, con, settings, prefix, _of_letter("")) if letter is None else [])


def _ranges(
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    prefix: str,
    within: str,
    pieces: int | None = None,
) -> list[CategoryUnit]:
    """The stale images that `within` holds for and that never failed, in ranges of UNIT_IMAGES or in so many pieces."""
    each = f"place // {UNIT_IMAGES}" if pieces is None else f"place * {pieces} // n"
    ranges = con.execute(
        f"""SELECT min(image_id), max(image_id), {_STATE}
        FROM (
            SELECT *, row_number() OVER (ORDER BY image_id) - 1 AS place, count(*) OVER () AS n
            FROM temp.stale WHERE letter = '' AND {within}
        )
        GROUP BY {each} ORDER BY 1"""
    ).fetchall()
    turn = _turn(con)
    return [
        CategoryUnit(lake.root, settings, prefix, low, high, _part_name(low, high, "", digest, turn))
        for low, high, digest in ranges
    ]


def _part_name(low: str, high: str, letter: str, digest: object, turn: str) -> str:
    return key("category", low, high, letter, str(digest), turn)


def _turn(con: duckdb.DuckDBPyConnection) -> str:
    """The last run: facts that change and change back are another run's parts."""
    last = con.execute(
        "SELECT run_id FROM lake.runs WHERE command = 'categorize' ORDER BY snapshot DESC, finished_at DESC LIMIT 1"
    ).fetchone()
    return str(last[0]) if last else ""


def _letter(con: duckdb.DuckDBPyConnection, result: Result[CategoryUnit, Part]) -> Letter:
    """The row of `errors` of a unit that failed for good; it is known by its images."""
    unit = result.unit
    chosen = f"letter = {quoted(unit.letter)} AND {category_facts.between(unit.low, unit.high)}"
    found = con.execute(f"SELECT image_id FROM temp.stale WHERE {chosen} ORDER BY 1").fetchall()
    images = tuple(image_id for (image_id,) in found)
    letter = Letter(
        command="categorize",
        unit=unit.letter or key("categorize", images),
        extractors=(f"categories {unit.prefix}",),
        images=images,
        content=json.dumps(asdict(unit.settings)),
    )
    return letter.told(result)


def _hopeless(prefix: str) -> str:
    """SQL predicate on `stale`: the unit failed too often with the categories as they are made now."""
    return f"attempts >= {MOST_ATTEMPTS} AND list_contains(made_by, {quoted(f'categories {prefix}')})"


def _of_letter(letter: str) -> str:
    """SQL predicate: the image is of this unit that failed; of none that did, for an empty key."""
    which = f"{_FAILED} AND unit = {quoted(letter)}" if letter else _FAILED
    images = f"SELECT unnest(images) AS image_id FROM lake.errors WHERE {which}"
    return f"image_id {'IN' if letter else 'NOT IN'} ({images})"


def _count(con: duckdb.DuckDBPyConnection, what: str) -> int:
    return int(con.execute(f"SELECT count(*) FROM {what}").fetchall()[0][0])


_FAILED = "command = 'categorize' AND status = 'open'"
_STATE = "bit_xor(md5_number(image_id || state || coalesce(was, '')))"


def work(unit: CategoryUnit) -> Part:
    """Assign a unit's stale images and stage their rows. Pure in its inputs: retried freely."""
    lake = Lake.open(unit.lake)
    staged = find_part(lake, CATEGORY.name, unit.name, unit.low)
    if staged is not None:
        return staged
    assigner = Assigner(load_taxonomy(unit.settings.taxonomy))
    con = lake.connect(read_only=True)
    try:
        sources = Sources.of(con, unit.settings.scorer)
        con.execute(
            f"""CREATE OR REPLACE TEMP TABLE wanted AS
            SELECT s.image_id, s.state FROM ({category_facts.states(sources, unit.prefix, unit.within)}) AS s
            LEFT JOIN (SELECT image_id, version FROM lake.{CATEGORY.name} WHERE {unit.within}) AS c USING (image_id)
            WHERE c.version IS DISTINCT FROM s.state"""
        )
        beat()
        wanted = dict(con.execute("SELECT image_id, state FROM temp.wanted").fetchall())
        # facts of these alone: a few new ones are spread over all ids of the lake
        within = f"{category_facts.between(unit.low, unit.high)} AND image_id IN (SELECT image_id FROM temp.wanted)"
        ids, facts, embeddings = category_facts.read(con, sources, within)
    finally:
        con.close()
    if embeddings:
        facts = _with_guesses(ids, facts, embeddings, assigner.taxonomy, unit.settings)
    rows = []
    for place, (image_id, known) in enumerate(zip(ids, facts, strict=True)):
        if place % 1000 == 0:
            beat()
        rows.append(_row(image_id, wanted[image_id], assigner.assign(known)))
    return write_part(lake, CATEGORY, unit.name, unit.low, CATEGORY.from_rows(rows))


def _row(image_id: str, state: str, found: Category) -> dict[str, object]:
    return {
        "image_id": image_id,
        "version": state,
        "category": found.path,
        "category_class": found.class_name,
        "category_confidence": found.confidence,
        "category_origin": found.origin,
        "portrait_track": found.portrait_track,
        "text_track": found.text_track,
        "ai_generated": found.ai_generated,
        "status": "ok",
        "error": None,
    }


def _with_guesses(
    ids: Sequence[str],
    facts: Sequence[ImageFacts],
    embeddings: dict[str, bytes],
    taxonomy: Taxonomy,
    settings: Settings,
) -> list[ImageFacts]:
    """The facts with the likeliest leaf of each image that has an embedding."""
    import numpy as np

    from annotate.scoring import alignment

    assert settings.scorer is not None
    model = alignment.scorer(settings.scorer)
    prompts = {leaf.path: leaf.prompts(settings.language) for leaf in taxonomy.leaves if not leaf.synthetic}
    known = [image_id for image_id in ids if image_id in embeddings]
    stacked = np.stack([alignment.unpack(embeddings[image_id]) for image_id in known])
    guesses = dict(zip(known, alignment.zero_shot(model, stacked, prompts), strict=True))
    return [
        replace(fact, zero_shot=(guesses[image_id].label, guesses[image_id].probability))
        if image_id in guesses
        else fact
        for image_id, fact in zip(ids, facts, strict=True)
    ]


def _scorer(con: duckdb.DuckDBPyConnection, asked: str | None) -> str | None:
    """The scorer to use: the one asked for, else the first that is configured, can be run and has embeddings here."""
    from annotate.scoring import alignment

    if asked is not None:
        lacking = alignment.missing(asked)
        if lacking:
            raise UsageError(f"zero-shot by {asked} cannot be run: {lacking}")
        if Sources.of(con, asked).embedding is None:
            raise UsageError(f"the lake has no embeddings of {asked}: run glyphmill inspect -e embedding_{asked}")
        return asked
    usable = (name for name in alignment.names() if alignment.missing(name) is None)
    return next((name for name in usable if Sources.of(con, name).embedding is not None), None)
