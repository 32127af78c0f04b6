"""Counts of operations, configurations by name, sheets of samples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_training import CONFIG, random_batch, tiny_model
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from model.readback import Pixels, Reading, compared
from model.training.cost import forward_flops, peak_flops, training_flops
from model.training.grids import GridSettings, sheet, write
from model.training.presets import model_config, width_of
from warehouse.errors import UsageError


def test_operations_are_those_that_torch_counts() -> None:
    model, batch = tiny_model(), random_batch(0, lengths=[5] * 6)
    # torch does not count the fused kernel of attention on a CPU
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        model.velocity(batch.latents, torch.full((6,), 0.5), batch.context)
    ours = forward_flops(CONFIG, [5] * 6, [16] * 6)
    assert ours == pytest.approx(counter.get_total_flops(), rel=1e-9)
    assert training_flops(CONFIG, [5], [16]) == 3 * forward_flops(CONFIG, [5], [16])
    assert peak_flops("NVIDIA H200") == 989e12
    assert peak_flops("a device of tomorrow") is None


def test_small_models_take_the_shapes_of_what_they_are_joined_to(tmp_path: Path) -> None:
    small = model_config("small", channels=16, factor=8, width=64)
    assert (small.patch_size, small.in_channels, small.out_channels, small.joint_attention_dim) == (2, 64, 16, 64)
    assert model_config("tiny", channels=64, factor=16, width=32).patch_size == 1
    assert width_of("qwen-image") == 3584
    file = tmp_path / "config.json"
    file.write_text(json.dumps(small.to_dict()))
    assert model_config(str(file), channels=16, factor=8, width=64) == small
    with pytest.raises(UsageError, match="takes latents of 16 channels, the VAE makes 4"):
        model_config(str(file), channels=4, factor=8, width=64)
    with pytest.raises(UsageError, match="takes text vectors of 64, the text encoder makes 32"):
        model_config(str(file), channels=16, factor=8, width=32)


def test_a_sheet_has_the_pictures_in_order_and_what_was_read(tmp_path: Path) -> None:
    pictures = [np.full((4, 6, 3), value, np.uint8) for value in (10, 20, 30, 40)]
    whole = sheet(pictures, 2)
    assert whole.shape == (10, 14, 3)
    assert [int(whole[y, x, 0]) for y in (0, 6) for x in (0, 8)] == [10, 20, 30, 40]
    assert int(whole[4, 0, 0]) == 255

    def reads(seen: Sequence[Pixels], texts: Sequence[str]) -> list[Reading]:
        return [Reading(compared(t), "永" if n == 0 else "") for n, t in enumerate(texts)]

    settings = GridSettings(("The character “永”.", "no text"), 4, 6, columns=2)
    told = write(tmp_path, 7, pictures, settings, reads)
    assert (told["exact"], told["accuracy"]) == (0.5, 0.5)
    assert json.loads((tmp_path / "step-000000007.json").read_text())["read"] == ["永", "", "", ""]
    assert (tmp_path / "step-000000007.png").exists()
