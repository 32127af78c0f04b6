"""Categorize on a lake: every image once, only what changed is done again, and mining finds what a leaf lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from balance_lakes import Here, balanced_recipe, category_row, ocr_row, put
from decision_lakes import SIGNALS, Row, fill, image_id, new_lake

from pipelines.balancing.balance import balance
from pipelines.balancing.mine import fuse, mine
from pipelines.categories.categorize import categorize
from pipelines.decide import decide
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.schema import Column, signal_table

CAPTIONS = [
    ("dog", "raw", "A dog on a lawn"),
    ("dog", "recaption", "A brown dog sleeps"),
    ("noodles", "raw", "一碗面条"),
    ("drawn", "synthetic", "A page that reads hello"),
    ("deck", "raw", "A slide with bullet points"),
]


def rows(lake: Lake, sql: str) -> list[dict[str, Any]]:
    with lake.connect(read_only=True) as con:
        return list(con.execute(sql).to_arrow_table().to_pylist())


def categories(lake: Lake) -> dict[str, str]:
    found = {r["image_id"]: r["category"] for r in rows(lake, "FROM signals_category")}
    names = ("dog", "noodles", "drawn", "deck", "bare", "sign")
    return {name: found[image_id(name)] for name in names if image_id(name) in found}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = new_lake(tmp_path / "lake")
    fill(made, ["dog", "noodles", "drawn", "deck", "bare"], captions=CAPTIONS)
    return made


def test_only_what_changed_is_categorised_again(lake: Lake) -> None:
    engine = Here()
    first = categorize(lake, engine=engine)
    assert (first.images, first.committed) == (5, True)
    assert categories(lake) == {
        "dog": "Nature/animals", "noodles": "Nature/food", "drawn": "Synthetic/controlled text",
        "deck": "Design/slides", "bare": "Nature/other",
    }  # fmt: skip
    before = {r["image_id"]: r["version"] for r in rows(lake, "FROM signals_category")}
    assert categorize(lake, engine=engine).images == 0
    put(lake, "signals_ocr", [ocr_row("dog", "SALE", text_lines=5, text_area_share=0.4)])
    fill(lake, ["sign"], captions=[("sign", "raw", "a street sign"), ("bare", "raw", "a castle")], batch="b2")
    again = categorize(lake, engine=engine)
    assert again.images == 3  # the dog has text now, the bare one a caption, the sign is new
    assert categories(lake)["bare"] == "Nature/cityscape"
    after = {r["image_id"]: r for r in rows(lake, "FROM signals_category")}
    assert len(after) == 6
    assert after[image_id("dog")]["category_class"] == "Text Rendering"
    assert after[image_id("noodles")]["version"] == before[image_id("noodles")]
    assert after[image_id("dog")]["version"] != before[image_id("dog")]


def test_facts_that_change_and_change_back_are_followed(lake: Lake) -> None:
    engine = Here()
    categorize(lake, engine=engine)
    states = []
    for share in (0.4, 0.0, 0.4):
        with lake.connect() as con:
            con.execute("DELETE FROM lake.signals_ocr")
        put(
            lake,
            "signals_ocr",
            [ocr_row("dog", "", version=str(share), text_lines=5, text_area_share=share)],
            str(share),
        )
        assert categorize(lake, engine=engine).images == 1
        (row,) = rows(lake, f"FROM signals_category WHERE image_id = '{image_id('dog')}'")
        states.append(row["text_track"])
    assert states == [True, False, True]


def test_the_annotation_is_believed_before_captions(lake: Lake) -> None:
    said = {
        "image_id": image_id("dog"), "annotator": "openai", "model": "m", "prompt_version": "1", "status": "success",
        "annotation": {
            "captions": [], "objects": [], "scene": "", "style": "", "image_type": "painting", "relations": [],
            "text_lines": [{
                "text": "X", "language": "en", "legible": True,
                "box": {"left": 0, "top": 0, "right": 500, "bottom": 500},
            }],
            "abnormal": ["ai_generated"], "category": ["art"], "confidence": 0.9,
        },
        "corrections": [], "raw": "", "attempts": 1,
    }  # fmt: skip
    put(lake, "annotations", [said])
    categorize(lake, engine=Here())
    (row,) = rows(lake, f"FROM signals_category WHERE image_id = '{image_id('dog')}'")
    assert (row["category"], row["category_origin"], row["ai_generated"], row["text_track"]) == (
        "Design/arts", "annotation", True, True,
    )  # fmt: skip


def test_a_scorer_that_is_not_configured_is_refused(lake: Lake) -> None:
    with pytest.raises(UsageError, match="zero-shot by nobody cannot be run"):
        categorize(lake, engine=Here(), scorer="nobody")
    with pytest.raises(UsageError, match="en or zh"):
        categorize(lake, engine=Here(), language="fr")


def test_mining_by_keyword_looks_at_what_balance_did_not_take(lake: Lake) -> None:
    chosen = balanced_recipe("size = 20")
    fill(lake, {"dark": {"luma": 2.0}}, captions=[("dark", "raw", "slides of a lecture")], batch="b2")
    categorize(lake, engine=Here())
    decide(lake, chosen)
    balance(lake, chosen)
    found = mine(lake, chosen, "slides")
    assert [f.image_id for f in found] == [image_id("dark")]  # the deck is taken already
    assert (found[0].outcome, found[0].failed_rules) == ("dropped", ("exposed",))
    assert found[0].caption == "slides of a lecture"
    assert found[0].keyword is not None
    assert mine(lake, chosen, "People/sports") == []
    with pytest.raises(UsageError, match="--like needs embeddings"):
        mine(lake, chosen, "slides", like="ab")


def test_mining_by_likeness_follows_the_cosine(tmp_path: Path) -> None:
    lake, chosen = new_lake(tmp_path / "lake"), balanced_recipe()
    table = signal_table(
        "embedding_tiny", (Column("embedding_tiny", SIGNALS["signals_hashes"].arrow.field("phash").type, ""),), ""
    )
    angles = {"seed1": 0.0, "seed2": 0.2, "near": 0.3, "far": 1.5}
    fill(lake, list(angles))
    put_rows: list[Row] = [
        {
            "image_id": image_id(name),
            "version": "1",
            "status": "ok",
            "embedding_tiny": np.array([np.cos(a), np.sin(a)], "<f2").tobytes(),
        }
        for name, a in angles.items()
    ]
    SIGNALS[table.name] = table
    try:
        put(lake, table.name, put_rows)
    finally:
        del SIGNALS[table.name]
    put(
        lake,
        "signals_category",
        [
            category_row("seed1", "Nature/food"),
            category_row("seed2", "Nature/food"),
            category_row("near", "Nature/objects"),
            category_row("far", "Nature/objects"),
        ],
    )
    found = mine(lake, chosen, "food")
    assert [f.image_id for f in found] == [image_id("near"), image_id("far")]
    assert found[0].cosine == pytest.approx(np.cos(0.2), abs=2e-3)
    alike = mine(lake, chosen, "food", like=image_id("far")[:10])
    assert alike[0].image_id == image_id("near")
    with pytest.raises(UsageError, match="no image with an embedding begins with"):
        mine(lake, chosen, "food", like="zz")


def test_rank_fusion_by_hand() -> None:
    fused = fuse([[("a", 9.0), ("b", 1.0)], [("b", 0.9), ("c", 0.1)]])
    assert [name for name, _ in fused] == ["b", "a", "c"]
    assert fused[0][1] == pytest.approx(1 / 62 + 1 / 61)
