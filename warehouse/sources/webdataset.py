"""WebDataset tars: members of one name up to its first dot, side by side, are one sample.

Every image member is a row, so a sample of two images (an edit's before and after) gives two, with the captions of
both. Rows count through the tar. Other members tell about the image: .txt and .json as beside a file, .cls a class
number, short texts as they are, the rest described by length and SHA-256.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from warehouse.sources.base import IMAGE_SUFFIXES, MAX_BYTES, Delivered, FileState, Unit
from warehouse.sources.captions import Told, is_provenance
from warehouse.sources.files import UnreadableError, check
from warehouse.sources.folder import MAX_SIDECAR, SIDECARS, is_litter
from warehouse.sources.tar import Member, TarDamageError, members, open_tar
from warehouse.sources.text import NotTextError, decode_text, describe_bytes, storable

KIND = "webdataset"
SHORT_TEXT = 4096


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the tar: its image member (None: the sample has none), the members that tell about it, or the damage.

    `begin` is the byte offset where its sample's first header lies.
    """

    number: int
    begin: int
    key: str
    image: Member | None
    others: tuple[Member, ...]
    problem: str | None = None


def split_name(name: str) -> tuple[str, str]:
    """(key, suffix) as WebDataset splits a member's path: at the first dot of its last part."""
    folder, slash, base = name.rpartition("/")
    stem, _, suffix = base.partition(".")
    return folder + slash + stem, suffix.lower()


def groups(found: Iterator[Member]) -> Iterator[list[Member] | TarDamageError]:
    """Members side by side with one key and no suffix twice; the damage, if there is any, comes last."""
    group: list[Member] = []
    key = ""
    seen: set[str] = set()
    try:
        for member in found:
            if any(is_litter(part) for part in member.name.split("/")):
                continue
            name, suffix = split_name(member.name)
            if group and (name != key or suffix in seen):
                yield group
                group, seen = [], set()
            key = name
            seen.add(suffix)
            group.append(member)
    except TarDamageError as e:
        if group:
            yield group
        yield e
        return
    if group:
        yield group


def rows(found: Iterator[Member], first: int = 0) -> Iterator[Row]:
    """The rows of a tar, counted from `first`."""
    number = first
    for group in groups(found):
        if isinstance(group, TarDamageError):
            yield Row(number, group.offset, "", None, (), f"{group}, after {number} images")
            return
        key, _ = split_name(group[0].name)
        images: list[Member | None] = [*_images(group)]
        others = tuple(m for m in group if m not in images)
        for image in images or [None]:
            yield Row(number, group[0].header, key, image, others, image.problem if image else None)
            number += 1


def _images(group: list[Member]) -> list[Member]:
    """The image members; without any, the first that is no sidecar stands for the sample, to be refused by name."""
    images = [m for m in group if _last(m) in IMAGE_SUFFIXES or m.problem]
    return images or [m for m in group if _last(m) not in (*SIDECARS, "cls")][:1]


def _last(member: Member) -> str:
    return split_name(member.name)[1].rpartition(".")[2]


def units(state: FileState, root: str, max_samples: int) -> Iterator[Unit]:
    """Ranges of rows, found by the headers alone. A compressed tar is one unit: it can only be read from its start."""
    try:
        file, compressed = open_tar(state.uri)
    except (UnreadableError, TarDamageError):
        yield Unit(KIND, (state,), 0, -1, root)
        return
    try:
        if compressed:
            yield Unit(KIND, (state,), 0, -1, root)
            return
        start = begin = stop = last_begin = 0
        for row in rows(members(file, 0, state.size)):
            if row.number - start >= max_samples and row.begin != last_begin:
                yield Unit(KIND, (state,), start, row.number, root, at=begin)
                start, begin = row.number, row.begin
            last_begin = row.begin
            stop = row.number + 1
        if stop > start:
            yield Unit(KIND, (state,), start, stop, root, at=begin)
    finally:
        file.close()


def read(unit: Unit) -> Iterator[Delivered]:
    """The rows of a unit in order. Of a file that cannot be opened, an error row for each row it was to give."""
    state = unit.files[0]
    try:
        check(state)
        file, compressed = open_tar(state.uri)
    except (UnreadableError, TarDamageError) as e:
        for number in range(unit.start, max(unit.stop, unit.start + 1)):
            yield Delivered(number, state.uri, None, None, None, state.stamp, error=str(e))
        return
    try:
        found = members(file, unit.at, None if compressed else state.size, MAX_BYTES)
        for row in rows(found, unit.start):
            if 0 <= unit.stop <= row.number:
                return
            yield _deliver(row, state, compressed)
    finally:
        file.close()


def _deliver(row: Row, state: FileState, compressed: bool) -> Delivered:
    told = Told()
    for member in row.others:
        _tell(told, member)
    data, offset, error = None, None, row.problem
    if row.image is not None and error is None:
        data, offset = row.image.content, None if compressed else row.image.data
        if data is None:
            error = f"too large: {row.image.size} bytes, the limit for one image is {MAX_BYTES}"
    elif error is None:
        error = f"missing: sample {storable(row.key)} holds no image"
    if row.image is not None:
        told.add_extra("member", row.image.name, "tar")
    return told.deliver(row.number, state.uri, offset, data, state.stamp, error)


def _tell(told: Told, member: Member) -> None:
    name = storable(member.name)
    suffix = split_name(member.name)[1]
    data = member.content
    if data is None or len(data) > MAX_SIDECAR:
        told.add_extra(suffix, {"bytes": member.size}, name)
    elif _last(member) in SIDECARS:
        told.add_sidecar(suffix, name, data)
    elif is_provenance(suffix) and isinstance(text := _short_text(suffix, data), str):
        told.add_fields({suffix: text.strip()}, name)
    else:
        told.add_extra(suffix, _short_text(suffix, data), name)


def _short_text(suffix: str, data: bytes) -> object:
    try:
        text = decode_text(data)[0] if len(data) <= SHORT_TEXT else None
    except NotTextError:
        text = None
    if text is None or not all(c.isprintable() or c in "\n\r\t" for c in text):
        return describe_bytes(data)
    return int(text) if suffix == "cls" and text.strip().isdecimal() else text


def keys(state: FileState) -> set[str]:
    """The samples' names in a tar that have an image; of a damaged one, those before the damage."""
    try:
        file, compressed = open_tar(state.uri)
    except (UnreadableError, TarDamageError):
        return set()
    try:
        found = members(file, 0, None if compressed else state.size)
        return {row.key.rpartition("/")[2] for row in rows(found) if row.image is not None}
    finally:
        file.close()


class Stream:
    """Image bytes by row of a compressed tar, read forwards: rows asked for in order cost one pass."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._next = 0
        self._file, self._rows = self._open()

    def _open(self) -> tuple[BinaryIO, Iterator[Row]]:
        file, _ = open_tar(self._uri)
        return file, rows(members(file, 0, None, MAX_BYTES))

    def read(self, number: int) -> bytes | None:
        """The bytes of row `number`; None where the tar has no such image."""
        if number < self._next:
            self.close()
            self._file, self._rows = self._open()
        self._next = number + 1
        row = next((r for r in self._rows if r.number == number), None)
        return row.image.content if row is not None and row.image is not None else None

    def close(self) -> None:
        self._file.close()
