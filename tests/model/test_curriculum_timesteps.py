"""How often a training sees each noise level is a matter of its curriculum."""

from __future__ import annotations

import json

import pytest

from model.curriculum.load import load, loads
from model.curriculum.stored import from_dict, to_dict
from model.timesteps import Timesteps
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
    assert told == Timesteps("uniform", -0.5, 1.5)
    assert _loaded('density = "mode"\nmode_scale = 0.8') == Timesteps("mode", mode_scale=0.8)
    assert _loaded('density = "uniform"\nweighting = "bell"') == Timesteps("uniform", weighting="bell")


@pytest.mark.parametrize(
    "told",
    [
        "shift = 0",
        'shift = "more"',
        "std = 0",
        "mode_scale = 2",
        'weighting = "bell"',
        'weighting = "more"',
        'density = "normal"',
        "scale = 1",
    ],
)
def test_what_makes_no_density_is_refused_by_name(told: str) -> None:
    with pytest.raises(UsageError, match=f"timesteps: .*{told.split()[0]}"):
        _loaded(told)


def test_it_is_part_of_the_identity_and_is_kept() -> None:
    plain, shifted = loads(TOML.format(timesteps="")), loads(TOML.format(timesteps="[timesteps]\nshift = 2"))
    bell = loads(TOML.format(timesteps='[timesteps]\ndensity = "uniform"\nweighting = "bell"'))
    assert len({plain.digest, shifted.digest, bell.digest}) == 3
    for curriculum in (shifted, load("glyphs"), bell):
        assert from_dict(json.loads(json.dumps(to_dict(curriculum)))).timesteps == curriculum.timesteps


def test_a_loaded_curriculum_is_what_noise_is_drawn_by() -> None:
    """One class: whatever the curriculum may say, `model.flow` draws and weighs by it, with nothing to hand over."""
    flow = pytest.importorskip("model.flow")
    assert flow.Timesteps is type(_loaded(""))
    sigma = flow.stratified(8)
    bell = flow.loss_weight(sigma, _loaded('density = "uniform"\nweighting = "bell"'))
    assert bell[3] > bell[0]
    assert (flow.loss_weight(sigma, _loaded("")) == 1).all()


@pytest.mark.parametrize("name", ["qwen-image", "qwen-image-2"])
def test_the_reports_curricula_average_and_are_trained_where_they_are_sampled(name: str) -> None:
    """What is exported by default is the average, so that there must be one."""
    curriculum = load(name)
    assert curriculum.optimizer.ema == 0.9999
    assert curriculum.timesteps.shift == "resolution"
