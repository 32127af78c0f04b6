"""A small curated lake of real files for the tests of keeping, and a search through every file of a lake."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from balance_lakes import Here
from fsspec.asyn import sync
from pictures import photo

from pipelines.curate import curate
from pipelines.progress import Progress, silent
from pipelines.recipe import load
from warehouse.lake import Lake
from warehouse.object_store import filesystem
from warehouse.shards import image_id_of
from warehouse.sources import open_source

COUNT = 6


@contextlib.contextmanager
def no_bar(title: str) -> Iterator[Progress]:
    yield silent


def deliver(folder: Path, count: int = COUNT, planted: bytes = b"", word: str = "") -> dict[str, str]:
    """Files by name with their image ids: photographs 0, 1, ... with captions, number 1 with `planted` bytes in it and
    `word` in its caption, and "copy", a smaller picture of number 0, likewise."""
    folder.mkdir()
    ids = {}
    for name, picture in {**{str(n): photo(320, 280, seed=n) for n in range(count)}, "copy": None}.items():
        out = io.BytesIO()
        marked = name in ("1", "copy")
        image = picture or photo(320, 280, seed=0).resize((300, 262))
        image.save(out, "JPEG", quality=92, comment=planted + name.encode() if marked and planted else b"")
        (folder / f"{name}.jpg").write_bytes(out.getvalue())
        text = (
            f'a photograph {name} with a sign "{word}" that says {word}' if marked and word else f"a photograph, {name}"
        )
        (folder / f"{name}.txt").write_text(text)
        ids[name] = image_id_of(out.getvalue())
    return ids


def curated(
    folder: Path, root: str | Path, *, batch: str = "b1", recipe: str = "basic", catalog: str | None = None
) -> Lake:
    curate(root, open_source(str(folder)), load(recipe), engine=Here(), bar=no_bar, batch=batch, catalog=catalog)
    return Lake.open(root)


def found_in(root: Path, needles: Iterable[bytes]) -> dict[bytes, list[str]]:
    """Files below `root` that hold each needle: in their bytes, and in what is packed within Parquet files."""
    found: dict[bytes, list[str]] = {needle: [] for needle in needles}
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        whole = _whole(path.name, path.read_bytes())
        for needle, paths in found.items():
            if needle in whole:
                paths.append(str(path.relative_to(root)))
    return found


def found_in_bucket(bucket: str, needles: Iterable[bytes]) -> dict[bytes, list[str]]:
    """Objects of a bucket that hold each needle, in any version of theirs; uploads that did not end count as holding
    all."""
    fs = filesystem()
    told = fs.call_s3("list_object_versions", Bucket=bucket)
    assert not told["IsTruncated"]
    uploads = fs.call_s3("list_multipart_uploads", Bucket=bucket).get("Uploads", [])
    found: dict[bytes, list[str]] = {needle: [upload["Key"] for upload in uploads] for needle in needles}
    for version in told.get("Versions", []):
        key = version["Key"]
        whole = _whole(key, sync(fs.loop, _read, fs, bucket, key, version["VersionId"]))
        for needle, keys in found.items():
            if needle in whole:
                keys.append(key)
    return found


async def _read(fs: Any, bucket: str, key: str, version: str) -> bytes:
    answer = await fs._call_s3("get_object", Bucket=bucket, Key=key, VersionId=version)
    return bytes(await answer["Body"].read())


def _whole(name: str, data: bytes) -> bytes:
    return data + (_unpacked(data) if name.endswith(".parquet") else b"")


def _unpacked(data: bytes) -> bytes:
    pieces: list[bytes] = []

    def walk(value: object) -> None:
        if isinstance(value, bytes):
            pieces.append(value)
        elif isinstance(value, dict):
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)
        elif value is not None:
            pieces.append(str(value).encode())

    walk(pq.read_table(pa.BufferReader(data)).to_pylist())
    return b"\n".join(pieces)
