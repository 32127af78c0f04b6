"""What img2dataset leaves: shards (tars or folders of files) and, beside each, a Parquet file with one row per URL.

The images come from the shards, by the readers for tars and folders. This reader adds what is in no shard: the URLs
that failed, and those the table calls a success but the shard does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq

from warehouse.sources import webdataset
from warehouse.sources.base import Delivered, FileState, Unit
from warehouse.sources.captions import Told
from warehouse.sources.files import UnreadableError, check, file_name, list_folder
from warehouse.sources.folder import SIDECARS, suffix_of
from warehouse.sources.parquet import ERRORS, NoImagesError, failure, image_column, opened, refused
from warehouse.sources.tar import is_tar

KIND = "img2dataset"
BATCH_ROWS = 1024


def is_status_table(state: FileState) -> bool:
    """Whether a Parquet file is img2dataset's table of URLs without the images themselves."""
    try:
        with opened(state.uri) as parquet:
            return _is_status(parquet)
    except ERRORS:
        return False


def _is_status(parquet: pq.ParquetFile) -> bool:
    try:
        image_column(parquet.schema_arrow)
    except NoImagesError:
        return {"status", "key", "url"} <= set(parquet.schema_arrow.names)
    return False


def units(state: FileState, shard: FileState | None, root: str) -> Iterator[Unit]:
    """One unit a table: `shard` is its tar; None where its images are files in a folder of the same name."""
    yield Unit(KIND, (state, *(() if shard is None else (shard,))), 0, -1, root)


def read(unit: Unit) -> Iterator[Delivered]:
    """An error row for each URL of which there is no image. Rows count through the table."""
    state = unit.files[0]
    row = 0
    try:
        for file in unit.files:
            check(file)
        held, shard = _held(unit)
        with opened(state.uri) as parquet:
            for batch in parquet.iter_batches(BATCH_ROWS, use_threads=False):
                for fields in batch.to_pylist():
                    delivered = _judge(row, fields, held, shard, state)
                    if delivered is not None:
                        yield delivered
                    row += 1
    except ERRORS as e:
        reason = str(e) if isinstance(e, UnreadableError) else f"parquet: {' '.join(str(e).split())}"
        yield Delivered(row, state.uri, None, None, None, state.stamp, error=reason)


def _held(unit: Unit) -> tuple[set[str], str]:
    """The names of the images that the shard holds, and the shard's own name."""
    for shard in unit.files[1:]:
        if is_tar(shard.uri):
            return webdataset.keys(shard), file_name(shard.uri)
    folder = unit.files[0].uri.rpartition(".")[0]
    files = [e.name for e in list_folder(folder) if e.kind == "file" and suffix_of(e.name) not in SIDECARS]
    return {name.rpartition(".")[0] for name in files}, file_name(folder)


def _judge(row: int, fields: dict[str, Any], held: set[str], shard: str, state: FileState) -> Delivered | None:
    error = failure(fields)
    if error is None:
        if str(fields.get("key")) in held:
            return None
        error = f"missing: {file_name(state.uri)} says success, {shard} does not hold it"
    told = Told()
    told.add_fields(fields, "parquet")
    refused(told, error)
    return told.deliver(row, state.uri, None, None, state.stamp, error)
