"""Categorize: a leaf, a class and tracks for every image whose facts changed since, as rows of `signals_category`.

The state of an image is a hash of what its category is made from (captions, annotation, versions of signals, taxonomy,
code). SQL finds the images whose stored state is another; ranges of ids of them are the units of work.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

import duckdb

from pipelines.categories import facts as category_facts
from pipelines.categories.assign import VERSION, Assigner, Category, ImageFacts
from pipelines.categories.facts import Sources
from pipelines.categories.table import CATEGORY
from pipelines.categories.taxonomy import DEFAULT, Taxonomy, load_taxonomy
from pipelines.engines import Engine, beat
from pipelines.progress import Progress, silent
from warehouse import views
from warehouse.commit import RunInfo, commit_parts
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.parts import Part, find_part, key, write_part

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
    """Images `low` to `high` of a lake; `prefix` opens their states, `name` is the key of the part to be staged."""

    lake: PurePath
    settings: Settings
    prefix: str
    low: str
    high: str
    name: str


@dataclass(frozen=True)
class CategorizeSummary:
    """What a run did. `by_origin`: images of the whole lake by what told their category."""

    taxonomy: str
    images: int
    by_origin: dict[str, int]
    committed: bool
    seconds: float

    def __str__(self) -> str:
        if not self.images:
            return "no image to categorize anew"
        told = ", ".join(f"{count:,} by {origin}" for origin, count in self.by_origin.items())
        return f"{self.images:,} images categorized by {self.taxonomy}, {self.seconds:.1f} s; the lake has {told}"


def categorize(
    lake: Lake,
    *,
    engine: Engine,
    taxonomy: str = DEFAULT,
    scorer: str | None = None,
    language: str = "en",
    progress: Progress = silent,
) -> CategorizeSummary:
    """Assign every image whose facts changed since it was assigned, and commit the rows in place of the old ones.

    `scorer` names a section [alignment.NAME] of models.toml; where it is None, the first one whose embeddings the lake
    has is used, and none where there is none. `language` is that of the zero-shot prompts. Raises UsageError, LakeBusy.
    """
    started = time.monotonic()
    tree = load_taxonomy(taxonomy)
    if language not in LANGUAGES:
        raise UsageError(f"zero-shot prompts are in {' or '.join(LANGUAGES)}, not {language}")
    with lake.lock("categorize"):
        con = lake.connect()
        try:
            lake.ensure_tables(con, [CATEGORY])
            views.refresh(con)
            snapshot = lake.snapshot(con)
            settings = Settings(taxonomy, _scorer(con, scorer), language)
            prefix = state_prefix(tree, settings)
            sources = Sources.of(con, settings.scorer)
            stale = find_stale(con, sources, prefix)
            parts: list[Part] = []
            units = list(plan(lake, con, settings, prefix))
            progress(0, len(units))
            for done, result in enumerate(engine.map(work, units), 1):
                if result.value is None:
                    raise RuntimeError(f"categories of {result.unit.low} and on failed:\n{result.error}")
                parts.append(result.value)
                progress(done, len(units), f"{sum(p.rows for p in parts):,} images")
            run = RunInfo(
                command="categorize",
                engine=engine.name,
                versions={"categories": VERSION, "taxonomy": f"{tree.name}:{tree.hash}", "zero_shot": settings.scorer},
                counts={"images": stale},
                seconds=time.monotonic() - started,
                snapshot=snapshot,
            )
            committed = bool(parts) and commit_parts(lake, con, run, parts, {CATEGORY.name: CATEGORY}).committed
            by_origin = dict(
                con.execute(
                    f"SELECT category_origin, count(*) AS n FROM lake.{CATEGORY.name} GROUP BY 1 ORDER BY n DESC, 1"
                ).fetchall()
            )
        finally:
            con.close()
    return CategorizeSummary(tree.name, stale, by_origin, committed, time.monotonic() - started)


def state_prefix(taxonomy: Taxonomy, settings: Settings) -> str:
    """How the state of every image begins: code, taxonomy and scorer; the facts' hash follows."""
    model = ""
    if settings.scorer:
        from annotate.scoring import alignment

        model = f"+{key(settings.scorer, settings.language, alignment.fingerprint(settings.scorer))[:8]}"
    return f"{VERSION}.{taxonomy.hash[:8]}{model}:"


def find_stale(con: duckdb.DuckDBPyConnection, sources: Sources, prefix: str) -> int:
    """Make the temporary table `stale` (image_id, state, was): images to be assigned. Returns how many."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE stale AS
        SELECT s.image_id, s.state, c.version AS was
        FROM ({category_facts.states(sources, prefix)}) AS s
        LEFT JOIN (SELECT image_id, version FROM lake.{CATEGORY.name}) AS c USING (image_id)
        WHERE c.version IS DISTINCT FROM s.state"""
    )
    return int(con.execute("SELECT count(*) FROM temp.stale").fetchall()[0][0])


def plan(lake: Lake, con: duckdb.DuckDBPyConnection, settings: Settings, prefix: str) -> list[CategoryUnit]:
    """Ranges of at most UNIT_IMAGES stale images. The same lake gives the same units, under the same names."""
    last = con.execute(
        "SELECT run_id FROM lake.runs WHERE command = 'categorize' ORDER BY snapshot DESC, finished_at DESC LIMIT 1"
    ).fetchone()
    ranges = con.execute(
        f"""SELECT min(image_id), max(image_id), bit_xor(md5_number(image_id || state || coalesce(was, '')))
        FROM (SELECT *, row_number() OVER (ORDER BY image_id) - 1 AS place FROM temp.stale)
        GROUP BY place // {UNIT_IMAGES} ORDER BY 1"""
    ).fetchall()
    turn = last[0] if last else ""  # facts that change and change back are another run's parts
    return [
        CategoryUnit(lake.root, settings, prefix, low, high, key("category", low, high, str(digest), turn))
        for low, high, digest in ranges
    ]


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
        within = category_facts.between(unit.low, unit.high)
        wanted = dict(
            con.execute(
                f"""SELECT s.image_id, s.state FROM ({category_facts.states(sources, unit.prefix, within)}) AS s
                LEFT JOIN (SELECT image_id, version FROM lake.{CATEGORY.name} WHERE {within}) AS c USING (image_id)
                WHERE c.version IS DISTINCT FROM s.state"""
            ).fetchall()
        )
        ids, facts, embeddings = category_facts.read(con, sources, unit.low, unit.high)
    finally:
        con.close()
    if embeddings:
        facts = _with_guesses(ids, facts, embeddings, assigner.taxonomy, unit.settings)
    rows = []
    for place, (image_id, known) in enumerate(zip(ids, facts, strict=True)):
        if place % 1000 == 0:
            beat()
        if image_id in wanted:
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
