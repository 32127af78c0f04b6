"""What img2dataset leaves, laid out as it does: shards, a Parquet table and a _stats.json beside each."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from deliveries import deliver, picture, texts

from warehouse.sources import detect

FAILED = {2: ("failed_to_download", "HTTP Error 404: Not Found"), 5: ("failed_to_resize", "Image decoding error")}
COLUMNS = ("url", "caption", "key", "status", "error_message", "width", "height", "original_width", "exif", "sha256")


def _meta(shard: int, i: int) -> dict[str, object]:
    status, message = FAILED.get(i, ("success", None))
    ok = status == "success"
    return {
        "url": f"https://example.org/{shard}/{i}.jpg",
        "caption": f"第{i}张图" if i % 3 == 0 else f"picture {i}",
        "key": f"{shard:05}{i:04}",
        "status": status,
        "error_message": message,
        "width": 4 if ok else None,
        "height": 3 if ok else None,
        "original_width": 40 if ok else None,
        "exif": "{}" if ok else None,
        "sha256": "ab" if ok else None,
    }


def _layout(root: Path, form: str, shards: int = 2, count: int = 8) -> Path:
    root.mkdir()
    for shard in range(shards):
        name = f"{shard:05}"
        table = [_meta(shard, i) for i in range(count)]
        good = {str(m["key"]): m for m in table if m["status"] == "success"}
        if form == "webdataset":
            with webdataset.TarWriter(str(root / f"{name}.tar")) as tar:
                for key, meta in good.items():
                    image = picture(int(key), "JPEG")
                    tar.write(
                        {"__key__": key, "jpg": image, "txt": meta["caption"], "json": json.dumps(meta, indent=4)}
                    )
        elif form == "files":
            (root / name).mkdir()
            for key, meta in good.items():
                (root / name / f"{key}.jpg").write_bytes(picture(int(key), "JPEG"))
                (root / name / f"{key}.txt").write_text(str(meta["caption"]))
                (root / name / f"{key}.json").write_text(json.dumps(meta, indent=4))
        columns = {c: [m[c] for m in table] for c in COLUMNS}
        if form == "parquet":
            keys = [str(m["key"]) for m in table]
            columns["jpg"] = [picture(int(k), "JPEG") if k in good else None for k in keys]
            columns["txt"] = [good[k]["caption"] if k in good else None for k in keys]
        pq.write_table(pa.table(columns), root / f"{name}.parquet", row_group_size=3)
        (root / f"{name}_stats.json").write_text(json.dumps({"count": count, "successes": len(good)}))
    return root


@pytest.mark.parametrize("form", ["webdataset", "files", "parquet"])
@pytest.mark.parametrize("size", [3, 512])
def test_every_url_is_one_row(tmp_path: Path, form: str, size: int) -> None:
    root = _layout(tmp_path / form, form)
    assert detect(str(root)).kind == "img2dataset"
    samples = deliver(root, size)
    metas = {f"https://example.org/{s}/{i}.jpg": _meta(s, i) for s in range(2) for i in range(8)}
    assert sorted(str(s.source_url) for s in samples) == sorted(metas)
    for sample in samples:
        meta = metas[str(sample.source_url)]
        assert {t for _, t, _ in texts(sample)} == {meta["caption"]}
        left_out = {"url", "caption"}
        assert sample.extra.items() >= {k: v for k, v in meta.items() if k not in left_out}.items()
        if meta["status"] == "success":
            assert sample.data == picture(int(str(meta["key"])), "JPEG")
            assert sample.error is None
        else:
            assert sample.data is None
    assert sorted({str(s.error) for s in samples if s.error}) == [
        "download: HTTP Error 404: Not Found",
        "download: failed_to_resize: Image decoding error",
    ]


def test_a_success_that_the_shard_does_not_hold(tmp_path: Path) -> None:
    root = _layout(tmp_path / "x", "webdataset", shards=1)
    tar = root / "00000.tar"
    tar.write_bytes(tar.read_bytes()[: 512 * 25])
    samples = deliver(root)
    assert len({s.source_url for s in samples} - {None}) == 8
    missing = [s for s in samples if s.error and s.error.startswith("missing")]
    assert missing
    assert missing[0].error == "missing: 00000.parquet says success, 00000.tar does not hold it"
    assert sum((s.error or "").startswith("tar: truncated") for s in samples) == 1


def test_a_broken_table_does_not_cost_the_images(tmp_path: Path) -> None:
    root = _layout(tmp_path / "x", "webdataset", shards=1)
    table = root / "00000.parquet"
    table.write_bytes(table.read_bytes()[:100])
    samples = deliver(root)
    assert sum(s.data is not None for s in samples) == 6
    assert [s.error.split(":")[0] for s in samples if s.error] == ["parquet"]
