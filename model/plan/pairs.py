"""The files of edit pairs: target and references of each as records of a selection, its weight and instructions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from warehouse.buckets import nearest_sql
from warehouse.errors import UsageError
from warehouse.selection import Bucket, Selection

Int64 = npt.NDArray[np.int64]
_ROWS = 1 << 16


@dataclass(frozen=True)
class PairCounts:
    """`selected` pairs of the query, and those of them that are whole and `stored`."""

    selected: int
    stored: int


def write_pairs(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    sql: str,
    usable: str,
    languages: Sequence[str] | None,
    pictures: Selection,
    buckets: Sequence[str],
) -> tuple[tuple[Bucket, ...], PairCounts, str]:
    """Write the pairs that `sql` names, that are usable and whose pictures are all stored, sorted by bucket and id.

    Returns their buckets, counts, and 32 hex digits that name all of it. Raises UsageError where none is left.
    """
    columns = [str(row[0]) for row in con.execute(f"DESCRIBE SELECT * FROM ({sql}\n)").fetchall()]
    weight = "c.weight::FLOAT" if "weight" in columns else "1::FLOAT"
    bucket = "c.bucket::VARCHAR" if "bucket" in columns else nearest_sql("h.width", "h.height", buckets)
    sizes = "" if "bucket" in columns else "LEFT JOIN lake.signals_header h ON h.image_id = e.target_id"
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE asked AS
        SELECT e.pair_id, e.target_id, e.reference_ids, e.instruction_en, e.instruction_zh, {weight} AS weight,
            coalesce({bucket}, 'unknown') AS bucket, ({usable}) AS usable
        FROM ({sql}\n) c JOIN lake.edits e USING (pair_id) {sizes}
        WHERE e.status = 'ok'
        QUALIFY row_number() OVER (PARTITION BY e.pair_id ORDER BY e.source, e.batch, e.uri, e."row") = 1"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE pairs AS
        WITH parts AS (SELECT pair_id, unnest(list_append(reference_ids, target_id)) AS image_id FROM asked),
        broken AS (SELECT DISTINCT pair_id FROM parts WHERE image_id IS NULL
            OR image_id NOT IN (SELECT image_id FROM lake.shard_index))
        SELECT row_number() OVER (ORDER BY bucket, pair_id) - 1 AS pos, * FROM asked
        WHERE usable AND len(reference_ids) > 0 AND pair_id NOT IN (SELECT pair_id FROM broken)"""
    )
    selected, stored = _counted(con)
    if not stored:
        raise UsageError(
            f"none of its {selected} edit pairs has all its pictures stored and an instruction: run `glyphmill export`"
            if selected
            else "the selection is empty: no edit pair fits the query"
        )
    _refuse_weights(con)
    record = _Finder(pictures)
    target = record(
        con, 'SELECT shard, "offset" FROM pairs JOIN lake.shard_index s ON s.image_id = target_id ORDER BY pos'
    )
    reference = record(
        con,
        """SELECT shard, "offset" FROM (
            SELECT pos, unnest(reference_ids) AS image_id, generate_subscripts(reference_ids, 1) AS place FROM pairs
        ) JOIN lake.shard_index USING (image_id) ORDER BY pos, place""",
    )
    plain = con.execute(
        "SELECT weight, ('0x' || pair_id)::UBIGINT AS name, len(reference_ids) AS number FROM pairs ORDER BY pos"
    ).fetchnumpy()
    numbers = np.concatenate([[0], np.cumsum(plain["number"])])
    digest = hashlib.sha256()
    for name, array in (
        ("target", target.astype("<i8")),
        ("reference", reference.astype("<i8")),
        ("reference_first", numbers.astype("<i8")),
        ("weight", np.asarray(plain["weight"]).astype("<f4")),
        ("check", np.asarray(plain["name"]).astype("<u8")),
    ):
        array.tofile(folder / name)
        digest.update(array.tobytes())
    _write_instructions(con, folder, languages or ("en", "zh"), stored, digest)
    return _ranges(con), PairCounts(selected, stored), digest.hexdigest()[:32]


def _counted(con: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    row = con.execute("SELECT (SELECT count(*) FROM asked), (SELECT count(*) FROM pairs)").fetchone()
    assert row is not None  # two scalar subqueries always give a row
    return int(row[0]), int(row[1])


def _refuse_weights(con: duckdb.DuckDBPyConnection) -> None:
    wrong = "SELECT pair_id, weight FROM asked WHERE (weight >= 0 AND isfinite(weight)) IS NOT TRUE ORDER BY 1 LIMIT 1"
    row = con.execute(wrong).fetchone()
    if row is not None:
        raise UsageError(f"its query gives edit pair {row[0]} the weight {row[1]}: a weight is a number >= 0")


class _Finder:
    """Finds the records of a selection by shard and offset."""

    def __init__(self, pictures: Selection) -> None:
        self._shards = {name: number for number, name in enumerate(pictures.header.shards)}
        keys = (pictures.records["shard"].astype(np.int64) << 32) | pictures.records["block"]
        self._order = np.argsort(keys)
        self._keys = keys[self._order]

    def __call__(self, con: duckdb.DuckDBPyConnection, query: str) -> Int64:
        rows = con.execute(query).fetchnumpy()
        numbers = np.array([self._shards[shard] for shard in rows["shard"]], np.int64)
        keys = (numbers << 32) | (np.asarray(rows["offset"], np.int64) - 512) // 512
        found: Int64 = self._order[np.searchsorted(self._keys, keys)]
        return found


def _write_instructions(
    con: duckdb.DuckDBPyConnection, folder: Path, languages: Sequence[str], pairs: int, digest: hashlib._Hash
) -> None:
    """Instructions as `model.plan.words` reads them: kind 0 is English, 1 Chinese."""
    each = " UNION ALL ".join(
        f"SELECT pos, {('en', 'zh').index(one)} AS kind, instruction_{one} AS text FROM pairs "
        f"WHERE trim(coalesce(instruction_{one}, '')) <> ''"
        for one in languages
    )
    counts = np.zeros(pairs + 1, np.int64)
    ends, total = [np.zeros(1, np.int64)], 0
    found = con.execute(f"SELECT pos, kind, text FROM ({each}) ORDER BY pos, kind")
    with open(folder / "caption_text", "wb") as out, open(folder / "caption_kind", "wb") as kinds:
        while rows := found.fetchmany(_ROWS):
            texts = [text.encode() for _, _, text in rows]
            np.add.at(counts, np.array([pos for pos, _, _ in rows]) + 1, 1)
            kinds.write(bytes(kind for _, kind, _ in rows))
            joined = b"".join(texts)
            out.write(joined)
            digest.update(joined)
            ends.append(total + np.cumsum([len(text) for text in texts]))
            total = int(ends[-1][-1])
    np.concatenate(ends).astype("<u8").tofile(folder / "caption_end")
    np.cumsum(counts).astype("<u8").tofile(folder / "caption_first")
    digest.update(counts.tobytes())


def _ranges(con: duckdb.DuckDBPyConnection) -> tuple[Bucket, ...]:
    rows = con.execute(
        "SELECT bucket, min(pos), max(pos) + 1, bool_or(weight <> 1) FROM pairs GROUP BY bucket ORDER BY min(pos)"
    ).fetchall()
    return tuple(Bucket(str(name), int(start), int(stop), bool(weighted)) for name, start, stop, weighted in rows)
