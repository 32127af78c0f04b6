"""What an image is of: its leaf in the taxonomy, its class of stage 6 and its tracks, from what is known of it. Pure.

Sources in order of trust: how the image was made (synthetic or not), an annotator's category path, zero-shot by an
image-text scorer, and rules over captions and signals. What no source can tell lies in the taxonomy's fallback, with a
confidence of 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.categories.keywords import Matcher
from pipelines.categories.taxonomy import Leaf, Taxonomy, as_path

#: Raise it when the code below would place the same image elsewhere.
VERSION = "1"

ZERO_SHOT_FLOOR = 0.3  # a likeliest leaf below this probability is no answer
BY_KEYWORD = 0.8  # of an annotator's confidence, where its path is not one of ours but speaks of one
RULES_CEILING = 0.75  # rules are never surer than this
SIBLING = 0.35  # of the score of a class's `rest` leaf, from which on a sibling takes precedence
PORTRAIT_FACE = 0.04  # share of the picture from which on the largest face makes a portrait
TEXT_SHARE = 0.05  # share of the picture from which on its text makes it text-rich
TEXT_LINES = 3  # ... and lines; one large word is enough from TEXT_SHARE_ALONE on
TEXT_SHARE_ALONE = 0.12
DENSE_LINES = 20  # ... and from so many lines on their share does not matter
PAGE_LINES = 8  # lines of a page that is flat and pale; a photographed page has DENSE_LINES
FLAT_ENTROPY = 5.0  # bits: below it a picture is drawn, printed or a screen
PHOTO_ENTROPY = 6.9  # bits: from it on a picture is a photograph, and its few words are a sign rather than a poster

#: Leaves that a kind of picture, as annotators name them, stands for.
IMAGE_TYPES: Mapping[str, str] = {
    "illustration": "Design/arts",
    "painting": "Design/arts",
    "comic": "Design/arts",
    "render_3d": "Design/arts",
    "poster": "Design/posters",
    "slide": "Design/slides",
    "user_interface": "Design/user interfaces",
    "document": "Design/documents",
    "chart": "Design/graphics",
    "map": "Design/graphics",
    "logo": "Design/graphics",
    "product": "Nature/objects",
}


@dataclass(frozen=True)
class Annotated:
    """What an annotator said: its category path from the top, kind of picture, flags, confidence 0 to 1."""

    category: tuple[str, ...] = ()
    image_type: str | None = None
    abnormal: tuple[str, ...] = ()
    confidence: float = 0.0
    scene: str = ""
    text_share: float | None = None


@dataclass(frozen=True)
class ImageFacts:
    """All that assignment may look at; None: nobody measured it."""

    captions: tuple[str, ...] = ()
    synthetic: bool = False
    annotated: Annotated | None = None
    zero_shot: tuple[str, float] | None = None
    text_share: float | None = None
    text_lines: int | None = None
    face_share: float | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    entropy: float | None = None
    saturation: float | None = None
    luma: float | None = None


@dataclass(frozen=True)
class Category:
    """Where an image belongs. `class_name` is its class of stage 6; `origin` is what told the path."""

    path: str
    class_name: str
    confidence: float
    origin: str
    portrait_track: bool = False
    text_track: bool = False
    ai_generated: bool = False


@dataclass(frozen=True)
class Assigner:
    """Assigns images by one taxonomy; its keywords are made ready once."""

    taxonomy: Taxonomy
    matcher: Matcher = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "matcher", Matcher(self.taxonomy))

    def assign(self, facts: ImageFacts) -> Category:
        """The category of one image. The same facts always give the same."""
        leaf, confidence, origin = self._leaf(facts)
        portrait = _is_portrait(facts, leaf, confidence)
        text = is_text_rich(facts)
        class_name = leaf.class_name
        if text and not leaf.synthetic and self.taxonomy.text_class is not None:
            class_name = self.taxonomy.text_class
        generated = facts.annotated is not None and "ai_generated" in facts.annotated.abnormal
        return Category(leaf.path, class_name, round(confidence, 4), origin, portrait, text, generated)

    def _leaf(self, facts: ImageFacts) -> tuple[Leaf, float, str]:
        if facts.synthetic and self.taxonomy.synthetic is not None:
            return self.taxonomy.synthetic, 1.0, "synthetic"
        if facts.annotated is not None:
            found = self.by_annotation(facts.annotated)
            if found is not None:
                return *found, "annotation"
        if facts.zero_shot is not None and facts.zero_shot[1] >= ZERO_SHOT_FLOOR:
            leaf = self.taxonomy.named(facts.zero_shot[0])
            if leaf is not None and not leaf.synthetic:
                return leaf, facts.zero_shot[1], "alignment"
        return *self.by_rules(facts), "rules"

    def by_annotation(self, said: Annotated) -> tuple[Leaf, float] | None:
        """The leaf that an annotator named, and how sure it is: the path as it stands, the deepest word of it that is
        a leaf's name, the kind of picture, then keywords in the path and the scene. None where it named none."""
        named = self.taxonomy.named(as_path(said.category))
        for word in reversed(said.category):
            named = named or self.taxonomy.named(word)
        if named is not None and not named.synthetic:
            return named, said.confidence
        drawn = self.taxonomy.named(IMAGE_TYPES.get(said.image_type or "", ""))
        if drawn is not None:
            return drawn, said.confidence * BY_KEYWORD
        scores = self.matcher.total([" ".join(said.category), said.scene])
        best = self._best(scores)
        return None if best is None else (best, said.confidence * BY_KEYWORD)

    def by_rules(self, facts: ImageFacts) -> tuple[Leaf, float]:
        """The leaf that captions and signals speak for. The confidence grows with what speaks for it, up to the naming
        of one subject, and with its class's lead over the next."""
        scores = self.matcher.total(facts.captions)
        for path, score in _signs(facts).items():
            place = self._place(path)
            if place is not None:
                scores[place] += score
        best = self._best(scores)
        if best is None:
            return self.taxonomy.leaf(self.taxonomy.fallback), 0.0
        others = [s for leaf, s in zip(self.taxonomy.leaves, scores, strict=True) if leaf.class_name != best.class_name]
        own = max(s for leaf, s in zip(self.taxonomy.leaves, scores, strict=True) if leaf.class_name == best.class_name)
        lead = own / (own + max(others, default=0.0))
        return best, RULES_CEILING * lead * min(1.0, own)

    def _best(self, scores: Sequence[float]) -> Leaf | None:
        """The leaf with the highest score; a `rest` leaf gives way to a sibling that is spoken of too."""
        real = [n for n, leaf in enumerate(self.taxonomy.leaves) if not leaf.synthetic]
        best = max(real, key=lambda n: scores[n])
        if scores[best] <= 0:
            return None
        leaf = self.taxonomy.leaves[best]
        if leaf.rest:
            siblings = [n for n in real if self.taxonomy.leaves[n].class_name == leaf.class_name and n != best]
            near = max(siblings, key=lambda n: scores[n], default=best)
            if scores[near] >= SIBLING * scores[best]:
                return self.taxonomy.leaves[near]
        return leaf

    def _place(self, path: str) -> int | None:
        return next((n for n, leaf in enumerate(self.taxonomy.leaves) if leaf.path == path), None)


def is_text_rich(facts: ImageFacts) -> bool:
    """Whether enough of the picture is text: measured by OCR, else as the annotator's boxes say; unknown is no."""
    share, lines = facts.text_share, facts.text_lines
    if share is None and facts.annotated is not None:
        share = facts.annotated.text_share
    if share is None:
        return False
    if share >= TEXT_SHARE_ALONE or (lines or 0) >= DENSE_LINES:
        return True
    return share >= TEXT_SHARE and (lines is None or lines >= TEXT_LINES)


def _is_portrait(facts: ImageFacts, leaf: Leaf, confidence: float) -> bool:
    """A face large enough; where faces were not measured, a leaf that says so with some confidence."""
    if facts.face_share is not None:
        return facts.face_share >= PORTRAIT_FACE
    return leaf.name == "portrait" and confidence >= 0.5


def _signs(facts: ImageFacts) -> dict[str, float]:
    """Scores that signals add to leaves, on the scale of keywords: naming a leaf's subject first counts 1."""
    found: dict[str, float] = {}
    if facts.face_share is not None and facts.face_share >= PORTRAIT_FACE:
        found["People/portrait"] = 1.2
    elif facts.face_share:
        found["People/activities"] = 0.3
    flat = facts.entropy is not None and facts.entropy < FLAT_ENTROPY
    pale = facts.luma is not None and facts.luma > 190 and (facts.saturation or 0.0) < 0.15
    if is_text_rich(facts):
        lines = facts.text_lines or 0
        if flat and facts.format == "png" and _screen(facts):
            found["Design/user interfaces"] = 0.8
        elif lines >= DENSE_LINES or (pale and lines >= PAGE_LINES):
            found["Design/documents"] = 0.8
        elif flat:
            found["Design/documents"] = 0.5
        elif facts.entropy is None or facts.entropy < PHOTO_ENTROPY:
            found["Design/posters"] = 0.5
    elif flat:
        found["Design/graphics"] = 0.3
    return found


def _screen(facts: ImageFacts) -> bool:
    """The shape of a screen: 16:9 to 16:10 lying, or a telephone's standing."""
    if not facts.width or not facts.height:
        return False
    aspect = facts.width / facts.height
    return 1.55 <= aspect <= 1.85 or 0.42 <= aspect <= 0.6
