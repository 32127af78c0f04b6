"""Text-token frequency balance: which characters and words the text of images has, how often, and what that weighs.

A token's weight falls with the number of images it is in: w = min(1, (t / n) ** a). An image's factor is the mean of
its tokens' weights, over the mean of all images with text: text as a whole keeps its share and only moves within.
Sums are of whole millionths, so no order of rows or threads changes a digit.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from pipelines.balancing.entry import TokenWeights
from synth.hanzi import levels
from warehouse.metadata import relations

#: Relation and query (image_id, text) of what is known of the text that stands in a picture: it alone counts there.
KNOWN: tuple[tuple[str, str], ...] = (("synth_text", "SELECT image_id, text FROM lake.synth_text"),)
#: The same of what was read or told; for a picture of which nothing is known, all that a lake has count.
SOURCES: tuple[tuple[str, str], ...] = (
    ("signals_ocr", "SELECT image_id, ocr_text AS text FROM lake.signals_ocr WHERE status = 'ok'"),
    ("signals_captions", "SELECT image_id, unnest(quoted) AS text FROM lake.signals_captions WHERE status = 'ok'"),
)
_CJK = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}"
_LETTERS = r"\p{Latin}\p{Cyrillic}\p{Greek}\p{Arabic}\p{Hebrew}\p{Thai}\p{Devanagari}"
#: A character of a script without blanks between words, or a word of two letters and more.
TOKEN = rf"[{_CJK}]|[{_LETTERS}][{_LETTERS}\p{{M}}'’]+"
_KIND = f"CASE WHEN regexp_full_match(token, '[{_CJK}]') THEN 'character' ELSE 'word' END"
MILLIONTHS = 1_000_000


@dataclass(frozen=True)
class Gini:
    """Inequality of how often the tokens of a kind are shown, 0 to 1: images as chosen, and copies by weight."""

    kind: str
    tokens: int
    before: float
    after: float


def texts(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Queries (image_id, text), as far as the lake has their tables: an image may have several rows, or none."""
    there = relations(con)
    known = [query for relation, query in KNOWN if relation in there]
    read = [query for table, query in SOURCES if table in there]
    for relation in [relation for relation, _ in KNOWN if relation in there]:
        read = [f"SELECT image_id, text FROM ({query}) ANTI JOIN lake.{relation} USING (image_id)" for query in read]
    return [*known, *read]


def find_tokens(con: duckdb.DuckDBPyConnection) -> int:
    """Make the temporary table `image_tokens` (image, token) of the images in `pool`, a token once an image.

    Returns the number of images with text. Sources that the lake does not have say nothing.
    """
    every = (
        " UNION ALL ".join(f"({query})" for query in texts(con)) or "SELECT NULL::VARCHAR, NULL::VARCHAR WHERE false"
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE image_tokens AS
        SELECT DISTINCT image, token FROM (
            SELECT p.rowid AS image, unnest(regexp_extract_all(lower(nfc_normalize(text)), $token)) AS token
            FROM ({every}) AS told(image_id, text) JOIN temp.pool p USING (image_id)
        )""",
        {"token": TOKEN},
    )
    return int(con.execute("SELECT count(DISTINCT image) FROM temp.image_tokens").fetchall()[0][0])


def weigh(con: duckdb.DuckDBPyConnection, settings: TokenWeights) -> None:
    """Make the temporary table `token_factors` (image, factor): of the images in `taken` that have text."""
    threshold = (
        "$threshold::BIGINT" if settings.threshold else f"quantile_disc(images, 0.5) OVER (PARTITION BY {_KIND})"
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE token_factors AS
        WITH own AS (FROM temp.image_tokens SEMI JOIN temp.taken USING (image)),
        counted AS (SELECT token, count(*) AS images FROM own GROUP BY token),
        weighed AS (
            SELECT token, round({MILLIONTHS} * least(1, pow({threshold} / images, $exponent)))::BIGINT AS weight
            FROM counted
        ),
        per_image AS (
            SELECT image, round(sum(weight) / count(*))::BIGINT AS weight FROM own JOIN weighed USING (token)
            GROUP BY image
        )
        SELECT image, weight / (SELECT sum(weight) / count(*) FROM per_image) AS factor FROM per_image""",
        {"exponent": settings.exponent, **({"threshold": settings.threshold} if settings.threshold else {})},
    )


def count_tokens(con: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary table `token_rows`: the rows of `text_tokens` but for the recipe, by the weights of `chosen`.

    Characters of the standard that no image has are in it with zeros.
    """
    standard = [(character, number) for number, listed in enumerate(levels(), 1) for character in listed]
    con.register(
        "standard",
        pa.table(
            {"token": [c for c, _ in standard], "level": pa.array([n for _, n in standard], pa.int8())},
        ),
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE token_rows AS
        SELECT token, {_KIND} AS kind, level, coalesce(images, 0)::BIGINT AS images,
            coalesce(chosen, 0)::BIGINT AS chosen, coalesce(copies, 0) / 10000 AS copies
        FROM (
            SELECT token, count(*) AS images, count(weight) AS chosen,
                sum(round(weight::DOUBLE * 10000)::BIGINT) AS copies
            FROM temp.image_tokens LEFT JOIN temp.chosen USING (image)
            GROUP BY token
        )
        FULL JOIN standard USING (token)"""
    )
    con.unregister("standard")


def inequality(con: duckdb.DuckDBPyConnection) -> tuple[Gini, ...]:
    """Gini coefficients of the chosen tokens before and after weights, by kind; from `token_rows`."""
    return tuple(
        Gini(kind, tokens, before, after)
        for kind, tokens, before, after in con.execute(
            """SELECT kind, count(*), round(lake.gini(list(chosen)), 4), round(lake.gini(list(copies)), 4)
            FROM temp.token_rows WHERE chosen > 0 GROUP BY kind ORDER BY kind"""
        ).fetchall()
    )
