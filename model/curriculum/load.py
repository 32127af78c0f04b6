"""TOML to `Curriculum`, checked whole: what does not fit together is refused with one line before a lake is opened."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast

from model.batches import Task
from model.curriculum.ramp import Ramp
from model.curriculum.schema import TASKS, Curriculum, Decay, OnMissing, Optimizer, Phase, Resolution, Source
from model.curriculum.section import Section, unknown
from model.timesteps import Density, Timesteps, Weighting
from warehouse.buckets import ASPECT_BUCKETS, ratio
from warehouse.errors import UsageError
from warehouse.schema import CAPTION_KINDS

PREFIX = "curriculum-"
PARAMETER = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
KINDS: dict[Task, tuple[str, ...]] = {"t2i": CAPTION_KINDS, "ti2i": ("en", "zh")}
_CURRICULUM = (
    "name", "doc", "optimizer", "timesteps", "buckets", "multiple", "token", "dropout", "on_missing_caption",
    "captions", "values", "source", "phase",
)  # fmt: skip
_PHASE = (
    "name", "steps", "resolution", "shares", "learning_rate", "decay", "warmup", "edits", "dropout", "captions",
    "values", "segments",
)  # fmt: skip
_TIMESTEPS = ("density", "mean", "std", "mode_scale", "shift", "weighting")
_OPTIMIZER = ("name", "weight_decay", "clip", "beta1", "beta2", "eps", "ema")


def load(path_or_name: str | Path) -> Curriculum:
    """Read and check a curriculum: a TOML file, or the name of one that comes with Glyphmill (`qwen-image-2`).

    Raises UsageError, one line, for whatever is wrong with it.
    """
    file = find(path_or_name)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"curriculum {file} cannot be read: {error}") from error
    return loads(text, file.name)


def loads(text: str, label: str = "curriculum") -> Curriculum:
    """Like `load`, from text; `label` names the file in errors."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{label} is not valid TOML: {error}") from error
    return replace(_curriculum(Section(content, label, _CURRICULUM)), toml=text)


def shipped() -> dict[str, Path]:
    """The curricula that come with Glyphmill, by name."""
    files = (Path(str(file)) for file in resources.files("recipes").iterdir())
    found = (f for f in files if f.name.startswith(PREFIX) and f.suffix == ".toml")
    return {f.stem.removeprefix(PREFIX): f for f in sorted(found)}


def find(path_or_name: str | Path) -> Path:
    """The file of a curriculum given by path or name; raises UsageError."""
    path = Path(path_or_name)
    if path.is_file():
        return path
    known = shipped()
    name = str(path_or_name).removeprefix(PREFIX)
    if name in known:
        return known[name]
    raise UsageError(f"no curriculum {path_or_name}: give the path of a TOML file or one of {', '.join(known)}")


def _curriculum(section: Section) -> Curriculum:
    sources = {
        name: _source(name, Section(_table(section, "source", name), f"{section.where}, source {name}", _SOURCE))
        for name in section.table("source")
    }
    if not sources:
        raise UsageError(f"{section.where}: no source: add a [source.NAME] with sql")
    multiple, token = section.whole("multiple", 16), section.whole("token", 16)
    if multiple % token:
        raise section.fail("multiple", f"({multiple}) must be a multiple of token ({token})")
    buckets = section.texts("buckets", ASPECT_BUCKETS)
    for bucket in buckets:
        _shape(bucket, section)
    phases = tuple(
        _phase(Section(table, f"{section.where}, phase {table.get('name', number + 1)}", _PHASE), section, sources)
        for number, table in enumerate(section.tables("phase"))
    )
    if not phases:
        raise UsageError(f"{section.where}: no phase: add a [[phase]]")
    names = [phase.name for phase in phases]
    if len(set(names)) < len(names):
        raise UsageError(f"{section.where}: two phases have one name: {', '.join(names)}")
    unused = sources.keys() - {name for phase in phases for name in phase.shares}
    if unused:
        raise UsageError(f"{section.where}: no phase has a share of source {min(unused)}")
    return Curriculum(
        name=section.text("name"),
        doc=section.text("doc") if section.has("doc") else "",
        phases=phases,
        sources=sources,
        optimizer=_optimizer(Section(section.table("optimizer"), f"{section.where}, optimizer", _OPTIMIZER)),
        timesteps=_timesteps(Section(section.table("timesteps"), f"{section.where}, timesteps", _TIMESTEPS)),
        buckets=buckets,
        multiple=multiple,
        token=token,
        on_missing_caption=cast(OnMissing, section.one_of("on_missing_caption", ("error", "skip"), "error")),
    )


_SOURCE = ("sql", "task", "captions", "captions_sql")


def _source(name: str, section: Section) -> Source:
    task = cast(Task, section.one_of("task", TASKS, "t2i"))
    captions_sql = section.text("captions_sql") if section.has("captions_sql") else None
    if captions_sql and task == "ti2i":
        raise section.fail("captions_sql", "is for pictures: what an edit pair is told is its instruction")
    return Source(name, section.text("sql"), task, _mix(section, task), captions_sql)


def _mix(section: Section, task: Task) -> Mapping[str, Ramp] | None:
    """Shares of caption kinds; None where none are given."""
    if not section.has("captions"):
        return None
    mix = section.ramps("captions")
    for kind in mix:
        if kind not in KINDS[task]:
            raise UsageError(f"{section.where}: {unknown('caption kind', kind, KINDS[task])}")
    if not any(ramp.most > 0 for ramp in mix.values()):
        raise section.fail("captions", "have no share above 0")
    return mix


#: Of a phase; the longest published one has 700,000. A plan keeps some bytes of each.
MOST_STEPS = 10_000_000


def _phase(section: Section, whole: Section, sources: Mapping[str, Source]) -> Phase:
    shares = section.ramps("shares")
    for name in shares:
        if name not in sources:
            raise UsageError(f"{section.where}: {unknown('source', name, sources)}")
    edits = section.ramp("edits", 0.0, most=1.0)
    _refuse_idle(section, edits, {t: [r for n, r in shares.items() if sources[n].task == t] for t in TASKS})
    values = {**whole.ramps("values", least=float("-inf")), **section.ramps("values", least=float("-inf"))}
    segments, steps = section.whole("segments", 1), section.whole("steps")
    if steps > MOST_STEPS:
        raise section.fail("steps", f"({steps:,}) are more than a plan can have ({MOST_STEPS:,})")
    if segments > steps:
        raise section.fail("segments", f"({segments}) are more than its steps ({steps})")
    for name in shares:
        _check_parameters(section, sources[name], values)
    if segments == 1 and (moving := [name for name, ramp in values.items() if not ramp.constant]):
        raise section.fail("segments", f"must be 2 or more for value {moving[0]} to move")
    entries = section.tables("resolution")
    if not entries:
        raise UsageError(f"{section.where}: no resolution: add a [[phase.resolution]] with side and batch or tokens")
    resolutions = tuple(_resolution(Section(e, f"{section.where}, resolution", _RESOLUTION), whole) for e in entries)
    _refuse_zero(section, "shares of its resolutions", [resolution.share for resolution in resolutions])
    return Phase(
        name=section.text("name"),
        steps=steps,
        resolutions=resolutions,
        shares=shares,
        learning_rate=section.ramp("learning_rate") if section.has("learning_rate") else None,
        decay=cast(Decay, section.one_of("decay", ("linear", "cosine"), "linear")),
        warmup=section.whole("warmup", 0, least=0),
        edits=edits,
        dropout=section.number("dropout", whole.number("dropout", 0.1, most=1.0), most=1.0),
        captions=_mix(section, "t2i") or _mix(whole, "t2i"),
        values=values,
        segments=segments,
    )


def _refuse_idle(section: Section, edits: Ramp, shares: Mapping[Task, list[Ramp]]) -> None:
    """Each task that has steps has a source with a share at each of them, and each source a task that has steps."""
    for task, wanted, word in (
        ("t2i", any(point < 1 for point in edits.points), "text-to-image"),
        ("ti2i", edits.most > 0, "ti2i"),
    ):
        ramps = shares[cast(Task, task)]
        if wanted and not any(ramp.most > 0 for ramp in ramps):
            raise section.fail("shares", f"name no {word} source, but its steps ask for one (edits = {edits})")
        if not wanted and ramps:
            raise section.fail("edits", f"is {edits}, so that its {word} source would never be seen")
        if wanted:
            _refuse_zero(section, f"shares of its {word} sources", ramps)


def _refuse_zero(section: Section, what: str, ramps: list[Ramp]) -> None:
    """Ramps are straight between their points, so their sum is 0 somewhere only if it is at one of them."""
    points = {i / max(1, len(ramp.points) - 1) for ramp in ramps for i in range(len(ramp.points))}
    if any(sum(ramp.value(at) for ramp in ramps) <= 0 for at in points):
        raise UsageError(f"{section.where}: the {what} are all 0 at some step")


_RESOLUTION = ("side", "batch", "tokens", "divisible_by", "share", "sizes")


def _resolution(section: Section, whole: Section) -> Resolution:
    if section.has("batch") == section.has("tokens"):
        raise UsageError(f"{section.where}: give either batch (images of a step) or tokens (of a step)")
    multiple = whole.whole("multiple", 16)
    sizes = {}
    for bucket, entry in section.table("sizes").items():
        _shape(bucket, section)
        entry = cast(Any, entry)
        if not (isinstance(entry, list) and len(entry) == 2 and all(isinstance(v, int) and v > 0 for v in entry)):
            raise section.fail("sizes", f"{bucket} must be [width, height] in pixels, got {entry!r}")
        if entry[0] % multiple or entry[1] % multiple:
            raise section.fail("sizes", f"{bucket} = {entry} are no multiples of {multiple}")
        sizes[bucket] = (entry[1], entry[0])
    found = Resolution(
        side=section.whole("side", least=multiple),
        batch=section.whole("batch") if section.has("batch") else None,
        tokens=section.whole("tokens") if section.has("tokens") else None,
        divisible_by=section.whole("divisible_by", 1),
        share=section.ramp("share", 1.0),
        sizes=sizes,
    )
    if found.batch is not None and found.batch % found.divisible_by:
        raise section.fail("batch", f"({found.batch}) is no multiple of divisible_by ({found.divisible_by})")
    return found


def _optimizer(section: Section) -> Optimizer:
    usual = Optimizer()
    return Optimizer(
        name=cast(Any, section.one_of("name", ("adam", "adamw", "muon"), usual.name)),
        weight_decay=section.number("weight_decay", usual.weight_decay),
        clip=section.number("clip", usual.clip),
        beta1=section.number("beta1", usual.beta1, most=1.0),
        beta2=section.number("beta2", usual.beta2, most=1.0),
        eps=section.number("eps", usual.eps),
        ema=section.number("ema", usual.ema, most=1.0),
    )


def _timesteps(section: Section) -> Timesteps:
    usual = Timesteps()
    shift: float | Literal["resolution"] | None = usual.shift
    if section.content.get("shift") == "resolution":
        shift = "resolution"
    elif section.has("shift"):
        shift = section.number("shift", least=0.01)
    density = section.one_of("density", ("logit_normal", "uniform", "mode"), usual.density)
    weighting = section.one_of("weighting", ("none", "bell"), usual.weighting)
    try:
        return Timesteps(
            density=cast(Density, density),
            mean=section.number("mean", usual.mean, least=float("-inf")),
            std=section.number("std", usual.std, least=0.01),
            mode_scale=section.number("mode_scale", usual.mode_scale, least=-1.0),
            shift=shift,
            weighting=cast(Weighting, weighting),
        )
    except UsageError as error:
        raise UsageError(f"{section.where}: {str(error).removeprefix('timesteps: ')}") from error


def _check_parameters(section: Section, source: Source, values: Mapping[str, Ramp]) -> None:
    known = {*values, "side"}
    for sql in (source.sql, source.captions_sql or ""):
        for name in PARAMETER.findall(sql):
            if name not in known:
                raise UsageError(f"{section.where}, source {source.name}: {unknown('value', '$' + name, known)}")


def _table(section: Section, key: str, name: str) -> Mapping[str, object]:
    value = section.table(key)[name]
    if not isinstance(value, dict):
        raise section.fail(key, f"{name} must be a table, as in [{key}.{name}]")
    return value


def _shape(bucket: str, section: Section) -> None:
    try:
        ratio(bucket)
    except ValueError as error:
        raise UsageError(f"{section.where}: {error}") from error
