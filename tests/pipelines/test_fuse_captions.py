"""The job that fuses captions, the view of caption splits, and the caption that goes into the tar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from decision_lakes import fill, image_id, new_lake

from pipelines.default_caption import DEFAULT_CAPTION, choices
from pipelines.engines.local import LocalEngine
from pipelines.extractors import captions
from pipelines.extractors.base import CaptionText, Described
from pipelines.fuse_captions import ORIGIN, fuse_captions
from warehouse.commit import RunInfo, commit, pack_query
from warehouse.lake import Lake

TOLD = [
    ("a", "raw", "Barack Obama speaking at a podium in Chicago, 2012"),
    ("a", "recaption", "A man in a dark suit stands at a podium."),
    ("b", "raw", "IMG_1234.JPG"),
    ("b", "recaption", "Two dogs run along a beach."),
    ("c", "raw", "A harbour in Rotterdam with three cranes"),
    ("d", "recaption", "I'm sorry, I cannot describe this image."),
    ("d", "raw", "a red bicycle leaning against a wall"),
]


def rows(lake: Lake, sql: str) -> list[dict[str, Any]]:
    with lake.connect(read_only=True) as con:
        return list(con.execute(sql).to_arrow_table().to_pylist())


def measure(lake: Lake) -> None:
    """What inspect does for the extractor captions."""
    found = []
    for row in rows(lake, "FROM captions ORDER BY ALL"):
        text = CaptionText(row["caption_id"], row["kind"], row["text"], row["lang"])
        (measured,) = captions.EXTRACTOR.fn([Described(row["image_id"], captions=(text,))])[0]
        found.append({**measured, "image_id": row["image_id"], "version": "1", "status": "ok"})
    table = captions.EXTRACTOR.table
    with lake.connect() as con:
        con.register("new_rows", table.from_rows(found))
        files = {table.name: pack_query(con, lake, table, "FROM new_rows")}
        commit(con, lake, RunInfo("inspect"), files, replace={table.name: "true"})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = new_lake(tmp_path / "lake")
    fill(lake, ["a", "b", "c", "d"], captions=TOLD)
    return lake


def test_a_fused_caption_for_each_recaption_that_lacks_a_fact(lake: Lake) -> None:
    done = fuse_captions(lake, engine=LocalEngine(workers=0))
    assert (done.fused, done.pieces) == (1, 3)  # c has no recaption
    (fused,) = rows(lake, "FROM captions WHERE kind = 'fused'")
    assert fused["image_id"] == image_id("a")
    assert fused["text"] == "A man in a dark suit stands at a podium. It shows Barack Obama, in Chicago, dated 2012."
    assert (fused["lang"], fused["origin"]) == ("en", ORIGIN)


def test_again_it_does_only_what_is_new(lake: Lake) -> None:
    fuse_captions(lake, engine=LocalEngine(workers=0))
    before = rows(lake, "FROM captions ORDER BY ALL")
    again = fuse_captions(lake, engine=LocalEngine(workers=2))
    assert (again.fused, again.pieces) == (0, 0)
    assert rows(lake, "FROM captions ORDER BY ALL") == before
    fill(lake, captions=[("c", "recaption", "Cranes stand beside the water.")], batch="later")
    later = fuse_captions(lake, engine=LocalEngine(workers=0))
    assert (later.fused, later.pieces) == (1, 1)


def test_splits_tell_what_each_kind_is_like(lake: Lake) -> None:
    assert {r["kind"]: r["unmeasured"] for r in rows(lake, "FROM caption_splits")} == {"raw": 4, "recaption": 3}
    fuse_captions(lake, engine=LocalEngine(workers=0))
    measure(lake)
    found = {r["kind"]: r for r in rows(lake, "FROM caption_splits")}
    assert {k: (r["images"], r["captions"], r["unmeasured"]) for k, r in found.items()} == {
        "raw": (4, 4, 0),
        "recaption": (3, 3, 0),
        "fused": (1, 1, 0),
    }
    assert found["raw"]["valid_share"] == 0.75
    assert found["recaption"]["valid_share"] == pytest.approx(2 / 3)
    assert found["fused"]["english"] == 1
    assert found["fused"]["median_tokens"] > found["recaption"]["median_tokens"]


def test_the_tar_gets_no_unusable_caption_where_there_is_a_usable_one(lake: Lake) -> None:
    def chosen() -> dict[str, str]:
        with lake.connect(read_only=True) as con:
            sql = f"SELECT image_id, {DEFAULT_CAPTION} AS text FROM {choices(con)} GROUP BY image_id"
            return dict(con.execute(sql).fetchall())

    assert chosen()[image_id("d")].startswith("I'm sorry")  # nothing is known of it yet
    measure(lake)
    found = chosen()
    assert found[image_id("d")] == "a red bicycle leaning against a wall"
    assert found[image_id("a")] == "A man in a dark suit stands at a podium."
    assert found[image_id("b")] == "Two dogs run along a beach."
