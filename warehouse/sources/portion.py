"""Portions of units: what of a unit is new, units of just these samples, and units as text that can be kept.

A sample's state says which file it is in which state, with its sidecars and the caption-table rows about it: a sample
whose state was delivered before has nothing new to tell. A container has one state for the whole file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from warehouse.sources.base import FileState, TableLine, Unit
from warehouse.sources.files import UnreadableError
from warehouse.sources.folder import Sample, samples_of, unit_of
from warehouse.sources.tables import header_of


@dataclass(frozen=True)
class Piece:
    """The least that can be taken of a unit: a sample of plain files, or (`sample` None) a container's whole unit.

    `state`: 64 bits. `uri` and `stamp` are those that the rows of `inputs` have of it.
    """

    unit: Unit
    sample: Sample | None
    state: int
    uri: str
    stamp: str


def pieces(unit: Unit) -> list[Piece]:
    """All of a unit, in order."""
    if unit.kind != "folder":
        content = (unit.kind, [_plain(f) for f in unit.files], unit.options)
        return [Piece(unit, None, _number(content), unit.files[0].uri, unit.files[0].stamp)]
    return [
        Piece(unit, sample, _number(_content(sample)), head.uri, "" if head.size < 0 else head.stamp)
        for sample in samples_of(unit)
        for head in sample.files[:1]
    ]


def units_of(taken: Iterable[Piece], max_samples: int) -> Iterator[tuple[Unit, list[int]]]:
    """Units of these pieces and the states in each: samples of plain files put together anew, containers whole."""
    waiting: list[Piece] = []
    for piece in taken:
        if piece.sample is None:
            yield piece.unit, [piece.state]
            continue
        if waiting and (len(waiting) >= max_samples or waiting[0].unit.root != piece.unit.root):
            yield _together(waiting)
            waiting = []
        waiting.append(piece)
    if waiting:
        yield _together(waiting)


def without(unit: Unit, uris: Collection[str]) -> Unit | None:
    """The unit without the samples of plain files whose first file has one of these uris; None where none is left.

    A container stays as it is: it is no image's own.
    """
    if unit.kind != "folder":
        return unit
    files: list[FileState] = []
    spans: list[int] = []
    places: dict[int, int] = {}
    at = 0
    for span in unit.spans:
        if unit.files[at].uri not in uris:
            places[at] = len(files)
            files.extend(unit.files[at : at + span])
            spans.append(span)
        at += span
    if not spans:
        return None
    lines = tuple(replace(line, file=places[line.file]) for line in unit.lines if line.file in places)
    stop = unit.start + len(spans)
    return replace(unit, files=tuple(files), spans=tuple(spans), lines=lines, stop=stop)


def to_text(unit: Unit) -> str:
    """A unit as JSON."""
    fields = asdict(unit)
    for line in fields["lines"]:
        line["digest"] = line["digest"].hex()
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def from_text(text: str) -> Unit:
    """The unit that `to_text` wrote."""
    fields = json.loads(text)
    return Unit(
        kind=fields["kind"],
        files=_files(fields["files"]),
        start=fields["start"],
        stop=fields["stop"],
        root=fields["root"],
        spans=tuple(fields["spans"]),
        at=fields["at"],
        options=tuple((name, value) for name, value in fields["options"]),
        tables=_files(fields["tables"]),
        lines=tuple(TableLine(**{**line, "digest": bytes.fromhex(line["digest"])}) for line in fields["lines"]),
        lines_digest=fields["lines_digest"],
    )


def samples_in(unit: Unit) -> int | None:
    """How many samples a unit has; None where only reading it tells."""
    return unit.stop - unit.start if unit.stop >= 0 else None


def _together(taken: Sequence[Piece]) -> tuple[Unit, list[int]]:
    samples = [piece.sample for piece in taken if piece.sample is not None]
    return unit_of(samples, taken[0].unit.root), [piece.state for piece in taken]


def _content(sample: Sample) -> tuple[object, ...]:
    rows = []
    for table, row in sample.rows:
        try:
            header = header_of(table)
        except UnreadableError:
            header = b""
        rows.append((table.uri, row.digest.hex(), hashlib.sha256(header).hexdigest()[:32]))
    return ("folder", [_plain(f) for f in sample.files], rows)


def _plain(file: FileState) -> tuple[str, int, str]:
    return file.uri, file.size, file.stamp


def _number(content: object) -> int:
    return int.from_bytes(hashlib.sha256(json.dumps(content).encode()).digest()[:8])


def _files(listed: Sequence[dict[str, object]]) -> tuple[FileState, ...]:
    return tuple(FileState(str(f["uri"]), int(str(f["size"])), str(f["stamp"])) for f in listed)
