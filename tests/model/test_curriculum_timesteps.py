"""How often a training sees each noise level is a matter of its curriculum."""

from __future__ import annotations

import json

import pytest

from model.curriculum.load import load, loads
from model.curriculum.schema import Timesteps
from model.curriculum.stored import from_dict, to_dict
from warehouse.errors import UsageError

TOML = """
name = "c"
{timesteps}
[source.all]
sql = "SELECT image_id FROM samples"
[[phase]]
name = "p"
steps = 1
shares = {{ all = 1.0 }}
[[phase.resolution]]
side = 64
batch = 1
"""


def _loaded(told: str) -> Timesteps:
    return loads(TOML.format(timesteps=f"[timesteps]\n{told}")).timesteps


def test_what_is_told_is_what_training_gets() -> None:
    assert _loaded("") == Timesteps()
    assert _loaded('shift = "resolution"').shift == "resolution"
    assert _loaded("shift = 3").shift == 3.0
    told = _loaded('density = "uniform"\nmean = -0.5\nstd = 1.5')
    assert told == Timesteps("uniform", -0.5, 1.5, None)


@pytest.mark.parametrize("told", ["shift = 0", 'shift = "more"', "std = 0", 'density = "normal"', "scale = 1"])
def test_what_makes_no_density_is_refused_by_name(told: str) -> None:
    with pytest.raises(UsageError, match=f"timesteps: .*{told.split()[0]}"):
        _loaded(told)


def test_it_is_part_of_the_identity_and_is_kept() -> None:
    plain, shifted = loads(TOML.format(timesteps="")), loads(TOML.format(timesteps="[timesteps]\nshift = 2"))
    assert plain.digest != shifted.digest
    for curriculum in (shifted, load("glyphs")):
        assert from_dict(json.loads(json.dumps(to_dict(curriculum)))).timesteps == curriculum.timesteps
