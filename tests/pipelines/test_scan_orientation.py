"""The same picture in all eight EXIF orientations, through folder, tar and Parquet: one upright picture's signals."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from empty_lakes import empty_lake

from pipelines.engines.local import LocalEngine
from pipelines.scan import scan
from warehouse.sources import open_source

#: Relative differences that turning and encoding anew leaves.
NOISE = {"sharpness_256": 0.08, "texture": 0.05, "saturation": 0.03, "colourfulness": 0.03}
NOISE |= dict.fromkeys(("luma", "contrast", "entropy"), 0.01)


@pytest.fixture(scope="module")
def files(shared_data: Path) -> dict[str, bytes]:
    return {f"{i}.jpg": (shared_data / f"filters_gt/exif_orientation/Portrait_{i}.jpg").read_bytes() for i in range(9)}


def as_folder(files: dict[str, bytes], at: Path) -> Path:
    at.mkdir()
    for name, data in files.items():
        (at / name).write_bytes(data)
    return at


def as_tar(files: dict[str, bytes], at: Path) -> Path:
    path = at.with_suffix(".tar")
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def as_parquet(files: dict[str, bytes], at: Path) -> Path:
    path = at.with_suffix(".parquet")
    images = [{"bytes": data, "path": name} for name, data in files.items()]
    pq.write_table(pa.table({"image": images}), path)
    return path


def signals(source: Path, root: Path) -> dict[str, dict[str, Any]]:
    """All columns of all signal tables, by image_id."""
    lake = empty_lake(root)
    done = scan(lake, open_source(str(source)), engine=LocalEngine(workers=0))
    assert (done.samples, done.errors) == (9, {})
    con = lake.connect(read_only=True)
    try:
        rows = con.execute(
            "SELECT * FROM signals_header JOIN signals_pixels USING (image_id) JOIN signals_hashes USING (image_id)"
        ).to_arrow_table()
    finally:
        con.close()
    return {row["image_id"]: row for row in rows.to_pylist()}


def test_eight_orientations_through_three_sources(files: dict[str, bytes], tmp_path: Path) -> None:
    makers = (as_folder, as_tar, as_parquet)
    found = [signals(make(files, tmp_path / f"src{i}"), tmp_path / f"lake{i}") for i, make in enumerate(makers)]
    assert found[0] == found[1] == found[2]
    by_name = {name: found[0][hashlib.sha256(data).hexdigest()[:32]] for name, data in files.items()}
    upright = by_name["0.jpg"]
    for i in range(1, 9):
        row = by_name[f"{i}.jpg"]
        assert (row["exif_orientation"], row["width"], row["height"]) == (i, upright["width"], upright["height"])
        assert (row["rotation_deg"] in (90, 270)) == (i >= 5)
        for name, noise in NOISE.items():
            assert row[name] == pytest.approx(upright[name], rel=noise), (i, name)
        bits = (int.from_bytes(row["phash"]) ^ int.from_bytes(upright["phash"])).bit_count()
        assert bits <= 12, i
