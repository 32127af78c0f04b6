"""A folder of images, with sidecars beside them and caption tables above them.

Every file is a sample, whatever its suffix, except: hidden files and system litter (`.*`, Thumbs.db, desktop.ini,
__MACOSX), caption tables (captions|metadata|manifest ... .csv|.tsv|.jsonl) and sidecars (`a.txt`, `a.json`,
`a.caption` or `a.jpg.txt` ... beside `a.jpg`). A sidecar with no image, and a table's row that names no file that is
there, are samples too: error rows. So nothing that was delivered can disappear.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from struct import Struct

import xxhash

from warehouse.sources import tables
from warehouse.sources.base import IMAGE_SUFFIXES, PARQUET_SUFFIXES, Delivered, FileState, TableLine, Unit
from warehouse.sources.captions import Told
from warehouse.sources.files import (
    Entry,
    UnreadableError,
    file_name,
    folder_identity,
    join,
    list_folder,
    look,
    read_file,
)
from warehouse.sources.tar import is_tar

SIDECARS = ("txt", "json", "caption")
MAX_SIDECAR = 64 << 20
LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})

Opener = Callable[[Sequence[Entry], int], tuple[Iterator[Unit], set[str]]]
"""From the files of one folder and max_samples to the units of the containers among them and the names these cover."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A file with its sidecars, and the rows of caption tables that name it."""

    files: tuple[FileState, ...]
    rows: tuple[tuple[FileState, tables.Row], ...] = ()


_PACKED = Struct("<qqq16s")  # a million rows are held at once: number, offset, length, digest


@dataclass
class Listing:
    """A caption table in reach of the walk: the rows that no file has claimed yet, by path relative to its folder.

    Of one that tells `rights` alone, rows may name several files, and what else they say is of no one of them.
    """

    state: FileState
    folder: str
    rows: dict[str, bytes] = field(default_factory=dict)
    rights: bool = False

    def add(self, name: str, row: tables.Row) -> None:
        self.rows[name] = self.rows.get(name, b"") + _PACKED.pack(row.number, row.offset, row.length, row.digest)

    def claim(self, name: str) -> list[tables.Row]:
        """The rows that name this file, with its suffix or without; no other file gets them then."""
        if not self.rows:
            return []
        stem = name.rpartition(".")[0] if suffix_of(name.rpartition("/")[2]) else name
        packed = self.rows.pop(name, b"") + self.rows.pop(stem, b"")
        found = _PACKED.iter_unpack(packed)
        return [tables.Row(number, at, size, digest, rights=self.rights) for number, at, size, digest in found]


@dataclass(frozen=True)
class FolderSource:
    """Every file under `root` (a folder or one file) whose name passes `only`. `opener` takes the containers out first;
    without one a tar or Parquet file is a sample like any other, and ends as an error row."""

    root: str
    kind: str = "folder"
    opener: Opener | None = None
    only: Callable[[str], bool] | None = None

    def _rights(self) -> tuple[Listing, ...]:
        """Tables that tell licences and opt-outs of the files, and nothing else of them."""
        return ()

    def units(self, max_samples: int = 512) -> Iterator[Unit]:
        """Units of whole samples, cut after a sample whose path's hash says so: a new file alters the unit it falls
        in and leaves the others as they were. Between them, the units of containers."""
        pending: list[Sample] = []
        for item in self._walk(max_samples):
            if isinstance(item, Unit):
                yield item
                continue
            pending.append(item)
            if _cut_after(item.files[0].uri[len(self.root) :], len(pending), max_samples):
                yield unit_of(pending, self.root)
                pending = []
        if pending:
            yield unit_of(pending, self.root)

    def _walk(self, max_samples: int) -> Iterator[Sample | Unit]:
        entry = look(self.root)
        if entry is not None and entry.kind == "folder":
            yield from self._folder(self.root, self._rights(), (), max_samples)
        elif entry is not None:
            items = self._files(self.root.rpartition("/")[0], [entry, *_sidecars_of(entry)], (), max_samples)
            yield from (i for i in items if isinstance(i, Unit) or i.files[0].uri == self.root)

    def _folder(
        self, uri: str, above: tuple[Listing, ...], ancestors: tuple[tuple[int, int], ...], max_samples: int
    ) -> Iterator[Sample | Unit]:
        try:
            identity = folder_identity(uri)
            entries = [e for e in list_folder(uri) if self._wanted(e)]
        except OSError as e:
            yield _broken(uri, str(e) if isinstance(e, UnreadableError) else f"read: {e.strerror}")
            return
        if identity is not None:
            if identity in ancestors:
                return  # a link back to where we came from: its files are delivered under their own path
            ancestors = (*ancestors, identity)
        own: list[Listing] = []
        for entry in entries:
            if entry.kind == "file" and tables.is_table(entry.name):
                table = Listing(entry.state, uri)
                yield from _load(table)
                own.append(table)
        reach = (*above, *own)
        files = [e for e in entries if e.kind != "folder" and not (e.kind == "file" and tables.is_table(e.name))]
        yield from self._files(uri, files, reach, max_samples)
        for entry in entries:
            if entry.kind == "folder":
                yield from self._folder(entry.uri, reach, ancestors, max_samples)
        yield from _unclaimed(own)

    def _wanted(self, entry: Entry) -> bool:
        return not is_litter(entry.name) and (entry.kind == "folder" or self.only is None or self.only(entry.name))

    def _files(
        self, uri: str, entries: list[Entry], reach: Sequence[Listing], max_samples: int
    ) -> Iterator[Sample | Unit]:
        if self.opener is not None:
            units, covered = self.opener([e for e in entries if e.kind == "file"], max_samples)
            yield from units
            entries = [e for e in entries if e.name not in covered]
        for head, sidecars in group(entries):
            rows = tuple((t.state, row) for t in reach for row in t.claim(head.uri[len(t.folder) + 1 :]))
            if head.problem is not None:
                yield Sample((FileState(head.uri, -1, head.problem),), rows)
            else:
                yield Sample((head.state, *(s.state for s in sidecars)), rows)


def is_litter(name: str) -> bool:
    return name.startswith(".") or name.lower() in LITTER


def suffix_of(name: str) -> str:
    """The last suffix in lower case, without its dot; empty where there is none."""
    stem, dot, suffix = name.rpartition(".")
    return suffix.lower() if dot and stem else ""


def _sidecars_of(entry: Entry) -> list[Entry]:
    """What may be a sidecar of a file that is a source by itself."""
    stem = entry.name.rpartition(".")[0] or entry.name
    try:
        beside = list_folder(entry.uri.rpartition("/")[0])
    except UnreadableError:
        return []
    return [e for e in beside if e.name.startswith(f"{stem}.") and suffix_of(e.name) in SIDECARS and e != entry]


def group(entries: Iterable[Entry]) -> Iterator[tuple[Entry, list[Entry]]]:
    """Each sample's file with its sidecars, in the order given. A sidecar belongs to every file that has its stem or is
    named by it whole (`a.txt`, `a.zh.txt`, `a.jpg.txt` to `a.jpg`), to those with an image suffix before any other; one
    that belongs to none is a sample itself."""
    entries = list(entries)
    owners: dict[str, list[str]] = defaultdict(list)
    heads = [e for e in entries if suffix_of(e.name) not in SIDECARS or e.kind != "file"]
    for head in heads:
        stem, suffix = head.name.rpartition(".")[0], suffix_of(head.name)
        for owned in {head.name, stem if suffix else head.name}:
            owners[owned].append(head.name)
    sidecars: dict[str, list[Entry]] = defaultdict(list)
    owned_names = set()
    for entry in entries:
        if entry.kind == "file" and suffix_of(entry.name) in SIDECARS:
            stem = entry.name.rpartition(".")[0]
            names = owners.get(stem) or owners.get(stem.rpartition(".")[0], [])
            names = [n for n in names if suffix_of(n) in IMAGE_SUFFIXES] or names
            for name in names:
                owned_names.add(entry.name)
                sidecars[name].append(entry)
    for entry in entries:
        if entry.name not in owned_names:
            yield entry, sidecars.get(entry.name, [])


def _cut_after(path: str, count: int, max_samples: int) -> bool:
    """Cut points that depend on names, not on counts, wherever `max_samples` does not force one."""
    quarter = max(1, max_samples // 4)
    if count >= max_samples:
        return True
    return count >= quarter and xxhash.xxh3_64_intdigest(path.encode()) % quarter == 0


def _broken(uri: str, problem: str) -> Sample:
    return Sample((FileState(uri, -1, problem),))


def _load(table: Listing) -> Iterator[Sample]:
    """Fills the table's rows; what cannot be read of it is an error row of its own."""
    name = file_name(table.state.uri)
    try:
        for row in tables.index(table.state):
            if row.name is not None:
                table.add(_relative(row.name, table.folder), row)
            else:
                problem = f"caption table: row {row.number} of {name}: {row.problem}"
                yield Sample((FileState(table.state.uri, -1, problem),), ((table.state, row),))
    except UnreadableError as e:
        yield _broken(table.state.uri, str(e))


def _relative(name: str, folder: str) -> str:
    return name[len(folder) + 1 :] if name.startswith(folder + "/") else name


def _unclaimed(own: Sequence[Listing]) -> Iterator[Sample]:
    """Rows that name a file which is not there: an error row under the missing file's path."""
    missing: dict[str, list[tuple[FileState, tables.Row]]] = {}
    for table in own:
        for name in list(table.rows):
            missing.setdefault(name, []).extend((table.state, row) for row in table.claim(name))
    for name in sorted(missing):
        naming = missing[name]
        table_state, row = naming[0]
        named_by = file_name(table_state.uri)
        path = join(own[0].folder, name)
        try:
            there = look(path) is not None
        except (UnreadableError, ValueError):
            there = False
        if there:
            # A sidecar, a container or a file outside this folder: its own rows must not be mixed with this one.
            problem = f"unsupported: row {row.number} of {named_by} names {name}, which is no image of this folder"
            yield Sample((FileState(table_state.uri, -1, problem),), tuple(naming))
        else:
            yield Sample((FileState(path, -1, f"missing: {named_by} names it"),), tuple(naming))


def samples_of(unit: Unit) -> list[Sample]:
    """The samples that a unit of plain files was made of."""
    rows: dict[int, list[tuple[FileState, tables.Row]]] = defaultdict(list)
    for line in unit.lines:
        row = tables.Row(line.number, line.offset, line.length, line.digest, rights=line.rights)
        rows[line.file].append((unit.tables[line.table], row))
    samples, at = [], 0
    for span in unit.spans:
        samples.append(Sample(unit.files[at : at + span], tuple(rows.get(at, ()))))
        at += span
    return samples


def unit_of(samples: Sequence[Sample], root: str) -> Unit:
    """The unit of these samples, in this order."""
    files = tuple(f for s in samples for f in s.files)
    known: dict[FileState, int] = {}
    lines: list[TableLine] = []
    digest = hashlib.sha256()
    at = 0
    for sample in samples:
        for table, row in sample.rows:
            number = known.setdefault(table, len(known))
            lines.append(TableLine(at, number, row.offset, row.length, row.number, row.digest, row.rights))
            digest.update(f"{at} {table.uri}\0".encode() + row.digest + tables.header_of(table))
        at += len(sample.files)
    return Unit(
        kind="folder",
        files=files,
        start=0,
        stop=len(samples),
        root=root,
        spans=tuple(len(s.files) for s in samples),
        tables=tuple(known),
        lines=tuple(lines),
        lines_digest=digest.hexdigest()[:32] if lines else "",
    )


def read(unit: Unit) -> Iterator[Delivered]:
    """The samples of a unit in order; what cannot be read is delivered with its error."""
    lines: dict[int, list[TableLine]] = defaultdict(list)
    for line in unit.lines:
        lines[line.file].append(line)
    at = 0
    for span in unit.spans:
        yield _sample(unit, unit.files[at : at + span], lines.get(at, []))
        at += span


def _sample(unit: Unit, files: Sequence[FileState], lines: Sequence[TableLine]) -> Delivered:
    head = files[0]
    data: bytes | None = None
    error: str | None = None
    try:
        data = read_file(head)
        error = _unsupported(file_name(head.uri))
    except UnreadableError as e:
        error = str(e)
    told = Told()
    for sidecar in files[1:]:
        _tell_sidecar(told, sidecar, file_name(head.uri))
    for line in lines:
        _tell_row(told, unit.tables[line.table], line)
    # A table's own broken row is told apart from the table's other rows by its number.
    is_row = bool(lines) and head.size < 0 and head.uri == unit.tables[lines[0].table].uri
    row, stamp = (lines[0].number if is_row else 0), ("" if head.size < 0 else head.stamp)
    return told.deliver(row, head.uri, 0, data, stamp, error)


def _unsupported(name: str) -> str | None:
    suffix = suffix_of(name)
    if suffix in SIDECARS:
        return f"unsupported: a .{suffix} with no image beside it"
    if is_tar(name) or name.lower().endswith(PARQUET_SUFFIXES):
        return "unsupported: a container among plain files; leave out --kind folder to have it opened"
    return None


def _tell_sidecar(told: Told, state: FileState, head: str) -> None:
    name = file_name(state.uri)
    owner = head if name.startswith(f"{head}.") else head.rpartition(".")[0]
    try:
        if state.size > MAX_SIDECAR:
            raise UnreadableError(f"too large: {state.size} bytes")
        told.add_sidecar(name[len(owner) + 1 :].lower(), name, read_file(state))
    except UnreadableError as e:
        told.add_extra("sidecar_error", f"{name}: {e}", name)


def _tell_row(told: Told, table: FileState, line: TableLine) -> None:
    name = file_name(table.uri)
    try:
        fields = tables.read_row(table, line.offset, line.length, line.digest)
        if line.rights:
            told.add_rights(fields)
        else:
            told.add_fields(fields, name)
    except (UnreadableError, tables.BadRowError) as e:
        told.add_extra("table_error", f"row {line.number} of {name}: {e}", name)
