"""What a shard says about itself, in the header of its file."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from model.feed.messages import Dtype, Encoding, Kind


@dataclass(frozen=True)
class Entry:
    """A tensor of a shard: `offset` in bytes from the start of the data; `check`: XXH3-64 of its bytes, 16 hex."""

    key: str
    offset: int
    shape: tuple[int, ...]
    check: str


@dataclass(frozen=True)
class Source:
    """The upright original of a latent: (width, height), and the box that was kept, (left, top, right, bottom)."""

    size: tuple[int, int]
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Manifest:
    """A shard of entries of one kind and one bucket, `height` x `width` pixels (0 for text without pictures).

    `absent`: keys that no tensor can be made for, with the reason: their samples leave their places empty.
    There is nothing in it of who made it and when: the same work done twice gives the same file.
    """

    kind: Kind
    height: int
    width: int
    dtype: Dtype
    encoding: Encoding
    entries: tuple[Entry, ...]
    absent: dict[str, str] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)

    @property
    def bucket(self) -> str:
        return f"{self.width}x{self.height}" if self.width else "plain"


_JSON: TypeAdapter[Manifest] = TypeAdapter(Manifest)


def to_json(manifest: Manifest) -> str:
    return _JSON.dump_json(manifest).decode()


def from_json(text: str) -> Manifest:
    """Raises ValueError for what is no manifest."""
    try:
        return _JSON.validate_json(text)
    except ValidationError as error:
        raise ValueError(f"no manifest of a shard: {error.errors()[0]['msg']}") from error
