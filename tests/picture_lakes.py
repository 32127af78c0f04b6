"""A lake of tiny real pictures, all in one file, each with a caption that ends in "picture N"."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from decision_lakes import GOOD, SIGNALS, new_lake
from PIL import Image

from warehouse.commit import RunInfo, commit, pack_query
from warehouse.lake import Lake
from warehouse.schema import CAPTIONS, INPUTS
from warehouse.shards import image_id_of

SIDE = 24


def pictures(count: int) -> list[bytes]:
    """JPEG files unlike each other."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(count):
        small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        small.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(buffer, "JPEG", quality=90)
        found.append(buffer.getvalue())
    return found


def picture_lake(
    root: Path, count: int, signals: Mapping[int, Mapping[str, object]] | None = None
) -> tuple[Lake, list[str]]:
    """The lake and the pictures' ids in order. `signals` changes the signals of some pictures by number."""
    lake = new_lake(root)
    data = pictures(count)
    file = root.with_suffix(".images")
    file.write_bytes(b"".join(data))
    ids = [image_id_of(one) for one in data]
    inputs, captions, at = [], [], 0
    for number, one in enumerate(data):
        inputs.append(
            {
                "source": "test",
                "batch": "b1",
                "unit": "u",
                "row": number,
                "uri": str(file),
                "offset": at,
                "length": len(one),
                "image_id": ids[number],
                "file_stamp": "1",
                "status": "ok",
            }
        )
        text = f"a small coloured square, picture {number}"
        caption_id = hashlib.sha256(f"raw\0{text}".encode()).hexdigest()[:16]
        captions.append(
            {
                "image_id": ids[number],
                "caption_id": caption_id,
                "kind": "raw",
                "text": text,
                "lang": "en",
                "origin": "t",
            }
        )
        at += len(one)
    rows: dict[str, list[dict[str, object]]] = {"inputs": inputs, "captions": captions}
    for table, good in GOOD.items():
        rows[table] = []
        for number, image_id in enumerate(ids):
            changed = {c: v for c, v in ((signals or {}).get(number) or {}).items() if c in SIGNALS[table].names}
            rows[table].append({"image_id": image_id, "version": "1", "status": "ok", **good, **changed})
    tables = {"inputs": INPUTS, "captions": CAPTIONS, **SIGNALS}
    with lake.connect() as con:
        files = {}
        for name, listed in rows.items():
            con.register("new_rows", tables[name].from_rows(listed))
            files[name] = pack_query(con, lake, tables[name], "SELECT * FROM new_rows")
            con.unregister("new_rows")
        commit(con, lake, RunInfo(command="scan", batch="b1"), files)
    return lake, ids
