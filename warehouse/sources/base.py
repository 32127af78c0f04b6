"""What a source is: units of work derived from the input alone, and the samples that reading a unit delivers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol


def words(text: str) -> frozenset[str]:
    """The words of a text as a set: long lists of names read better as one line."""
    return frozenset(text.split())


IMAGE_SUFFIXES = words(
    "jpg jpeg jpe jfif jif png apng webp gif bmp dib tif tiff avif avifs heic heif heics jp2 j2k jpx jxl "
    "ico icns tga ppm pgm pbm pnm pam psd svg qoi hdr exr dds pcx sgi fli flc mpo xbm xpm"
)

PARQUET_SUFFIXES = (".parquet", ".pq")

MAX_BYTES = 1 << 30
"""Files and members above this many bytes become an error row ("too large: ...") without being read."""


@dataclass(frozen=True, slots=True)
class Caption:
    """One caption as delivered. `lang_told` is True where the source named the language, False where it was guessed."""

    kind: str
    text: str
    lang: str | None
    origin: str
    lang_told: bool = False


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was listed: `stamp` is size and mtime in ns, or size and etag of an object.

    Size -1: it cannot be read, and `stamp` is the error that says why ("missing: captions.csv names it").
    """

    uri: str
    size: int
    stamp: str


@dataclass(frozen=True, slots=True)
class TableLine:
    """Bytes [offset, offset + length) of `Unit.tables[table]`: caption-table row `number` about `Unit.files[file]`.

    `digest`: the first 16 bytes of their SHA-256, so that a table that only grew since it was listed can still be read.
    `rights`: the row is about more than this file; only its licence, opt-out, url and date are this file's.
    """

    file: int
    table: int
    offset: int
    length: int
    number: int
    digest: bytes
    rights: bool = False


@dataclass(frozen=True)
class Unit:
    """A piece of work: samples `start` to `stop` (exclusive; -1: to the end) of `files`. Picklable and small.

    `spans` says how many of `files` each sample takes, its image and then its sidecars; it is empty for
    containers, where `at` is where reading begins (byte offset in a tar). `lines` name the rows of caption tables that
    tell about this unit's files; their content enters the key as `lines_digest`, so that a longer table leaves the
    other units as they were.
    """

    kind: str
    files: tuple[FileState, ...]
    start: int
    stop: int
    root: str
    spans: tuple[int, ...] = ()
    at: int = 0
    options: tuple[tuple[str, str], ...] = ()
    tables: tuple[FileState, ...] = ()
    lines: tuple[TableLine, ...] = ()
    lines_digest: str = ""

    @property
    def key(self) -> str:
        """32 hex digits of everything that decides what reading the unit delivers."""
        files = [(f.uri, f.size, f.stamp) for f in self.files]
        pieces = [self.kind, files, self.start, self.stop, self.spans, self.at, self.options, self.lines_digest]
        return hashlib.sha256(json.dumps(pieces).encode()).hexdigest()[:32]

    def option(self, name: str) -> str | None:
        return dict(self.options).get(name)


@dataclass(frozen=True, slots=True)
class Delivered:
    """One sample as the source delivered it.

    `uri`, `row`, `offset` and `length` find its bytes again (`ImageReader`) and never depend on how work was cut into
    units. `error` is set where the source itself already knows that it cannot be used; `data` may be None then. `extra`
    holds every further field, ready for `json.dumps`.
    """

    row: int
    uri: str
    offset: int | None
    length: int | None
    data: bytes | None
    stamp: str
    captions: tuple[Caption, ...] = ()
    source_url: str | None = None
    license: str | None = None
    opt_out: bool | None = None
    collected_at: str | None = None
    extra: dict[str, object] = field(default_factory=dict)
    error: str | None = None


class Source(Protocol):
    """Where samples come from. Units come lazily, always in the same order for the same input."""

    @property
    def kind(self) -> str: ...

    @property
    def root(self) -> str: ...

    def units(self, max_samples: int = 512) -> Iterator[Unit]:
        """Units of at most some `max_samples` samples each; derived from the listing alone, no image is read."""
        ...
