"""A selection: the images of a SQL query as a memory-mapped file, sorted by bucket, shard and offset.

<folder>/selection.json       what it is: SQL, snapshot, counts, bucket ranges, shard names, digest
<folder>/records              24 bytes an image: shard, block, size, weight, check
<folder>/caption_first        8 bytes an image (+ 8): number of its first caption
<folder>/caption_end          8 bytes a caption (+ 8): where its text ends
<folder>/caption_text         UTF-8

An image's id is not in it: it stands in the tar's header, 512 bytes before the image, and is read with it.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

RECORD = np.dtype(
    [
        ("shard", "<u4"),  # position in Header.shards
        ("block", "<u4"),  # where the image's tar header begins, in blocks of 512 bytes: shards up to 2 TiB
        ("size", "<u4"),  # bytes of the image
        ("weight", "<f4"),  # expected copies in an epoch
        ("check", "<u8"),  # XXH3-64 of the image's bytes
    ]
)
FORMAT = 1


@dataclass(frozen=True)
class Bucket:
    """Images start..stop-1 of a selection. `weighted`: some weight is not exactly 1."""

    name: str
    start: int
    stop: int
    weighted: bool


@dataclass(frozen=True)
class Header:
    """What a selection is. `selected` = `stored` + `unstored`; `digest` covers the records, their order and buckets."""

    sql: str
    captions_sql: str
    snapshot: int
    selected: int
    stored: int
    unstored: int
    captions: int
    buckets: tuple[Bucket, ...]
    shards: tuple[str, ...]
    digest: str
    format: int = FORMAT


class Selection:
    """A selection on disk, memory-mapped; pickles as its path, so workers share the pages."""

    def __init__(self, folder: Path) -> None:
        """Open it. Raises FileNotFoundError where there is none, ValueError where it has another format."""
        self.folder = folder
        self.header = read_header(folder / "selection.json")
        # plain arrays over the mapping: np.memmap's own indexing costs microseconds each time
        self.records: npt.NDArray[np.void] = np.asarray(np.memmap(folder / "records", RECORD, "r"))
        self._first = np.asarray(np.memmap(folder / "caption_first", "<u8", "r"))
        self._end = np.asarray(np.memmap(folder / "caption_end", "<u8", "r"))
        self._text = _mapped(folder / "caption_text")

    def __reduce__(self) -> tuple[type[Selection], tuple[Path]]:
        return Selection, (self.folder,)

    def __len__(self) -> int:
        return self.header.stored

    def captions(self, record: int) -> list[str]:
        """Every caption of an image, in a fixed order."""
        return [self._decoded(i) for i in range(int(self._first[record]), int(self._first[record + 1]))]

    def chosen_captions(self, records: npt.NDArray[np.int64], draw: npt.NDArray[np.uint64]) -> list[str | None]:
        """One caption of each record, by a 64-bit draw each; None where it has none."""
        first = self._first[records]
        count = self._first[records + 1] - first
        which = first + draw % np.maximum(count, np.uint64(1))
        last = len(self._end) - 1
        begin, end = self._end[np.minimum(which, last)], self._end[np.minimum(which + np.uint64(1), last)]
        text = self._text
        return [
            text[a:b].decode() if some else None
            for a, b, some in zip(begin.tolist(), end.tolist(), (count > 0).tolist(), strict=True)
        ]

    def overwrite(self, record: int, texts: frozenset[str] | None, *, dry_run: bool = False) -> bool:
        """Overwrite those captions of an image, or all; False where it has none of them."""
        captions = self.captions(record)
        going = [n for n, text in enumerate(captions) if text.strip() and (texts is None or text in texts)]
        left = [text for n, text in enumerate(captions) if n not in going]
        if going and not dry_run:
            with open(self.folder / "caption_text", "r+b") as file:
                for n in going:
                    place = int(self._first[record]) + n
                    begin, end = int(self._end[place]), int(self._end[place + 1])
                    fitting = (text for text in left if len(text.encode()) <= end - begin)
                    file.seek(begin)
                    file.write(max(fitting, key=len, default="").encode().ljust(end - begin))
                file.flush()
                os.fsync(file.fileno())
        return bool(going)

    def _decoded(self, caption: int) -> str:
        return self._text[int(self._end[caption]) : int(self._end[caption + 1])].decode()


def read_header(path: Path) -> Header:
    """The header of a selection; raises FileNotFoundError, ValueError."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    if fields.get("format") != FORMAT:
        raise ValueError(f"{path} has format {fields.get('format')}, this version reads {FORMAT}")
    buckets = tuple(Bucket(**bucket) for bucket in fields.pop("buckets"))
    return Header(**{**fields, "buckets": buckets, "shards": tuple(fields["shards"])})


def write_header(path: Path, header: Header) -> None:
    path.write_text(json.dumps(asdict(header), ensure_ascii=False, indent=1), encoding="utf-8")


def digest_of(records: Path, buckets: Sequence[Bucket], shards: Sequence[str]) -> str:
    """SHA-256 over the records, the bucket ranges and the shard names, 32 hex digits."""
    digest = hashlib.sha256(json.dumps([[asdict(b) for b in buckets], list(shards)]).encode())
    with open(records, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()[:32]


def settle(temporary: Path, folder: Path) -> Selection:
    """Give a finished selection its name; where another process was faster, its selection is taken."""
    try:
        temporary.rename(folder)
    except OSError:
        if not (folder / "selection.json").exists():
            raise
        shutil.rmtree(temporary)
    return Selection(folder)


def default_cache() -> Path:
    """Where selections are kept if nobody says where."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "glyphmill" / "selections"


def forget_captions(
    folder: Path, places: Mapping[tuple[str, int], frozenset[str] | None], *, dry_run: bool = False
) -> bool:
    """Take captions out of a selection, where they stand: of the images at these places (shard, byte offset) those
    texts, or all of them where None. False where it has none of these images.

    A caption that goes is overwritten by another one of the image and blanks, or by blanks. What the selection selects
    stays, and so does its digest: an epoch goes on.
    """
    try:
        selection = Selection(folder)
    except ValueError:  # of another version: it is never read again
        return False
    numbers = {name: number for number, name in enumerate(selection.header.shards)}
    touched = False
    for (shard, offset), texts in places.items():
        if shard not in numbers:
            continue
        where = (selection.records["shard"] == numbers[shard]) & (selection.records["block"] == offset // 512 - 1)
        for record in np.flatnonzero(where).tolist():
            touched |= selection.overwrite(record, texts, dry_run=dry_run)
    return touched


def _mapped(path: Path) -> mmap.mmap | bytes:
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return b""
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
