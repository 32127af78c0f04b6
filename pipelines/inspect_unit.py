"""Inspect's unit of work: reads its images again, measures what each still lacks, stages the rows as parts."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePath
from typing import Any, cast

from pipelines.decode import decode_full, decoder_versions
from pipelines.engines import beat
from pipelines.examine import IMAGE_SECONDS, examiner
from pipelines.extractors import discover
from pipelines.extractors.base import CaptionText, Described, Extractor, Sample
from pipelines.header import read_header
from pipelines.reasons import FAULTS, Reason, UnreadableError, one_line
from warehouse import storage
from warehouse.files import told
from warehouse.lake import Lake
from warehouse.parts import Part, key, write_part
from warehouse.sources import ImageReader

#: Images measured together, unless they are larger than BATCH_PIXELS: all that is decoded at one time.
BATCH = 16
BATCH_PIXELS = 24_000_000

Row = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """One image to inspect: where its bytes lie, and what is known of it.

    `wanted` names the extractors to run, each after those it needs. `unmeasured`: for each that measures captions, the
    ids of those it lacks. `rows`: the stored rows of extractors that a wanted one comes after, and of what it reads.
    """

    image_id: str
    uri: str
    offset: int | None
    length: int | None
    row: int
    pixels: int
    wanted: tuple[str, ...]
    captions: tuple[CaptionText, ...] = ()
    unmeasured: Mapping[str, frozenset[str]] = field(default_factory=dict)
    rows: Mapping[str, Row] = field(default_factory=dict)


@dataclass(frozen=True)
class Inspection:
    """One unit of inspect's work. `parts`: extractor and part name of each part to be written."""

    lake: str
    name: str
    items: tuple[Item, ...]
    parts: tuple[tuple[str, str], ...]
    folders: tuple[str, ...] = ()
    image_seconds: float = IMAGE_SECONDS


@dataclass(frozen=True)
class Inspected:
    """What a unit gave. `unread`: images whose bytes are not there as they were scanned, and why; they stay pending."""

    parts: tuple[Part, ...]
    images: int
    errors: dict[str, int]
    unread: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Findings:
    """Rows of each extractor, one for the image or one per caption; `unread` says why its bytes could not be had."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    unread: str | None = None


@dataclass
class _Open:
    """An image in hand: `lost` says why its picture is not there, of which `unread` may change until the next time."""

    item: Item
    sample: Sample | None = None
    lost: str | None = None
    unread: str | None = None
    rows: dict[str, list[Row]] = field(default_factory=dict)


def version_of(extractor: Extractor, folders: tuple[str, ...]) -> str:
    """What is stored as the version of an inspecting extractor's rows: its own, and a digest of what shapes its input:
    decoders, weights, and the versions of the extractors it comes after."""
    known = {e.name: e for e in discover(folders)}
    shaped: list[str] = [decoder_versions()] if extractor.needs == "image" else []
    shaped.append(extractor.weights())
    for name in extractor.after:
        before = known.get(name)
        if before is not None:
            shaped.append(before.version if before.in_scan else version_of(before, folders))
    return f"{extractor.version} ({key(*shaped)[:12]})"


def in_order(extractors: Sequence[Extractor]) -> tuple[Extractor, ...]:
    """The extractors by name, each after those of them that it comes after. Raises ValueError for a circle."""
    left = {e.name: e for e in sorted(extractors, key=lambda e: e.name)}
    ordered: list[Extractor] = []
    while left:
        ready = [e for e in left.values() if not left.keys() & set(e.after)]
        if not ready:
            raise ValueError(f"extractors {', '.join(left)} wait for each other")
        for extractor in ready:
            ordered.append(left.pop(extractor.name))
    return tuple(ordered)


def work(job: Inspection) -> Inspected:
    """Measure a unit's images and stage the rows. Pure but for these, and repeatable.

    A unit that died under a former worker is done again in the careful way, each image in a process of its own.
    """
    lake = Lake(job.lake)
    attempt = attempt_path(lake, job)
    died_before = storage.exists(attempt)
    with told("staging parts"):
        storage.mark(attempt)
    findings: list[Findings] = []
    look = partial(_look, job.folders)
    with examiner(look, _lost, careful=died_before, seconds=job.image_seconds) as see:
        for batch in _batches(job.items):
            found = see(batch)
            findings += [_blamed(job.folders, item, f) for item, f in zip(batch, found, strict=True)]
    extractors = {e.name: e for e in discover(job.folders)}
    unread = tuple((i.uri, f.unread) for i, f in zip(job.items, findings, strict=True) if f.unread)
    parts = []
    for name, part in job.parts:
        version = version_of(extractors[name], job.folders)
        rows = [{**row, "version": version} for f in findings for row in f.rows.get(name, ())]
        if unread:  # what is not there yet comes in a part of its own, later
            part = key(part, "without", unread)
        if rows:
            table = extractors[name].table
            parts.append(write_part(lake, table, part, job.name, table.from_rows(rows)))
    storage.delete(attempt)
    errors = Counter(
        f"{name}: {str(row['error']).split(':')[0]}"
        for f in findings
        for name, rows in f.rows.items()
        for row in rows
        if row["status"] == "error"
    )
    return Inspected(tuple(parts), len(job.items) - len(unread), dict(errors), unread)


def attempt_path(lake: Lake, job: Inspection) -> PurePath:
    """The mark that the unit was begun; gone again when it is finished, so one that is there tells of a death."""
    return lake.staging / "attempts" / key("inspect", job.name, job.parts)


def _batches(items: Sequence[Item]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    for item in items:
        if batch and (len(batch) == BATCH or sum(i.pixels for i in batch) + item.pixels > BATCH_PIXELS):
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch


def _look(folders: tuple[str, ...], items: Sequence[Item]) -> list[Findings]:
    """All that is wanted of each image. What is wrong with one ends in its findings: nothing is raised."""
    known = {e.name: e for e in discover(folders)}
    wanted = in_order([known[name] for name in {name for item in items for name in item.wanted}])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd files; what matters of them is in the findings
        with ImageReader() as reader:
            opened = [_opened(reader, item, known) for item in items]
        for extractor in wanted:
            _measure(extractor, [o for o in opened if extractor.name in o.item.wanted])
    return [Findings(o.rows, o.unread) for o in opened]


def _opened(reader: ImageReader, item: Item, known: Mapping[str, Extractor]) -> _Open:
    if not any(known[name].needs == "image" for name in item.wanted):
        return _Open(item)
    beat()
    try:
        data = reader.read(item.uri, item.offset, item.length, item.row)
    except OSError as error:
        text = str(error)
        return _Open(item, lost=text, unread=text)
    if hashlib.sha256(data).hexdigest()[:32] != item.image_id:
        text = "its bytes changed since the scan"
        return _Open(item, lost=text, unread=text)
    try:
        header = read_header(data)
        return _Open(item, Sample(item.image_id, data, header, image=decode_full(data, header)))
    except UnreadableError as error:
        return _Open(item, lost=str(error))


def _measure(extractor: Extractor, opened: Sequence[_Open]) -> None:
    """Put the extractor's rows to each image it can be run on, an error row where its picture cannot be decoded."""
    able: list[tuple[_Open, Described]] = []
    for one in opened:
        wanting = any(name in one.item.wanted and name not in one.rows for name in extractor.after)
        if one.unread and (extractor.needs == "image" or wanting):
            continue  # its bytes may be there the next time; a row made without them would stay
        if extractor.needs == "image" and one.sample is None:
            one.rows[extractor.name] = _error_rows(extractor, one.item, one.lost or "")
        else:
            able.append((one, _sample(extractor, one)))
    for start in range(0, len(able), extractor.batch):
        some = able[start : start + extractor.batch]
        for (one, _), rows in zip(some, _measured(extractor, [s for _, s in some]), strict=True):
            one.rows[extractor.name] = rows
        beat()


def _sample(extractor: Extractor, one: _Open) -> Described:
    """The image as this extractor gets it."""
    captions = one.item.captions
    if extractor.per == "caption":
        lacking = one.item.unmeasured.get(extractor.name, frozenset())
        captions = tuple(c for c in captions if c.caption_id in lacking)
    rows: dict[str, Row] = {}
    for name in extractor.after:
        fresh = one.rows.get(name)
        row = fresh[0] if fresh else one.item.rows.get(name)
        if row is not None and row.get("status") == "ok":
            rows[name] = row
    rows |= {name: one.item.rows[name] for name in extractor.reads if name in one.item.rows}
    if extractor.needs == "captions" or one.sample is None:
        return Described(one.item.image_id, captions=captions, rows=rows)
    s = one.sample
    return Sample(s.image_id, s.data, s.header, image=s.image, captions=captions, rows=rows)


def _measured(extractor: Extractor, samples: Sequence[Described]) -> list[list[Row]]:
    """The extractor's rows of each sample; where its code fails on one, rows that say so."""
    if not samples:
        return []
    try:
        found = list(extractor.fn(cast(Sequence[Sample], samples)))
        if len(found) != len(samples):
            raise ValueError(f"{len(found)} rows for {len(samples)} images")
        done = [cast(Sequence[Mapping[str, object]], f if extractor.per == "caption" else [f]) for f in found]
    except (*FAULTS, MemoryError) as error:
        if len(samples) > 1:  # find out which one it is
            return [rows for sample in samples for rows in _measured(extractor, [sample])]
        text = one_line(f"{Reason.EXTRACTOR}: {type(error).__name__}: {error}")
        return [_errors(extractor, samples[0].image_id, [c.caption_id for c in samples[0].captions], text)]
    return [
        [{**row, "image_id": sample.image_id, "status": "ok", "error": None} for row in rows]
        for sample, rows in zip(samples, done, strict=True)
    ]


def _errors(extractor: Extractor, image_id: str, captions: Sequence[str], text: str) -> list[Row]:
    row: Row = {"image_id": image_id, "status": "error", "error": text}
    return [{**row, "caption_id": c} for c in captions] if extractor.per == "caption" else [row]


def _error_rows(extractor: Extractor, item: Item, text: str) -> list[Row]:
    return _errors(extractor, item.image_id, sorted(item.unmeasured.get(extractor.name, ())), text)


def _lost(error: str) -> Findings:
    """Findings of an image that was lost on the way: `_blamed` makes rows of it."""
    return Findings({"": [{"error": error}]})


def _blamed(folders: tuple[str, ...], item: Item, found: Findings) -> Findings:
    """For an image that killed or hung its process, an error row of every extractor that was to measure it."""
    if "" not in found.rows:
        return found
    known = {e.name: e for e in discover(folders)}
    text = str(found.rows[""][0]["error"])
    return Findings({name: _error_rows(known[name], item, text) for name in item.wanted})
