"""Our MMDiT against diffusers' class over our exported weights: outputs, gradients, the way there and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from mmdit_parity import TINY, inputs, public, run_public, tiny  # noqa: E402

from model.config import MMDiTConfig  # noqa: E402
from model.layout import load_mmdit, save_mmdit  # noqa: E402
from model.mmdit import MMDiT, sinusoid  # noqa: E402

Shapes = Sequence[tuple[int, int]]
CLOSE = 1e-5
CASES: dict[str, tuple[MMDiTConfig, Shapes, int, list[int] | None]] = {
    "one row": (TINY, [(4, 4)], 5, None),
    "odd sizes": (TINY, [(5, 3)], 6, [6, 6]),
    "text mask": (TINY, [(4, 6)], 9, [9, 4, 1]),
    "one reference": (TINY, [(4, 4), (4, 4)], 5, [5, 2]),
    "several references of odd sizes": (TINY, [(3, 5), (7, 2), (1, 9)], 4, [3, 4]),
    "time 0 for references": (replace(TINY, zero_cond_t=True), [(4, 3), (2, 5), (3, 3)], 6, [6, 3]),
    "time 0 without references": (replace(TINY, zero_cond_t=True), [(4, 3)], 6, [2, 6]),
    "one layer": (replace(TINY, num_layers=1), [(4, 3), (3, 3)], 6, [2, 6]),
    "patch 1": (replace(TINY, patch_size=1, out_channels=16), [(6, 4)], 3, None),
    "head of 128": (
        replace(TINY, attention_head_dim=128, axes_dims_rope=(16, 56, 56), num_layers=2),
        [(13, 8), (6, 7)],
        40,
        [40, 17],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients_are_those_of_diffusers(name: str, tmp_path: Path) -> None:
    config, shapes, text, lengths = CASES[name]
    given = inputs(config, [shapes] * (len(lengths) if lengths else 1), text, lengths)
    ours = tiny(config)
    peer = public(ours, tmp_path / "transformer")
    found, wanted = given.of(ours), run_public(peer, given)
    assert wanted.abs().max() > 0.3
    assert (found - wanted).abs().max() < CLOSE
    # The loss counts target tokens only, as training does.
    target = given.grids[0][0].tokens
    found[:, :target].square().mean().backward()
    wanted[:, :target].square().mean().backward()
    gradients = {key: parameter.grad for key, parameter in peer.named_parameters()}
    idle = ours.idle_parameters()
    for key, parameter in ours.named_parameters():
        gradient, peers = parameter.grad, gradients[key]
        if key in idle:  # diffusers computes what is thrown away: none, or exact zeros
            assert gradient is None
            assert peers is None or not peers.any()
            continue
        assert gradient is not None, key
        assert (gradient - peers).abs().max() <= CLOSE * max(1.0, float(peers.abs().max())), key


def test_what_a_masked_loss_tells_when_the_mask_is_wrong(tmp_path: Path) -> None:
    """The comparison itself can fail: other lengths give other numbers."""
    given = inputs(TINY, [[(4, 4)]] * 2, 6, [6, 3])
    ours = tiny()
    peer = public(ours, tmp_path / "transformer")
    other = replace(given, lengths=torch.tensor([6, 4]))
    assert (other.of(ours)[1] - run_public(peer, given)[1]).abs().max() > 100 * CLOSE


def test_there_and_back_is_bit_exact(tmp_path: Path) -> None:
    ours = tiny()
    peer = public(ours, tmp_path / "one")
    peer.save_pretrained(tmp_path / "two", max_shard_size="20KB")
    assert (tmp_path / "two" / "diffusion_pytorch_model.safetensors.index.json").is_file()
    again = load_mmdit(tmp_path / "two")
    assert again.config == ours.config
    wanted = ours.state_dict()
    assert list(again.state_dict()) == list(wanted)
    assert all(torch.equal(tensor, wanted[key]) for key, tensor in again.state_dict().items())


def test_bfloat16_travels_as_bfloat16(tmp_path: Path) -> None:
    pytest.importorskip("diffusers", reason="diffusers is not installed here")
    ours = tiny(dtype=torch.bfloat16)
    save_mmdit(ours, tmp_path / "ours")
    again = load_mmdit(tmp_path / "ours")
    assert {tensor.dtype for tensor in again.state_dict().values()} == {torch.bfloat16}
    assert all(torch.equal(tensor, ours.state_dict()[key]) for key, tensor in again.state_dict().items())


def test_every_name_and_shape_at_full_size_is_the_public_one() -> None:
    diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed here")
    from annotate.torchvision_shim import prepare_torchvision

    prepare_torchvision()
    with torch.device("meta"):
        ours = {key: tuple(tensor.shape) for key, tensor in MMDiT(MMDiTConfig()).state_dict().items()}
        peer = diffusers.QwenImageTransformer2DModel()
    assert ours == {key: tuple(tensor.shape) for key, tensor in peer.state_dict().items()}
    assert len(ours) == 1933
    assert sum(parameter.numel() for parameter in peer.parameters()) == 20_430_401_088


def test_the_configuration_is_read_by_diffusers_as_it_is(tmp_path: Path) -> None:
    config = replace(TINY, zero_cond_t=True, patch_size=1, out_channels=16)
    peer = public(tiny(config), tmp_path / "transformer")
    assert MMDiTConfig.from_dict(dict(peer.config)) == config
    told = json.loads((tmp_path / "transformer" / "config.json").read_text())
    assert told["_class_name"] == type(peer).__name__


def test_the_time_is_that_of_diffusers_also_where_it_rounds() -> None:
    pytest.importorskip("diffusers", reason="diffusers is not installed here")
    from annotate.torchvision_shim import prepare_torchvision

    prepare_torchvision()
    from diffusers.models.transformers.transformer_qwenimage import get_timestep_embedding

    sigma = torch.linspace(0, 1, 101)
    for rounded in (False, True):
        told = sigma.to(torch.bfloat16) if rounded else sigma
        wanted = get_timestep_embedding(told, 256, flip_sin_to_cos=True, downscale_freq_shift=0, scale=1000)
        assert (sinusoid(sigma, legacy_bf16=rounded) - wanted).abs().max() < 1e-6
