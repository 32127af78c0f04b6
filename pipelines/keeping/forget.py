"""Forget: which images, by id, uri, source or query; and the words of them that counts of text hold."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path

import duckdb

from pipelines.balancing.tokens import TOKEN, texts
from pipelines.nights.forgetting import unlisted
from warehouse import forget as takedown
from warehouse.commit import pack_query
from warehouse.errors import UsageError
from warehouse.forget import ASKED, Extra, Forgot
from warehouse.lake import Lake
from warehouse.metadata import stored_columns
from warehouse.schema import TEXT_TOKENS


def forget(
    lake: Lake,
    reason: str,
    *,
    ids: Iterable[str] = (),
    uris: Iterable[str] = (),
    sources: Iterable[str] = (),
    sql: str | None = None,
    dry_run: bool = False,
) -> Forgot:
    """Forget the images of these ids, of these files or the containers they lie in, of these sources, and that a query
    gives as `image_id`. `ids` may be of images that the lake never had: they are kept out.

    Raises UsageError where nothing is named or no reason given, a uri or source is unknown, or the query gives no
    image_id; LakeBusy.
    """
    if not dry_run and not reason.strip():
        raise UsageError("give a --reason: it is all that is kept beside the image's id")
    with lake.lock("forget", wait_s=60), lake.connect() as con:
        chosen = [*ids, *_delivered(con, "uri", uris), *_delivered(con, "source", sources)]
        if sql is not None:
            chosen += _queried(con, sql)
        before = takedown.choose(con, chosen)
        if dry_run:
            return takedown.plan(con, before)
        words, lists = _recounted(lake, con), unlisted(lake, con)
        extra = Extra({**words.files, **lists.files}, {**words.replace, **lists.replace})
        return takedown.forget(lake, con, reason, before, extra)


def read_ids(file: Path) -> list[str]:
    """Image ids from a file: one a line, or the column or field image_id of a .csv, .tsv or .jsonl file.

    Raises UsageError for a file that cannot be read so.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix.lower() in (".jsonl", ".ndjson"):
            return [str(json.loads(line)["image_id"]) for line in text.splitlines() if line.strip()]
        if file.suffix.lower() in (".csv", ".tsv"):
            delimiter = "," if file.suffix.lower() == ".csv" else "\t"
            return [row["image_id"] for row in csv.DictReader(text.splitlines(), delimiter=delimiter)]
        return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    except KeyError as error:
        raise UsageError(f"{file} has no column image_id") from error
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise UsageError(f"{file} cannot be read as image ids: {error}") from error


def _delivered(con: duckdb.DuckDBPyConnection, column: str, values: Iterable[str]) -> list[str]:
    found: list[str] = []
    for value in values:
        rows = con.execute(
            f'SELECT DISTINCT image_id FROM lake.inputs WHERE "{column}" = ? AND image_id IS NOT NULL', [value]
        ).fetchall()
        if not rows:
            raise UsageError(f"no image of the lake has the {column} {value}: ask `inputs` for what there is")
        found += [image_id for (image_id,) in rows]
    return found


def _queried(con: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    try:
        rows = con.execute(f"SELECT image_id FROM ({sql.strip().rstrip(';')}\n) WHERE image_id IS NOT NULL").fetchall()
    except duckdb.Error as error:
        raise UsageError(f"--sql must be a query that gives image_id: {str(error).splitlines()[0]}") from error
    if not rows:
        raise UsageError("--sql gives no image")
    return [image_id for (image_id,) in rows]


def _recounted(lake: Lake, con: duckdb.DuckDBPyConnection) -> Extra:
    """`text_tokens` without what only the images of `to_forget` show; the next balance counts all of it again.

    The table is written whole, so that no file of the present holds a word that went.
    """
    tables = stored_columns(con)
    told = texts(con)
    if not told or TEXT_TOKENS.name not in tables:
        return Extra()
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE gone_tokens AS
        SELECT token, count(DISTINCT image_id) AS gone FROM (
            SELECT image_id, unnest(regexp_extract_all(lower(nfc_normalize(text)), $token)) AS token
            FROM ({" UNION ALL ".join(f"({query})" for query in told)}) AS told(image_id, text)
            WHERE image_id IN ({ASKED})
        ) GROUP BY token""",
        {"token": TOKEN},
    )
    touched = con.execute("SELECT 1 FROM lake.text_tokens SEMI JOIN temp.gone_tokens USING (token) LIMIT 1").fetchone()
    if touched is None:
        return Extra()
    left = """
        SELECT * EXCLUDE (gone) REPLACE (
            greatest(0, images - coalesce(gone, 0))::BIGINT AS images,
            least(chosen, greatest(0, images - coalesce(gone, 0)))::BIGINT AS chosen,
            if(images > coalesce(gone, 0), copies, 0) AS copies
        )
        FROM lake.text_tokens LEFT JOIN temp.gone_tokens USING (token)
        WHERE images > coalesce(gone, 0) OR level IS NOT NULL"""
    return Extra({TEXT_TOKENS.name: pack_query(con, lake, TEXT_TOKENS, left)}, {TEXT_TOKENS.name: "true"})
