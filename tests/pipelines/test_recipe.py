"""Recipes: what a file may say, what is refused with one line, and what a recipe's hash depends on."""

from __future__ import annotations

from pathlib import Path

import pytest
from decision_lakes import SIGNALS, recipe

from pipelines.inspect import chosen_extractors
from pipelines.recipe import Recipe, load, loads
from warehouse.errors import UsageError
from warehouse.schema import Column, signal_table

HEAD = """
name = "test"
store_from = 1
scales = [256]
[duplicates]
max_distance = 8
max_tile_distance = 6
"""


def one_rule(when: str) -> Recipe:
    return recipe(f'{HEAD}[[stage]]\nnumber = 1\nname = "one"\nrules = [{{ name = "asked", when = """{when}""" }}]\n')


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        recipe(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rule_refusal(when: str) -> str:
    with pytest.raises(UsageError) as caught:
        one_rule(when)
    message = str(caught.value)
    assert message.startswith("recipe test.toml, stage 1, rule 'asked': ")
    assert "\n" not in message
    return message


def test_basic_loads_by_name_and_reads_only_what_scan_measures() -> None:
    basic = load("basic")
    assert basic.name == "basic"
    assert {s.table for s in basic.signals} <= {"signals_header", "signals_pixels"}
    assert {s.number for s in basic.stages} == {1, 2}


@pytest.mark.parametrize("name", ["basic", "starter", "qwen-image", "qwen-image-2"])
def test_shipped_recipes_load_and_say_why(name: str) -> None:
    recipe = load(name)
    assert recipe.name == name
    assert all(rule.doc for rule in recipe.rules)
    assert name == "basic" or [s.number for s in recipe.stages] == [1, 2, 3, 4, 5, 6, 7]
    assert (recipe.balance is None) == (name == "basic")


def test_a_recipe_that_needs_absent_weights_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nowhere = tmp_path / "models.toml"
    nowhere.write_text("")
    monkeypatch.setenv("GLYPHMILL_MODELS", str(nowhere))
    with pytest.raises(
        UsageError, match=r"recipe qwen-image, rule '[^']+': extractor \S+ cannot run here: put a section"
    ):
        chosen_extractors(load("qwen-image"))
    assert [e.name for e in chosen_extractors(load("basic"))] == []


def test_a_path_loads_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(load("basic").toml, encoding="utf-8")
    assert load(file).hash == load("basic").hash


@pytest.mark.parametrize(
    ("when", "columns"),
    [
        ("luma BETWEEN 25 AND 235", ["luma"]),
        ("sharpness >= 80", ["sharpness"]),
        ("LUMA > 3 AND Luma < 9", ["luma"]),
        ("format <> 'jpeg' OR jpeg_quality >= 30", ["format", "jpeg_quality"]),
        ("list_bool_and(list_transform([1, 2], x -> x < luma))", ["luma"]),
        ("caption_count >= 1 AND NOT opted_out", ["caption_count", "opted_out"]),
        ("CASE WHEN aspect > 2 THEN min_side >= 512 ELSE min_side >= 256 END", ["aspect", "min_side"]),
    ],
)
def test_columns_are_those_that_duckdb_sees(when: str, columns: list[str]) -> None:
    assert [s.name for s in one_rule(when).rules[0].signals] == columns


def test_an_alias_is_stored_under_its_own_name() -> None:
    assert one_rule("sharpness >= 80").rules[0].stored_names == {"sharpness_256"}


def test_an_unknown_column_is_named_with_the_nearest_known_ones() -> None:
    message = rule_refusal("sharpnes >= 80")
    assert "'sharpnes'" in message
    assert "did you mean sharpness or sharpness_256" in message


def test_an_absent_extractor_is_refused_before_anything_is_read() -> None:
    needing = f'{HEAD}[[stage]]\nnumber = 3\nname = "s"\nrules = [{{ name = "match", when = "clip_score >= 0.2" }}]\n'
    with pytest.raises(UsageError, match="no extractor here provides a signal 'clip_score'"):
        recipe(needing)
    clip = signal_table("clip", (Column("clip_score", SIGNALS["signals_pixels"].arrow.field("luma").type, "x"),), "x")
    assert loads(needing, "t", [*SIGNALS.values(), clip]).rules[0].signals[0].table == "signals_clip"


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ("luma", "not a yes/no question"),
        ("luma >", "not valid SQL"),
        ("luma > 'bright'", "Could not convert"),
        ("sum(luma) > 1", "over many images"),
        ("row_number() OVER () > luma", "window"),
        ("luma > (SELECT 1)", "subquery"),
        ("luma IN (SELECT luma FROM inputs)", "subquery"),
        ("luma > 1; DROP TABLE inputs", "not a predicate"),
        ("luma > 1 FROM inputs", "not a predicate"),
        ("luma > 1 AS answer", "not a predicate"),
        ("luma > 1, true", "not a predicate"),
        ("luma > 1) OR (true", "not valid SQL"),
        ("luma > ?", "parameters"),
        ("COLUMNS('luma') > 1", "COLUMNS"),
        ("random() > luma", "from run to run"),
        ("getvariable('x') > luma", "from run to run"),
        ("no_such_function(luma)", "does not exist"),
    ],
)
def test_what_is_no_question_about_one_image_is_refused(when: str, told: str) -> None:
    assert told in rule_refusal(when)


@pytest.mark.parametrize("when", ["true", "luma IS NULL OR luma > 3", "coalesce(luma, 100) > 50"])
def test_a_rule_that_passes_what_was_never_measured_is_refused(when: str) -> None:
    assert "would pass an image whose signals are all missing" in rule_refusal(when)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name = test", "at line 1"),
        (HEAD.replace("scales = [256]", "scales = [256"), "not valid TOML"),
        (HEAD, "stage: Field required"),
        (HEAD.replace("store_from = 1", "store_form = 1") + '[[stage]]\nnumber = 1\nname = "s"\n', "store_f"),
        (HEAD + '[[stage]]\nnumber = 9\nname = "s"\n', "stage[1].number"),
        (HEAD + '[[stage]]\nnumber = 1\nname = "s"\nrules = [{ name = "r", wen = "luma > 1" }]\n', "stage[1].rules[1]"),
        (HEAD + '[[stage]]\nnumber = 2\nname = "s"\n[[stage]]\nnumber = 1\nname = "t"\n', "must rise"),
        (
            HEAD + '[[stage]]\nnumber = 1\nname = "s"\nrules = [{ name = "r", when = "luma > 1" }]\n'
            '[[stage]]\nnumber = 2\nname = "t"\nrules = [{ name = "r", when = "luma > 2" }]\n',
            "'r' is used twice (stages 1 and 2)",
        ),
        (
            HEAD + '[[stage]]\nnumber = 1\nname = "s"\nrules = [{ name = "r", when = "luma>1", applies_to = "x" }]\n',
            "applies",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(text: str, told: str) -> None:
    assert told in refusal(text)


def test_a_missing_file_names_the_recipes_there_are() -> None:
    with pytest.raises(UsageError, match=r"no recipe nowhere\.toml: .*starter"):
        load("nowhere.toml")


def test_an_unreadable_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / "binary.toml")


def test_more_rules_than_there_are_bits_are_refused() -> None:
    rules = ", ".join(f'{{ name = "r{n}", when = "luma > {n}" }}' for n in range(65))
    assert "more than 64" in refusal(f'{HEAD}[[stage]]\nnumber = 1\nname = "s"\nrules = [{rules}]\n')


TWO = (
    HEAD
    + '[[stage]]\nnumber = 1\nname = "s"\n'
    + 'rules = [{ name = "a", when = "luma > 1" }, { name = "b", when = "aspect < 2" }]\n'
)


def test_the_hash_is_of_the_content() -> None:
    same = (
        TWO.replace("luma > 1", "  luma  >  1 -- a comment")
        .replace('name = "test"', "# a comment\nname   =   'test'")
        .replace('when = "aspect < 2"', 'when = "aspect < 2", doc = "explained"')
    )
    assert recipe(same).hash == recipe(TWO).hash
    changed = [
        TWO.replace("luma > 1", "luma > 2"),
        TWO.replace('name = "a"', 'name = "c"'),
        TWO.replace("max_distance = 8", "max_distance = 9"),
        TWO.replace("[256]", "[256, 640]"),
        TWO.replace("store_from = 1", "store_from = 2"),
        TWO.replace('when = "luma > 1"', 'when = "luma > 1", applies_to = "real"'),
        TWO.replace(
            '{ name = "a", when = "luma > 1" }, { name = "b", when = "aspect < 2" }',
            '{ name = "b", when = "aspect < 2" }, { name = "a", when = "luma > 1" }',
        ),
    ]
    hashes = {recipe(text).hash for text in (TWO, *changed)}
    assert len(hashes) == len(changed) + 1
    assert all(len(h) == 16 for h in hashes)
