"""The shards that a feed holds, kept to its budget: what is let go of, lost, found again."""

from __future__ import annotations

from collections.abc import Iterable

from model.feed.manifest import Manifest
from model.feed.messages import Encoding, Place, Task
from model.feed.record import Record
from model.feed.sizes import Sizes
from model.feed.store import Added, Store
from model.feed.window import Window
from warehouse.errors import LakeError

#: Of a full budget, what is kept: what nobody needs goes in larger lots, so that not every shard means a search.
_ROOM = 0.95


class Holdings:
    """A store under a budget. `place`: the store's own folder. Not safe for threads: its owner locks."""

    def __init__(self, record: Record, window: Window, budget: int | None) -> None:
        self._record, self._window, self._budget = record, window, budget
        self._sizes = Sizes()
        self._drop: dict[str, list[str]] = {}
        self.place = Place(str(record.shards.resolve()), "")
        self.store = Store(record.shards)
        self.encoded = self.twice = self.evicted = self.lost = 0

    def scan(self, encoding: Encoding | None) -> None:
        """Take in whole shards that lie in the store's folder; what is damaged is removed and told in the audit."""
        keys, told = self.store.scan(self.place, encoding)
        self._want(keys)
        self._window.done(keys)
        for line in told:
            self._record.note({"damaged": line})

    def take(self, producer: str, name: str, manifest: Manifest, place: Place, *, fresh: bool) -> Added:
        """A shard is whole at a place; `fresh`: encoded just now. Raises LakeError for one that is not where it is said
        to be."""
        if place.folder == self.place.folder:
            if not (self._record.shards / name).exists():
                raise LakeError(f"shard {name} is not in {place.folder}")
            place = self.place
        added = self.store.add(name, manifest, place)
        self._want(added.new)
        self._window.done((*added.new, *added.absent))
        self.encoded += len(added.new) if fresh else 0
        self.twice += added.known if fresh else 0
        if added.new:
            self._sizes.saw(manifest)
        self._record.audit(producer, name, added.absent)
        self.trim()
        return added

    def full(self, leased: Iterable[Task], encoding: Encoding | None) -> bool:
        """Whether what is held and being made fills the budget."""
        return self._budget is not None and self.store.bytes + self._sizes.of(leased, encoding) >= self._budget

    def trim(self) -> None:
        """Keep to the budget: first goes what the window does not need, then what only later steps of it need, which is
        encoded again in time. What the slowest consumer's step needs stays, whatever it takes."""
        for needed, part in ((self._window.wants, _ROOM), (self._window.wants_now, 1.0)):
            if self._budget is None or self.store.bytes <= self._budget:
                return
            for name, places, keys in self.store.evict(needed, int(part * self._budget)):
                self.evicted += 1
                self._window.again(keys)
                for place in places:
                    self._delete(name, place)

    def lose(self, name: str, place: Place, why: str) -> bool:
        """A shard cannot be read at a place: what it held is to be encoded again, unless it lies elsewhere too. False:
        it was known to be gone from there."""
        ours = self.place if place.folder == self.place.folder else place
        if not self.store.lies(name, ours):
            return False
        keys = self.store.lose(name, ours)
        self._delete(name, ours)
        if keys:
            self.lost += len(keys)
            self._window.again(keys)
            self._record.note({"lost": name, "place": place.folder, "why": why, "entries": len(keys)})
        return True

    def dropped(self, folder: str) -> tuple[str, ...]:
        """Shards that whoever has this folder may delete; told once."""
        return tuple(self._drop.pop(folder, ()))

    def _want(self, keys: Iterable[str]) -> None:
        """What has come is of use until the last step that needs it. Untold, it would look as if it had never been, and
        be let go of before all that is older."""
        for key in keys:
            step = self._window.last_need(key)
            if step is not None:
                self.store.touch((key,), step)

    def _delete(self, name: str, place: Place) -> None:
        if place == self.place:
            (self._record.shards / name).unlink(missing_ok=True)
        else:
            self._drop.setdefault(place.folder, []).append(name)
