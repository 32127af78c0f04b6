"""What producers, the store and consumers say to each other. Plain values: they travel as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

from model.batches import Picture

Dtype = Literal["float32", "bfloat16"]
Kind = Literal["latent", "text"]

#: What each field of an Encoding is called where two of them differ.
_CALLED = {
    "vae": "VAE",
    "text": "text encoder or its template",
    "pixels": "resize rule or decoder version",
    "latent_dtype": "dtype of latents",
    "text_dtype": "dtype of text",
    "rows": "images encoded at once",
    "channels": "latent channels",
    "factor": "VAE's compression",
    "width": "text encoder's width",
}


@dataclass(frozen=True)
class Encoding:
    """Everything that decides the numbers: two producers with equal Encodings make equal entries.

    `vae`: identity of its weights; `text`: identity of the text encoder (weights, template, dtype, dropped tokens);
    `pixels`: the resize rule and the version of the decoder; `rows`: images in one call of the VAE, always so many;
    `channels` and `factor` of the VAE's latents; `width` of a text token.
    """

    vae: str
    text: str
    pixels: str
    channels: int
    factor: int
    width: int
    latent_dtype: Dtype = "float32"
    text_dtype: Dtype = "float32"
    rows: int = 1

    def differences(self, other: Encoding) -> list[str]:
        """Where `other` differs from this one, by name: "VAE: 12ab here, 34cd there"."""
        return [
            f"{_CALLED[f.name]}: {getattr(self, f.name)} here, {getattr(other, f.name)} there"
            for f in fields(self)
            if getattr(self, f.name) != getattr(other, f.name)
        ]


@dataclass(frozen=True)
class Task:
    """One entry to make. `latent`: of the only picture, `height` x `width` pixels. `text`: of `text` and of all
    pictures, fitted to `height` x `width`. `plan` is the digest of the plan that reads the pictures; `step` and `place`
    name the first sample that needs it."""

    key: str
    kind: Kind
    plan: str
    step: int
    place: int
    height: int
    width: int
    pictures: tuple[Picture, ...] = ()
    text: str | None = None

    @property
    def group(self) -> tuple[str, int, int]:
        """Tasks of one group are made in one go and lie in one shard."""
        return (self.kind, self.height, self.width) if self.pictures else (self.kind, 0, 0)

    @property
    def named(self) -> str:
        """The sample, as a person would look for it."""
        pictures = ", ".join(f"record {p.record} of {p.selection}" for p in self.pictures)
        return f"step {self.step} place {self.place}" + (f" ({pictures})" if pictures else "")


@dataclass(frozen=True)
class Work:
    """Tasks leased to one producer for `seconds`, unless renewed."""

    id: str
    tasks: tuple[Task, ...]
    seconds: float


@dataclass(frozen=True)
class Chapter:
    """From step `first` on, batches are planned by the plan of this digest in this folder."""

    first: int
    digest: str
    folder: str


@dataclass(frozen=True)
class Leased:
    """Answer to a producer: work, or none for now; `drop`: its shards that may be deleted; `closed`: go home;
    `rejoin`: the store does not know it (any more), as it has started anew or thought it dead: join again."""

    work: Work | None = None
    chapters: tuple[Chapter, ...] = ()
    drop: tuple[str, ...] = ()
    closed: bool = False
    rejoin: bool = False


@dataclass(frozen=True)
class Joined:
    """Answer to a producer that joins. `folder`: where the store keeps shards; `token`: a file in it by which a
    producer can tell whether it sees the same folder."""

    encoding: Encoding
    chapters: tuple[Chapter, ...]
    folder: str
    token: str
    lease_s: float


@dataclass(frozen=True)
class Attended:
    """Answer to a consumer: it may plan every step up to the horizon that it asked for, by these chapters.
    `encoding`: None until a producer has joined."""

    chapters: tuple[Chapter, ...]
    encoding: Encoding | None
    missing_caption: Literal["error", "skip"] = "error"


@dataclass(frozen=True)
class Place:
    """Where shards lie: a folder, and the address of who serves it. Shards are named by content, so where the folder
    holds a shard of that name, on whatever machine, it is the one."""

    folder: str
    url: str


@dataclass(frozen=True)
class Spot:
    """Where an entry lies: `offset` in bytes from the start of the shard's file; `check`: XXH3-64 of its bytes, hex."""

    shard: str
    offset: int
    shape: tuple[int, ...]
    check: str


@dataclass(frozen=True)
class ShardAt:
    dtype: Dtype
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Located:
    """Of the keys asked for, those that are there, and those that never will be, with the reason."""

    spots: dict[str, Spot] = field(default_factory=dict)
    shards: dict[str, ShardAt] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ProducerStatus:
    name: str
    silent_s: float
    entries: int
    leased: int


@dataclass(frozen=True)
class Status:
    """How a feed stands. `floor`: the slowest consumer's step; `ready`: whole steps that lie ready from there on;
    `window_end`: the last step that producers may work for; `missing`: entries of the window that are not there."""

    floor: int | None
    horizon: int
    ready: int
    window_end: int
    missing: int
    leased: int
    entries: int
    shards: int
    bytes: int
    budget: int | None
    absent: int
    encoded: int
    twice: int
    evicted: int
    lost: int
    producers: tuple[ProducerStatus, ...]
    consumers: dict[str, int]
    chapters: tuple[Chapter, ...]
    encoding: Encoding | None
    failure: str | None
