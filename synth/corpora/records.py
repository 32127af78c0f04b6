"""Records: JSON in the shapes that poems and sentences come in, tables, and samples of languages."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from io import StringIO

from synth.corpora.source import Document
from synth.corpora.tell import is_tag
from warehouse.errors import UsageError

#: Keys that hold a text, or its lines. What stands beside them (title, author, notes ...) is about it.
_BODY = ("paragraphs", "para", "content", "contents", "text", "body", "sentence", "sentences", "lines", "verses")
_SAMPLE = re.compile(r'(\w+):\s*((?:"(?:[^"\\\n]|\\.)*"\s*)+)')
_PART = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_ESCAPE = re.compile(r"\\([0-7]{1,3}|x[0-9A-Fa-f]{1,2}|.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


def json_documents(text: str, name: str) -> Iterator[Document]:
    """Each record of it that has a text; lists and objects within one another are gone through."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{name}: line {error.lineno}: no JSON: {error.msg}") from error
    except RecursionError as error:
        raise UsageError(f"{name}: JSON nested too deep to be texts") from error
    yield from _records(found)


def json_line_documents(text: str, name: str) -> Iterator[Document]:
    """As json_documents, a record a line."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield from _records(json.loads(line))
            except (json.JSONDecodeError, RecursionError) as error:
                raise UsageError(f"{name}: line {number}: no JSON: {error}") from error


def _records(found: object) -> Iterator[Document]:
    if isinstance(found, str):
        yield Document((found,))
    elif isinstance(found, list):
        if found and all(isinstance(item, str) for item in found):
            yield from (Document((item,)) for item in found)
        else:
            for item in found:
                yield from _records(item)
    elif isinstance(found, dict):
        yield from _object(found)


def _object(found: dict[str, object]) -> Iterator[Document]:
    bodies = [found[key] for key in _BODY if key in found]
    for body in bodies:
        lines = _lines(body)
        if lines is None:
            yield from _records(body)
        elif lines:
            language = found.get("language") or found.get("lang")
            yield Document(tuple(lines), language if isinstance(language, str) else None)
    if bodies:
        return
    for key, value in found.items():
        if is_tag(key) and isinstance(value, str):
            yield Document((value,), key)
        elif isinstance(value, list | dict):
            yield from _records(value)


def _lines(body: object) -> list[str] | None:
    """Lines of a text: of a string, or of a list of nothing but strings; None for anything else."""
    if isinstance(body, str):
        return [line for line in body.split("\n") if line.strip()]
    if isinstance(body, list) and all(isinstance(line, str) for line in body):
        return [line for line in body if line.strip()]
    return None


def csv_documents(text: str, name: str) -> Iterator[Document]:
    """Each row's text: of the columns named for one or by a language, else of the column with the longest cells."""
    yield from _table(text, name, ",")


def tsv_documents(text: str, name: str) -> Iterator[Document]:
    """As csv_documents, with tabs."""
    yield from _table(text, name, "\t")


def _table(text: str, name: str, delimiter: str) -> Iterator[Document]:
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise UsageError(f"{name}: line {reader.line_num}: no table: {error}") from error
    if not rows:
        return
    header = [cell.strip().lower() for cell in rows[0]]
    named = [i for i, cell in enumerate(header) if cell in _BODY or is_tag(cell)]
    body = rows[1:] if named else rows
    for column in named or [_longest(rows)]:
        language = header[column] if named and is_tag(header[column]) else None
        for row in body:
            if column < len(row) and row[column].strip():
                yield Document(tuple(line for line in row[column].split("\n") if line.strip()), language)


def _longest(rows: Sequence[Sequence[str]]) -> int:
    totals = [0] * max(map(len, rows))
    for row in rows:
        for i, cell in enumerate(row):
            totals[i] += len(cell)
    return totals.index(max(totals))


def sample_documents(text: str, name: str) -> Iterator[Document]:
    """The sample texts of a language (.textproto): one document of all of them, each once."""
    fields: dict[str, list[str]] = {}
    for key, told in _SAMPLE.findall(text):
        value = "".join(_unescaped(part) for part in _PART.findall(told))
        fields.setdefault(key, []).append(value)
    language, script = (fields[key][0] if key in fields else None for key in ("language", "script"))
    samples = [
        line
        for key, values in fields.items()
        if key.startswith(("styles", "tester", "specimen"))
        for value in values
        for line in value.split("\n")
        if line.strip()
    ]
    if samples:
        tag = f"{language}-{script}" if language and script else language
        yield Document(tuple(dict.fromkeys(samples)), tag)


def _unescaped(text: str) -> str:
    """Escapes as in C: octal and hexadecimal ones are bytes of UTF-8."""
    if "\\" not in text:
        return text
    data = bytearray()
    at = 0
    for m in _ESCAPE.finditer(text):
        data += text[at : m.start()].encode()
        told = m.group(1)
        if told[0] in "01234567":
            data.append(int(told, 8) & 255)
        elif told[0] == "x":
            data.append(int(told[1:], 16))
        else:
            data += _ESCAPED.get(told, told).encode()
        at = m.end()
    return (data + text[at:].encode()).decode("utf-8", errors="replace")
