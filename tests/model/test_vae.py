"""The f8c16 autoencoder: parity with the public class, folders, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from vae_parity import parity, public, random_vae, seeded, shapes

from model.latents import normalise
from model.vae import QwenVae, QwenVaeConfig, small
from model.vae_loading import build, identity, latent_identity, load_vae, save_vae
from model.vae_parts import FrameConv
from model.vae_size import effective_parameters, total_parameters
from warehouse.errors import UsageError


@pytest.mark.parametrize(
    ("config", "height", "width", "batch"),
    [
        (small(4), 24, 40, 3),
        (small(6, num_res_blocks=2, dim_mult=(1, 2, 3), z_dim=5), 12, 20, 1),
        (small(4, dim_mult=(1, 1, 2, 2, 2), z_dim=8), 48, 16, 2),
    ],
)
def test_encode_and_decode_are_the_public_ones(
    config: QwenVaeConfig, height: int, width: int, batch: int, tmp_path: Path
) -> None:
    parity(config, tmp_path, height, width, batch)


def test_names_shapes_and_sizes_of_the_released_model() -> None:
    with torch.device("meta"):
        ours, theirs = QwenVae(QwenVaeConfig()), public("AutoencoderKLQwenImage")()
    assert shapes(ours) == shapes(theirs)
    total, effective = total_parameters(ours), effective_parameters(ours)
    assert [round(n / 1e6, 1) for n in (total.encoder, total.decoder)] == [53.6, 73.3]
    assert [round(n / 1e6, 1) for n in (effective.encoder, effective.decoder)] == [19.3, 25.3]


def test_defaults_are_the_released_configuration() -> None:
    theirs = dict(public("AutoencoderKLQwenImage")().config)
    ours = json.loads(json.dumps(QwenVaeConfig().to_dict()))
    for key, value in ours.items():
        if key != "_class_name":
            assert theirs[key] == value, key


def test_slices_that_see_only_earlier_frames_change_nothing_and_get_no_gradient() -> None:
    vae = random_vae(small(4))
    pixels = torch.linspace(-1, 1, 2 * 3 * 16 * 16).view(2, 3, 16, 16)
    before = vae.encode(pixels)
    vae.reconstruct(vae.posterior(pixels).mode()).square().mean().backward()
    for module in vae.modules():
        if isinstance(module, FrameConv):
            assert module.weight.grad is not None
            assert not module.weight.grad[:, :, :-1].any()
            with torch.no_grad():
                module.weight[:, :, :-1] += 1.0
    assert torch.equal(vae.encode(pixels), before)
    unused = {name for name, value in vae.named_parameters() if value.grad is None}
    assert unused == {name for name, _ in vae.named_parameters() if "time_conv" in name}


def test_neither_batch_nor_memory_order_changes_a_picture() -> None:
    vae = random_vae(small(8))
    with seeded(2):
        pixels = torch.rand(3, 3, 32, 48) * 2 - 1
    together = vae.encode(pixels)
    for row in range(3):
        torch.testing.assert_close(vae.encode(pixels[row : row + 1])[0], together[row], atol=1e-5, rtol=0)
    last = vae.encode(pixels.to(memory_format=torch.channels_last))
    assert torch.equal(last, together)
    assert last.is_contiguous()


def test_encode_normalises_by_mean_and_std_and_decode_undoes_it(tmp_path: Path) -> None:
    fresh = small(4, z_dim=4)
    mean, std = (0.5, -1.0, 0.0, 2.0), (2.0, 0.5, 1.0, 4.0)
    vae = random_vae(QwenVaeConfig(**{**fresh.__dict__, "latents_mean": mean, "latents_std": std}))
    with seeded(3):
        pixels = torch.rand(2, 3, 16, 16) * 2 - 1
    raw = vae.posterior(pixels).mode()
    latents = vae.encode(pixels)
    torch.testing.assert_close(latents[:, 3], (raw[:, 3] - 2.0) / 4.0)
    torch.testing.assert_close(latents, normalise(raw, mean, std))
    torch.testing.assert_close(vae.decode(latents), vae.reconstruct(raw).clamp(-1, 1), atol=1e-5, rtol=0)
    assert not latents.requires_grad
    save_vae(vae, tmp_path / "vae")
    assert torch.equal(load_vae(tmp_path / "vae").encode(pixels), latents)


def test_identity_tells_weights_and_statistics_apart_and_latents_from_decoders(tmp_path: Path) -> None:
    vae = random_vae(small(4))
    save_vae(vae, tmp_path / "vae")
    again = load_vae(tmp_path / "vae")
    assert identity(again) == identity(vae)
    assert len(identity(vae)) == 16
    with torch.no_grad():
        again.decoder.conv_out.bias += 1e-7
    assert identity(again) != identity(vae)
    assert latent_identity(again) == latent_identity(vae)
    with torch.no_grad():
        again.encoder.conv_out.bias += 1e-3
    assert latent_identity(again) != latent_identity(vae)
    other = build(QwenVaeConfig(**{**vae.config.__dict__, "latents_std": (2.0,) * 16}))
    other.load_state_dict(vae.state_dict())
    assert identity(other) != identity(vae)
    assert latent_identity(other) != latent_identity(vae)


def test_a_folder_is_never_overwritten_unless_asked(tmp_path: Path) -> None:
    first, second = random_vae(small(4)), build(small(4))
    save_vae(first, tmp_path / "vae")
    with pytest.raises(UsageError, match="exists already"):
        save_vae(second, tmp_path / "vae")
    assert identity(load_vae(tmp_path / "vae")) == identity(first)
    save_vae(second, tmp_path / "vae", replace=True)
    assert identity(load_vae(tmp_path / "vae")) == identity(second)
    assert [file.name for file in tmp_path.iterdir()] == ["vae"]  # nothing temporary is left


def _config(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_what_cannot_be_loaded_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "vae"
    with pytest.raises(UsageError, match=r"no config\.json"):
        load_vae(folder)
    for changes, told in (
        ({"_class_name": "AutoencoderKL"}, "is of AutoencoderKL; here run AutoencoderKLQwenImage"),
        ({"base_dim": 8}, r"not those of its config\.json: \d+ tensors differ, the first is \w+"),
        ({"attn_scales": [1.0]}, "attn_scales"),
        ({"surprise": 1}, "does not know: surprise"),
        ({"latents_std": [1.0]}, "need 16 values"),
        ({"latents_std": [0.0] * 16}, "positive"),
        ({"temperal_downsample": [True]}, "3 halvings"),
    ):
        save_vae(build(small(4)), folder, replace=True)
        _config(folder, **changes)
        with pytest.raises(UsageError, match=told):
            load_vae(folder)
    save_vae(build(small(4)), folder, replace=True)
    weights = folder / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UsageError, match="cannot be read"):
        load_vae(folder)
    weights.unlink()
    with pytest.raises(UsageError, match="no diffusion_pytorch_model"):
        load_vae(folder)


def test_weights_in_several_files_load(tmp_path: Path) -> None:
    vae = random_vae(small(4))
    save_vae(vae, tmp_path / "ours")
    theirs = public("AutoencoderKLQwenImage").from_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="200KB")
    assert len(list((tmp_path / "theirs").glob("*.safetensors"))) > 1
    assert identity(load_vae(tmp_path / "theirs")) == identity(vae)


def test_pixels_and_latents_of_another_shape_are_refused() -> None:
    vae = build(small(4))
    for shape in ((3, 16, 16), (1, 4, 16, 16), (1, 3, 16, 20)):
        with pytest.raises(UsageError, match="multiples of 8"):
            vae.encode(torch.zeros(shape))
    with pytest.raises(UsageError, match="latents must be"):
        vae.decode(torch.zeros(1, 4, 2, 2))
