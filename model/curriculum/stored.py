"""A checked curriculum as plain data and back: what a plan keeps, settings that the file did not name included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from model.curriculum.ramp import Ramp
from model.curriculum.schema import Curriculum, Optimizer, Phase, Resolution, Source
from model.timesteps import Timesteps

Plain = Mapping[str, Any]


def to_dict(curriculum: Curriculum) -> dict[str, Any]:
    """Only dicts, lists, strings, numbers and None."""
    return asdict(curriculum)


def from_dict(plain: Plain) -> Curriculum:
    """What `to_dict` was given; its values may have been through JSON."""
    return Curriculum(
        **{
            **plain,
            "buckets": tuple(plain["buckets"]),
            "optimizer": Optimizer(**plain["optimizer"]),
            "timesteps": Timesteps(**plain["timesteps"]),
            "sources": {name: _source(entry) for name, entry in plain["sources"].items()},
            "phases": tuple(map(_phase, plain["phases"])),
        }
    )


def _source(plain: Plain) -> Source:
    return Source(**{**plain, "captions": _ramps(plain["captions"])})


def _phase(plain: Plain) -> Phase:
    rate = plain["learning_rate"]
    return Phase(
        **{
            **plain,
            "resolutions": tuple(map(_resolution, plain["resolutions"])),
            "shares": _ramps(plain["shares"]),
            "values": _ramps(plain["values"]),
            "captions": _ramps(plain["captions"]),
            "edits": _ramp(plain["edits"]),
            "learning_rate": None if rate is None else _ramp(rate),
        }
    )


def _resolution(plain: Plain) -> Resolution:
    sizes = {bucket: (int(height), int(width)) for bucket, (height, width) in plain["sizes"].items()}
    return Resolution(**{**plain, "share": _ramp(plain["share"]), "sizes": sizes})


def _ramps(plain: Plain | None) -> dict[str, Ramp] | None:
    return None if plain is None else {name: _ramp(entry) for name, entry in plain.items()}


def _ramp(plain: Plain) -> Ramp:
    return Ramp(tuple(plain["points"]))
