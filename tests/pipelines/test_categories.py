"""What an image is of: keywords in two languages, sources in order of trust, tracks, and how often rules are right."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipelines.categories.assign import Annotated, Assigner, ImageFacts
from pipelines.categories.keywords import Matcher
from pipelines.categories.taxonomy import load_taxonomy

TAXONOMY = load_taxonomy()
ASSIGNER = Assigner(TAXONOMY)


def best(text: str) -> str | None:
    scores = Matcher(TAXONOMY).score(text)
    return TAXONOMY.leaves[scores.index(max(scores))].path if any(scores) else None


@pytest.mark.parametrize(
    ("text", "leaf"),
    [
        ("A hot dog with mustard", "Nature/food"),
        ("Two dogs on a lawn", "Nature/animals"),
        ("TWO PUPPIES", "Nature/animals"),
        ("wolves in the snow", "Nature/animals"),
        ("a concatenated scatter", None),  # cat stands in neither word
        ("一碗热腾腾的面条", "Nature/food"),
        ("城市里的十字路口", "Nature/cityscape"),
        ("一张电影海报", "Design/posters"),
        ("A poster for a play", "Design/posters"),
        ("a screenshot of a web page with buttons", "Design/user interfaces"),
        ("", None),
    ],
)
def test_keywords_heed_boundaries_and_the_longest_wins(text: str, leaf: str | None) -> None:
    assert best(text) == leaf


def test_what_is_named_first_counts_more() -> None:
    assert best("a cat beside a laptop") == "Nature/animals"
    assert best("a laptop beside a cat") == "Nature/objects"


def test_sources_are_believed_in_order_of_trust() -> None:
    captions = ("a plate of pasta",)
    said = Annotated(("People", "sports"), confidence=0.9)
    guessed = ("Nature/indoor", 0.8)
    order = [
        (
            ImageFacts(captions, synthetic=True, annotated=said, zero_shot=guessed),
            "Synthetic/controlled text",
            "synthetic",
        ),
        (ImageFacts(captions, annotated=said, zero_shot=guessed), "People/sports", "annotation"),
        (ImageFacts(captions, zero_shot=guessed), "Nature/indoor", "alignment"),
        (ImageFacts(captions, zero_shot=("Nature/indoor", 0.1)), "Nature/food", "rules"),
        (ImageFacts(captions), "Nature/food", "rules"),
        (ImageFacts(), TAXONOMY.fallback, "rules"),
    ]
    for facts, path, origin in order:
        found = ASSIGNER.assign(facts)
        assert (found.path, found.origin) == (path, origin)
    assert ASSIGNER.assign(ImageFacts()).confidence == 0
    assert 0 < ASSIGNER.assign(ImageFacts(captions)).confidence <= 0.75


@pytest.mark.parametrize(
    ("said", "leaf"),
    [
        (Annotated(("Design", "User_Interfaces"), confidence=0.9), "Design/user interfaces"),
        (Annotated(("media", "poster design", "posters"), confidence=0.9), "Design/posters"),
        (Annotated(("animals", "mammals", "dogs"), confidence=0.9), "Nature/animals"),
        (Annotated(("食物", "火锅"), confidence=0.9), "Nature/food"),
        (Annotated(("misc",), image_type="slide", confidence=0.9), "Design/slides"),
        (Annotated((), scene="a busy street with taxis", confidence=0.9), "Nature/cityscape"),
        # only what was synthesised is synthetic: the words of the path are read as keywords instead
        (Annotated(("Synthetic", "controlled text"), confidence=0.9), "Design/documents"),
        (Annotated(("misc",), confidence=0.9), None),
    ],
)
def test_an_annotators_path_is_mapped_into_the_tree(said: Annotated, leaf: str | None) -> None:
    found = ASSIGNER.by_annotation(said)
    assert (found[0].path if found else None) == leaf


def test_text_makes_the_class_and_not_the_leaf() -> None:
    sign = ImageFacts(("a street with shops",), text_share=0.15, text_lines=4)
    found = ASSIGNER.assign(sign)
    assert (found.path, found.class_name, found.text_track) == ("Nature/cityscape", "Text Rendering", True)
    drawn = ASSIGNER.assign(ImageFacts(synthetic=True, text_share=0.5, text_lines=9))
    assert (drawn.class_name, drawn.text_track) == ("Synthetic", True)
    assert ASSIGNER.assign(ImageFacts(("a street",), text_share=0.06, text_lines=1)).text_track is False
    boxed = ImageFacts(annotated=Annotated(("posters",), confidence=0.8, text_share=0.3))
    assert ASSIGNER.assign(boxed).class_name == "Text Rendering"


def test_a_face_large_enough_makes_a_portrait() -> None:
    assert ASSIGNER.assign(ImageFacts(("a man smiling",), face_share=0.2)).portrait_track
    assert not ASSIGNER.assign(ImageFacts(("a man smiling",), face_share=0.01)).portrait_track
    assert ASSIGNER.assign(ImageFacts(zero_shot=("People/portrait", 0.9))).portrait_track
    assert not ASSIGNER.assign(ImageFacts(zero_shot=("People/portrait", 0.9), face_share=0.0)).portrait_track


def test_ai_generated_pictures_are_flagged() -> None:
    said = Annotated(("arts",), abnormal=("ai_generated",), confidence=0.9)
    assert ASSIGNER.assign(ImageFacts(annotated=said)).ai_generated
    assert not ASSIGNER.assign(ImageFacts(annotated=Annotated(("arts",), confidence=0.9))).ai_generated


ANIMALS = {"dog", "cat", "bird", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"}
FOOD = {"banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake"}
SPORTS = {
    "frisbee", "skis", "snowboard", "sports ball", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket",
}  # fmt: skip
ROOMS = {"bed", "couch", "toilet", "sink", "refrigerator", "oven", "microwave", "tv", "dining table", "chair"}


def truth(record: Mapping[str, Any]) -> str | None:
    """The leaf that COCO's objects of a picture leave no doubt of; None where they do."""
    objects = record["objects"] or []
    names = {o["category"] for o in objects}
    people = sum(o["bbox"][2] * o["bbox"][3] for o in objects if o["category"] == "person")
    people /= record["width"] * record["height"]
    if names & SPORTS and "person" in names:
        return "People/sports"
    if names & ANIMALS and people < 0.05:
        return "Nature/animals"
    if names & FOOD and "person" not in names and len(names & ROOMS) < 2:
        return "Nature/food"
    if len(names & ROOMS) >= 2 and not names & (ANIMALS | FOOD | {"person"}):
        return "Nature/indoor"
    return None


def test_rules_place_real_captions_where_coco_says(shared_data: Path) -> None:
    lines = (shared_data / "photos_captioned" / "captions.jsonl").read_text(encoding="utf-8").splitlines()
    right: Counter[str] = Counter()
    classes = seen = 0
    for record in map(json.loads, lines):
        leaf = truth(record)
        if leaf is None:
            continue
        found = ASSIGNER.assign(ImageFacts(tuple(record["captions_en"] or record["captions_zh"])))
        seen += 1
        right[leaf] += found.path == leaf
        classes += found.path.partition("/")[0] == leaf.partition("/")[0]
    assert seen >= 55
    assert classes / seen >= 0.95
    assert right.total() / seen >= 0.8
    assert min(right.values()) >= 8
