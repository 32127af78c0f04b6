"""The store's index: which shard has an entry, and where that shard lies; and the folder of shards itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from model.feed.manifest import Entry, Manifest
from model.feed.messages import Encoding, Place, ShardAt, Spot
from model.feed.shard import SUFFIX, DamagedError, data_bytes, header, name_of, read_manifest


@dataclass
class _Held:
    """A shard: `keys` are the entries that are found in it (an entry in two shards is found in the first), `start` is
    where its data begins, `wanted`: the last step that is known to need it."""

    manifest: Manifest
    start: int
    size: int
    keys: list[str]
    places: list[Place]
    wanted: int = 0


@dataclass
class Added:
    """What a shard brought: entries that were not there; entries that were; keys newly known to be absent."""

    new: list[str] = field(default_factory=list)
    known: int = 0
    absent: dict[str, str] = field(default_factory=dict)


class Store:
    """Shards, by name; entries, by key. Not safe for threads: its owner locks."""

    def __init__(self, folder: Path) -> None:
        """An empty store over a folder of shards, which is made if need be; `scan` reads what lies there."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.absent: dict[str, str] = {}
        self.bytes = 0
        self._shards: dict[str, _Held] = {}
        self._spots: dict[str, tuple[str, Entry]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._spots or key in self.absent

    @property
    def entries(self) -> int:
        return len(self._spots)

    @property
    def shards(self) -> int:
        return len(self._shards)

    def scan(self, place: Place, encoding: Encoding | None) -> tuple[list[str], list[str]]:
        """Index the whole shards of the folder that are not known yet; what a killed producer left half is removed.

        Shards of another encoding stay where they are, unseen: their keys are never asked for. Gives the keys that
        are known now, and a line for each damaged file, which is removed too: what it held is encoded again.
        """
        told: list[str] = []
        keys: list[str] = []
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            if path.name in self._shards:
                continue
            try:
                manifest, _ = read_manifest(path)
            except DamagedError as error:
                told.append(f"{error}: removed, to be encoded again")
                path.unlink(missing_ok=True)
                continue
            except FileNotFoundError:
                continue
            if encoding is None or manifest.encoding == encoding:
                added = self.add(path.name, manifest, place)
                keys += [*added.new, *added.absent]
        return keys, told

    def add(self, name: str, manifest: Manifest, place: Place) -> Added:
        """Take a shard in, or another place of one that is known. Raises ValueError if its content has another name."""
        head = header(manifest)
        if name != name_of(manifest, head):
            raise ValueError(f"{name} is not the name of that shard")
        held = self._shards.get(name)
        if held is not None:
            if place not in held.places:
                held.places.append(place)
            return Added(known=len(manifest.entries))
        added = Added()
        for entry in manifest.entries:
            if entry.key in self._spots:
                added.known += 1
            else:
                added.new.append(entry.key)
                self._spots[entry.key] = (name, entry)
        added.absent = {key: why for key, why in manifest.absent.items() if key not in self}
        self.absent.update(added.absent)
        if added.new or added.absent:
            size = len(head) + data_bytes(manifest)
            self._shards[name] = _Held(manifest, len(head), size, list(added.new), [place])
            self.bytes += size
        return added

    def spot(self, key: str) -> tuple[Spot, ShardAt] | None:
        """Where an entry lies; None if it is not there."""
        found = self._spots.get(key)
        if found is None:
            return None
        name, entry = found
        held = self._shards[name]
        return (
            Spot(name, held.start + entry.offset, entry.shape, entry.check),
            ShardAt(held.manifest.dtype, tuple(held.places)),
        )

    def lies(self, name: str, place: Place) -> bool:
        """Whether a shard is known to be at a place."""
        return name in self._shards and place in self._shards[name].places

    def lose(self, name: str, place: Place | None = None) -> list[str]:
        """A shard is no longer at a place, or nowhere. Gives the keys that are gone with its last place."""
        held = self._shards.get(name)
        if held is None:
            return []
        held.places = [p for p in held.places if place is not None and p != place]
        if held.places:
            return []
        del self._shards[name]
        self.bytes -= held.size
        for key in held.keys:
            del self._spots[key]
        unsaid = [key for key in held.manifest.absent if self.absent.pop(key, None) is not None]
        return [*held.keys, *unsaid]

    def touch(self, keys: Iterable[str], step: int) -> None:
        """The shards of these entries are of use at a step."""
        for key in keys:
            if key in self._spots:
                held = self._shards[self._spots[key][0]]
                held.wanted = max(held.wanted, step)

    def evict(self, needed: Callable[[str], bool], down_to: int) -> list[tuple[str, list[Place], list[str]]]:
        """Let go of shards none of whose entries is needed, those longest out of use first, until the store holds at
        most `down_to` bytes. Shards that tell what is absent stay. Gives names, places and keys."""
        gone = []
        for name, held in sorted(self._shards.items(), key=lambda item: (item[1].wanted, item[0])):
            if self.bytes <= down_to:
                break
            if held.keys and not held.manifest.absent and not any(needed(key) for key in held.keys):
                gone.append((name, held.places, self.lose(name)))
        return gone
