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
from pipelines.balancing.hanzi import levels
from warehouse.metadata import stored_columns

#: Table and query (image_id, text) of each source of the text that stands in a picture; all that a lake has count.
SOURCES: tuple[tuple[str, str], ...] = (
    ("signals_ocr", "SELECT image_id, ocr_text AS text FROM lake.signals_ocr WHERE status = 'ok'"),
    ("signals_captions", "SELECT image_id, unnest(quoted) AS text FROM lake.signals_captions WHERE status = 'ok'"),
)
_CJK = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}"
_LETTERS = r"\p{Latin}\p{Cyrillic}\p{Greek}\p{Arabic}\p{Hebrew}\p{Thai}\p{Devanagari}"
#: A character of a script without blanks between words, or a word of two letters and more.
TOKEN = rf"[{_CJK}]|[{_LETTERS}][{_LETTERS}\p{{M}}'’]+"
MILLIONTHS = 1_000_000


@dataclass(frozen=True)
class Gini:
    """Inequality of how often the tokens of a kind are shown, 0 to 1: images as chosen, and copies by weight."""

    kind: str
    tokens: int
    before: float
    after: float


def find_tokens(con: duckdb.DuckDBPyConnection) -> int:
    """Make the temporary table `image_tokens` (image_id, token, kind) of the images in `pool`, a token once an image.

    Returns the number of images with text. Sources that the lake does not have say nothing.
    """
    tables = stored_columns(con)
    texts = [query for table, query in SOURCES if table in tables]
    every = " UNION ALL ".join(f"({query})" for query in texts) or "SELECT NULL::VARCHAR, NULL::VARCHAR WHERE false"
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE image_tokens AS
        SELECT DISTINCT image_id, token,
            CASE WHEN regexp_full_match(token, '[{_CJK}]') THEN 'character' ELSE 'word' END AS kind
        FROM (
            SELECT image_id, unnest(regexp_extract_all(lower(nfc_normalize(text)), $token)) AS token
            FROM ({every}) AS told(image_id, text) SEMI JOIN temp.pool USING (image_id)
        )""",
        {"token": TOKEN},
    )
    return int(con.execute("SELECT count(DISTINCT image_id) FROM temp.image_tokens").fetchall()[0][0])


def weigh(con: duckdb.DuckDBPyConnection, settings: TokenWeights) -> None:
    """Make the temporary table `token_factors` (image_id, factor): of the images in `chosen` that have text."""
    threshold = "$threshold::BIGINT" if settings.threshold else "quantile_disc(images, 0.5) OVER (PARTITION BY kind)"
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE token_factors AS
        WITH own AS (FROM temp.image_tokens SEMI JOIN temp.chosen USING (image_id)),
        counted AS (SELECT kind, token, count(*) AS images FROM own GROUP BY kind, token),
        weighed AS (
            SELECT kind, token,
                round({MILLIONTHS} * least(1, pow({threshold} / images, $exponent)))::BIGINT AS weight
            FROM counted
        ),
        per_image AS (
            SELECT image_id, round(sum(weight) / count(*))::BIGINT AS weight
            FROM own JOIN weighed USING (kind, token) GROUP BY image_id
        )
        SELECT image_id, weight / (SELECT sum(weight) / count(*) FROM per_image) AS factor FROM per_image""",
        {"exponent": settings.exponent, **({"threshold": settings.threshold} if settings.threshold else {})},
    )


def count_tokens(con: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary table `token_rows`: the rows of `text_tokens` but for the recipe, by the weights of `result`.

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
        """CREATE OR REPLACE TEMP TABLE token_rows AS
        SELECT token, kind, level, coalesce(images, 0)::BIGINT AS images, coalesce(chosen, 0)::BIGINT AS chosen,
            coalesce(copies, 0) / 10000 AS copies
        FROM (
            SELECT token, kind, count(*) AS images, count(*) FILTER (stage6) AS chosen,
                sum(round(weight::DOUBLE * 10000)::BIGINT) AS copies
            FROM temp.image_tokens JOIN temp.result USING (image_id)
            GROUP BY token, kind
        )
        FULL JOIN (SELECT token, 'character' AS kind, level FROM standard) USING (token, kind)"""
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
