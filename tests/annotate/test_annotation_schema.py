"""The joint annotation: what JSON Schema promises, pydantic checks and the lake stores are one thing."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pyarrow as pa
import pytest
from answering_server import annotation
from hypothesis import given
from hypothesis import strategies as st

from annotate import prompting
from annotate.facts import Facts, KnownCaption, ReadLine, thousandths
from annotate.schema import Annotation, AnnotationError, Box, json_schema, parse, schema_text
from warehouse.errors import UsageError
from warehouse.schema import ANNOTATION, ANNOTATIONS

ARROW = {"string": pa.string(), "integer": pa.int32(), "number": pa.float32(), "boolean": pa.bool_()}


def _arrow(schema: dict[str, Any]) -> pa.DataType:
    if schema["type"] == "object":
        return pa.struct([(name, _arrow(part)) for name, part in schema["properties"].items()])
    return pa.list_(_arrow(schema["items"])) if schema["type"] == "array" else ARROW[schema["type"]]


def _nodes(schema: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return [schema, *(node for part in inner for node in _nodes(part))]


def test_the_lake_stores_what_the_model_says() -> None:
    assert _arrow(json_schema()) == ANNOTATION


def test_the_schema_is_strict_and_bounded_everywhere() -> None:
    for node in _nodes(json_schema(["zh"])):
        assert "$ref" not in node
        if node["type"] == "object":
            assert node["additionalProperties"] is False
            assert node["required"] == list(node["properties"])
        if node["type"] == "array":
            assert node["maxItems"] <= 60
        if node["type"] == "string":
            assert "enum" in node or node["maxLength"] <= 2500
        if node["type"] in ("integer", "number"):
            assert {"minimum", "maximum"} <= node.keys()
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text()))


WRONG: list[dict[str, Any]] = [
    {"mood": "gay"},
    {"confidence": 1.5},
    {"confidence": "0.5"},
    {"captions": []},
    {"abnormal": ["dragon"]},
    {"image_type": None},
    {"scene": ""},
    {"objects": [{"name": "x", "attributes": [], "count": 0, "position": "top"}]},
    {"objects": [{"name": "x" * 81, "attributes": [], "count": 1, "position": "top"}]},
    {"relations": [{"subject": "a", "predicate": "b"}]},
    {"category": ["a"] * 6},
]


@pytest.mark.parametrize("changed", WRONG, ids=lambda c: next(iter(c)))
def test_pydantic_and_the_json_schema_refuse_the_same(changed: dict[str, Any]) -> None:
    wrong = annotation(1, **changed)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, json_schema(["en"]))
    with pytest.raises(AnnotationError):
        parse(json.dumps(wrong), ["en"])


def test_what_is_wrong_is_told_by_its_place() -> None:
    with pytest.raises(AnnotationError, match=r"objects\.0\.count: .*greater than or equal to 1"):
        parse(
            json.dumps(annotation(1, objects=[{"name": "x", "attributes": [], "count": 0, "position": "top"}])), ["en"]
        )
    with pytest.raises(AnnotationError, match="answer: Invalid JSON"):
        parse("{", ["en"])
    with pytest.raises(AnnotationError, match="one in each of en, zh was asked for, got en"):
        parse(json.dumps(annotation(1)), ["en", "zh"])


def test_a_valid_one_passes_with_a_fence_and_without() -> None:
    text = json.dumps(annotation(4))
    jsonschema.validate(annotation(4), json_schema(["en"]))
    assert parse(text, ["en"]) == parse(f"```json\n{text}\n```", ["en"]) == parse(f"  {text}\n\n", ["en"])
    assert parse(text, ["en"]).model_dump() == annotation(4)


@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    with pytest.raises(AnnotationError):
        parse(text, ["en"])


def test_a_stored_annotation_is_read_back_whole() -> None:
    lines = [
        {"text": "开业", "language": "zh", "box": {"left": 0, "top": 1, "right": 2, "bottom": 1000}, "legible": True}
    ]
    whole = annotation(1, text_lines=lines, relations=[{"subject": "a", "predicate": "on", "object": "b"}])
    table = ANNOTATIONS.from_rows([{"image_id": "0" * 32, "annotation": Annotation(**whole).model_dump()}])
    assert Annotation.model_validate(table.to_pylist()[0]["annotation"]) == Annotation(**whole)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_prompt_names_every_field_and_value_and_what_is_known(language: str) -> None:
    prompt = prompting.load(language)
    line = ReadLine("50% OFF $9", Box(left=1, top=2, right=30, bottom=40), 0.98)
    facts = Facts("0" * 32, (KnownCaption("raw", "Mona Lisa, $5 and ${x}", "en"),), (line,))
    text = prompt.user(["en", "zh"], facts)
    for name, part in json_schema()["properties"].items():
        assert name in text
        assert name != "abnormal" or all(flag in text for flag in part["items"]["enum"])
    for told in ("Mona Lisa, $5 and ${x}", "50% OFF $9", "[1, 2, 30, 40]", "(en)", "(zh)"):
        assert told in text
    bare = prompt.user(["en"], Facts("0" * 32))
    assert "Mona Lisa" not in bare
    assert len(bare) < len(text)
    assert "a.b: wrong $1" in prompt.repair("a.b: wrong $1")


def test_recaptions_of_ours_are_not_shown_to_the_annotator_again() -> None:
    facts = Facts("0" * 32, (KnownCaption("synthetic", "a page we drew", "en"),))
    assert "a page we drew" not in prompting.load("en").user(["en"], facts)


def test_a_prompts_version_follows_its_words() -> None:
    text = (prompting.FOLDER / "en.toml").read_text(encoding="utf-8")
    assert prompting.loads("en", text).version == prompting.load("en").version
    assert prompting.loads("en", text.replace("plain", "simple")).version != prompting.load("en").version
    assert prompting.load("zh").version.startswith("zh-1-")
    assert prompting.load("en").version_for(["en", "zh"]) == prompting.load("en").version + "+zh"
    with pytest.raises(UsageError):
        prompting.load("de")


def test_boxes_in_thousandths_stay_within_the_picture() -> None:
    assert thousandths([10, 20, 110, 25, 110, 60, 8, 55], 200, 100) == Box(left=40, top=200, right=550, bottom=600)
    assert thousandths([-5, -5, 300, 400], 200, 100) == Box(left=0, top=0, right=1000, bottom=1000)
