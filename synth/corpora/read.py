"""Files of text into documents: paragraphs in order, and the language that the file says they are in."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from synth.corpora.decode import decode
from synth.corpora.markup import html_documents, markdown_documents
from synth.corpora.plain import subtitle_documents, text_documents
from synth.corpora.records import csv_documents, json_documents, json_line_documents, sample_documents, tsv_documents
from synth.corpora.source import Document
from warehouse.errors import UsageError

_READERS: Mapping[str, Callable[[str, str], Iterator[Document]]] = {
    ".txt": text_documents,
    ".text": text_documents,
    ".md": markdown_documents,
    ".markdown": markdown_documents,
    ".html": html_documents,
    ".htm": html_documents,
    ".xhtml": html_documents,
    ".json": json_documents,
    ".jsonl": json_line_documents,
    ".ndjson": json_line_documents,
    ".csv": csv_documents,
    ".tsv": tsv_documents,
    ".srt": subtitle_documents,
    ".vtt": subtitle_documents,
    ".textproto": sample_documents,
}


LARGEST = 1_000_000_000  # bytes of a file


@dataclass(frozen=True)
class File:
    """A file to read. `name`: its path below the folder that was asked for; what it is sorted and told by."""

    path: Path
    name: str


def find(paths: tuple[str, ...], skipped: Counter[str]) -> list[File]:
    """The files that can be read, of each path in turn, those of a folder by name; others are counted in `skipped`.

    Raises UsageError for a path that is not there, and for a file asked for by name that is of no known kind.
    """
    found: list[File] = []
    for asked in paths:
        path = Path(asked)
        if path.is_dir():
            found += _below(path, skipped)
        elif not path.is_file():
            raise UsageError(f"{asked}: there is no such file or folder of texts")
        elif path.suffix.lower() not in _READERS:
            raise UsageError(f"{asked}: texts are read from {' '.join(_READERS)}, not from {path.suffix or 'this'}")
        else:
            found.append(File(path, path.name))
    seen: set[Path] = set()
    once = []
    for file in found:
        real = file.path.resolve()
        if real not in seen:
            seen.add(real)
            once.append(file)
    return once


def documents(file: File) -> Iterator[Document]:
    """What the file holds. Raises UsageError where it cannot be read, decoded or parsed, saying where."""
    try:
        size = file.path.stat().st_size
        if size > LARGEST:
            raise UsageError(f"{file.path}: {size / 1e9:.1f} GB is more than is read at once: split the file")
        data = file.path.read_bytes()
    except OSError as error:
        raise UsageError(f"{file.path}: cannot be read: {error.strerror}") from error
    text = decode(data, file.path)
    del data
    yield from _READERS[file.path.suffix.lower()](text.replace("\r\n", "\n").replace("\r", "\n"), str(file.path))


def _below(folder: Path, skipped: Counter[str]) -> Iterator[File]:
    every = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        every += [Path(parent, name) for name in names if not name.startswith(".")]
    for path in sorted(every, key=lambda p: p.relative_to(folder).as_posix()):
        if path.suffix.lower() not in _READERS:
            skipped[f"{path.suffix.lower() or 'a file without suffix'}: not a kind of text that is read"] += 1
        elif path.is_file():
            yield File(path, path.relative_to(folder).as_posix())
