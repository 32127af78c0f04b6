"""What a feed writes into its folder: shards, their encoding, the recipe, the audit. One server at a time has it.

<folder>/shards/           the shards
<folder>/encoding.json     what decides their numbers
<folder>/recipe.jsonl      which plan from which step, appended and never changed
<folder>/audit.jsonl       samples that were left out, and why; shards that were lost
<folder>/horizon           the last step that any consumer has planned
<folder>/server.json       the address of the server, while one runs
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from model.batches import PlannedBatch
from model.feed.messages import Chapter, Encoding
from model.feed.plans import RecipeLog
from warehouse.errors import LakeBusy, LakeError
from warehouse.files import replacing

FOLDER = "feed"  # of a run
SERVER = "server.json"
TOKEN = "token"
_ENCODING: TypeAdapter[Encoding] = TypeAdapter(Encoding)


class Record:
    """The files of a feed beside its shards."""

    def __init__(self, folder: Path) -> None:
        """Take the folder. Raises LakeBusy where another server has it."""
        self.folder, self.shards = folder, folder / "shards"
        self.shards.mkdir(parents=True, exist_ok=True)
        self._lock = open(folder / "lock", "w")  # noqa: SIM115 - held as long as the server runs
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise LakeBusy(
                f"another server has the feed in {folder} open: stop it, or use it by its address"
            ) from error
        self._recipe = RecipeLog(folder / "recipe.jsonl")

    def close(self) -> None:
        (self.folder / SERVER).unlink(missing_ok=True)
        self._lock.close()

    def token(self) -> str:
        """Words in a file beside the shards: who reads the same ones sees the same folder."""
        path = self.shards / TOKEN
        if not path.exists():
            with replacing(path) as temporary:
                temporary.write_text(secrets.token_hex(16), encoding="utf-8")
        return path.read_text(encoding="utf-8")

    def serving(self, url: str) -> None:
        """A server of this folder listens at `url`."""
        with replacing(self.folder / SERVER) as temporary:
            temporary.write_text(json.dumps({"url": url, "pid": os.getpid()}), encoding="utf-8")

    def encoding(self) -> Encoding | None:
        path = self.folder / "encoding.json"
        if not path.exists():
            return None
        try:
            return _ENCODING.validate_json(path.read_bytes())
        except ValidationError as error:
            raise LakeError(f"{path} cannot be read: restore it, or remove {self.folder} to encode anew") from error

    def keep_encoding(self, encoding: Encoding) -> None:
        with replacing(self.folder / "encoding.json") as temporary:
            temporary.write_bytes(_ENCODING.dump_json(encoding, indent=1))

    def chapters(self) -> tuple[Chapter, ...]:
        return self._recipe.read()

    def append(self, chapter: Chapter, why: str) -> None:
        self._recipe.append(chapter, why)

    def horizon(self) -> int:
        path = self.folder / "horizon"
        try:
            return int(path.read_text(encoding="ascii")) if path.exists() else -1
        except ValueError as error:
            raise LakeError(f"{path} holds no step: write the last step trained so far into it") from error

    def keep_horizon(self, step: int) -> None:
        # not synced: it changes with every step, and after a loss of power a recipe changes one step early at worst
        temporary = self.folder / ".horizon.tmp"
        temporary.write_text(str(step), encoding="ascii")
        temporary.rename(self.folder / "horizon")

    def audit(self, producer: str, shard: str, absent: Mapping[str, str]) -> None:
        """Entries that can never be made: their samples leave their places empty."""
        for key, why in absent.items():
            self.note({"absent": key, "why": why, "shard": shard, "producer": producer})

    def skipped(self, step: int, planned: PlannedBatch, kept: Collection[int]) -> None:
        """Samples of a step that are left out for want of a caption."""
        for place, sample in enumerate(planned.samples):
            if place not in kept:
                target = {"selection": sample.target.selection, "record": sample.target.record}
                self.note({"step": step, "place": place, **target, "why": "no caption"})

    def note(self, fields: Mapping[str, object]) -> None:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with open(self.folder / "audit.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps({**fields, "at": when}, ensure_ascii=False) + "\n")
