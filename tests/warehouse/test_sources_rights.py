"""Licences and opt-outs are carried from every source, however they are told."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deliveries import by_name, deliver, fill, picture, write_tar

from warehouse.sources.captions import Told
from warehouse.sources.edits import open_edits


def test_sidecars_and_tables_of_a_folder(tmp_path: Path) -> None:
    table = "file_name,Licence,Opt-Out\nb.png,CC0,yes\nc.png,,0\n"
    record = json.dumps({"license": "MIT", "meta": {"do_not_train": True}})
    files = {f"{name}.png": picture(n) for n, name in enumerate("abcd")}
    fill(tmp_path, {**files, "a.json": record, "metadata.csv": table})
    found = by_name(deliver(tmp_path))
    told = {name: (found[f"{name}.png"].license, found[f"{name}.png"].opt_out) for name in "abcd"}
    assert told == {"a": ("MIT", True), "b": ("CC0", True), "c": (None, False), "d": (None, None)}


def test_members_of_a_tar(tmp_path: Path) -> None:
    told = [("a.json", json.dumps({"rights": "CC-BY", "noai": 1})), ("b.license", "odbl\n"), ("b.opt_out", "true")]
    images = [("a.png", picture(1)), ("b.png", picture(2))]
    found = deliver(write_tar(tmp_path / "x.tar", sorted([*images, *told])))
    assert [(s.license, s.opt_out) for s in found] == [("CC-BY", True), ("odbl", True)]


def test_columns_of_parquet(tmp_path: Path) -> None:
    columns = {
        "image": [picture(1), picture(2), picture(3)],
        "license_url": ["https://example.org/by", None, None],
        "opt_out": [1.0, float("nan"), 0.0],
        "metadata": [{"licence": "inner"}, {"licence": "inner"}, None],
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    assert [(s.license, s.opt_out) for s in deliver(tmp_path / "x.parquet")] == [
        ("https://example.org/by", True),
        ("inner", None),
        (None, False),
    ]


def test_a_download_that_the_rights_holder_refused(tmp_path: Path) -> None:
    reasons = ["Use of image disallowed by X-Robots-Tag directive", "HTTP Error 404: Not Found"]
    columns = {
        "url": ["https://example.org/1", "https://example.org/2"],
        "key": ["000000000", "000000001"],
        "status": ["failed_to_download"] * 2,
        "error_message": reasons,
        "license": ["CC0", "CC0"],
    }
    pq.write_table(pa.table(columns), tmp_path / "00000.parquet")
    write_tar(tmp_path / "00000.tar", [("000000002.png", picture(3))])
    failed = [s for s in deliver(tmp_path, kind="img2dataset") if s.error]
    assert [(s.license, s.opt_out) for s in failed] == [("CC0", True), ("CC0", None)]


def test_pictures_of_edit_pairs(tmp_path: Path) -> None:
    rows = [
        {"reference": "a.png", "target": "b.png", "instruction": "make it red", "license": "CC0", "opt_out": False},
        {"reference": "a.png", "target": "c.png", "instruction": "make it blue", "license": "CC0", "opt_out": True},
    ]
    images = {f"{name}.png": picture(n) for n, name in enumerate("abcd")}
    fill(tmp_path, {**images, "pairs.jsonl": "".join(json.dumps(row) + "\n" for row in rows)})
    opened = open_edits(str(tmp_path))
    found = by_name(sample for source in opened.images for sample in deliver(source))
    told = {name: (found[f"{name}.png"].license, found[f"{name}.png"].opt_out) for name in "abcd"}
    assert told == {"a": ("CC0", True), "b": ("CC0", False), "c": ("CC0", True), "d": (None, None)}
    assert not any(found[f"{name}.png"].captions or found[f"{name}.png"].extra for name in "abcd")


@pytest.mark.parametrize(
    ("value", "opt_out"),
    [("Y", True), (1, True), (1.0, True), ("no", False), (0.0, False), ("2024-05-01", True), ("", None), ("nan", None)],
)
def test_words_for_an_opt_out(value: object, opt_out: bool | None) -> None:
    told = Told()
    told.add_fields({"opt_out": value}, "json")
    assert told.opt_out is opt_out


def test_an_opt_out_in_one_place_is_enough() -> None:
    told = Told()
    told.add_fields({"opt_out": "no"}, "json")
    told.add_fields({"opt_out": "yes"}, "captions.csv")
    told.add_fields({"opt_out": "no"}, "more.csv")
    assert told.opt_out is True
