"""Near pairs by a shuffle: each hash is sent to every one of its 168 keys, and compared with those that it meets there.

A row is a key of 64 bits (table, key in it, and the split, from the top) and 49 bytes: a flag, the image id, the hash.
A key that very many hashes share, as pages of one template do, is split: its hashes are dealt to n shares by image id,
and each two shares meet under a key of their own, so that no worker ever holds more than two of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.engines import beat
from pipelines.near import banding
from pipelines.near.banding import BAND_BITS, KEY_BANDS, TABLES, Searched, confirmed, cut, keys, meetings
from pipelines.near.blocks import (
    HASH_BYTES,
    ID_BYTES,
    PAIRS,
    Block,
    Ids,
    Writer,
    Written,
    as_binary,
    copy_out,
    fixed,
    read,
    read_hashes,
    rows_of,
)

SHARE_BITS = 11  # of each of the two shares that meet under a split key
SHARES = 1 << SHARE_BITS  # at most, of one key
TABLE_AT = KEY_BANDS * BAND_BITS + 2 * SHARE_BITS
OLD, SECOND = 1, 2  # flags: compared before; of the second of two shares

CROWDS = pa.schema([("key", pa.int64()), ("rows", pa.int64())])
SENT = pa.schema([("key", pa.int64()), ("row", pa.binary())])

Keys = NDArray[np.int64]


@dataclass(frozen=True)
class Sent:
    """Hashes to be sent, whether they are new, and the file of keys that are split."""

    block: Block
    fresh: bool
    split: str


def crowds(limit: int, unit: tuple[Block, str]) -> Written:
    """A part of CROWDS: keys that `limit` hashes of the block share, or more."""
    block, folder = unit
    _, hashes = read_hashes(block)
    bands = cut(hashes)
    out = Writer(folder, CROWDS)
    for number, table in enumerate(TABLES):
        ordered = np.sort(keys(bands, table))
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        rows = np.diff(np.append(starts, len(ordered)))
        many = rows >= limit
        out.write(pa.table([pa.array(_whole(number, ordered[starts[many]])), pa.array(rows[many])], schema=CROWDS))
        beat()
    return out.written()


def find_crowds(parts: list[Written], crowd: int, folder: Path) -> str:
    """A file of the keys to split, and their shares. A key with more than two crowds of rows is surely among them."""
    path = folder / "split.parquet"
    with duckdb.connect() as con:
        con.execute("SET memory_limit = '1GB'")
        query = (
            f"SELECT key, least({SHARES}, ceil(sum(rows) / {crowd}))::BIGINT AS shares "
            f"FROM {rows_of(parts, CROWDS)} GROUP BY key HAVING sum(rows) > {crowd} ORDER BY key"
        )
        copy_out(con, query, path)
    return str(path)


def send(unit: Sent) -> pa.Table:
    """The rows of SENT that a block sends: one for each hash and table, more for a key that is split."""
    ids, hashes = read_hashes(unit.block)
    bands = cut(hashes)
    key = np.concatenate([_whole(number, keys(bands, table)) for number, table in enumerate(TABLES)])
    row = np.concatenate([np.full((len(ids), 1), 0 if unit.fresh else OLD, np.uint8), ids, hashes], axis=1)
    place = np.tile(np.arange(len(ids)), len(TABLES))
    split, shares = _split(unit.split)
    flags = np.zeros(len(key), np.uint8)
    if len(split):
        at = np.minimum(np.searchsorted(split, key), len(split) - 1)
        many = split[at] == key
        dealt = _deal(key[many], place[many], shares[at[many]], ids)
        key = np.concatenate([key[~many], dealt[0]])
        place = np.concatenate([place[~many], dealt[1]])
        flags = np.concatenate([flags[~many], dealt[2]])
    rows = row[place]
    rows[:, 0] |= flags
    return pa.table([pa.array(key), as_binary(rows).cast(pa.binary())], schema=SENT)


def meet(folder: str, rows: pa.Table) -> Written:
    """A part of PAIRS: of the rows of some keys, those pairs under a key that no other key of theirs finds first."""
    raw = fixed(rows["row"], 1 + ID_BYTES + HASH_BYTES)
    key = rows["key"].to_numpy()
    tally = banding.Tally()
    out = Writer(folder, PAIRS)
    tables = key >> TABLE_AT
    edges = [0, *(np.flatnonzero(tables[1:] != tables[:-1]) + 1).tolist(), len(tables)] if len(tables) else []
    for start, stop in pairwise(edges):
        order = start + np.argsort(raw[start:stop, 0] & OLD, kind="stable")  # meetings are of the new, so these first
        _meet_in_table(key[order], raw[order], TABLES[int(tables[start])], tally, out)
        beat()
    return out.written(tally.candidates)


def _meet_in_table(key: Keys, raw: NDArray[np.uint8], table: banding.Table, tally: banding.Tally, out: Writer) -> None:
    flags, ids = raw[:, 0], raw[:, 1 : 1 + ID_BYTES]
    searched = Searched.of(np.ascontiguousarray(raw[:, 1 + ID_BYTES :]))
    _, rank = np.unique(key, return_inverse=True)
    two_shares = (key >> SHARE_BITS) % SHARES != key % SHARES
    for a, b in meetings(rank.astype(np.uint64), int(np.count_nonzero(flags & OLD == 0))):
        # Under a key of two shares, only hashes of different ones: each share meets itself under its own.
        met = ~two_shares[a] | ((flags[a] ^ flags[b]) & SECOND != 0)
        pairs = confirmed(searched, searched, table, a[met], b[met], tally)
        out.write(pa.table([as_binary(ids[pairs.a]), as_binary(ids[pairs.b]), pa.array(pairs.distance)], schema=PAIRS))


def _whole(table: int, key: banding.Keys) -> Keys:
    """Keys of a table as keys of all tables, not split."""
    return (np.int64(table) << TABLE_AT) | (key.astype(np.int64) << (2 * SHARE_BITS))


def _deal(
    key: Keys, place: NDArray[np.int64], shares: Keys, ids: Ids
) -> tuple[Keys, NDArray[np.int64], NDArray[np.uint8]]:
    """Rows of split keys as (key, place, flag): a hash of one share goes to the keys of that share and every other."""
    number = np.ascontiguousarray(ids[place, :8]).view(">u8").ravel()
    own = (number % shares.astype(np.uint64)).astype(np.int64)
    total = np.concatenate([np.zeros(1, np.int64), np.cumsum(shares)])
    which = np.repeat(np.arange(len(key)), shares)
    other = np.arange(total[-1]) - total[which]
    own = own[which]
    low, high = np.minimum(own, other), np.maximum(own, other)
    return key[which] | (low << SHARE_BITS) | high, place[which], np.where(own > other, SECOND, 0).astype(np.uint8)


@lru_cache(maxsize=1)
def _split(path: str) -> tuple[Keys, Keys]:
    """Split keys, ascending, and their shares."""
    table = read(Block(path, 0, 1 << 62))
    return table["key"].to_numpy(), table["shares"].to_numpy()
