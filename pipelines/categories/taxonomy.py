"""The category tree as data: a TOML file of classes and leaves with target shares, keywords and zero-shot prompts.

Shares are percent as published and are brought to a sum of 1 here. A leaf is named by its path, `People/portrait`.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from warehouse.errors import UsageError

DEFAULT = "qwen-image"
ROUNDING = 0.005  # percent by which the leaves of a class may miss its share: shares are printed with two decimals

Words = tuple[str, ...]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _lists_are_tuples_and_whole_numbers_are_numbers(cls, value: object) -> object:
        if isinstance(value, list):
            return tuple(value)
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


class LeafEntry(_Strict):
    """One leaf as written. `share` in percent of everything."""

    name: str = Field(min_length=1, pattern=r"^[^/]+$")
    share: float = Field(ge=0, le=100)
    rest: bool = False
    en: Words
    zh: Words
    en_hint: Words = ()
    zh_hint: Words = ()
    prompts_en: Words = Field(min_length=1)
    prompts_zh: Words = Field(min_length=1)


class ClassEntry(_Strict):
    """One class as written. `synthetic`: the home of what was synthesised, and of nothing else."""

    name: str = Field(min_length=1, pattern=r"^[^/]+$")
    share: float = Field(gt=0, le=100)
    synthetic: bool = False
    leaf: tuple[LeafEntry, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _leaves_sum_to_the_class(self) -> ClassEntry:
        total = math.fsum(leaf.share for leaf in self.leaf)
        if abs(total - self.share) > ROUNDING:
            raise ValueError(f"the leaves of {self.name} sum to {total:.2f} percent, the class has {self.share:.2f}")
        return self


class TrackEntry(_Strict):
    """A track runs across the tree; `class` is the class of stage 6 that real images on it have."""

    name: str = Field(min_length=1)
    class_: str | None = Field(default=None, alias="class")
    prompts_en: Words = Field(min_length=1)
    prompts_zh: Words = Field(min_length=1)


class TaxonomyEntry(_Strict):
    """A taxonomy file as written."""

    name: str = Field(min_length=1)
    fallback: str
    track: tuple[TrackEntry, ...] = ()
    class_: tuple[ClassEntry, ...] = Field(min_length=1, alias="class")

    @model_validator(mode="after")
    def _paths_are_unique_and_the_fallback_is_one(self) -> TaxonomyEntry:
        paths = [f"{c.name}/{leaf.name}" for c in self.class_ for leaf in c.leaf]
        twice = sorted({path for path in paths if paths.count(path) > 1})
        if twice:
            raise ValueError(f"the path {twice[0]} stands twice")
        if self.fallback not in paths:
            raise ValueError(f"fallback {self.fallback!r} is no path of this tree")
        if any(c.synthetic for c in self.class_ if self.fallback.startswith(f"{c.name}/")):
            raise ValueError("the fallback cannot lie in the synthetic class")
        tracks = [track.name for track in self.track]
        if len(set(tracks)) != len(tracks) or not set(tracks) <= {"text", "portrait"}:
            raise ValueError(f"tracks are text and portrait, each at most once, got {', '.join(tracks)}")
        return self


@dataclass(frozen=True)
class Leaf:
    """A leaf of the tree. `share`: target share of everything, 0 to 1; all leaves sum to 1.

    `rest`: the home of what its class has besides; `synthetic`: of what was synthesised.
    """

    path: str
    class_name: str
    share: float
    synthetic: bool
    rest: bool
    en: Words
    zh: Words
    en_hint: Words
    zh_hint: Words
    prompts_en: Words
    prompts_zh: Words

    @property
    def name(self) -> str:
        return self.path.partition("/")[2]

    def prompts(self, language: str) -> Words:
        """Zero-shot prompts in `en` or `zh`."""
        return self.prompts_zh if language == "zh" else self.prompts_en


@dataclass(frozen=True)
class Track:
    """A track across the tree: `text` or `portrait`. `class_name`: class of stage 6 of the real images on it."""

    name: str
    class_name: str | None
    prompts_en: Words
    prompts_zh: Words


@dataclass(frozen=True)
class Taxonomy:
    """A checked tree. `fallback` is the path of what fits nowhere else."""

    name: str
    fallback: str
    leaves: tuple[Leaf, ...]
    tracks: tuple[Track, ...]

    @cached_property
    def _by_path(self) -> dict[str, Leaf]:
        return {leaf.path: leaf for leaf in self.leaves}

    @cached_property
    def _by_folded_name(self) -> dict[str, Leaf | None]:
        """Leaves by path and by bare name without case; None where a name is two leaves'."""
        found: dict[str, Leaf | None] = {}
        for leaf in self.leaves:
            found[_folded(leaf.name)] = None if _folded(leaf.name) in found else leaf
        return found | {_folded(leaf.path): leaf for leaf in self.leaves}

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(leaf.path for leaf in self.leaves)

    @cached_property
    def classes(self) -> dict[str, float]:
        """Target share of each class, 0 to 1, in the tree's order."""
        shares: dict[str, float] = {}
        for leaf in self.leaves:
            shares[leaf.class_name] = shares.get(leaf.class_name, 0.0) + leaf.share
        return shares

    @property
    def synthetic(self) -> Leaf | None:
        """The home of what was synthesised: the first leaf of the synthetic class."""
        return next((leaf for leaf in self.leaves if leaf.synthetic), None)

    @property
    def text_class(self) -> str | None:
        """Name of the class of stage 6 that real images on the text track have."""
        return next((track.class_name for track in self.tracks if track.name == "text"), None)

    @cached_property
    def hash(self) -> str:
        """16 hex digits that name the content: order, shares, words and prompts; not comments and spacing."""
        content = [self.name, self.fallback, [asdict(leaf) for leaf in self.leaves], [asdict(t) for t in self.tracks]]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False, sort_keys=True).encode()).hexdigest()[:16]

    def leaf(self, path: str) -> Leaf:
        """The leaf of that path. Raises UsageError, naming near paths, where there is none."""
        found = self.named(path)
        if found is None:
            raise UsageError(f"taxonomy {self.name} has no leaf {path!r}; it has {', '.join(self.paths)}")
        return found

    def named(self, path: str) -> Leaf | None:
        """The leaf of that path or that bare name, whatever its case; None where there is none or two."""
        return self._by_path.get(path) or self._by_folded_name.get(_folded(path))


def load_taxonomy(path_or_name: str | Path = DEFAULT) -> Taxonomy:
    """Read a taxonomy: a TOML file, or the name of one that ships (`qwen-image`).

    Raises UsageError, one line, for whatever is wrong with it.
    """
    file = find_taxonomy(path_or_name)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"taxonomy {file} cannot be read: {error}") from error
    return read_taxonomy(text, str(file))


def find_taxonomy(path_or_name: str | Path) -> Path:
    """The file of a taxonomy given by path or by the name of one that ships."""
    path = Path(path_or_name)
    if path.is_file():
        return path
    folder = resources.files("recipes") / "taxonomies"
    shipped = {Path(str(f)).stem: Path(str(f)) for f in folder.iterdir() if f.name.endswith(".toml")}
    if str(path_or_name) in shipped:
        return shipped[str(path_or_name)]
    raise UsageError(f"no taxonomy {path_or_name}: give the path of a TOML file or one of {', '.join(sorted(shipped))}")


@cache
def read_taxonomy(text: str, label: str) -> Taxonomy:
    """Like `load_taxonomy`, from text; `label` names the taxonomy in errors."""
    try:
        entry = TaxonomyEntry.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"taxonomy {label} is not valid TOML: {error}") from error
    except ValidationError as error:
        raise UsageError(f"taxonomy {label}: {_first_fault(error)}") from error
    total = math.fsum(leaf.share for c in entry.class_ for leaf in c.leaf)
    leaves = tuple(
        Leaf(
            path=f"{c.name}/{leaf.name}",
            class_name=c.name,
            share=leaf.share / total,
            synthetic=c.synthetic,
            **leaf.model_dump(exclude={"name", "share"}),
        )
        for c in entry.class_
        for leaf in c.leaf
    )
    tracks = tuple(Track(t.name, t.class_, t.prompts_en, t.prompts_zh) for t in entry.track)
    return Taxonomy(entry.name, entry.fallback, leaves, tracks)


def as_path(words: Sequence[str]) -> str:
    """A category path as one string: `["People", "portrait"]` is `People/portrait`."""
    return "/".join(word.strip() for word in words if word.strip())


def _folded(path: str) -> str:
    return path.casefold().replace("_", " ").strip()


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    place = ".".join(str(piece + 1) if isinstance(piece, int) else str(piece) for piece in fault["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{place + ': ' if place else ''}{fault['msg'].removeprefix('Value error, ')}{more}"
