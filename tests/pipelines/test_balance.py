"""Balance on a lake: the same rows in any order, quotas and tracks met, best of leaf, weights, requests, views."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from balance_lakes import RECIPE, balanced_recipe, categorised, category_row, ocr_row, put
from decision_lakes import Row, fill, image_id, new_lake

from pipelines.balancing.balance import balance
from pipelines.balancing.report import notes, print_balance
from pipelines.decide import decide
from pipelines.recipe import Recipe
from warehouse.errors import LakeError, UsageError
from warehouse.lake import Lake

SUPPLY = {"Nature/objects": 90, "Nature/food": 40, "Design/posters": 30, "People/portrait": 24, "Design/slides": 2}


def rows(lake: Lake, sql: str) -> list[dict[str, Any]]:
    with lake.connect(read_only=True) as con:
        return list(con.execute(sql).to_arrow_table().to_pylist())


def catalogue() -> dict[str, Row]:
    """186 images: every third poster has text, portraits have faces, two pictures are AI-generated."""
    found: dict[str, Row] = {}
    for path, images in SUPPLY.items():
        for number in range(images):
            name = f"{path}-{number}"
            text = path == "Design/posters" and number % 3 == 0
            found[name] = category_row(
                name,
                path,
                text_track=text,
                portrait_track=path == "People/portrait",
                ai_generated=path == "Nature/food" and number < 2,
                **({"category_class": "Text Rendering"} if text else {}),
            )
    return found


@pytest.fixture(scope="module")
def balanced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Recipe]:
    lake = new_lake(tmp_path_factory.mktemp("balance") / "lake")
    chosen = balanced_recipe("size = 100\ntracks = { text = 0.12, portrait = 0.5 }\nbest_of_leaf = 0.4\nmax_repeat = 3")
    signals: dict[str, Row | None] = {
        name: {"width": 300 + 11 * n, "height": 400} for n, name in enumerate(sorted(catalogue()))
    }
    categorised(lake, catalogue(), chosen, signals)
    balance(lake, chosen)
    return lake, chosen


def test_quotas_deficits_and_tracks(balanced: tuple[Lake, Recipe]) -> None:
    lake, chosen = balanced
    done = balance(lake, chosen, dry_run=True)
    by_name = {leaf.name: leaf for leaf in done.leaves}
    assert sum(leaf.quota for leaf in done.leaves) == done.size == 100
    assert by_name["Nature/food"].supply == SUPPLY["Nature/food"] - 2
    for leaf in done.leaves:
        assert leaf.stage6 == min(leaf.supply, leaf.quota)
        assert leaf.deficit == max(0, leaf.quota - leaf.supply)
    assert by_name["Design/slides"].deficit == 2
    text, portrait = done.tracks
    assert (text.supply, text.quota, text.deficit) == (10, 5, 0)
    assert text.stage6 == 5
    assert portrait.stage6 == by_name["People/portrait"].quota  # all it can have: the leaf is full
    assert portrait.deficit == 0
    assert done.ai_generated == 2
    assert "portrait: the quotas of the leaves that hold it have room for 4 images" in notes(done, dry_run=True)


def test_rows_agree_with_the_summary_and_the_view(balanced: tuple[Lake, Recipe]) -> None:
    lake, chosen = balanced
    done = balance(lake, chosen)
    assert not done.committed  # nothing changed
    found = rows(lake, "FROM balance")
    assert len(found) == sum(SUPPLY.values())
    assert [r["image_id"] for r in found] == sorted(r["image_id"] for r in found)  # as every packed file
    assert {r["recipe"] for r in found} == {chosen.hash}
    taken = Counter(r["category"] for r in found if r["stage6"])
    assert taken == {leaf.name: leaf.stage6 for leaf in done.leaves if leaf.stage6}
    view = {r["category"]: r for r in rows(lake, "FROM category_balance")}
    for leaf in done.leaves:
        row = view[leaf.name]
        assert (row["supply"], row["quota"], row["stage6"], row["stage7"], row["deficit"]) == (
            leaf.supply, leaf.quota, leaf.stage6, leaf.stage7, leaf.deficit,
        )  # fmt: skip
        assert row["gap"] == pytest.approx(leaf.stage6 / done.stage6 - leaf.target)
    assert sum(r["share"] for r in view.values()) == pytest.approx(1)
    for row in found:
        assert row["stage6"] or not row["stage7"]
        assert (row["weight"] > 0) == row["stage6"]
        assert (row["probability"] is None) == (row["image_id"] in {image_id(f"Nature/food-{n}") for n in (0, 1)})
        assert row["scale"] == (640 if row["bucket"] == "3:1" or _side(row) >= 0.9 * 640 else 256)


def _side(row: dict[str, Any]) -> float:
    name = next(n for n in sorted(catalogue()) if image_id(n) == row["image_id"])
    return float(((300 + 11 * sorted(catalogue()).index(name)) * 400) ** 0.5)


def test_stage_seven_takes_the_best_of_each_leaf(balanced: tuple[Lake, Recipe]) -> None:
    lake, _ = balanced
    found = rows(lake, "SELECT * FROM balance WHERE stage6 AND category = 'Nature/objects' ORDER BY quality_rank")
    assert [r["quality_rank"] for r in found] == list(range(1, len(found) + 1))
    qualities = [r["quality"] for r in found]
    assert qualities == sorted(qualities, reverse=True)
    best = -(-len(found) * 4 // 10)
    assert [r["stage7"] for r in found] == [True] * best + [False] * (len(found) - best)


def test_a_leaf_with_a_deficit_repeats_and_is_asked_for(balanced: tuple[Lake, Recipe]) -> None:
    lake, chosen = balanced
    assert {r["weight"] for r in rows(lake, "FROM balance WHERE stage6 AND category = 'Design/slides'")} == {2.0}
    asked = {r["category"]: r for r in rows(lake, "FROM actions")}
    assert asked["Design/slides"]["wanted"] == 2
    assert asked["Design/slides"]["reason"] == "Design/slides has 2 images of a quota of 4"
    assert asked["Nature/cityscape"]["wanted"] == 9
    assert {(r["kind"], r["status"], r["recipe"], r["created_by"]) for r in asked.values()} == {
        ("augment", "open", chosen.hash, "balance")
    }


def test_the_same_images_whatever_the_order_of_rows_and_threads(tmp_path: Path, balanced: tuple[Lake, Recipe]) -> None:
    known, chosen = balanced
    names = list(catalogue())
    random.Random(5).shuffle(names)
    lake = new_lake(tmp_path / "lake")
    signals: dict[str, Row | None] = {
        name: {"width": 300 + 11 * n, "height": 400} for n, name in enumerate(sorted(catalogue()))
    }
    for turn, part in enumerate((names[:50], names[50:])):
        fill(lake, {name: signals[name] for name in part}, batch=f"night {turn}")
        put(lake, "signals_category", [{**catalogue()[n], "image_id": image_id(n)} for n in part], batch=str(turn))
    decide(lake, chosen)
    balance(lake, chosen)
    every = "SELECT * FROM balance ORDER BY image_id"
    assert rows(lake, every) == rows(known, every)
    assert rows(lake, "FROM actions ORDER BY ALL") == rows(known, "FROM actions ORDER BY ALL")


def test_a_larger_supply_of_one_leaf_leaves_the_others_alone(tmp_path: Path, balanced: tuple[Lake, Recipe]) -> None:
    known, chosen = balanced
    more = {f"more-{n}": category_row(f"more-{n}", "Nature/objects") for n in range(40)}
    lake = new_lake(tmp_path / "lake")
    categorised(lake, {**catalogue(), **more}, chosen)
    balance(lake, chosen)
    ids = "SELECT image_id FROM balance WHERE stage6 AND category <> 'Nature/objects' ORDER BY 1"
    assert rows(lake, ids) == rows(known, ids)


def test_images_without_a_category_wait_and_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lake, chosen = new_lake(tmp_path / "lake"), balanced_recipe()
    images = {name: category_row(name, "Nature/food") for name in ("a", "b", "c")}
    categorised(lake, images, chosen)
    fill(lake, ["d"], batch="later")
    decide(lake, chosen)
    done = balance(lake, chosen)
    assert (done.kept, done.uncategorised, done.stage6) == (4, 1, 3)
    (row,) = rows(lake, f"FROM balance WHERE image_id = '{image_id('d')}'")
    assert (row["category"], row["probability"], row["stage6"]) == (None, None, False)
    print_balance(done)
    printed = capsys.readouterr().out
    assert "1 kept images have no category" in printed
    assert "Nature" in printed
    assert "deficit" in printed


def test_a_dropped_image_is_not_balanced(tmp_path: Path) -> None:
    lake, chosen = new_lake(tmp_path / "lake"), balanced_recipe()
    categorised(lake, {n: category_row(n, "Nature/food") for n in ("a", "b")}, chosen, {"a": {"luma": 3.0}})
    balance(lake, chosen)
    assert [r["image_id"] for r in rows(lake, "FROM balance")] == [image_id("b")]


def test_frequent_characters_weigh_less(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    chosen = balanced_recipe("keep = 1\ntokens = { exponent = 1, minimum = 2, levels = [1, 3] }")
    images = {f"p{n}": category_row(f"p{n}", "Design/posters") for n in range(10)}
    put(lake, "signals_ocr", [ocr_row(f"p{n}", "的 sale" if n < 8 else "龘彳 Sale", ocr_lines=[]) for n in range(9)])
    categorised(lake, images, chosen)
    done = balance(lake, chosen)
    weights = {r["image_id"]: r["weight"] for r in rows(lake, "FROM balance")}
    common, rare, none = (weights[image_id(n)] for n in ("p0", "p8", "p9"))
    assert common < rare
    assert none == 1
    assert sum(weights[image_id(f"p{n}")] for n in range(9)) == pytest.approx(9, abs=1e-3)
    tokens = {r["token"]: r for r in rows(lake, "FROM text_tokens WHERE images > 0")}
    assert {t: (r["kind"], r["level"], r["images"], r["chosen"]) for t, r in tokens.items()} == {
        "的": ("character", 1, 8, 8), "龘": ("character", None, 1, 1), "彳": ("character", 3, 1, 1),
        "sale": ("word", None, 9, 9),
    }  # fmt: skip
    assert tokens["的"]["copies"] < 8
    characters = next(g for g in done.gini if g.kind == "character")
    assert characters.after < characters.before
    by_level = {(r["level"], r["images_with_it"]): r["characters"] for r in rows(lake, "FROM text_coverage")}
    assert by_level[1, "1 to 9"] == 1
    assert by_level[1, "none"] == 3499
    assert by_level[3, "none"] == 1604
    asked = {r["reason"][:36]: r for r in rows(lake, "FROM actions WHERE len(characters) > 0")}
    assert [len(r["characters"]) for r in sorted(asked.values(), key=lambda r: -len(r["characters"]))] == [3499, 1605]
    assert all("的" not in r["characters"] for r in asked.values())


def test_the_gini_coefficient_in_sql(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    asked = rows(
        lake, "SELECT lake.gini([1, 1, 1, 1]) AS equal, lake.gini([0, 0, 0, 8]) AS one, lake.gini([2, 1]) AS two"
    )
    assert asked == [{"equal": 0.0, "one": 0.75, "two": pytest.approx(1 / 6)}]
    assert rows(lake, "SELECT lake.gini([]::INTEGER[]) AS g, lake.gini([0]) AS z") == [{"g": None, "z": None}]


def test_requests_that_are_done_are_not_asked_again(tmp_path: Path) -> None:
    lake, chosen = new_lake(tmp_path / "lake"), balanced_recipe("size = 50")
    categorised(lake, {f"i{n}": category_row(f"i{n}", "Nature/food") for n in range(9)}, chosen)
    first = balance(lake, chosen)
    with lake.connect() as con:
        con.execute("UPDATE lake.actions SET status = 'done' WHERE category = 'Design/slides'")
    again = balance(lake, chosen)
    assert again.committed
    states = Counter(r["status"] for r in rows(lake, "FROM actions"))
    assert states == {"open": first.actions - 1, "done": 1}
    assert len({r["action_id"] for r in rows(lake, "FROM actions")}) == first.actions


def test_a_recipe_without_balance_or_decisions_is_refused(tmp_path: Path) -> None:
    lake, chosen = new_lake(tmp_path / "lake"), balanced_recipe()
    with pytest.raises(LakeError, match="run glyphmill decide"):
        balance(lake, chosen)
    decide(lake, chosen)  # of nothing, as where a delivery holds broken files alone
    assert balance(lake, chosen).kept == 0
    from decision_lakes import recipe

    with pytest.raises(UsageError, match=r"no section \[balance\]"):
        balance(lake, recipe(RECIPE.replace("[balance]", "")))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("tolerence = 0.02", "balance.tolerence"),
        ("tolerance = 0", "balance.tolerance"),
        ("tracks = { music = 0.2 }", "balance.tracks.music"),
        ("tokens = { levels = [4] }", "levels are out of 1, 2 and 3"),
    ],
)
def test_a_wrong_setting_is_named(settings: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        balanced_recipe(settings)


def test_what_decides_the_balance_decides_the_recipes_hash() -> None:
    hashes = {
        balanced_recipe(s).hash for s in ("", "keep = 0.3", "tracks = { text = 0.1 }", "tokens = { exponent = 1 }")
    }
    assert len(hashes) == 4
    assert balanced_recipe("keep = 0.25").hash == balanced_recipe().hash
