"""The category tree: the shares that are published, paths and names, and one line for whatever is wrong with a file."""

from __future__ import annotations

import pytest

from pipelines.categories.taxonomy import find_taxonomy, load_taxonomy, read_taxonomy
from synth.hanzi import SIZES, level_of, levels
from warehouse.errors import UsageError

PRINTED = {
    "Nature/objects": 21.67, "Nature/cityscape": 8.67, "Nature/food": 6.59, "Nature/plants": 5.14,
    "Nature/indoor": 4.59,
    "Design/arts": 9.63, "Design/posters": 5.81, "Design/user interfaces": 5.03, "Design/slides": 4.18,
    "People/portrait": 3.68, "People/sports": 2.77,
}  # fmt: skip
CLASSES = {"Nature": 55.0, "Design": 27.41, "People": 13.21, "Synthetic": 5.0}
TOTAL = 100.62

SMALL = """
name = "small"
fallback = "A/x"
[[track]]
name = "text"
class = "Words"
prompts_en = ["text"]
prompts_zh = ["文字"]
[[class]]
name = "A"
share = 60
[[class.leaf]]
name = "x"
share = 40
en = ["x"]
zh = []
prompts_en = ["x"]
prompts_zh = ["x"]
[[class.leaf]]
name = "y"
share = 20
en = ["y"]
zh = []
prompts_en = ["y"]
prompts_zh = ["y"]
"""


def test_the_shares_are_the_published_ones_brought_to_one() -> None:
    taxonomy = load_taxonomy()
    assert sum(leaf.share for leaf in taxonomy.leaves) == pytest.approx(1, abs=1e-12)
    for path, percent in PRINTED.items():
        assert taxonomy.leaf(path).share == pytest.approx(percent / TOTAL, abs=1e-9)
    assert taxonomy.classes == pytest.approx({name: percent / TOTAL for name, percent in CLASSES.items()}, abs=1e-9)
    assert taxonomy.text_class == "Text Rendering"
    assert taxonomy.synthetic is not None
    assert [leaf.path for leaf in taxonomy.leaves if leaf.synthetic] == [taxonomy.synthetic.path]
    assert taxonomy.leaf(taxonomy.fallback).class_name == "Nature"


def test_every_leaf_that_rules_may_give_has_words_and_prompts_in_both_languages() -> None:
    for leaf in load_taxonomy().leaves:
        assert leaf.prompts("en") == leaf.prompts_en
        assert leaf.prompts("zh") == leaf.prompts_zh
        if not leaf.synthetic:
            assert leaf.en
            assert leaf.zh
            assert not set("".join(leaf.en)) & set("".join(leaf.zh))


def test_names_are_found_whatever_their_case_and_wrong_ones_are_explained() -> None:
    taxonomy = load_taxonomy()
    assert taxonomy.leaf("people/PORTRAIT").path == "People/portrait"
    assert taxonomy.leaf("user_interfaces").path == "Design/user interfaces"
    assert taxonomy.named("portrait") is taxonomy.leaf("People/portrait")
    assert taxonomy.named("nowhere") is None
    with pytest.raises(UsageError, match=r"no leaf 'People/nobody'; it has Nature/objects, "):
        taxonomy.leaf("People/nobody")


def test_comments_do_not_change_the_hash_and_shares_do() -> None:
    text = find_taxonomy("qwen-image").read_text(encoding="utf-8")
    found = read_taxonomy(text, "it")
    assert read_taxonomy(text + "\n# a remark\n", "it").hash == found.hash
    changed = text.replace("share = 3.68", "share = 3.60", 1).replace("share = 2.77", "share = 2.85", 1)
    assert read_taxonomy(changed, "it").hash != found.hash


def test_a_small_tree_of_ones_own() -> None:
    taxonomy = read_taxonomy(SMALL, "small")
    assert [(leaf.path, round(leaf.share, 4)) for leaf in taxonomy.leaves] == [("A/x", 0.6667), ("A/y", 0.3333)]
    assert taxonomy.synthetic is None


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("share = 20", "share = 21", "the leaves of A sum to 61.00 percent, the class has 60.00"),
        ('fallback = "A/x"', 'fallback = "B/x"', "fallback 'B/x' is no path of this tree"),
        ('name = "y"', 'name = "x"', "the path A/x stands twice"),
        ('name = "y"', 'name = "y"\ncolour = 3', "class.1.leaf.2.colour"),
        ('name = "text"', 'name = "music"', "tracks are text and portrait"),
        ("[[track]]", "[[track", "is not valid TOML"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(old: str, new: str, complaint: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_taxonomy(SMALL.replace(old, new, 1), "small.toml")
    told = str(raised.value)
    assert complaint in told
    assert told.startswith("taxonomy small.toml")
    assert "\n" not in told


def test_an_unknown_name_lists_what_ships() -> None:
    with pytest.raises(UsageError, match="one of qwen-image"):
        load_taxonomy("no-such-tree")


def test_the_standard_characters_are_complete() -> None:
    assert tuple(map(len, levels())) == SIZES
    assert len(set("".join(levels()))) == 8105
    assert [level_of(c) for c in "一的龘A"] == [1, 1, None, None]
