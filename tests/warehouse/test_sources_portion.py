"""Portions of units: states that tell what is new, units of some samples alone, units kept as text."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from warehouse.sources import open_source, read
from warehouse.sources.portion import from_text, pieces, samples_in, to_text, units_of


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Pictures with sidecars, others told by caption tables of both kinds, a table's row without its file, a tar."""
    folder = tmp_path / "src"
    (folder / "csv").mkdir(parents=True)
    for name in ("a", "b", "csv/c", "csv/d"):
        (folder / f"{name}.jpg").write_bytes(name.encode())
    (folder / "a.txt").write_text("told by a sidecar")
    (folder / "captions.jsonl").write_text(
        '{"file_name": "b.jpg", "caption": "first"}\n{"file_name": "gone.jpg", "caption": "lost"}\n'
    )
    (folder / "csv" / "captions.csv").write_text("file_name,caption\nc.jpg,by csv\n")
    shutil.make_archive(str(folder / "shard"), "tar", folder / "csv", "c.jpg")
    return folder


def states(folder: Path) -> dict[str, int]:
    return {p.uri[len(str(folder)) + 1 :]: p.state for u in open_source(str(folder)).units() for p in pieces(u)}


def test_a_unit_comes_back_from_its_text(mixed: Path) -> None:
    units = list(open_source(str(mixed)).units())
    assert {unit.kind for unit in units} == {"folder", "webdataset"}
    for unit in units:
        again = from_text(to_text(unit))
        assert again == unit
        assert again.key == unit.key
        assert list(read(again)) == list(read(unit))
    assert sum(samples_in(unit) or 0 for unit in units) == 6


def test_states_tell_what_is_new_and_nothing_else(mixed: Path) -> None:
    before = states(mixed)
    assert before.keys() == {"a.jpg", "b.jpg", "gone.jpg", "csv/c.jpg", "csv/d.jpg", "shard.tar"}
    assert states(mixed) == before
    with (mixed / "captions.jsonl").open("a") as table:
        table.write('{"file_name": "csv/d.jpg", "caption": "came later"}\n')
    (mixed / "a.txt").write_text("told otherwise")
    (mixed / "gone.jpg").write_bytes(b"came later")
    os.utime(mixed / "shard.tar", ns=(1, 1))
    now = states(mixed)
    assert {name for name in now if now[name] != before[name]} == {"a.jpg", "gone.jpg", "csv/d.jpg", "shard.tar"}


def test_some_samples_alone_give_the_same_rows(mixed: Path) -> None:
    whole = [sample for unit in open_source(str(mixed)).units() for sample in read(unit)]
    every = [piece for unit in open_source(str(mixed)).units() for piece in pieces(unit)]
    taken = [piece for piece in every if not piece.uri.endswith("a.jpg")]
    made = list(units_of(taken, 2))
    assert [len(told) for _, told in made if told] == [1, 2, 2]
    assert sorted(s for _, told in made for s in told) == sorted(piece.state for piece in taken)
    rows = {(s.uri, s.row): s for unit, _ in made for s in read(unit)}
    assert rows == {(s.uri, s.row): s for s in whole if not s.uri.endswith("a.jpg")}


def test_a_table_that_grew_is_read_as_it_was_listed_and_a_rewritten_one_is_not(mixed: Path) -> None:
    kept = [to_text(unit) for unit in open_source(str(mixed)).units()]

    def told() -> dict[str, object]:
        return {
            s.uri[len(str(mixed)) + 1 :]: [c.text for c in s.captions] or s.extra
            for t in kept
            for s in read(from_text(t))
        }

    before = told()
    assert before["b.jpg"] == ["first"]
    for name, row in (("captions.jsonl", '{"file_name": "x.jpg"}\n'), ("csv/captions.csv", "x.jpg,more\n")):
        with (mixed / name).open("a") as table:
            table.write(row)
    assert told() == before
    text = (mixed / "captions.jsonl").read_text()
    (mixed / "captions.jsonl").write_text(text.replace("first", "FIRST"))
    assert "rewritten" in str(told()["b.jpg"])
