"""A night's frozen list: what a source holds that no night and no scan saw before, as rows of the lake.

The list is made once. Whatever the source does afterwards, a rerun of that night does the same units; what came since
is for the next night.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path, PurePath

import duckdb
import pyarrow as pa

from pipelines.progress import Progress, silent
from pipelines.scan import UNIT_SAMPLES
from pipelines.tables import ensure
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.errors import UsageError
from warehouse.lake import Lake, quoted
from warehouse.metadata import stored_columns
from warehouse.pack import store
from warehouse.schema import ERRORS, NIGHT_UNITS, NIGHTS
from warehouse.sources import Source, Unit, open_source
from warehouse.sources.files import UnreadableError, list_names, look, to_uri
from warehouse.sources.portion import Piece, from_text, pieces, samples_in, to_text, units_of

ASKED_AT_ONCE = 1 << 16  # samples that are looked up by one query
ROWS = 64  # units of a list written together
MARK = "{date}"
ASKED = pa.schema([("place", pa.int64()), ("state", pa.uint64()), ("uri", pa.string()), ("stamp", pa.string())])


@dataclass(frozen=True)
class Where:
    """Where a source is delivered. `{date}` in `path` stands for a night's date: then folders of up to `late` days
    before are looked at again, back to the source's first night, for what came late."""

    path: str
    name: str
    kind: str | None = None
    late: int = 7

    @property
    def dated(self) -> bool:
        return MARK in self.path

    def delivered(self, night: str) -> bool:
        """Whether the night's own folder is there and holds anything."""
        return _anything(self.path.replace(MARK, night), must=False)

    def since(self, night: str, first: str | None) -> str:
        """The first date whose folder is listed for a night; empty where the path has no date."""
        earliest = (date.fromisoformat(night) - timedelta(days=self.late)).isoformat()
        return min(night, max(earliest, first or night)) if self.dated else ""

    def sources(self, night: str, first: str | None) -> list[Source]:
        """What is to be listed for a night; `first`: the source's first night so far. Empty where nothing is there.

        Raises UsageError for a path that leads nowhere (one with a date: where the folder of the dates is not there),
        and for what cannot be read as a source.
        """
        if not self.dated:
            return [open_source(self.path, self.kind)] if _anything(self.path, must=True) else []
        begin, end = date.fromisoformat(self.since(night, first)), date.fromisoformat(night)
        wanted = [(begin + timedelta(days=n)).isoformat() for n in range((end - begin).days + 1)]
        paths = [self.path.replace(MARK, day) for day in wanted]
        there = [path for path in paths if _anything(path, must=False)]
        if not there and "://" not in self.path:  # a date may be missing, not the folder of the dates; S3 has none
            _anything(str(Path(self.path.partition(MARK)[0] + "_").parent), must=True)
        return [open_source(path, self.kind) for path in there]


def source_name(path: str) -> str:
    """The name of a source that nobody named: the last piece of its path without a date in it."""
    plain = [piece for piece in to_uri(path).split("/") if piece and MARK not in piece]
    if not plain:
        raise UsageError(f"{path} has no name in it: give one with --source-name")
    return plain[-1]


@dataclass(frozen=True)
class Night:
    """A row of `nights`."""

    source: str
    night: str
    roots: tuple[str, ...]
    units: int
    samples: int
    status: str
    versions: str | None
    frozen_at: datetime
    scanned_at: datetime | None = None


@dataclass(frozen=True)
class Listed:
    """A night's units, from the lake, as a source to be scanned. `lacking`: tables and versions; where there are any,
    only units with an image that has no such row in one of them."""

    lake: Lake
    night: Night
    lacking: tuple[tuple[str, str], ...] = ()

    @property
    def kind(self) -> str:
        return "night"

    @property
    def root(self) -> str:
        return self.night.source

    def units(self, max_samples: int = UNIT_SAMPLES) -> Iterator[Unit]:
        """The units as they were frozen, whatever `max_samples`."""
        with self.lake.connect(read_only=True) as con:
            only = ""
            if self.lacking:
                stale = f"SELECT unit FROM ({_stale(con, self.night.source, self.lacking)}) WHERE batch = $2"
                only = f"AND unit IN ({stale})"
            found = con.execute(
                f"SELECT content FROM lake.night_units WHERE source = $1 AND night = $2 AND content IS NOT NULL "
                f"{only} ORDER BY place",
                [self.night.source, self.night.night],
            )
            while rows := found.fetchmany(ROWS):
                for (content,) in rows:
                    yield from_text(content)


@dataclass(frozen=True)
class These:
    """Units at hand as a source to be scanned."""

    root: str
    given: tuple[Unit, ...]
    kind: str = "units"

    def units(self, max_samples: int = UNIT_SAMPLES) -> Iterator[Unit]:
        yield from self.given


def nights(con: duckdb.DuckDBPyConnection, source: str) -> list[Night]:
    """All nights of a source, the first one first."""
    if NIGHTS.name not in stored_columns(con):
        return []
    rows = con.execute(
        "SELECT source, night, roots, units, samples, status, versions, frozen_at, scanned_at FROM lake.nights "
        "WHERE source = ? ORDER BY night",
        [source],
    ).fetchall()
    return [Night(name, night, tuple(roots), *rest) for name, night, roots, *rest in rows]


def find_night(con: duckdb.DuckDBPyConnection, source: str, night: str) -> Night | None:
    """The night's row, or None where it was never frozen."""
    return next((known for known in nights(con, source) if known.night == night), None)


def freeze(
    lake: Lake, con: duckdb.DuckDBPyConnection, where: Where, night: str, *, wait_s: float, progress: Progress = silent
) -> Night | None:
    """Make the night's list, or find the one that was made. None: nothing was delivered yet, and nothing is frozen.

    Raises UsageError, LakeBusy.
    """
    ensure(lake, con, (NIGHTS, NIGHT_UNITS, ERRORS), wait_s=wait_s)
    while True:
        before = nights(con, where.name)
        known = next((n for n in before if n.night == night), None)
        if known is not None:
            return known
        earliest = before[0].night if before else None
        sources = where.sources(night, earliest)
        writing = _Writing(where.name, night)
        files = store(
            lake, NIGHT_UNITS, writing.tables(unseen(con, where.name, sources, where.since(night, earliest), progress))
        )
        if where.dated and not writing.units and not where.delivered(night):
            return None
        with lake.lock("freeze", wait_s):
            if nights(con, where.name) != before:
                continue  # another night of the source was frozen meanwhile: what is unseen is another question now
            roots = tuple(source.root for source in sources)
            made = Night(where.name, night, roots, writing.units, writing.samples, "frozen", None, datetime.now(UTC))
            run = RunInfo(
                command="freeze",
                batch=night,
                engine="sql",
                counts={"source": where.name, "units": made.units, "samples": made.samples},
            )
            commit(con, lake, run, {NIGHT_UNITS.name: files, NIGHTS.name: _row(con, lake, made)})
            return made


def mark(lake: Lake, con: duckdb.DuckDBPyConnection, night: Night, status: str, versions: str | None = None) -> None:
    """Set how far a night came, and what it was measured by where that is told; nothing is written where the lake says
    so already. Raises LakeBusy."""
    known = find_night(con, night.source, night.night)
    if known is None:
        return
    versions = versions or known.versions
    if (known.status, known.versions) == (status, versions):
        return
    when = known.scanned_at if versions == known.versions else datetime.now(UTC)
    made = replace(known, status=status, versions=versions, scanned_at=when)
    run = RunInfo(command="night", batch=night.night, engine="sql", counts={"source": night.source, "status": status})
    mine = f"source = {quoted(night.source)} AND night = {quoted(night.night)}"
    commit(con, lake, run, {NIGHTS.name: _row(con, lake, made)}, replace={NIGHTS.name: mine})


def unseen(
    con: duckdb.DuckDBPyConnection, name: str, sources: Sequence[Source], since: str = "", progress: Progress = silent
) -> Iterator[tuple[Unit, list[int]]]:
    """Units of what no night and no scan of the source `name` saw in its present state, and the states in each.

    `since`: nights before it cannot have seen any of it.
    """
    there = NIGHTS.name in stored_columns(con)  # not in a lake of an earlier version that is only looked at
    own = f"source = {quoted(name)} AND night >= {quoted(since)}"
    none = "SELECT 0::UBIGINT AS state LIMIT 0"
    states = f"SELECT unnest(states) AS state FROM lake.night_units WHERE {own}" if there else none
    con.execute(f"CREATE OR REPLACE TEMP TABLE seen_states AS {states}")
    by_hand = f"AND batch NOT IN (SELECT night FROM lake.nights WHERE source = {quoted(name)})" if there else ""
    within = " OR ".join(f"starts_with(uri, {quoted(source.root)})" for source in sources) or "false"
    con.execute(  # scanned by hand: by file alone, as sidecars have no rows
        f"""CREATE OR REPLACE TEMP TABLE seen_files AS
        SELECT uri, file_stamp AS stamp FROM lake.inputs WHERE source = {quoted(name)} AND ({within}) {by_hand}"""
    )
    yield from units_of(_new(con, everything(sources), progress), UNIT_SAMPLES)


def find_stale(con: duckdb.DuckDBPyConnection, source: str, tables: Sequence[tuple[str, str]]) -> list[str]:
    """Nights of the source that have units to be scanned again, see `Listed.lacking`."""
    if not tables:
        return []
    rows = con.execute(
        f"""SELECT DISTINCT u.night FROM lake.night_units AS u SEMI JOIN ({_stale(con, source, tables)}) AS l
        ON l.batch = u.night AND l.unit = u.unit WHERE u.source = {quoted(source)} ORDER BY 1"""
    ).fetchall()
    return [night for (night,) in rows]


def _stale(con: duckdb.DuckDBPyConnection, source: str, tables: Sequence[tuple[str, str]]) -> str:
    """Query: batch and unit of the source's images that lack a row in one of the tables (name and version)."""
    stored = stored_columns(con)
    return " UNION ".join(
        f"""SELECT batch, unit FROM lake.inputs {_lacking(table, version) if table in stored else ""}
        WHERE source = {quoted(source)} AND status = 'ok'"""
        for table, version in tables
    )


def _lacking(table: str, version: str) -> str:
    return f'ANTI JOIN (SELECT image_id FROM lake."{table}" WHERE version = {quoted(version)}) USING (image_id)'


@dataclass
class _Writing:
    """A list on its way to the lake."""

    source: str
    night: str
    units: int = 0
    samples: int = 0

    def tables(self, found: Iterable[tuple[Unit, list[int]]]) -> Iterator[pa.Table]:
        waiting = iter(found)
        while some := list(islice(waiting, ROWS)):
            yield NIGHT_UNITS.from_rows([self._row(unit, states) for unit, states in some])

    def _row(self, unit: Unit, states: list[int]) -> dict[str, object]:
        place = self.units
        self.units += 1
        self.samples += samples_in(unit) or 0
        text = to_text(unit)
        return {
            "source": self.source,
            "night": self.night,
            "unit": unit.key,
            "place": place,
            "states": states,
            "content": text,
        }


def _row(con: duckdb.DuckDBPyConnection, lake: Lake, night: Night) -> list[PurePath]:
    con.register("night_row", NIGHTS.from_rows([{**vars(night), "roots": list(night.roots)}]))
    try:
        return pack_query(con, lake, NIGHTS, "SELECT * FROM night_row")
    finally:
        con.unregister("night_row")


def everything(sources: Sequence[Source]) -> Iterator[Piece]:
    """All that the sources hold."""
    for source in sources:
        for unit in source.units(UNIT_SAMPLES):
            yield from pieces(unit)


def _new(con: duckdb.DuckDBPyConnection, found: Iterator[Piece], progress: Progress) -> Iterator[Piece]:
    looked = new = 0
    while asked := list(islice(found, ASKED_AT_ONCE)):
        columns = zip(*((n, p.state, p.uri, p.stamp) for n, p in enumerate(asked)), strict=True)
        con.register(
            "asked_pieces", pa.table([pa.array(c, f.type) for c, f in zip(columns, ASKED, strict=True)], ASKED)
        )
        places = con.execute(
            "SELECT place FROM asked_pieces ANTI JOIN temp.seen_states USING (state) "
            "ANTI JOIN temp.seen_files USING (uri, stamp) ORDER BY place"
        ).fetchall()
        con.unregister("asked_pieces")
        looked, new = looked + len(asked), new + len(places)
        progress(looked, None, f"{new} new")
        for (place,) in places:
            yield asked[place]


def _anything(path: str, *, must: bool) -> bool:
    """Whether something lies at the path. Raises UsageError where nothing does and it `must`."""
    uri = to_uri(path)
    try:
        entry = look(uri)
        if entry is None:
            if must:
                raise UsageError(f"no such file or folder: {path}")
            return False
        return entry.kind != "folder" or bool(list_names(uri))
    except UnreadableError as error:
        raise UsageError(f"{path}: {error}") from error
