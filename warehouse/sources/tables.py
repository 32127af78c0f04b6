"""Caption tables (captions.csv, metadata.jsonl ...): found by name, indexed once by byte range, read row by row.

The listing process indexes a table into (file name, byte range) and a worker reads only the rows of its unit, so no
process ever holds a table's text.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

from warehouse.sources.base import FileState
from warehouse.sources.files import UnreadableError, open_file, read_range
from warehouse.sources.text import NotTextError, decode_text, storable

STEMS = frozenset({"caption", "captions", "metadata", "manifest", "annotations", "labels"})
SUFFIXES = {"csv": ",", "tsv": "\t", "jsonl": "", "ndjson": ""}
NAME_FIELDS = (
    *("file_name", "filename", "file", "filepath", "file_path", "image_path", "image_file", "image_name"),
    *("image", "path", "img_path", "img", "image_id", "key", "id"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """Where a row lies and which file it names, or what is wrong with it. `number` counts rows from 0; `digest` is the
    first 16 bytes of the SHA-256 of the row's bytes. `rights`: see `base.TableLine`."""

    number: int
    offset: int
    length: int
    digest: bytes
    name: str | None = None
    problem: str | None = None
    rights: bool = False


class BadRowError(ValueError):
    """A row that cannot be taken apart; the message says why."""


def is_table(name: str) -> bool:
    stem, _, suffix = name.rpartition(".")
    return suffix.lower() in SUFFIXES and stem.lower() in STEMS


def _delimiter(uri: str) -> str:
    return SUFFIXES[uri.rpartition(".")[2].lower()]


def index(state: FileState) -> Iterator[Row]:
    """Every row of the table in order. Raises files.UnreadableError."""
    if _delimiter(state.uri):
        _check_header(header_of(state), _delimiter(state.uri))
    yield from rows(state)


def rows(state: FileState) -> Iterator[Row]:
    """Like `index`, of a table whose columns need not name files. Raises files.UnreadableError."""
    delimiter = _delimiter(state.uri)
    with open_file(state.uri) as file:
        ranges = _records(file, delimiter)
        header = next((raw for _, raw in ranges), b"") if delimiter else b""
        number = -1
        for offset, raw in ranges:
            if not raw.strip():
                continue
            number += 1
            try:
                name, problem = _named(parse(raw, header, delimiter)), None
                if name is None:
                    problem = f"names no file; looked for {', '.join(NAME_FIELDS)}"
            except BadRowError as e:
                name, problem = None, str(e)
            yield Row(number, offset, len(raw), hashlib.sha256(raw).digest()[:16], name, problem)


def _check_header(header: bytes, delimiter: str) -> None:
    try:
        names = {name.strip().lower() for name in _csv(decode_text(header)[0], delimiter)}
    except (NotTextError, BadRowError) as e:
        raise UnreadableError(f"caption table: {e}") from e
    if not names & set(NAME_FIELDS):
        raise UnreadableError(f"caption table: no column names the files; looked for {', '.join(NAME_FIELDS)}")


def read_row(state: FileState, offset: int, length: int, digest: bytes) -> dict[str, object]:
    """One row's fields; the table may have grown since it was listed, the row must be what it was.

    Raises BadRowError, files.UnreadableError.
    """
    delimiter = _delimiter(state.uri)
    header = header_of(state) if delimiter else b""
    raw = read_range(state.uri, offset, length)
    if hashlib.sha256(raw).digest()[:16] != digest:
        raise UnreadableError("changed: the table was rewritten after it was listed; run again")
    return parse(raw, header, delimiter)


@lru_cache(maxsize=64)
def header_of(state: FileState) -> bytes:
    """The bytes of a CSV table's first record; empty for JSON lines. Raises files.UnreadableError."""
    if not _delimiter(state.uri):
        return b""
    with open_file(state.uri) as file:
        return next((raw for _, raw in _records(file, _delimiter(state.uri))), b"")


def records(uri: str, delimiter: str) -> Iterator[bytes]:
    """The bytes of each record, in CSV the header first. Raises files.UnreadableError."""
    with open_file(uri) as file:
        yield from (raw for _, raw in _records(file, delimiter))


def parse(raw: bytes, header: bytes, delimiter: str) -> dict[str, object]:
    """A record's bytes to fields: a JSON object where there is no delimiter, else CSV. Raises BadRowError."""
    try:
        text, _ = decode_text(raw)
        if delimiter:
            names = _csv(decode_text(header)[0], delimiter)
            return _csv_fields(names, _csv(text, delimiter))
        record = json.loads(text)
    except (NotTextError, RecursionError, ValueError) as e:
        raise BadRowError(str(e)) from e
    if not isinstance(record, dict):
        raise BadRowError("no JSON object")
    return record


def _csv(text: str, delimiter: str) -> list[str]:
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as e:
        raise BadRowError(f"bad CSV: {e}") from e
    return rows[0] if rows else []


def _csv_fields(names: list[str], values: list[str]) -> dict[str, object]:
    fields: dict[str, object] = dict(zip(names, values, strict=False))
    if len(values) > len(names):
        fields["further_columns"] = values[len(names) :]
    return fields


def _named(fields: dict[str, object]) -> str | None:
    """The file a row names, `/` between folders; None where it names none."""
    lower = {k.strip().lower(): v for k, v in reversed(list(fields.items()))}
    for name in NAME_FIELDS:
        value = lower.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and value.strip():
            return storable(value.strip().replace("\\", "/").removeprefix("./"))
    return None


def _records(file: BinaryIO, delimiter: str) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of each record: a line, or in CSV as many lines as its quotes span.

    Latin-1 is enough to see where a CSV record ends: neither UTF-8 nor GB18030 has a newline, a comma or a quote inside
    a character. A quote that never ends is cut off by the csv module's field limit, so it cannot swallow the table.
    """
    offset = 0
    if not delimiter:
        for line in file:
            yield offset, line
            offset += len(line)
        return
    taken: list[bytes] = []

    def lines() -> Iterator[str]:
        for line in file:
            taken.append(line)
            yield line.decode("latin-1")

    reader = csv.reader(lines(), delimiter=delimiter)
    while True:
        try:
            next(reader)
        except StopIteration:
            return
        except csv.Error:
            pass  # parsing the record again says what is wrong with it
        raw = b"".join(taken)
        taken.clear()
        yield offset, raw
        offset += len(raw)
