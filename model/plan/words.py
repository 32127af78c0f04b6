"""The captions of a plan's samples: mapped files, a kind for each, one drawn by the mix of kinds."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.curriculum.ramp import Ramp
from warehouse.order import mix

UInt64 = npt.NDArray[np.uint64]
Int64 = npt.NDArray[np.int64]
_PIECE = 1 << 25  # bytes of text rewritten at once
_WITHIN = np.uint64(0xD1B54A32D192ED03)  # makes the draw within a kind another one than that of the kind


class Words:
    """Captions of the records of a folder, as `warehouse.selection` lays them out, and `caption_kind`, a byte each: its
    place in `kinds`. An image's captions stand in the order of their kinds."""

    def __init__(self, folder: Path, kinds: Sequence[str]) -> None:
        self.kinds = tuple(kinds)
        self._first = np.asarray(np.memmap(folder / "caption_first", "<u8", "r"))
        self._end = np.asarray(np.memmap(folder / "caption_end", "<u8", "r"))
        self._kind = _bytes(folder / "caption_kind")
        self._text = _text(folder / "caption_text")

    def chosen(self, records: Int64, draw: UInt64, shares: npt.NDArray[np.float64]) -> list[str | None]:
        """One caption of each record by a 64-bit draw each: first the kind by `shares` (in the order of `kinds`) of the
        kinds that there are, then one of that kind evenly. None where it has none, or only blanks."""
        first = self._first[records].astype(np.int64)
        number = self._first[records + 1].astype(np.int64) - first
        row = np.repeat(np.arange(len(records)), number)
        begin = np.cumsum(number) - number
        at = np.arange(len(row)) - np.repeat(begin - first, number)
        width = len(self.kinds)
        there = np.bincount(row * width + self._kind[at], minlength=len(records) * width).reshape(-1, width)
        weight = shares * (there > 0)
        none_asked = ~(weight.sum(axis=1) > 0)
        weight[none_asked] = there[none_asked]  # captions of kinds whose share is 0 by now
        upto = np.cumsum(weight, axis=1)
        aim = (draw >> np.uint64(11)).astype(np.float64) * 2.0**-53 * upto[:, -1]
        kind = np.minimum((upto <= aim[:, None]).sum(axis=1), width - 1)
        rows = np.arange(len(records))
        before = (np.cumsum(there, axis=1) - there)[rows, kind]
        of_kind = np.maximum(there[rows, kind], 1).astype(np.uint64)
        which = first + before + (mix(draw ^ _WITHIN) % of_kind).astype(np.int64)
        last = len(self._end) - 1
        starts, ends = self._end[np.minimum(which, last)], self._end[np.minimum(which + 1, last)]
        found = zip(starts.tolist(), ends.tolist(), (number > 0).tolist(), strict=True)
        texts = (self._text[a:b].decode() if some else "" for a, b, some in found)
        return [text if text and not text.isspace() else None for text in texts]

    def lengths(self) -> Int64:
        """Bytes of every caption (UTF-8)."""
        return np.diff(self._end.astype(np.int64))

    def by_kind(self) -> dict[str, int]:
        """Captions of each kind that there is."""
        number = np.bincount(self._kind, minlength=len(self.kinds))
        return {kind: int(n) for kind, n in zip(self.kinds, number, strict=True) if n}


def shares_of(captions: Mapping[str, Ramp] | None, kinds: Sequence[str], fraction: float) -> npt.NDArray[np.float64]:
    """The share of each of `kinds` at a fraction of the phase; all alike where no mix is asked for."""
    if captions is None:
        return np.ones(len(kinds))
    return np.array([captions[kind].value(fraction) if kind in captions else 0.0 for kind in kinds])


def split_kinds(folder: Path) -> str:
    """Captions that begin with one digit, the kind's place, get it taken off and written to `caption_kind`; the
    folder's files are rewritten. Returns the SHA-256 of all of it, 32 hex digits."""
    ends = np.fromfile(folder / "caption_end", "<u8").astype(np.int64)
    digest = hashlib.sha256()
    digest.update((folder / "caption_first").read_bytes())
    new = folder / "caption_text.new"
    with open(folder / "caption_text", "rb") as text, open(new, "wb") as out, open(folder / "caption_kind", "wb") as to:
        at = 0
        while at < len(ends) - 1:
            stop = max(at + 1, int(np.searchsorted(ends, ends[at] + _PIECE, side="right")) - 1)
            piece = np.frombuffer(text.read(int(ends[stop] - ends[at])), np.uint8)
            heads = ends[at:stop] - ends[at]
            kinds = piece[heads] - ord("0")
            left = np.delete(piece, heads)
            digest.update(kinds.tobytes())
            digest.update(left.tobytes())
            to.write(kinds.tobytes())
            out.write(left.tobytes())
            at = stop
    new.rename(folder / "caption_text")
    ends -= np.arange(len(ends))
    ends.astype("<u8").tofile(folder / "caption_end")
    digest.update(ends.tobytes())
    return digest.hexdigest()[:32]


def _bytes(path: Path) -> npt.NDArray[np.uint8]:
    if not path.stat().st_size:  # an empty file cannot be mapped
        return np.zeros(0, np.uint8)
    return np.asarray(np.memmap(path, np.uint8, "r"))


def _text(path: Path) -> mmap.mmap | bytes:
    if path.stat().st_size == 0:
        return b""
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
