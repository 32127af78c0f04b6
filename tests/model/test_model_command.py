"""glyphmill model: a training's weights as a folder, public weights checked, sizes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from commands import here  # noqa: E402
from mmdit_parity import TINY, tiny  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from vae_parity import random_vae  # noqa: E402

from model.checkpoint import Role, TrainingState, save_checkpoint  # noqa: E402
from model.components import load as load_components  # noqa: E402
from model.config import MMDiTConfig  # noqa: E402
from model.layout import load_mmdit, save_mmdit  # noqa: E402
from model.mmdit import MMDiT  # noqa: E402
from model.text.characters import CharacterEncoder  # noqa: E402
from model.text.encoder import save_text  # noqa: E402
from model.vae import small  # noqa: E402
from model.vae_loading import latent_identity, save_vae  # noqa: E402

CONFIG = replace(TINY, num_layers=1)
VAE = small(2, dim_mult=(1, 1), z_dim=4)


def same(one: MMDiT, other: MMDiT) -> bool:
    wanted = one.state_dict()
    return all(torch.equal(wanted[key], tensor) for key, tensor in other.state_dict().items())


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A training run as far as it matters: two checkpoints, its VAE and its text encoder."""
    folder, vae = tmp_path / "run", random_vae(VAE)
    save_vae(vae, tmp_path / "vae")
    save_text(CharacterEncoder(24), folder / "text_encoder")
    (folder / "run.json").write_text(json.dumps({"format": 1, "settings": {"vae": str(tmp_path / "vae")}}))
    trained_with = CharacterEncoder(24).identity.replace("float32", "bfloat16")  # on a GPU
    identity = {"model": CONFIG.to_dict(), "vae": latent_identity(vae), "text": trained_with}
    for step in (10, 20):
        average = {name: tensor.detach() for name, tensor in tiny(CONFIG, seed=step + 1).named_parameters()}
        state = TrainingState({"model": Role(tiny(CONFIG, seed=step), None, average)}, {}, identity)
        save_checkpoint(folder / "checkpoints", step, state)
    return folder


def test_a_run_becomes_a_whole_checkpoint(run: Path, tmp_path: Path) -> None:
    done = here("model", "export", run, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "a whole checkpoint" in done.stdout
    assert "averaged weights" in done.stdout
    parts = load_components(tmp_path / "out")
    assert same(parts.mmdit, tiny(CONFIG, seed=21))
    assert parts.text.identity == CharacterEncoder(24).identity
    assert latent_identity(parts.vae) == latent_identity(random_vae(VAE))


def test_which_weights_of_which_step(run: Path, tmp_path: Path) -> None:
    asked = ((("--weights", "model"), 20), (("--step", 10), 11), (("--step", 10, "--weights", "model"), 10))
    for place, (options, seed) in enumerate(asked):
        out = tmp_path / str(place)
        assert here("model", "export", run, "--out", out, *options).returncode == 0
        assert same(load_mmdit(out / "transformer"), tiny(CONFIG, seed=seed))
    (one,) = (run / "checkpoints").glob("step-*10")
    assert here("model", "export", one, "--out", tmp_path / "one").returncode == 0
    assert same(load_mmdit(tmp_path / "one"), tiny(CONFIG, seed=11))


def test_without_its_vae_the_transformer_alone(run: Path, tmp_path: Path) -> None:
    (run / "run.json").unlink()
    done = here("model", "export", run, "--out", tmp_path / "out")
    assert "the transformer alone (give --vae for the rest)" in done.stdout
    assert same(load_mmdit(tmp_path / "out"), tiny(CONFIG, seed=21))
    done = here("model", "export", run, "--vae", tmp_path / "vae", "--out", tmp_path / "whole")
    assert "a whole checkpoint" in done.stdout


def refused(*arguments: object) -> str:
    done = here(*arguments)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr


def test_what_cannot_be_exported_is_said_and_nothing_is_written(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "has no checkpoint of step 15; it has 10, 20" in refused("model", "export", run, "--out", out, "--step", 15)
    assert "there is no folder" in refused("model", "export", tmp_path / "nothing", "--out", out)
    assert "neither checkpoints of a training" in refused("model", "export", tmp_path, "--out", out)
    other = random_vae(VAE)
    torch.nn.init.ones_(other.quant_conv.weight)
    save_vae(other, tmp_path / "other")
    assert "not the VAE of this training" in refused("model", "export", run, "--vae", tmp_path / "other", "--out", out)
    save_text(CharacterEncoder(24, seed=5), tmp_path / "words")
    text = refused("model", "export", run, "--text", tmp_path / "words", "--out", out)
    assert "not the text encoder of this training" in text
    assert not out.exists()
    assert "exists already" in refused("model", "export", run, "--out", tmp_path / "vae")
    dry = here("model", "export", run, "--out", out, "--dry-run")
    assert dry.stdout.startswith("would write")
    assert not out.exists()


def test_a_variant_is_exported_and_said_not_to_be_public(tmp_path: Path) -> None:
    model = tiny(replace(CONFIG, mlp="swiglu"))
    save_mmdit(model, tmp_path / "one")
    done = here("model", "export", tmp_path / "one", "--out", tmp_path / "two")
    assert "diffusers does not" in done.stdout
    assert same(load_mmdit(tmp_path / "two"), model)


def test_import_takes_files_and_folders(tmp_path: Path) -> None:
    model = tiny(CONFIG, dtype=torch.bfloat16)
    state = {"model.diffusion_model." + name: tensor for name, tensor in model.state_dict().items()}
    save_file(state, tmp_path / "file.safetensors")
    (tmp_path / "c.json").write_text(json.dumps(CONFIG.to_dict()))
    asked = ("model", "import", tmp_path / "file.safetensors", "--config", tmp_path / "c.json", "--out")
    assert here(*asked, tmp_path / "dry", "--dry-run").stdout.startswith("would write")
    assert not (tmp_path / "dry").exists()
    done = here(*asked, tmp_path / "one")
    assert done.returncode == 0, done.stderr
    assert here("model", "import", tmp_path / "one", "--out", tmp_path / "two").returncode == 0
    again = load_mmdit(tmp_path / "two")
    assert same(again, model)
    assert again.proj_out.weight.dtype == torch.bfloat16
    assert "is of another configuration" in refused(*asked[:3], "--config", "qwen-image", "--out", tmp_path / "three")
    assert "neither a file nor a known configuration" in refused(*asked[:3], "--config", "x", "--out", tmp_path / "y")
    assert not (tmp_path / "three").exists()


def test_sizes_are_the_published_ones() -> None:
    done = here("model", "size")
    assert done.returncode == 0, done.stderr
    for figure in ("20,430,401,088", "6,796,984,320", "53,596,928", "73,295,603", "78,692,192", "259,048,212"):
        assert figure in done.stdout
    assert "19.3 M" in done.stdout
    assert here("model", "size", "--config", "qwen-image-2").returncode == 0


def test_size_of_a_configuration_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(TINY.to_dict()))
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in MMDiT(TINY).parameters())
    assert f"{count:,}" in here("model", "size", "--config", tmp_path).stdout
    (tmp_path / "config.json").write_text("[]")
    assert "holds no configuration" in refused("model", "size", "--config", tmp_path)
    assert MMDiTConfig() != TINY
