"""The tables of the released checkpoints, to four decimals and as diffusers' scheduler makes them."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.schedule import (
    FILE,
    LIGHTNING,
    ScheduleConfig,
    factor,
    load_schedule,
    mu,
    save_schedule,
    sigmas,
    table,
)
from warehouse.errors import UsageError

torch = pytest.importorskip("torch")
QWEN = ScheduleConfig()


def tokens(width: int, height: int | None = None) -> int:
    return width // 16 * ((height or width) // 16)


@pytest.mark.parametrize(
    ("side", "shift", "times"),
    [(256, 0.500, 1.65), (512, 0.539, 1.71), (640, 0.568, 1.76), (1024, 0.694, 2.00), (1328, 0.834, 2.30),
     (1664, 1.032, 2.81)],
)  # fmt: skip
def test_the_shift_grows_with_the_picture(side: int, shift: float, times: float) -> None:
    assert mu(tokens(side), QWEN) == pytest.approx(shift, abs=5e-4)
    assert factor(tokens(side), QWEN) == pytest.approx(times, abs=5e-3)


def test_ten_steps_at_512() -> None:
    wanted = [1, 0.929, 0.8515, 0.7666, 0.6733, 0.5701, 0.4555, 0.3274, 0.1833, 0.02, 0]
    assert [round(s, 4) for s in table(10, tokens(512), QWEN)] == wanted


def test_the_distilled_schedule() -> None:
    assert table(4, tokens(1328), LIGHTNING) == pytest.approx([1, 0.9, 0.75, 0.5, 0])
    assert table(4, tokens(256), LIGHTNING) == table(4, tokens(1664), LIGHTNING)


@given(st.integers(1, 100), st.integers(1, 20000), st.sampled_from([None, 0.02, 0.1]))
def test_a_table_falls_from_one_to_zero(steps: int, size: int, last: float | None) -> None:
    found = table(steps, size, ScheduleConfig(shift_terminal=last))
    assert len(found) == steps + 1
    assert found[0] == pytest.approx(1)
    assert found[-1] == 0
    assert all(a > b for a, b in itertools.pairwise(found))
    assert all(math.isfinite(s) for s in found)
    if last is not None and steps > 1:
        assert found[-2] == pytest.approx(last)


@pytest.mark.parametrize(
    "config",
    [
        QWEN,
        LIGHTNING,
        ScheduleConfig(time_shift_type="linear"),
        ScheduleConfig(use_dynamic_shifting=False, shift=3.0, shift_terminal=None),
        ScheduleConfig(use_dynamic_shifting=False, shift=2.2),
    ],
    ids=["qwen", "lightning", "linear", "fixed", "fixed-stretched"],
)
def test_diffusers_opens_the_file_and_makes_the_same_table(config: ScheduleConfig, tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    save_schedule(config, tmp_path)
    theirs = diffusers.FlowMatchEulerDiscreteScheduler.from_pretrained(tmp_path)
    for steps in (2, 4, 10, 50):
        for size in (16, tokens(512), tokens(1664, 928)):
            asked = [1 - i / steps for i in range(steps)]
            theirs.set_timesteps(sigmas=asked, mu=mu(size, config))
            torch.testing.assert_close(sigmas(steps, size, config), theirs.sigmas, atol=1e-6, rtol=0)


def test_a_file_comes_back(tmp_path: Path) -> None:
    for config in (QWEN, LIGHTNING):
        save_schedule(config, tmp_path)
        assert load_schedule(tmp_path) == config


def test_fields_that_a_file_lacks_are_those_of_diffusers(tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    (tmp_path / FILE).write_text(json.dumps({"_class_name": "FlowMatchEulerDiscreteScheduler"}))
    theirs = diffusers.FlowMatchEulerDiscreteScheduler.from_pretrained(tmp_path)
    wanted = {key: value for key, value in theirs.config.items() if not key.startswith("_")}
    assert dataclasses.asdict(load_schedule(tmp_path)) == wanted


def test_what_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no schedule at"):
        load_schedule(tmp_path)
    for told, words in (
        ({"_class_name": "DDIMScheduler"}, "DDIMScheduler is not known"),
        ({"use_karras_sigmas": True}, "use_karras_sigmas is not known"),
        ({"flavour": 1}, "unknown field flavour"),
        ({"time_shift_type": "square"}, "not exponential or linear"),
        ([], "holds no settings"),
    ):
        (tmp_path / FILE).write_text(json.dumps(told))
        with pytest.raises(UsageError, match=words):
            load_schedule(tmp_path)
    with pytest.raises(UsageError, match="at least one"):
        table(0, 16, QWEN)
