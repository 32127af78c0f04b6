"""Edit pairs as delivered: reference pictures, an instruction, the picture that it asks for.

Three forms are read: a table (`edits|pairs|metadata|manifest|train .csv|.tsv|.jsonl`) in a folder, whose rows name
image files; folders side by side (`reference/ target/ instruction/ mask/`) whose files have the same stems; and Parquet
files with a column of bytes for each picture. The pictures themselves are delivered by ordinary sources (`images`),
which leave out tables, masks and texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.errors import UsageError
from warehouse.sources import parquet, tables
from warehouse.sources.base import IMAGE_SUFFIXES, PARQUET_SUFFIXES, Source, Unit
from warehouse.sources.captions import is_provenance
from warehouse.sources.files import Entry, UnreadableError, join, list_folder, look, read_file, to_uri
from warehouse.sources.folder import FolderSource, Listing, is_litter, suffix_of
from warehouse.sources.text import NotTextError, decode_text, storable

STEMS = ("edits", "pairs", "metadata", "manifest", "train")
#: Words that a column's or folder's name may begin with, for each part of a pair; the first that fits counts.
PARTS: Mapping[str, tuple[str, ...]] = {
    "target": ("target", "output", "edited", "after", "result"),
    "reference": ("reference", "references", "source", "input", "original", "before", "ref"),
    "mask": ("mask",),
}
INSTRUCTIONS = ("instruction", "edit_instruction", "edit_prompt", "prompt", "edit", "text", "caption")
CHINESE = ("zh", "cn", "chinese")
REGIONS = ("quad", "box", "bbox", "region")


@dataclass(frozen=True)
class Place:
    """Where a picture lies, as `inputs` tells it."""

    uri: str
    row: int = 0


@dataclass(frozen=True)
class Pair:
    """One pair as delivered, row `row` of `uri`. `instructions`: texts by language, `und` where none is told.

    `region`: x, y of corners of the part that may change, pixels of the target. `error`: why it is no pair; what else
    is known of it is there all the same.
    """

    uri: str
    row: int
    references: tuple[Place, ...] = ()
    target: Place | None = None
    instructions: Mapping[str, str] = field(default_factory=dict)
    mask: str | None = None
    region: tuple[float, ...] | None = None
    error: str | None = None


@dataclass(frozen=True)
class EditSource:
    """Pairs, and the sources that deliver their pictures."""

    root: str
    pairs: tuple[Pair, ...]
    images: tuple[Source, ...]


@dataclass(frozen=True)
class _Pictures(FolderSource):
    """A folder's files but for those of the pairs that are no pictures to train on."""

    left_out: frozenset[str] = frozenset()
    tables: tuple[Entry, ...] = ()

    def _rights(self) -> tuple[Listing, ...]:
        return tuple(listing for file in self.tables if (listing := _rights_of(file, self.root)) is not None)

    def _wanted(self, entry: Entry) -> bool:
        return super()._wanted(entry) and entry.uri not in self.left_out


@dataclass(frozen=True)
class _Column:
    """One column of pictures of a Parquet file: a source whose uris end in `#column`."""

    root: str
    entry: Entry
    column: str
    kind: str = "parquet"

    def units(self, max_samples: int = 512) -> Iterator[Unit]:
        yield from parquet.units(self.entry.state, self.root, max_samples, self.column, name_column=True)


def open_edits(path: str) -> EditSource:
    """The pairs at a path or URL. Raises UsageError where there is nothing that can be read as pairs."""
    root = to_uri(path)
    try:
        entry = look(root)
        if entry is None:
            raise UsageError(f"no such file or folder: {path}")
        files = [entry] if entry.kind == "file" else list(_walk(root))
    except UnreadableError as error:
        raise UsageError(f"{path}: {error}") from error
    pairs: list[Pair] = []
    columns: list[Source] = []
    left_out: set[str] = set()
    told: list[Entry] = []
    for file in files:
        if file.name.lower().endswith(PARQUET_SUFFIXES):
            found, names = _parquet_pairs(file)
            columns += [_Column(root, file, name) for name in names]
            left_out.add(file.uri)
        elif _is_table(file.name):
            found = list(_table_pairs(file))
            left_out.add(file.uri)
            told.append(file)
        else:
            continue
        pairs += found
    beside, texts = _side_by_side(files) if entry.kind == "folder" and not pairs else ([], set())
    pairs += beside
    if not pairs:
        raise UsageError(
            f"{path} holds no edit pairs: looked for a table ({', '.join(STEMS)} .csv .tsv .jsonl), for folders "
            "reference/ and target/, and for Parquet files with such columns; docs/sources.md shows each"
        )
    left_out |= texts | {pair.mask for pair in pairs if pair.mask}
    folder = root if entry.kind == "folder" else root.rpartition("/")[0]
    only_parquet = bool(columns) and all(f.uri in left_out for f in files)
    images = () if only_parquet else (_Pictures(folder, "folder", left_out=frozenset(left_out), tables=tuple(told)),)
    return EditSource(root, tuple(pairs), (*images, *columns))


def part_of(name: str) -> tuple[str, int] | None:
    """(part, number) that a column's or folder's name speaks of: `reference_2` is (reference, 2); None for others."""
    words = [w for w in re.split(r"[^a-z0-9]+|(?<=[a-z])(?=\d)", name.lower()) if w]
    number = int(words.pop()) if words and words[-1].isdigit() else 0
    if not words or any(w not in ("image", "images", "img", "path", "file", "name", "bytes", "url") for w in words[1:]):
        return None
    for part, begins in PARTS.items():
        if words[0] in begins or words[0].removesuffix("s") in begins:
            return part, number
    return None


def _walk(folder: str) -> Iterator[Entry]:
    entries = [e for e in list_folder(folder) if not is_litter(e.name)]
    yield from (e for e in entries if e.kind == "file")
    for entry in entries:
        if entry.kind == "folder":
            yield from _walk(entry.uri)


def _is_table(name: str) -> bool:
    stem, _, suffix = name.rpartition(".")
    return stem.lower() in STEMS and suffix.lower() in tables.SUFFIXES


def _table_pairs(file: Entry) -> Iterator[Pair]:
    """A pair for each row. A row that cannot be taken apart is a pair with an error."""
    folder = file.uri.rpartition("/")[0]
    for number, (fields, problem) in enumerate(_rows(file)):
        if problem is not None:
            yield Pair(file.uri, number, error=f"row: {problem}")
            continue
        yield _pair(file.uri, number, fields, lambda name: Place(join(folder, name.removeprefix("./"))))


def _rights_of(file: Entry, root: str) -> Listing | None:
    """What a table of pairs tells of its pictures' licences and opt-outs; None where it has no such column."""
    delimiter = tables.SUFFIXES[suffix_of(file.name)]
    folder = file.uri.rpartition("/")[0]
    listing = Listing(file.state, root, rights=True)
    told = False
    try:
        header = tables.header_of(file.state)
        for row, raw in zip(tables.rows(file.state), _records(file, delimiter), strict=False):
            try:
                fields = tables.parse(raw, header, delimiter)
            except tables.BadRowError:
                continue  # its pair tells so
            told = told or any(is_provenance(name) for name in fields)
            pair = _pair(file.uri, row.number, fields, lambda name: Place(join(folder, name.removeprefix("./"))))
            for place in {*pair.references, *([pair.target] if pair.target else [])}:
                listing.add(place.uri[len(root) + 1 :], row)
    except UnreadableError:
        return None  # its pair tells so
    return listing if told else None


def _records(file: Entry, delimiter: str) -> Iterator[bytes]:
    """The bytes of each row that is not blank, without the header."""
    found = tables.records(file.uri, delimiter)
    if delimiter:
        next(found, None)
    return (raw for raw in found if raw.strip())


def _rows(file: Entry) -> Iterator[tuple[dict[str, object], str | None]]:
    delimiter = tables.SUFFIXES[suffix_of(file.name)]
    try:
        records = tables.records(file.uri, delimiter)
        header = next(records, b"") if delimiter else b""
        for raw in records:
            if not raw.strip():
                continue
            try:
                yield tables.parse(raw, header, delimiter), None
            except tables.BadRowError as error:
                yield {}, str(error)
    except UnreadableError as error:
        yield {}, str(error)


def _parquet_pairs(file: Entry) -> tuple[list[Pair], list[str]]:
    """The pairs of a Parquet file, and its columns of pictures. Only columns without bytes are read."""
    try:
        with parquet.opened(file.uri) as opened:
            schema = opened.schema_arrow
            pictures = [f.name for f in schema if parquet.holds_bytes(f.type) and part_of(f.name)]
            rest = [f.name for f in schema if not parquet.holds_bytes(f.type)]
            parts = {name: part_of(name) for name in pictures}
            if not {"reference", "target"} <= {part[0] for part in parts.values() if part}:
                return [], []
            there = {name: _filled(opened, name) for name in pictures}
            told = opened.read(columns=rest).to_pylist() if rest else [{}] * opened.metadata.num_rows
    except (*parquet.ERRORS, pq.lib.ArrowException) as error:
        return [Pair(file.uri, 0, error=f"parquet: {' '.join(str(error).split())}")], []
    pairs = []
    for number, fields in enumerate(told):
        named = {name: name for name in pictures if there[name][number]}
        place = _in_column(file.uri, number)
        pairs.append(_pair(file.uri, number, {**fields, **named}, place))
    return pairs, [name for name in pictures if (parts[name] or ("",))[0] != "mask"]


def _in_column(uri: str, row: int) -> Callable[[str], Place]:
    return lambda column: Place(f"{uri}#{column}", row)


def _filled(opened: pq.ParquetFile, column: str) -> list[bool]:
    """Whether each row has bytes in the column, without keeping them."""
    filled: list[bool] = []
    for batch in opened.iter_batches(parquet.BATCH_ROWS, columns=[column], use_threads=False):
        values = batch.column(0)
        if pa.types.is_struct(values.type):
            values = values.field("bytes")
        filled += values.is_valid().to_pylist()
    return filled


def _side_by_side(files: Sequence[Entry]) -> tuple[list[Pair], set[str]]:
    """Pairs of files of one stem in folders named for their parts, and the uris of the files that are texts."""
    found: dict[tuple[str, str], dict[tuple[str, int], Entry]] = {}
    texts: dict[tuple[str, str], dict[str, Entry]] = {}
    for file in files:
        folder, _, _ = file.uri.rpartition("/")
        above, _, name = folder.rpartition("/")
        stem = file.name.rpartition(".")[0]
        part = part_of(name)
        if suffix_of(file.name) == "txt" and (part or name.lower() in ("instruction", "instructions", "prompt")):
            texts.setdefault((above, stem), {})[file.uri] = file
        elif part is not None and suffix_of(file.name) in IMAGE_SUFFIXES:
            found.setdefault((above, stem), {})[part] = file
    pairs = []
    for (above, stem), parts in sorted(found.items()):
        fields: dict[str, object] = {f"{p}_{n}": entry.uri for (p, n), entry in sorted(parts.items())}
        problem = None
        for entry in texts.get((above, stem), {}).values():
            try:
                fields["instruction"] = decode_text(read_file(entry.state))[0].strip()
            except (UnreadableError, NotTextError) as error:
                problem = f"instruction: {entry.name}: {error}"
        pair = _pair(join(above, stem), 0, fields, Place)
        pairs.append(Pair(**{**vars(pair), "error": problem or pair.error}))
    return pairs, {uri for t in texts.values() for uri in t}


def _pair(uri: str, row: int, fields: Mapping[str, object], place: Callable[[str], Place]) -> Pair:
    """A pair from its fields; `place` says where a named picture lies."""
    references: list[tuple[int, Place]] = []
    target = mask = None
    for name, value in fields.items():
        part = part_of(str(name))
        if part is None or value is None or value == "":
            continue
        names = _names(value)
        if part[0] == "reference":
            references += [(part[1] * 1000 + n, place(each)) for n, each in enumerate(names)]
        elif part[0] == "target" and names and target is None:
            target = place(names[0])
        elif part[0] == "mask" and names and mask is None:
            mask = place(names[0]).uri
    region, problem = _region(fields)
    instructions = _instructions(fields)
    if not references:
        problem = "missing: no reference is named"
    elif target is None:
        problem = "missing: no target is named"
    elif not instructions:
        problem = "missing: no instruction"
    ordered = tuple(p for _, p in sorted(references, key=lambda r: r[0]))
    return Pair(uri, row, ordered, target, instructions, mask, region, problem)


def _names(value: object) -> list[str]:
    """File names in a field: one, a list, or a list written as JSON."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            return [str(value)]
    if isinstance(value, list | tuple):
        return [storable(v.strip()) for v in value if isinstance(v, str) and v.strip()]
    return [storable(value.strip().replace("\\", "/"))] if isinstance(value, str) and value.strip() else []


def _instructions(fields: Mapping[str, object]) -> dict[str, str]:
    """Instructions by language: `zh` and `en` where the field's name tells it, else `und`."""
    told: dict[str, str] = {}
    by_name = {str(name).lower(): value for name, value in fields.items()}
    for name in INSTRUCTIONS:
        for suffix in ("", "_en", "_english", *(f"_{c}" for c in CHINESE)):
            value = by_name.get(name + suffix)
            lang = "zh" if suffix[1:] in CHINESE else "en" if suffix else "und"
            if isinstance(value, str) and value.strip():
                told.setdefault(lang, storable(value.strip()))
        if told:
            break
    return told


def _region(fields: Mapping[str, object]) -> tuple[tuple[float, ...] | None, str | None]:
    """Corners of the region that may change, told as four or as a box (left, top, right, bottom); or what is wrong."""
    value = next((v for n, v in fields.items() if str(n).lower() in REGIONS and v not in (None, "")), None)
    if value is None:
        return None, None
    try:
        found: Any = json.loads(value) if isinstance(value, str) else value
        flat = [float(x) for v in found for x in (v if isinstance(v, list | tuple) else [v])]
    except (TypeError, ValueError):
        return None, f"region: {value!r} is no list of numbers"
    if len(flat) == 4:
        left, top, right, bottom = flat
        flat = [left, top, right, top, right, bottom, left, bottom]
    if len(flat) != 8:
        return None, f"region: {len(flat)} numbers, four corners or a box were expected"
    return tuple(flat), None
