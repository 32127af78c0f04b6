"""Lakes of what the tiny strategies draw, and what tells that two of them are the same."""

from __future__ import annotations

from pathlib import Path

from synth_tiny import Tiny

from pipelines.engines import Engine
from pipelines.engines.local import LocalEngine
from pipelines.synthesising.synthesise import SynthSummary, synthesise
from pipelines.synthesising.unit import Drawer
from warehouse.digest import digests
from warehouse.lake import Lake

HERE = LocalEngine(workers=0)
COUNT = 70  # one whole unit and a piece of the next
DRAWN = sum(index % 7 != 3 for index in range(COUNT))


def drawn(
    root: Path, drawer: Drawer | None = None, *, count: int = COUNT, engine: Engine = HERE, seed: int = 1
) -> SynthSummary:
    done = synthesise(Lake.open_or_create(root), drawer or Tiny(), seed=seed, count=count, engine=engine)
    assert not done.failed
    return done


def ask(root: Path, sql: str) -> list[tuple]:
    with Lake.open(root, read_only=True).connect(read_only=True) as con:
        return con.execute(sql).fetchall()


def told(root: Path) -> dict[str, str]:
    """Digests of the tables that do not name files of the lake's own folder."""
    with Lake.open(root, read_only=True).connect(read_only=True) as con:
        return {name: d.digest for name, d in digests(con).items() if name not in ("inputs", "edits")}


def tars(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((root / "synth").rglob("*.tar"))}


def assert_draws_the_same(engine: Engine, folder: Path) -> None:
    """As on this very process, byte for byte and row for row."""
    drawn(folder / "here", engine=HERE)
    drawn(folder / "there", engine=engine)
    assert (told(folder / "here"), tars(folder / "here")) == (told(folder / "there"), tars(folder / "there"))
