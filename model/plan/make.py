"""Making a plan: every query of a curriculum is run once, the steps are dealt, and the folder appears whole."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb
import numpy as np

from model.curriculum.schema import Curriculum, Phase, Source
from model.curriculum.stored import to_dict
from model.plan.items import Items
from model.plan.query import Query, query_of, relations_of
from model.plan.select import Held, select
from model.plan.streams import Tables, tables
from warehouse.errors import LakeError, UsageError
from warehouse.files import sync, told
from warehouse.lake import Lake
from warehouse.selection import Selection

FORMAT = 1
MAIN, CURRICULUM = "plan.json", "curriculum.toml"
Note = Callable[[str], None]


@dataclass(frozen=True)
class Made:
    """What was found out on the way: the queries' results by name, and who uses which."""

    held: dict[str, Held]
    uses: list[dict[tuple[int, int, str], str]]  # of each phase: (segment, resolution, source) -> name


def make(curriculum: Curriculum, lake: Lake, folder: Path, seed: int, note: Note) -> None:
    """Write the plan folder; nothing is there unless all of it is.

    Raises UsageError (a folder that is taken, no learning rate, a query or share that gives no batch, each naming phase
    and source), LakeError (the lake cannot be read, or changed on the way).
    """
    if folder.exists():
        raise UsageError(f"there is something at {folder} already: a plan is never overwritten, name another folder")
    missing = curriculum.without_rate()
    if missing:
        raise UsageError(
            f"curriculum {curriculum.name} has no learning rate for phase {missing[0]}: write learning_rate in it, or "
            "give one with --learning-rate"
        )
    alone = not folder.parent.exists()
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with told(f"writing the plan {folder}", folder.parent.absolute()):
            temporary.mkdir()
            _fill(curriculum, lake, temporary, seed, note)
            for file in sorted(temporary.rglob("*")):
                sync(file)
            sync(temporary)
            temporary.rename(folder)
            sync(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if alone and not folder.exists():
            with suppress(OSError):  # something else is in it by now
                folder.parent.rmdir()


def _fill(curriculum: Curriculum, lake: Lake, folder: Path, seed: int, note: Note) -> None:
    with lake.connect(read_only=True) as con:
        con.execute("BEGIN")  # one snapshot for every query
        snapshot = lake.snapshot(con)
        made = _select_all(con, relations_of(con), curriculum, lake, folder, note)
    if any(held.snapshot != snapshot for held in made.held.values()):
        raise LakeError("the lake was written to while the plan was made: make it again")
    shutil.rmtree(folder / "making", ignore_errors=True)
    opened: dict[str, Selection] = {}
    items = {name: held.open(folder, opened) for name, held in made.held.items()}
    phases = []
    for number, (phase, uses) in enumerate(zip(curriculum.phases, made.uses, strict=True)):
        note(f"phase {phase.name}: dealing {phase.steps} steps")
        here: dict[tuple[int, int, str], Items] = {place: items[name] for place, name in uses.items()}
        found = tables(curriculum, phase, here)
        _write_tables(folder / f"phase-{number}", found)
        phases.append(
            {
                "streams": [asdict(stream) for stream in found.streams],
                "cells": [asdict(cell) for cell in found.cells],
                "unused": [asdict(cell) for cell in found.unused],
                "uses": [[*place, name] for place, name in uses.items()],
            }
        )
    (folder / CURRICULUM).write_text(curriculum.toml, encoding="utf-8")
    content = {
        "format": FORMAT,
        "name": curriculum.name,
        "seed": seed,
        "lake": str(lake.root),
        "snapshot": snapshot,
        "digest": _digest(curriculum, seed, made),
        "curriculum": to_dict(curriculum),
        "held": [held.to_dict() for held in made.held.values()],
        "phases": phases,
    }
    (folder / MAIN).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _select_all(
    con: duckdb.DuckDBPyConnection,
    relations: frozenset[str],
    curriculum: Curriculum,
    lake: Lake,
    folder: Path,
    note: Note,
) -> Made:
    known: dict[Query, str] = {}
    held: dict[str, Held] = {}
    uses: list[dict[tuple[int, int, str], str]] = []
    for phase in curriculum.phases:
        used: dict[tuple[int, int, str], str] = {}
        for segment in range(phase.segments):
            for source in (curriculum.sources[name] for name in phase.shares):
                for number, resolution in enumerate(phase.resolutions):
                    query = query_of(curriculum, phase, source, segment, resolution.side)
                    if query not in known:
                        name = _name(source, held)
                        note(f"phase {phase.name}: selecting {source.name}")
                        held[name] = _held(con, relations, curriculum, lake, folder, phase, source, query, name)
                        known[query] = name
                    used[segment, number, source.name] = known[query]
        uses.append(used)
    return Made(held, uses)


def _held(
    con: duckdb.DuckDBPyConnection,
    relations: frozenset[str],
    curriculum: Curriculum,
    lake: Lake,
    folder: Path,
    phase: Phase,
    source: Source,
    query: Query,
    name: str,
) -> Held:
    try:
        return select(con, relations, lake, folder, name, query, curriculum.buckets, curriculum.on_missing_caption)
    except UsageError as error:
        raise UsageError(f"phase {phase.name}, source {source.name}: {error}") from error


def _name(source: Source, held: dict[str, Held]) -> str:
    """The source's name, numbered from its second query on; fit for a folder."""
    plain = "".join(c if c.isalnum() or c in "-_" else "_" for c in source.name)
    name, number = plain, 1
    while name in held:
        number += 1
        name = f"{plain}-{number}"
    return name


def _write_tables(folder: Path, found: Tables) -> None:
    folder.mkdir()
    np.save(folder / "stream.npy", found.stream)
    np.save(folder / "counts.npy", found.counts if found.counts.max() > 65535 else found.counts.astype(np.uint16))
    np.save(folder / "cursors.npy", found.cursors)


def _digest(curriculum: Curriculum, seed: int, made: Made) -> str:
    """Names what every batch will be: the curriculum, the seed and all that was selected, not where it lies."""
    pieces = [FORMAT, curriculum.digest, seed, [[name, held.digest] for name, held in made.held.items()]]
    return hashlib.sha256(json.dumps(pieces).encode()).hexdigest()[:32]
