"""What a source holds: the images of a selection or the edit pairs of a folder, by bucket, with weights and captions.

An epoch of a bucket is a keyed permutation of its places. Unweighted, a place is an image. Weighted, the places stand
at even distances on a line as long as the weights' sum, moved on by the golden ratio from epoch to epoch: an image has
its weight of them, rounded down or up, its weight on average, and nothing is counted anew in an epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.batches import Picture
from model.plan.shuffle import shuffled
from model.plan.words import Words
from warehouse.order import key, mix
from warehouse.selection import Bucket, Selection

Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]

UNIT = 1 << 20  # parts of a weight of 1
CHUNK = 16  # records whose weights are summed up in the file
_PASS = 1 << 20  # records weighed at once, a multiple of CHUNK
_GOLDEN = 0.6180339887498949
_PLACE = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Drawn:
    """Some records, and 64 bits for each that depend on seed, epoch and place: what else is drawn comes from them."""

    records: Int64
    draw: UInt64


class Items:
    """The records of one source. `files`: folder with `weights` where a bucket is weighted, and captions."""

    def __init__(self, files: Path, name: str, buckets: tuple[Bucket, ...], kinds: tuple[str, ...]) -> None:
        self.name, self.buckets = name, {bucket.name: bucket for bucket in buckets}
        self.words = Words(files, kinds)
        weighted = any(bucket.weighted for bucket in buckets)
        self._upto = np.asarray(np.memmap(files / "weights", "<i8", "r")) if weighted else np.zeros(0, np.int64)
        self._lines: dict[str, tuple[int, int]] = {}

    def weight(self, records: Int64) -> npt.NDArray[np.float32]:
        """Expected copies of these records in an epoch."""
        raise NotImplementedError

    def check(self, records: Int64) -> UInt64:
        """64 bits that name each record, whatever else was selected."""
        raise NotImplementedError

    def pictures(self, records: Int64) -> list[tuple[Picture, tuple[Picture, ...]]]:
        """The target and the references of these records."""
        raise NotImplementedError

    def total(self, bucket: str) -> float:
        """Sum of the weights of a bucket; 0 where there is no such bucket."""
        found = self.buckets.get(bucket)
        if found is None:
            return 0.0
        return self._line(found)[1] / UNIT if found.weighted else float(found.stop - found.start)

    def places(self, bucket: str) -> int:
        """Samples of one epoch of a bucket: the sum of its weights, rounded down."""
        return int(self.total(bucket))

    def draw(self, bucket: str, cursor: Int64, *secret: int | str) -> Drawn:
        """The samples at these places of the bucket's endless stream of epochs."""
        places, found = self.places(bucket), self.buckets[bucket]
        epoch = cursor // places
        records, draw = np.empty_like(cursor), np.empty(cursor.shape, np.uint64)
        for number in np.unique(epoch).tolist():
            mine = epoch == number
            slots = shuffled(cursor[mine] - number * places, places, key("slots", *secret, bucket, number))
            where = (
                self._at(found, slots, key("turn", *secret, bucket), number) if found.weighted else found.start + slots
            )
            records[mine] = where
            salt = np.uint64(key("draw", *secret, number))
            draw[mine] = mix((self.check(where) ^ salt) + slots.astype(np.uint64) * _PLACE)
        return Drawn(records, draw)

    def _line(self, bucket: Bucket) -> tuple[int, int]:
        """Where a weighted bucket begins on the line of all weights, and its length; both in UNITs."""
        if bucket.name not in self._lines:
            begin = self._before(bucket.start)
            self._lines[bucket.name] = begin, self._before(bucket.stop) - begin
        return self._lines[bucket.name]

    def _before(self, record: int) -> int:
        """Weights of all records before this one, in UNITs."""
        chunk = record // CHUNK
        rest = np.arange(chunk * CHUNK, record, dtype=np.int64)
        return int(self._upto[chunk]) + int(units(self.weight(rest)).sum())

    def _at(self, bucket: Bucket, slots: Int64, secret: int, epoch: int) -> Int64:
        """The records at these places of a weighted bucket's line."""
        begin, length = self._line(bucket)
        # where the line is closed is any place, and a weight's fraction is up evenly often: once in two epochs for 0.5
        whole = key("closed", secret, epoch) % (length // UNIT)
        turn = whole * UNIT + int(((secret % (1 << 30)) / (1 << 30) + epoch * _GOLDEN) % 1.0 * UNIT)
        point = begin + (slots * UNIT + turn) % length
        chunk = np.searchsorted(self._upto, point, side="right") - 1
        at = chunk[:, None] * CHUNK + np.arange(CHUNK)
        inside = (at >= bucket.start) & (at < bucket.stop)
        weights = units(self.weight(np.where(inside, at, bucket.start))) * inside
        # what lies in the first chunk before the bucket counts too
        within = point - np.maximum(self._upto[chunk], begin)
        which = (np.cumsum(weights, axis=1) <= within[:, None]).sum(axis=1)
        found: Int64 = chunk * CHUNK + which
        return found


class Images(Items):
    """The images of a selection: sources of text-to-image."""

    def __init__(self, name: str, selection: Selection, kinds: tuple[str, ...]) -> None:
        self.selection = selection
        super().__init__(selection.folder, name, selection.header.buckets, kinds)

    def weight(self, records: Int64) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = self.selection.records["weight"][records]
        return found

    def check(self, records: Int64) -> UInt64:
        found: UInt64 = self.selection.records["check"][records]
        return found

    def pictures(self, records: Int64) -> list[tuple[Picture, tuple[Picture, ...]]]:
        return [(Picture(self.name, record), ()) for record in records.tolist()]


class Pairs(Items):
    """Edit pairs: sources of text-and-image to image. `pictures_of` names the selection that has their pictures."""

    def __init__(
        self, name: str, folder: Path, buckets: tuple[Bucket, ...], kinds: tuple[str, ...], pictures_of: str
    ) -> None:
        self._weight = np.asarray(np.memmap(folder / "weight", "<f4", "r"))
        self._check = np.asarray(np.memmap(folder / "check", "<u8", "r"))
        self._target = np.asarray(np.memmap(folder / "target", "<i8", "r"))
        self._first = np.asarray(np.memmap(folder / "reference_first", "<i8", "r"))
        self._reference = np.asarray(np.memmap(folder / "reference", "<i8", "r"))
        self.pictures_of = pictures_of
        super().__init__(folder, name, buckets, kinds)

    def weight(self, records: Int64) -> npt.NDArray[np.float32]:
        return self._weight[records]

    def check(self, records: Int64) -> UInt64:
        return self._check[records]

    def pictures(self, records: Int64) -> list[tuple[Picture, tuple[Picture, ...]]]:
        of, found = self.pictures_of, []
        for record in records.tolist():
            begin, end = int(self._first[record]), int(self._first[record + 1])
            references = tuple(Picture(of, number) for number in self._reference[begin:end].tolist())
            found.append((Picture(of, int(self._target[record])), references))
        return found


def units(weights: npt.NDArray[np.float32]) -> Int64:
    """Weights in UNITs."""
    return np.rint(weights.astype(np.float64) * UNIT).astype(np.int64)


def write_weights(path: Path, weights: npt.NDArray[np.float32]) -> None:
    """UNITs before each chunk of records, and at the end: 8 bytes per 16 records."""
    sums = [np.zeros(1, np.int64)]
    for first in range(0, len(weights), _PASS):
        part = units(weights[first : first + _PASS])
        sums.append(np.add.reduceat(part, np.arange(0, len(part), CHUNK)))
    np.cumsum(np.concatenate(sums)).astype("<i8").tofile(path)
