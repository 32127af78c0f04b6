"""The simple case: a feed served from this process, and producers in processes beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import model
from model.feed.feed import Feed, FeedSettings
from model.feed.messages import Dtype, Status
from model.feed.plans import OpenPlan, PlanLike, open_plan
from model.feed.record import FOLDER
from model.feed.server import serving
from model.feed.worker import JSON, ProducerSettings
from warehouse.errors import EngineError, LakeBusy, LakeError, MissingDependency, UsageError

_TELLING = {kind.exit_code for kind in (UsageError, LakeError, LakeBusy, MissingDependency, EngineError)}
_LOOK_S = 0.1
_IN_A_ROW = 5  # deaths without an entry made in between
_END_S = 10.0


@dataclass(frozen=True)
class LocalFeed:
    """A feed that runs: its address, its folder, and the feed itself. `processes`: process ids of the producers."""

    url: str
    folder: Path
    feed: Feed
    _herd: _Herd

    @property
    def processes(self) -> list[int]:
        return self._herd.processes

    @property
    def replaced(self) -> int:
        """Producers that died and were replaced."""
        return self._herd.replaced

    def status(self) -> Status:
        return self.feed.status()


@contextmanager
def local_feed(
    run: Path,
    plan: PlanLike,
    vae: str | Path,
    text: str | Path,
    *,
    producers: int = 1,
    settings: FeedSettings = FeedSettings(),  # noqa: B008 (frozen)
    devices: Sequence[str] = (),
    rows: int | None = None,
    latent_dtype: Dtype = "float32",
    text_dtype: Dtype | None = None,
    threads: int = 1,
    host: str = "127.0.0.1",
    port: int = 0,
    opener: OpenPlan = open_plan,
) -> Iterator[LocalFeed]:
    """Serve the feed of `run` (its folder `feed`) and keep `producers` processes at work on `plan`.

    `vae` and `text` are folders; `devices` are dealt out to the producers in turn, a GPU where there is one if none are
    named. A producer that dies is replaced, one that reports an error stops the run: consumers
    raise that line. With `producers=0` others may join. What was encoded stays in the folder for the next start.
    Raises UsageError where the run follows another plan, LakeBusy where another process serves it.
    """
    folder = run / FOLDER
    feed = Feed(folder, settings, opener=opener)
    try:
        feed.begin(plan)
        with serving(feed.record.shards, feed, host=host, port=port) as url:
            feed.record.serving(url)
            first = ProducerSettings(
                store=f"http://127.0.0.1:{url.rpartition(':')[2]}", vae=str(vae), text=str(text), rows=rows,
                latent_dtype=latent_dtype, text_dtype=text_dtype, threads=threads, parent=os.getpid(),
                plans=(str(plan.folder),), opener=f"{opener.__module__}:{opener.__qualname__}", patience_s=_END_S,
            )  # fmt: skip
            herd = _Herd(feed, first, producers, folder / "producers", devices)
            try:
                yield LocalFeed(url, folder, feed, herd)
            finally:
                feed.close()
                herd.end()
    finally:
        feed.close()


class _Herd:
    """Producer processes: started, watched, replaced, ended."""

    def __init__(
        self, feed: Feed, settings: ProducerSettings, count: int, logs: Path, devices: Sequence[str] = ()
    ) -> None:
        self._feed, self._settings, self._logs = feed, settings, logs
        self.replaced = 0
        self._born = 0
        self._deaths, self._made = 0, 0
        logs.mkdir(parents=True, exist_ok=True)
        self._devices = [devices[number % len(devices)] if devices else None for number in range(count)]
        self._place: dict[str, int] = {}
        self._alive = dict(self._start(number) for number in range(count))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="glyphmill-herd", daemon=True)
        self._thread.start()

    @property
    def processes(self) -> list[int]:
        return [process.pid for process in self._alive.values()]

    def end(self) -> None:
        """Wait for them to go, as the feed has closed; those that do not are killed."""
        self._ended.set()
        self._thread.join()
        for process in self._alive.values():
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, place: int) -> tuple[str, subprocess.Popen[bytes]]:
        """A producer in a place of the herd, on the device of that place."""
        name = f"local-{os.getpid()}-{self._born}"
        self._born += 1
        self._place[name] = place
        told = JSON.dump_json(replace(self._settings, name=name, device=self._devices[place])).decode()
        root = str(Path(model.__file__).resolve().parent.parent)
        path = os.pathsep.join(dict.fromkeys([root, *(entry for entry in sys.path if entry)]))
        with open(self._log(name), "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "model.feed.worker", told],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": path},
            )  # fmt: skip
        return name, process

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_S):
            for name, process in list(self._alive.items()):
                code = process.poll()
                if code is not None:
                    self._replace(name, code)

    def _replace(self, name: str, code: int) -> None:
        del self._alive[name]
        place = self._place.pop(name)
        self._feed.release(name)
        made = self._feed.status().encoded
        self._deaths = self._deaths + 1 if made == self._made else 1
        self._made = made
        if code in _TELLING:
            self._feed.fail(f"producer {name}", self._last_line(name) or f"ended with code {code}", ())
        elif self._deaths >= _IN_A_ROW:
            last = self._last_line(name)
            self._feed.fail(f"producer {name}", f"{self._deaths} died in a row ({last}): see {self._log(name)}", ())
        else:
            try:
                new, process = self._start(place)
            except OSError as error:
                self._feed.fail("the keeper of the local producers", f"no new one can be started ({error})", ())
                return
            self.replaced += 1
            self._alive[new] = process

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _last_line(self, name: str) -> str:
        lines = self._log(name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else ""
