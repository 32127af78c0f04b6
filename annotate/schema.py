"""The joint annotation: all that is asked of one image in one request, as a pydantic model and as JSON Schema.

Every string and list is bounded, so that a decoder constrained by the schema comes to an end, and the model asks for
nothing that JSON Schema cannot say: what a server promises by constrained decoding is what is validated here again. The
one exception is which languages the captions are in, which differs from request to request.

The same structure as an Arrow type, in which annotations are stored, is `warehouse.schema.ANNOTATION`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

#: Raise it when the model changes: stored with each prompt's version.
SCHEMA_VERSION = 1

CaptionLanguage = Literal["en", "zh"]
TextLanguage = Literal["en", "zh", "other", "none"]
Position = Literal[
    "top left", "top", "top right", "left", "centre", "right", "bottom left", "bottom", "bottom right", "everywhere",
]  # fmt: skip
ImageType = Literal[
    "photograph", "illustration", "painting", "comic", "render_3d", "poster", "slide", "user_interface", "document",
    "chart", "map", "logo", "product", "other",
]  # fmt: skip
Abnormal = Literal[
    "watermark", "qr_code", "barcode", "mosaic", "border", "collage", "screenshot", "ai_generated", "pseudo_text",
    "blurred", "compressed", "overlay_text", "nudity", "violence",
]  # fmt: skip
ABNORMAL: tuple[Abnormal, ...] = get_args(Abnormal)

Word = Annotated[str, StringConstraints(min_length=1, max_length=80)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Thousandth = Annotated[int, Field(ge=0, le=1000)]
MAX_TEXT_LINES = 60


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Caption(_Part):
    """What the picture shows, in one language: `short` in a sentence, `long` with every visible text quoted."""

    language: CaptionLanguage
    short: Line
    long: Annotated[str, StringConstraints(min_length=1, max_length=2500)]


class Thing(_Part):
    """One kind of object: how many of it there are, what they look like, where most of it lies."""

    name: Word
    attributes: Annotated[list[Word], Field(max_length=8)]
    count: Annotated[int, Field(ge=1, le=1000)]
    position: Position


class Relation(_Part):
    """How two of the objects stand to each other, as in: cup, on, table."""

    subject: Word
    predicate: Word
    object: Word


class Box(_Part):
    """Edges of an upright rectangle in thousandths of the picture's width and height."""

    left: Thousandth
    top: Thousandth
    right: Thousandth
    bottom: Thousandth


class TextLine(_Part):
    """One line of text as it stands in the picture, letter for letter."""

    text: Line
    language: TextLanguage
    box: Box
    legible: bool


class Annotation(_Part):
    """One image, described once and for all. `confidence`: how sure the annotator is of all of it, 0 to 1."""

    captions: Annotated[list[Caption], Field(min_length=1, max_length=2)]
    objects: Annotated[list[Thing], Field(max_length=24)]
    scene: Line
    style: Line
    image_type: ImageType
    relations: Annotated[list[Relation], Field(max_length=16)]
    text_lines: Annotated[list[TextLine], Field(max_length=MAX_TEXT_LINES)]
    abnormal: Annotated[list[Abnormal], Field(max_length=len(ABNORMAL))]
    category: Annotated[list[Word], Field(max_length=5)]
    confidence: Annotated[float, Field(ge=0, le=1)]


class AnnotationError(ValueError):
    """The text is no annotation; the message says what is wrong in words that a model can act on."""


def parse(text: str, languages: Sequence[str]) -> Annotation:
    """The annotation that `text` is: JSON, in a Markdown fence or not. Raises AnnotationError.

    `languages`: those its captions must be in, each exactly once.
    """
    try:
        found = Annotation.model_validate_json(_unfenced(text))
    except ValidationError as error:
        raise AnnotationError(_told(error)) from error
    given = [caption.language for caption in found.captions]
    if sorted(given) != sorted(languages):
        raise AnnotationError(f"captions: one in each of {', '.join(languages)} was asked for, got {', '.join(given)}")
    return found


def json_schema(languages: Sequence[str] = get_args(CaptionLanguage)) -> dict[str, Any]:
    """JSON Schema of an annotation with captions in these languages, without references to elsewhere in it.

    Every property is required and no other is allowed, as strict decoding wants it.
    """
    whole = Annotation.model_json_schema()
    schema: dict[str, Any] = _inlined(whole, whole.pop("$defs"))
    captions = schema["properties"]["captions"]
    captions["minItems"] = captions["maxItems"] = len(languages)
    captions["items"]["properties"]["language"]["enum"] = list(languages)
    return schema


def schema_text() -> str:
    """The schema as `glyphmill annotate schema` prints it."""
    return json.dumps(json_schema(), ensure_ascii=False, indent=2)


def _unfenced(text: str) -> str:
    text = text.strip()
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        return text[text.index("\n") + 1 : -3]
    return text


def _told(error: ValidationError) -> str:
    """The first few faults, each with its place: `text_lines.3.box.left: Input should be less than ...`."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    told = [f"{'.'.join(str(p) for p in fault['loc']) or 'answer'}: {fault['msg']}" for fault in faults[:5]]
    if len(faults) > len(told):
        told.append(f"and {len(faults) - len(told)} more faults")
    return "; ".join(told)


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:
    """A copy with references resolved and without titles and descriptions, which no decoder reads."""
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(definitions[node["$ref"].rpartition("/")[2]], definitions)
    if "properties" in node:  # its keys are names of ours, not words of JSON Schema
        properties = {name: _inlined(value, definitions) for name, value in node["properties"].items()}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    return {key: _inlined(value, definitions) for key, value in node.items() if key not in ("title", "description")}
