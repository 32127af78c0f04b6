"""Mine: images of the lake that a weak leaf could have but has not, by keywords in captions and by likeness.

Looked at is every image that stage 6 has not taken for the leaf: dropped by a rule or by balance, pending, or placed
elsewhere. Two rankings are made, one of keyword scores, one of cosines to the leaf's own images, and joined by
reciprocal rank fusion: score = sum of 1 / (60 + rank), Cormack et al. 2009.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from pipelines.balancing.entry import BalanceEntry
from pipelines.categories.keywords import IRREGULAR, Matcher
from pipelines.categories.table import CATEGORY
from pipelines.categories.taxonomy import Leaf, Taxonomy, load_taxonomy
from pipelines.recipe import Recipe
from warehouse.errors import LakeError, UsageError
from warehouse.lake import Lake, quoted
from warehouse.metadata import stored_columns
from warehouse.schema import EMBEDDING_PREFIX

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FUSION = 60
POOL = 1000  # best of each ranking that fusion looks at
SEEDS = 2000  # images of the leaf whose mean embedding is looked for, at most
SURE = 0.5  # category confidence from which on an image stands for its leaf
BATCH = 4096


@dataclass(frozen=True)
class Found:
    """One image for a leaf. `keyword`: its captions' score, `cosine`: its likeness to the leaf; None: not found by it.

    `outcome` under the recipe, None where it was not decided; `category` that it has now.
    """

    image_id: str
    score: float
    keyword: float | None
    cosine: float | None
    category: str | None
    outcome: str | None
    failed_rules: tuple[str, ...]
    uri: str
    caption: str | None


def mine(lake: Lake, recipe: Recipe, leaf: str, *, like: str | None = None, limit: int = 50) -> list[Found]:
    """The best `limit` images for a leaf, the best first; ties by id. Nothing is written.

    `like` names an image (its id, or the start of one) whose look-alikes are wanted instead. Raises UsageError for a
    leaf or image that is not there or where `like` needs embeddings that the lake has not, LakeError where the lake has
    neither captions nor embeddings.
    """
    taxonomy = load_taxonomy((recipe.balance or BalanceEntry()).taxonomy)
    wanted = taxonomy.leaf(leaf)
    with lake.connect(read_only=True) as con:
        _find_candidates(con, recipe, wanted)
        embeddings = embedding_table(con)
        if like is not None and embeddings is None:
            raise UsageError("--like needs embeddings: configure a scorer (docs/models.md) and run glyphmill inspect")
        rankings = {} if like is not None else {"keyword": by_keyword(con, taxonomy, wanted)}
        if embeddings is not None:
            rankings["cosine"] = by_likeness(con, embeddings, wanted, like)
        (captions,) = con.execute("SELECT count(*) FROM (FROM lake.captions LIMIT 1)").fetchall()[0]
        if embeddings is None and not captions:
            raise LakeError("the lake has neither captions nor embeddings to look in: run glyphmill scan or inspect")
        fused = fuse(rankings.values())[:limit]
        told = _told(con, recipe, [image_id for image_id, _ in fused])
    scores = {name: dict(ranking) for name, ranking in rankings.items()}
    return [
        Found(
            image_id,
            round(score, 5),
            scores.get("keyword", {}).get(image_id),
            scores.get("cosine", {}).get(image_id),
            *told[image_id],
        )
        for image_id, score in fused
    ]


def fuse(rankings: Iterable[Sequence[tuple[str, float]]]) -> list[tuple[str, float]]:
    """Ids by reciprocal rank fusion of rankings of (id, score), best first; ties by id."""
    total: dict[str, float] = {}
    for ranking in rankings:
        for rank, (name, _) in enumerate(ranking, 1):
            total[name] = total.get(name, 0.0) + 1 / (FUSION + rank)
    return sorted(total.items(), key=lambda item: (-item[1], item[0]))


def by_keyword(con: duckdb.DuckDBPyConnection, taxonomy: Taxonomy, leaf: Leaf) -> list[tuple[str, float]]:
    """Candidates whose captions speak of the leaf, with their score. DuckDB finds the captions, `keywords` scores."""
    if not leaf.en and not leaf.zh:
        return []
    matcher, place = Matcher(taxonomy), taxonomy.leaves.index(leaf)
    rows = con.execute(
        """SELECT image_id, list(text ORDER BY caption_id) FROM lake.captions SEMI JOIN temp.candidates USING (image_id)
        WHERE regexp_matches(lower(text), ?) GROUP BY image_id""",
        [_pattern(leaf)],
    ).fetchall()
    scored = ((image_id, round(matcher.total(texts)[place], 4)) for image_id, texts in rows)
    return sorted(((i, s) for i, s in scored if s > 0), key=lambda item: (-item[1], item[0]))[:POOL]


def by_likeness(
    con: duckdb.DuckDBPyConnection, table: tuple[str, str], leaf: Leaf, like: str | None
) -> list[tuple[str, float]]:
    """Candidates by the cosine of their embedding to the mean of the leaf's surest images, or to one image."""
    name, column = table
    stored = f"SELECT image_id, \"{column}\" AS embedding FROM lake.{name} WHERE status = 'ok'"
    if like is not None:
        seeds = f"{stored} AND starts_with(image_id, {quoted(like)})"
    else:
        seeds = f"""{stored} AND image_id IN (
            SELECT image_id FROM lake.{CATEGORY.name}
            WHERE category = {quoted(leaf.path)} AND category_confidence >= {SURE}
            ORDER BY md5(image_id) LIMIT {SEEDS})"""
    ids, vectors = _vectors(con, f"{seeds} ORDER BY image_id")
    if like is not None and len(ids) != 1:
        raise UsageError(f"{'no image' if not ids else 'more than one image'} with an embedding begins with {like}")
    if not ids:
        return []
    centre = vectors.mean(axis=0)
    best: list[tuple[str, float]] = []
    reader = con.execute(f"{stored} AND image_id IN (SELECT image_id FROM temp.candidates)").to_arrow_reader(BATCH)
    for batch in reader:
        some, rows = _decoded(batch["image_id"].to_pylist(), batch["embedding"].to_pylist())
        best += [(i, round(float(c), 4)) for i, c in zip(some, _cosines(rows, centre), strict=True) if i not in ids]
        best = sorted(best, key=lambda item: (-item[1], item[0]))[:POOL]
    return best


def embedding_table(con: duckdb.DuckDBPyConnection) -> tuple[str, str] | None:
    """(table, column) of the first scorer, by name, whose embeddings the lake has; None where it has none."""
    found = sorted(
        (table, column)
        for table, columns in stored_columns(con).items()
        for column in columns
        if table.startswith("signals_") and column.startswith(EMBEDDING_PREFIX)
    )
    for table, column in found:
        if con.execute(f"SELECT 1 FROM lake.{table} WHERE status = 'ok' LIMIT 1").fetchone():
            return table, column
    return None


def _find_candidates(con: duckdb.DuckDBPyConnection, recipe: Recipe, leaf: Leaf) -> None:
    """Make the temporary table `candidates` (image_id): every image but those stage 6 took for the leaf."""
    if CATEGORY.name not in stored_columns(con):
        raise LakeError("no image of this lake is categorised yet: run glyphmill categorize first")
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE candidates AS
        SELECT image_id FROM lake.inputs WHERE status = 'ok' AND image_id NOT IN (
            SELECT image_id FROM lake.balance
            WHERE recipe = {quoted(recipe.hash)} AND category = {quoted(leaf.path)} AND stage6
        )"""
    )


def _told(
    con: duckdb.DuckDBPyConnection, recipe: Recipe, ids: Sequence[str]
) -> dict[str, tuple[str | None, str | None, tuple[str, ...], str, str | None]]:
    """Category, outcome, failed rules, uri and first caption of each image."""
    rows = con.execute(
        f"""SELECT image_id, category, outcome, failed_rules, uri, caption
        FROM (SELECT image_id, uri FROM lake.inputs WHERE status = 'ok' AND list_contains($1::VARCHAR[], image_id))
        LEFT JOIN (SELECT image_id, category FROM lake.{CATEGORY.name}) USING (image_id)
        LEFT JOIN (SELECT image_id, outcome, failed_rules FROM lake.decisions WHERE recipe = $2) USING (image_id)
        LEFT JOIN (SELECT image_id, arg_min(text, caption_id) AS caption FROM lake.captions GROUP BY image_id)
            USING (image_id)""",
        [list(ids), recipe.hash],
    ).fetchall()
    return {
        image_id: (category, outcome, tuple(failed or ()), uri, caption)
        for image_id, category, outcome, failed, uri, caption in rows
    }


def _pattern(leaf: Leaf) -> str:
    """A regular expression that every text with a keyword of the leaf matches, and some others."""
    words = set(leaf.en) | {plural for plural, one in IRREGULAR.items() if one in leaf.en}
    starts = "|".join(sorted(word.lower().rstrip("y") for word in words))
    anywhere = "|".join(sorted(leaf.zh))
    return "|".join([*([rf"\b(?:{starts})"] if starts else []), *([anywhere] if anywhere else [])])


def _vectors(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[list[str], npt.NDArray[np.float32]]:
    table = con.execute(sql).to_arrow_table()
    return _decoded(table["image_id"].to_pylist(), table["embedding"].to_pylist())


def _decoded(ids: list[str], stored: list[bytes]) -> tuple[list[str], npt.NDArray[np.float32]]:
    """(n, d) vectors of stored embeddings."""
    import numpy as np

    if not ids:
        return [], np.empty((0, 0), np.float32)
    return ids, np.frombuffer(b"".join(stored), "<f2").reshape(len(ids), -1).astype(np.float32)


def _cosines(rows: npt.NDArray[np.float32], centre: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    import numpy as np

    wide, middle = rows.astype(np.float64), centre.astype(np.float64)
    lengths = np.sqrt((wide * wide).sum(axis=1)) * np.sqrt((middle * middle).sum())
    cosines: npt.NDArray[np.float64] = (wide * middle).sum(axis=1) / np.maximum(lengths, 1e-12)
    return cosines
