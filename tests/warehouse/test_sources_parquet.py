"""Parquet with image bytes: columns, row groups, damage, and what `datasets` writes."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deliveries import deliver, picture, texts
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.errors import UsageError
from warehouse.sources import ImageReader, UnreadableError, open_source, read
from warehouse.sources.parquet import MOST_SLICES, ranges


def _write(path: Path, columns: dict[str, object], rows_per_group: int = 1000) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=rows_per_group)
    return path


def test_every_kind_of_value(tmp_path: Path) -> None:
    when = datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)
    path = _write(
        tmp_path / "a.parquet",
        {
            "jpg": [picture(1), picture(2), None, b""],
            "caption": ["一", None, "no image", "nothing"],
            "recaption": [["long", "longer"], [], None, None],
            "url": ["http://x", None, None, None],
            "opt_out": [True, False, None, None],
            "when": [when, None, None, None],
            "n": [1, None, 2**62, -1],
            "score": pa.array([0.5, math.nan, math.inf, None]),
            "exact": pa.array([Decimal("1.50"), None, None, None]),
            "deep": [{"a": [1, None]}, None, {"a": []}, {"a": None}],
            "blob": [b"\0" * 100, None, b"", b"x"],
            "map": pa.array([[("k", 1)], None, [], []], pa.map_(pa.string(), pa.int64())),
            "nanoseconds": pa.array([1, None, 2, 3], pa.timestamp("ns")),
        },
    )
    one, two, none, empty = deliver(path)
    assert [s.data for s in (one, two, none, empty)] == [picture(1), picture(2), None, b""]
    assert [s.row for s in (one, two, none, empty)] == [0, 1, 2, 3]
    assert {(s.offset, s.uri) for s in (one, two, none, empty)} == {(None, str(path))}
    assert texts(one) == [("raw", "一", "zh"), ("recaption", "long", "und"), ("recaption", "longer", "und")]
    assert one.captions[0].origin == "parquet:caption"
    assert (one.source_url, one.opt_out, two.opt_out) == ("http://x", True, False)
    assert none.error == "missing: column jpg is NULL"
    assert empty.error is None
    extra = json.loads(json.dumps(one.extra, allow_nan=False))
    assert extra["when"] == "2024-05-06T07:08:09+00:00"
    assert (extra["n"], extra["score"], extra["exact"], extra["deep"]) == (1, 0.5, "1.50", {"a": [1, None]})
    assert extra["blob"]["bytes"] == 100
    assert extra["map"] == [["k", 1]]
    assert extra["nanoseconds"].startswith("1970-01-01")
    assert two.extra["score"] == "NaN"
    assert none.extra["n"] == 2**62


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"image": "image", "content": "other"}, "image"),
        ({"thumbnail": "other", "PNG": "image"}, "image"),
        ({"whatever": "image"}, "image"),
        ({"zip": "other", "shot": "struct"}, "struct"),
    ],
)
def test_column_is_found(tmp_path: Path, columns: dict[str, str], expected: str) -> None:
    values: dict[str, object] = {"image": picture(1), "other": b"?", "struct": {"bytes": picture(1), "path": "p.png"}}
    path = _write(tmp_path / "a.parquet", {"id": [1]} | {name: [values[v]] for name, v in columns.items()})
    (sample,) = deliver(path)
    assert sample.data == picture(1)
    if expected == "struct":
        assert sample.extra["shot.path"] == "p.png"


def test_column_is_named(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.parquet", {"image": [picture(1)], "after": [picture(2)]})
    source = open_source(str(path), image_column="after")
    (sample,) = [s for u in source.units() for s in read(u)]
    assert sample.data == picture(2)
    with ImageReader("after") as reader:
        assert reader.read(sample.uri, None, sample.length, 0) == picture(2)
    (wrong,) = [s for u in open_source(str(path), image_column="nope").units() for s in read(u)]
    assert wrong.error == "parquet: column nope holds no bytes or is not there; columns: image, after"


def test_no_image_column(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.parquet", {"url": ["x"], "text": ["y"]})
    (sample,) = deliver(path)
    assert sample.error == "parquet: no column of image bytes; columns: url, text"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 60), st.integers(1, 25), st.integers(1, 30))
def test_rows_do_not_depend_on_units(
    tmp_path_factory: pytest.TempPathFactory, count: int, group: int, size: int
) -> None:
    path = tmp_path_factory.mktemp("t") / "a.parquet"
    images = pa.array([picture(i) for i in range(count)], pa.binary())
    _write(path, {"image": images, "n": pa.array(range(count), pa.int64())}, group)
    samples = deliver(path, size)
    assert samples == deliver(path)
    assert [(s.row, s.data, s.extra["n"]) for s in samples] == [(i, picture(i), i) for i in range(count)]


@given(st.lists(st.integers(0, 400), max_size=20), st.integers(1, 100))
def test_ranges_cover_every_row_once(groups: list[int], size: int) -> None:
    starts = [sum(groups[:i]) for i in range(len(groups) + 1)]
    found = list(ranges(starts, size))
    assert [r for start, stop in found for r in range(start, stop)] == list(range(starts[-1]))
    for start, stop in found:
        inside = [s for s in starts if start < s < stop]
        assert stop - start <= size or not inside  # more than asked for only within one big row group
        assert stop - start <= max(size, -(-max(groups) // MOST_SLICES))


def _damage(path: Path, at: Sequence[int]) -> None:
    data = bytearray(path.read_bytes())
    for i in at:
        data[i] ^= 0xFF
    path.write_bytes(bytes(data))


def test_a_damaged_row_group_is_error_rows_and_the_others_are_read(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.parquet", {"image": [picture(i) for i in range(30)]}, 10)
    place = pq.ParquetFile(path).metadata.row_group(1).column(0)
    first = place.dictionary_page_offset if place.has_dictionary_page else place.data_page_offset
    _damage(path, range(first, first + 12))
    samples = [s for u in open_source(str(path)).units() for s in read(u)]
    assert [s.row for s in samples] == list(range(30))
    assert [s.row for s in samples if s.error] == list(range(10, 20))
    assert {(s.error or "").split(":")[0] for s in samples[10:20]} == {"parquet"}


def test_a_truncated_file_is_one_error_row_and_the_others_are_read(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.parquet", {"image": [picture(i) for i in range(30)]})
    path.write_bytes(path.read_bytes()[:-50])
    (tmp_path / "b.parquet").write_bytes(b"")
    _write(tmp_path / "c.parquet", {"image": [picture(1)]})
    bad, empty, good = deliver(tmp_path)
    assert bad.error is not None
    assert bad.error.startswith("parquet: ")
    assert empty.error is not None
    assert empty.error.startswith("parquet: ")
    assert good.data == picture(1)


def test_rewritten(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.parquet", {"image": [picture(i) for i in range(3)]})
    units = list(open_source(str(path)).units())
    _write(path, {"image": [picture(9)]})
    assert [(s.row, (s.error or "")[:8]) for u in units for s in read(u)] == [(i, "changed:") for i in range(3)]


def test_reading_again_in_any_order(tmp_path: Path) -> None:
    path = str(_write(tmp_path / "a.parquet", {"image": [picture(i) for i in range(40)]}, 7))
    with ImageReader() as reader:
        for row in (0, 1, 39, 13, 14, 13, 2, 20):
            assert reader.read(path, None, len(picture(row)), row) == picture(row)
        with pytest.raises(UnreadableError, match="changed: row 40"):
            reader.read(path, None, 5, 40)
        with pytest.raises(UnreadableError, match="changed: row 3"):
            reader.read(path, None, 5, 3)


def test_written_by_datasets(tmp_path: Path) -> None:
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["cat", "dog"]),
        }
    )
    rows = {
        "image": [{"bytes": picture(i), "path": f"{i}.png"} for i in range(5)],
        "text": [f"caption {i}" for i in range(5)],
        "label": [0, 1, 0, 1, 0],
    }
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "train.parquet"))
    samples = deliver(tmp_path)
    assert [s.data for s in samples] == [picture(i) for i in range(5)]
    assert [texts(s)[0][1] for s in samples] == rows["text"]
    assert [s.extra for s in samples] == [{"image.path": f"{i}.png", "label": i % 2} for i in range(5)]


def test_imagefolder_as_datasets_reads_it(tmp_path: Path) -> None:
    for i in range(6):
        (tmp_path / "train").mkdir(exist_ok=True)
        (tmp_path / "train" / f"{i}.png").write_bytes(picture(i))
    lines = [json.dumps({"file_name": f"{i}.png", "text": f"caption {i}", "n": [i, None]}) for i in range(6)]
    (tmp_path / "train" / "metadata.jsonl").write_text("\n".join(lines))
    theirs = datasets.load_dataset("imagefolder", data_dir=str(tmp_path), cache_dir=str(tmp_path / ".cache"))["train"]
    theirs = theirs.cast_column("image", datasets.Image(decode=False))
    ours = deliver(tmp_path)
    assert len(ours) == len(theirs) == 6
    for sample, row in zip(ours, theirs, strict=True):
        assert sample.uri == row["image"]["path"]
        assert texts(sample) == [("raw", row["text"], "und")]
        assert sample.extra["n"] == row["n"]


def test_named_kind_without_any(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(1))
    with pytest.raises(UsageError, match="nothing to read as parquet"):
        open_source(str(tmp_path), "parquet")
