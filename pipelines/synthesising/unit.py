"""Synthesis' unit of work: samples `first` to `stop` of a seed, drawn into one tar and the parts that tell their truth.

A sample depends on its strategy, seed and index alone, so a unit gives the same bytes on any engine, in any order, and
again after a crash. What is not drawn is a row that says why.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import PurePath
from typing import Any, Protocol, cast, runtime_checkable

from pipelines.edits import pair_id
from pipelines.engines import beat
from synth.encode import encode, png
from synth.sample import Rejected, Sample
from synth.strategy import EditPair, Strategy
from warehouse.errors import GlyphmillError, LakeError, MissingDependency, UsageError
from warehouse.lake import Lake
from warehouse.parts import Part, key, write_part
from warehouse.schema import SYNTH_REJECTED, SYNTH_TRUTH
from warehouse.shards import ShardSample, image_id_of, shard_name, write_shard

SYNTH_VERSION = "1"  # of what is written of a drawn sample; raised with any change of it
#: Decide pixels, outlines, line breaks or encoded bytes: with another version of one, another sample.
LIBRARIES = (
    "numpy", "opencv-python-headless", "simplejpeg", "pillow", "uharfbuzz", "freetype-py", "fonttools", "python-bidi",
    "python-pptx", "lxml", "pypdfium2", "playwright",
)  # fmt: skip
UNIT_SAMPLES = 64
LANGUAGES = ("en", "zh")
REPEAT = "repeat"  # the very image of another sample of the unit
TABLES = {table.name: table for table in (SYNTH_REJECTED, SYNTH_TRUTH)}


@runtime_checkable
class Pairs(Protocol):
    """What draws edit pairs: two pictures a sample."""

    @property
    def name(self) -> str: ...

    def check(self) -> None: ...

    def fingerprint(self) -> str: ...

    def draw_pair(self, seed: int, index: int) -> EditPair | Rejected: ...


Drawer = Strategy | Pairs


@dataclass(frozen=True)
class Piece:
    """Samples `first` to `stop` (exclusive). `version` names all that decides them besides seed and index."""

    drawer: Drawer
    version: str
    seed: int
    first: int
    stop: int

    @property
    def stem(self) -> str:
        return f"{self.prefix}{self.first:09d}-{self.stop:09d}"

    @property
    def prefix(self) -> str:
        """How the stems of all pieces of this strategy, version and seed begin."""
        return f"{self.drawer.name}-{self.version[:12]}-{self.seed}-"

    @property
    def tar(self) -> str:
        return shard_name("png" if isinstance(self.drawer, Pairs) else "jpg", self.stem)

    @property
    def part(self) -> str:
        """The name of the piece's parts."""
        return key("synth", self.drawer.name, self.version, self.seed, self.first, self.stop)

    def parts(self) -> list[Part]:
        return [Part(name, self.part, self.stem, 0) for name in TABLES]


@dataclass(frozen=True)
class Order:
    """A piece to draw: its tar goes to `folder`, its parts to the lake."""

    lake: str
    folder: PurePath
    piece: Piece


@dataclass(frozen=True)
class Drawn:
    """What a piece gave: its parts, images, their bytes, and how many samples were rejected, by reason."""

    parts: tuple[Part, ...]
    images: int
    bytes: int
    rejected: Mapping[str, int]


@dataclass
class _Unit:
    """A piece in the making."""

    samples: list[ShardSample] = field(default_factory=list)
    truths: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)


def version_of(drawer: Drawer) -> str:
    """32 hex digits of all that decides a sample besides seed and index."""
    return key("synth", SYNTH_VERSION, drawer.name, drawer.fingerprint(), library_versions())


@cache
def library_versions() -> tuple[tuple[str, str], ...]:
    """The libraries that lay out, draw and encode, by name, with their versions; only those that are installed: which
    are needed depends on the strategy."""
    found = {name: _installed(name) for name in LIBRARIES}
    return tuple((name, version) for name, version in found.items() if version is not None)


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@cache
def _version_here(drawer: Any) -> str:
    return version_of(drawer)


def setup() -> None:
    """Once in each worker: one thread each, as many workers as cores."""
    import cv2

    cv2.setNumThreads(1)


def work(order: Order) -> Drawn:
    """Draw a piece, write its tar, stage its parts. Pure but for these: retried freely.

    The parts come last, so that a piece whose parts are there is finished. Raises UsageError where this machine would
    draw something else: other fonts, corpora or versions than where the run was started.
    """
    lake, piece = Lake(order.lake), order.piece
    here = _version_here(cast(Hashable, piece.drawer))
    if here != piece.version:
        raise UsageError(
            "a worker would draw other images than this machine: its fonts, corpora, pictures or packages differ; "
            f"make them the same (version {here[:12]} there, {piece.version[:12]} here)"
        )
    unit = draw(piece)
    size = 0
    if unit.samples:
        suffix = piece.tar.partition("-")[0]
        size = write_shard(order.folder, suffix, unit.samples, key=piece.stem, scratch=lake.tmp).bytes
    rows = {SYNTH_REJECTED.name: unit.rejected, SYNTH_TRUTH.name: unit.truths}
    parts = tuple(
        write_part(lake, TABLES[p.table], p.name, p.unit, TABLES[p.table].from_rows(rows[p.table]))
        for p in piece.parts()
    )
    return Drawn(parts, len(unit.samples), size, Counter(str(row["reason"]) for row in unit.rejected))


def draw(piece: Piece) -> _Unit:
    """Every sample of the piece, encoded, with its rows."""
    unit, seen = _Unit(), dict[str, int]()
    for index in range(piece.first, piece.stop):
        beat()
        drawn = _drawn(piece, index)
        told = {"strategy": piece.drawer.name, "seed": piece.seed, "index": index, "version": piece.version}
        if not isinstance(drawn, Rejected):
            made = list(_encoded(drawn, told))
            again = next((seen[s.image_id] for s, _ in made if s.image_id in seen), None)
            if again is None and len({s.image_id for s, _ in made}) == len(made):
                seen |= {s.image_id: index for s, _ in made}
                unit.samples += [sample for sample, _ in made]
                unit.truths += [truth for _, truth in made]
                continue
            drawn = Rejected(REPEAT, f"the image of sample {index if again is None else again}")
        unit.rejected.append({**told, "reason": drawn.reason, "detail": drawn.detail})
    return unit


def _drawn(piece: Piece, index: int) -> Sample | EditPair | Rejected:
    """What a strategy lets through that is neither the user's nor the lake's costs its unit alone, not the run."""
    try:
        return draw_one(piece.drawer, piece.seed, index)
    except (UsageError, MissingDependency, LakeError):
        raise
    except GlyphmillError as error:
        raise RuntimeError(f"{piece.drawer.name} sample {index}: {error}") from error


def draw_one(drawer: Drawer, seed: int, index: int) -> Sample | EditPair | Rejected:
    return drawer.draw_pair(seed, index) if isinstance(drawer, Pairs) else drawer.draw(seed, index)


def _encoded(drawn: Sample | EditPair, told: Mapping[str, Any]) -> Iterator[tuple[ShardSample, dict[str, Any]]]:
    """Each image with its row of `synth_truth`. Pairs lose nothing: no more differs than was changed."""
    if isinstance(drawn, Sample):
        yield _member(drawn, encode(drawn.image), {**told, "side": None, "pair_id": None}, {})
        return
    reference, target = png(drawn.reference.image), png(drawn.target.image)
    english, chinese = drawn.instruction.get("en"), drawn.instruction.get("zh")
    edit = {"kind": drawn.kind, "instruction": dict(drawn.instruction), "quad": list(drawn.quad)}
    pair = pair_id([image_id_of(reference)], image_id_of(target), english, chinese)
    for side, sample, data in (("reference", drawn.reference, reference), ("target", drawn.target, target)):
        yield _member(sample, data, {**told, "side": side, "pair_id": pair}, edit)


def _member(
    sample: Sample, data: bytes, told: Mapping[str, Any], edit: Mapping[str, Any]
) -> tuple[ShardSample, dict[str, Any]]:
    """The tar's sample and the truth's row. The tar's JSON tells texts and lines; words and characters are in the lake
    alone, which would have them twice otherwise."""
    image_id = image_id_of(data)
    facts = dict(sample.facts) | ({"edit": dict(edit)} if edit else {})
    texts = [text.row() for text in sample.texts]
    fonts = sorted({font for text in texts for font in text["fonts"]})
    short = [{name: value for name, value in text.items() if name not in ("words", "characters")} for text in texts]
    synth = {**told, "template": sample.template, "fonts": fonts, "texts": short, "facts": facts}
    meta = {f"synthetic_caption_{language}": sample.captions.get(language, "") for language in LANGUAGES}
    meta |= {"license": str(sample.facts.get("license") or "synthetic"), "synth": _json(synth)}
    truth = {
        **told,
        "image_id": image_id,
        "template": sample.template,
        "fonts": fonts,
        "texts": texts,
        "facts": _json(facts),
    }
    return ShardSample(image_id, data, meta), truth


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
