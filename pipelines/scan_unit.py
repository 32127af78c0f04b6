"""Scan's unit of work: reads its samples, examines its images one by one, stages what it finds as parts."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath

from pipelines.decode import decoder_versions
from pipelines.examine import IMAGE_SECONDS, Task, examine, examiner, nothing_found
from pipelines.extractors import in_scan
from pipelines.extractors.base import Extractor
from pipelines.reasons import Reason
from warehouse import sources, storage
from warehouse.files import told
from warehouse.lake import Lake
from warehouse.parts import Part, key, write_part
from warehouse.schema import CAPTIONS, INPUTS, Table
from warehouse.sources.base import Delivered, Unit

#: Raise it when this file or a source's reader would write other rows of `inputs` or `captions` for the same bytes.
SCAN_VERSION = "2"

#: Samples examined together, unless their files are larger than BATCH_BYTES: this is all of a unit that is in memory.
BATCH = 16
BATCH_BYTES = 32 << 20


@dataclass(frozen=True)
class Delivery:
    """What all units of a scan share. `folders`: further extractors; `image_seconds`: time limit for one image."""

    lake: str
    source: str
    batch: str
    folders: tuple[str, ...] = ()
    image_seconds: float = IMAGE_SECONDS


@dataclass(frozen=True)
class Job:
    """One unit of scan's work: small, picklable, and all that a worker needs to know.

    `parts`: table and part name of each part to be written. `gave_up`: the unit could not be finished; its samples are
    listed with this error and not looked at.
    """

    delivery: Delivery
    unit: Unit
    parts: tuple[tuple[str, str], ...]
    gave_up: str | None = None


@dataclass(frozen=True)
class Done:
    """What a job gave: its staged parts, how many samples, and how many of these failed, by reason."""

    parts: tuple[Part, ...]
    samples: int
    errors: dict[str, int]


def scan_tables(extractors: Iterable[Extractor]) -> dict[str, Table]:
    """Every table that scan writes, by name."""
    tables = [INPUTS, CAPTIONS, *(e.table for e in extractors)]
    return {table.name: table for table in tables}


def part_names(unit: Unit, delivery: Delivery) -> dict[str, str]:
    """Name of the part of each table that a unit gives: a hash of everything that decides the part's rows."""
    names = {
        INPUTS.name: key(INPUTS.name, SCAN_VERSION, decoder_versions(), unit.key, delivery.source, delivery.batch),
        CAPTIONS.name: key(CAPTIONS.name, SCAN_VERSION, unit.key),
    }
    extractors = in_scan(delivery.folders)
    return names | {e.table.name: key(e.table.name, version_of(e), unit.key) for e in extractors}


def version_of(extractor: Extractor) -> str:
    """What is stored as the version of an extractor's rows: its own and, since they shape its input, the decoders'."""
    return f"{extractor.version} ({decoder_versions()})"


def work(job: Job) -> Done:
    """Read a unit, examine its images one by one, stage its parts. Pure but for these, and repeatable.

    A unit that died under a former worker is done again in the careful way, each image in a process of its own.
    """
    lake = Lake(job.delivery.lake)
    attempt = attempt_path(lake, job)
    died_before = storage.exists(attempt)
    with told("staging parts"):
        storage.mark(attempt)
    rows = _rows(job, careful=died_before)
    tables = scan_tables(in_scan(job.delivery.folders))
    unit = job.unit.key
    parts = tuple(
        write_part(lake, tables[table], name, unit, tables[table].from_rows(rows[table])) for table, name in job.parts
    )
    storage.delete(attempt)
    inputs = rows[INPUTS.name]
    reasons = Counter(str(row["error"]).split(":")[0] for row in inputs if row["status"] == "error")
    return Done(parts, len(inputs), dict(reasons))


def attempt_path(lake: Lake, job: Job) -> PurePath:
    """The mark that the job was begun; gone again when it is finished, so one that is there tells of a death."""
    return lake.staging / "attempts" / key(job.unit.key, job.parts)


def _rows(job: Job, *, careful: bool) -> dict[str, list[dict[str, object]]]:
    """The rows of every table that the job wants, and of `inputs`. Pixels never outlive their image."""
    tables = {name for name, _ in job.parts}
    versions = {e.name: version_of(e) for e in in_scan(job.delivery.folders) if e.table.name in tables}
    judge = INPUTS.name in tables
    unit = job.unit.key
    rows: dict[str, list[dict[str, object]]] = {name: [] for name in tables | {INPUTS.name}}
    errors: dict[str, str | None] = {}  # of the images of this unit so far: one delivered twice is examined once
    with examiner(examine, nothing_found, careful=careful, seconds=job.delivery.image_seconds) as see:
        for batch in _batches(job):
            fresh = {image_id: s for s, image_id, error in batch if image_id and not error and image_id not in errors}
            if judge or versions:
                tasks = [
                    Task(image_id, sample.data or b"", tuple(versions), judge, job.delivery.folders)
                    for image_id, sample in fresh.items()
                ]
                for task, findings in zip(tasks, see(tasks), strict=True):
                    errors[task.image_id] = findings.error
                    for name, row in findings.rows.items():
                        rows[f"signals_{name}"].append({**row, "version": versions[name]})
            for sample, image_id, error in batch:
                error = error or errors.get(image_id or "")
                rows[INPUTS.name].append(_input(job, unit, sample, image_id, error))
                if image_id and CAPTIONS.name in tables:
                    rows[CAPTIONS.name].extend(_captions(sample, image_id))
    return rows


def _batches(job: Job) -> Iterator[list[tuple[Delivered, str | None, str | None]]]:
    """The unit's samples, a few at a time, each with its image_id and what is wrong with it before it is looked at."""
    batch: list[tuple[Delivered, str | None, str | None]] = []
    size = 0
    for sample in sources.read(job.unit):
        image_id = hashlib.sha256(sample.data).hexdigest()[:32] if sample.data else None
        error = job.gave_up or sample.error or (None if image_id else f"{Reason.EMPTY}: no bytes")
        batch.append((sample, image_id, error))
        size += len(sample.data or b"")
        if len(batch) == BATCH or size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _input(job: Job, unit: str, sample: Delivered, image_id: str | None, error: str | None) -> dict[str, object]:
    extra = dict(sample.extra)
    if image_id is None and sample.captions:
        extra["captions"] = [c.text for c in sample.captions]  # no image to hang them on, and nothing is lost
    return {
        "source": job.delivery.source,
        "batch": job.delivery.batch,
        "unit": unit,
        "row": sample.row,
        "uri": sample.uri,
        "offset": sample.offset,
        "length": len(sample.data) if sample.data is not None else sample.length,
        "image_id": image_id,
        # A unit that was given up is to be replaced when it is read after all: it gets the stamp of no file.
        "file_stamp": f"gave up {sample.stamp}" if job.gave_up else sample.stamp,
        "source_url": sample.source_url,
        "license": sample.license,
        "opt_out": sample.opt_out,
        "collected_at": sample.collected_at,
        "extra": json.dumps(extra, ensure_ascii=False, sort_keys=True) if extra else None,
        "status": "error" if error else "ok",
        "error": error,
    }


def _captions(sample: Delivered, image_id: str) -> Iterator[dict[str, object]]:
    for caption in sample.captions:
        digest = hashlib.sha256(f"{caption.kind}\0{caption.text}".encode()).hexdigest()
        yield {
            "image_id": image_id,
            "caption_id": digest[:16],
            "kind": caption.kind,
            "text": caption.text,
            "lang": caption.lang,
            "origin": caption.origin,
        }


def unlisted(lake: Lake, job: Job) -> Done:
    """An error row for each image file, or for the range of a container, of a unit that cannot even be listed."""
    rows: list[dict[str, object]] = []
    at = 0
    for span in job.unit.spans or (len(job.unit.files),):
        file = job.unit.files[at]
        row = 0 if job.unit.spans else job.unit.start
        sample = Delivered(row=row, uri=file.uri, offset=None, length=None, data=None, stamp=file.stamp)
        rows.append(_input(job, job.unit.key, sample, None, job.gave_up))
        at += span
    (name,) = (name for _, name in job.parts)
    part = write_part(lake, INPUTS, name, job.unit.key, INPUTS.from_rows(rows))
    return Done((part,), len(rows), {Reason.UNIT: len(rows)})
