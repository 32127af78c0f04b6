"""The order of an epoch: a pure function of (selection, seed, epoch, step), of nothing else and with no state.

World size and workers do not enter: a step has one global batch, all from one bucket, and a rank takes its slice of it.

A bucket's records are laid out as *slots*, one a copy (a weight of 2.5 gives two or three slots). A permutation sends
positions to slots, positions are cut into batches, and a second permutation sends steps to the batches of all buckets.
What is left over at the end of a bucket's positions is its tail: dropped, counted, and different in every epoch.

Cost: nothing is stored for unweighted buckets in `shuffle` and `sequential` order. A weighted bucket keeps 8 bytes per
16 records and epoch (50 MB for 100 million) and one pass over the weights; `block` keeps 12 bytes a step and epoch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Order = Literal["shuffle", "block", "sequential"]
ORDERS: tuple[Order, ...] = ("shuffle", "block", "sequential")

Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]
Float32 = npt.NDArray[np.float32]

ROUNDS = 6  # even, so that the two halves end where they began
CHUNK = 16  # records whose copies are counted together: more cost time at every batch, fewer cost memory
_PASS = 1 << 20  # records weighed at once


def key(*pieces: int | str) -> int:
    """64 bits that depend on every piece and on nothing else (no PYTHONHASHSEED, no numpy version)."""
    digest = hashlib.blake2b(repr(pieces).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def mix(values: UInt64) -> UInt64:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014, fig. 17): a bijection of 64-bit numbers."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def permute(at: Int64, size: int, secret: int) -> Int64:
    """Where a keyed permutation of 0..size-1 sends each of `at` (any shape): no array of the size is made.

    A Feistel network over the next power of two, walked until it lands inside (Black and Rogaway 2002, section 4).
    """
    if size <= 1:
        return at.copy()
    # at least six bits: narrower halves make poor permutations, and walking is cheap on a small domain
    bits = max(6, (size - 1).bit_length())
    keys = mix(np.uint64(secret) + np.arange(1, ROUNDS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    flat = at.astype(np.uint64).ravel()
    out = _feistel(flat, bits, keys)
    outside = np.flatnonzero(out >= size)
    while outside.size:
        out[outside] = _feistel(out[outside], bits, keys)
        outside = outside[out[outside] >= size]
    found: Int64 = out.astype(np.int64).reshape(at.shape)
    return found


def _feistel(values: UInt64, bits: int, keys: UInt64) -> UInt64:
    low, high = bits // 2, bits - bits // 2
    left, right = values >> np.uint64(low), values & np.uint64((1 << low) - 1)
    widths = (high, low)
    for i, round_key in enumerate(keys):
        mask = np.uint64((1 << widths[i % 2]) - 1)
        left, right = right, left ^ (mix(right + round_key) & mask)
    return (left << np.uint64(low)) | right


def copies(weights: Float32, checks: UInt64, secret: int) -> Int64:
    """Copies of each sample in an epoch: floor(weight), and one more with the probability of what is left.

    The chance is drawn from the sample's own key and the epoch's secret, so the expectation is the weight exactly and a
    sample's copies do not depend on what else was selected.
    """
    whole = np.floor(weights)
    chance = (mix(checks ^ np.uint64(secret)) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    found: Int64 = whole.astype(np.int64) + (chance < (weights - whole))
    return found


@dataclass(frozen=True)
class BucketRange:
    """A bucket: its records are start..stop-1 of the selection. `weighted`: some weight is not exactly 1."""

    name: str
    start: int
    stop: int
    batch: int
    weighted: bool


class GlobalBatch(NamedTuple):
    """One rank's slice of a step's global batch: records of the selection, and which copy of each in this epoch."""

    step: int
    bucket: int
    records: Int64
    copies: Int64


@dataclass(frozen=True)
class Blocks:
    """`order="block"`: runs of `length` neighbouring records stay together, mixed within `window` blocks at a time."""

    length: int = 256
    window: int = 16


class EpochPlan:
    """Every batch of one epoch.

    `records` is the selection: structured, with the fields `weight` (float32) and `check` (uint64); it may be mapped.
    `steps` is the number of global batches, `batches` and `dropped` are per bucket the batches and the copies in the
    tail. `secrets` of different epochs, seeds, buckets and purposes are unrelated.
    """

    def __init__(
        self,
        buckets: Sequence[BucketRange],
        records: npt.NDArray[np.void],
        *,
        seed: int,
        epoch: int,
        order: Order = "shuffle",
        blocks: Blocks = Blocks(),
    ) -> None:
        self.buckets, self.order, self.blocks = tuple(buckets), order, blocks
        self.seed, self.epoch = seed, epoch
        self._records = records
        self._copies_secret = key("copies", seed, epoch)
        self._counts = [self._count(bucket) if bucket.weighted else None for bucket in self.buckets]
        self.totals = [
            bucket.stop - bucket.start if counts is None else int(counts[-1])
            for bucket, counts in zip(self.buckets, self._counts, strict=True)
        ]
        per_bucket = [total // bucket.batch for bucket, total in zip(self.buckets, self.totals, strict=True)]
        self._first = np.concatenate([[0], np.cumsum(per_bucket)]).astype(np.int64)
        self.steps = int(self._first[-1])
        names = [bucket.name for bucket in self.buckets]
        self.batches = dict(zip(names, per_bucket, strict=True))
        self.dropped = {b.name: total % b.batch for b, total in zip(self.buckets, self.totals, strict=True)}
        self._interleaved = self._interleave() if order == "block" else None

    def slices(self, steps: Int64, rank: int = 0, world_size: int = 1) -> list[GlobalBatch]:
        """The given steps' batches (any steps, in any order), each cut to this rank's share.

        Every batch size must divide by the world size; the ranks' slices, in rank order, are the step's global batch.
        """
        bucket, batch = self._place(steps)
        found: dict[int, GlobalBatch] = {}
        for b in np.unique(bucket).tolist():
            share = self.buckets[b].batch // world_size
            mine = np.flatnonzero(bucket == b)
            starts = batch[mine] * self.buckets[b].batch + rank * share
            records, copy = self._resolve(b, self._slots(b, (starts[:, None] + np.arange(share)).ravel()))
            for i, row, which in zip(mine.tolist(), records.reshape(-1, share), copy.reshape(-1, share), strict=True):
                found[i] = GlobalBatch(int(steps[i]), b, row, which)
        return [found[i] for i in range(len(steps))]

    def _place(self, steps: Int64) -> tuple[Int64, Int64]:
        """The bucket of each step, and which of that bucket's batches it is."""
        if self._interleaved is not None:
            which, batch = self._interleaved
            return which[steps].astype(np.int64), batch[steps]
        at = steps if self.order == "sequential" else permute(steps, self.steps, self._secret("steps"))
        bucket: Int64 = np.searchsorted(self._first, at, side="right").astype(np.int64) - 1
        return bucket, at - self._first[bucket]

    def _interleave(self) -> tuple[npt.NDArray[np.int32], Int64]:
        """Buckets in shuffled order, but each bucket's batches one after another, so that blocks are read in runs."""
        at = permute(np.arange(self.steps, dtype=np.int64), self.steps, self._secret("steps"))
        bucket = (np.searchsorted(self._first, at, side="right") - 1).astype(np.int32)
        batch = np.empty(self.steps, np.int64)
        for b in range(len(self.buckets)):
            mine = np.flatnonzero(bucket == b)
            batch[mine] = np.arange(mine.size)
        return bucket, batch

    def _slots(self, bucket: int, positions: Int64) -> Int64:
        total = self.totals[bucket]
        if self.order == "sequential":
            return positions
        if self.order == "shuffle":
            return permute(positions, total, self._secret("slots", bucket))
        # A turn by a random amount first: block borders and the short last block fall elsewhere in every epoch.
        turn = self._secret("turn", bucket) % max(1, total)
        return (self._in_blocks(bucket, self._in_windows(bucket, positions)) + turn) % total

    def _in_blocks(self, bucket: int, positions: Int64) -> Int64:
        length = self.blocks.length
        block, within = positions // length, positions % length
        full = self.totals[bucket] // length
        inside = block < full
        block[inside] = permute(block[inside], full, self._secret("blocks", bucket))
        return block * length + within

    def _in_windows(self, bucket: int, positions: Int64) -> Int64:
        span = self.blocks.length * self.blocks.window
        out = np.empty_like(positions)
        window = positions // span
        for w in np.unique(window).tolist():
            mine = window == w
            size = min(span, self.totals[bucket] - w * span)
            out[mine] = w * span + permute(positions[mine] - w * span, size, self._secret("window", bucket, w))
        return out

    def _resolve(self, bucket: int, slots: Int64) -> tuple[Int64, Int64]:
        """The record behind each slot, and which of the record's copies the slot is."""
        start, counts = self.buckets[bucket].start, self._counts[bucket]
        if counts is None:
            return start + slots, np.zeros_like(slots)
        chunk = np.searchsorted(counts, slots, side="right") - 1
        within = slots - counts[chunk]
        at = start + chunk[:, None] * CHUNK + np.arange(CHUNK)
        stop = self.buckets[bucket].stop
        there = np.minimum(at, stop - 1)
        number = copies(self._records["weight"][there], self._records["check"][there], self._copies_secret)
        number[at >= stop] = 0
        upto = np.cumsum(number, axis=1)
        inside = (upto <= within[:, None]).sum(axis=1)
        rows = np.arange(len(slots))
        return at[rows, inside], within - (upto - number)[rows, inside]

    def _count(self, bucket: BucketRange) -> Int64:
        """Copies before each chunk of the bucket, and in all of them at the end."""
        sums = [np.zeros(1, np.int64)]
        for first in range(bucket.start, bucket.stop, _PASS):
            part = self._records[first : min(first + _PASS, bucket.stop)]
            number = copies(part["weight"], part["check"], self._copies_secret)
            sums.append(np.add.reduceat(number, np.arange(0, len(number), CHUNK)))
        return np.cumsum(np.concatenate(sums))

    def _secret(self, purpose: str, *more: int) -> int:
        return key(purpose, self.seed, self.epoch, *more)
