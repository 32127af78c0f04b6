"""Folders and files of weights: what comes back, what is refused, and that nothing is half written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from mmdit_parity import TINY, inputs, tiny  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from model.config import MMDiTConfig  # noqa: E402
from model.layout import PREFIXES, expected_shapes, load_mmdit, save_mmdit  # noqa: E402
from model.mmdit import MMDiT  # noqa: E402
from model.weights import shards  # noqa: E402
from warehouse.errors import UsageError  # noqa: E402

WIDE = replace(TINY, attention_head_dim=128, axes_dims_rope=(16, 56, 56), num_attention_heads=1, num_layers=1)
INDEX = "diffusion_pytorch_model.safetensors.index.json"


def same(one: MMDiT, other: MMDiT) -> bool:
    wanted = one.state_dict()
    return list(wanted) == list(other.state_dict()) and all(
        torch.equal(wanted[key], tensor) and wanted[key].dtype == tensor.dtype
        for key, tensor in other.state_dict().items()
    )


def refused(place: Path, config: MMDiTConfig | None = None) -> str:
    with pytest.raises(UsageError) as raised:
        load_mmdit(place, config=config)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_parameters_of_the_default_configuration() -> None:
    with torch.device("meta"):
        model = MMDiT(MMDiTConfig())
    assert sum(parameter.numel() for parameter in model.parameters()) == 20_430_401_088
    block = sum(parameter.numel() for parameter in model.transformer_blocks[0].parameters())
    assert round(block / 1e6, 2) == 339.83
    assert len(expected_shapes(MMDiTConfig())) == 13 + 60 * 32


@pytest.mark.parametrize("limit", [10_000_000, 20_000, 1])
def test_what_is_saved_comes_back(tmp_path: Path, limit: int) -> None:
    model = tiny(dtype=torch.bfloat16)
    with torch.no_grad():
        model.txt_norm.float()  # types may be mixed
    folder = tmp_path / "transformer"
    save_mmdit(model, folder, shard_bytes=limit)
    files = sorted(path.name for path in folder.glob("*.safetensors"))
    assert (folder / INDEX).is_file() == (limit < 10_000_000)
    if limit == 1:
        assert len(files) == len(model.state_dict())
    if limit == 20_000:
        index = json.loads((folder / INDEX).read_text())
        assert set(index["weight_map"].values()) == set(files)
        assert index["metadata"]["total_size"] == sum(t.nbytes for t in model.state_dict().values())
        biggest = max(tensor.nbytes for tensor in model.state_dict().values())
        for name in files:
            assert sum(tensor.nbytes for tensor in load_file(folder / name).values()) <= max(limit, biggest)
    again = load_mmdit(folder)
    assert again.config == model.config
    assert same(model, again)
    assert all(parameter.requires_grad for parameter in again.parameters())
    assert same(model, load_mmdit(tmp_path)), "a pipeline's folder leads to its transformer"


def test_a_loaded_model_is_not_tied_to_its_file(tmp_path: Path) -> None:
    model = tiny()
    save_mmdit(model, tmp_path / "one")
    loaded = load_mmdit(tmp_path / "one")
    with torch.no_grad():
        for parameter in loaded.parameters():
            parameter.zero_()
    assert same(model, load_mmdit(tmp_path / "one"))


@given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.integers(1, 200))
def test_shards_hold_everything_once_in_order(sizes: list[int], limit: int) -> None:
    tensors = {str(place): torch.zeros(size) for place, size in enumerate(sizes)}
    groups = shards(tensors, limit)
    assert [name for group in groups for name in group] == list(tensors)
    assert all(groups)
    for group in groups:
        assert len(group) == 1 or sum(tensors[name].nbytes for name in group) <= limit


def test_finished_weights_are_not_overwritten_and_a_failure_leaves_nothing(tmp_path: Path) -> None:
    model = tiny()
    save_mmdit(model, tmp_path / "one")
    before = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    with pytest.raises(UsageError, match="exists already"):
        save_mmdit(tiny(seed=3), tmp_path / "one")
    assert {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()} == before
    broken = tiny()
    broken.proj_out = torch.nn.Linear(3, 4)
    with pytest.raises(UsageError, match=r"proj_out.weight is \[4, 3\] instead of \[16, 32\]"):
        save_mmdit(broken, tmp_path / "two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one"]
    (tmp_path / "empty").mkdir()
    save_mmdit(model, tmp_path / "empty")
    assert same(model, load_mmdit(tmp_path / "empty"))


def test_the_variant_comes_back_and_does_not_pass_for_the_public_class(tmp_path: Path) -> None:
    model = tiny(replace(TINY, mlp="swiglu", mlp_ratio=3.0))
    save_mmdit(model, tmp_path / "transformer")
    config = json.loads((tmp_path / "transformer" / "config.json").read_text())
    assert config["_class_name"] == "GlyphmillMMDiT"
    assert config["mlp"] == "swiglu"
    assert same(model, load_mmdit(tmp_path / "transformer"))


@pytest.mark.parametrize("prefix", ["", *PREFIXES, "model.diffusion_model.transformer."])
def test_single_files_of_any_prefix_are_read(tmp_path: Path, prefix: str) -> None:
    model = tiny(WIDE)
    state = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    save_file(state, tmp_path / "file.safetensors")
    again = load_mmdit(tmp_path / "file.safetensors")
    assert again.config == WIDE
    assert same(model, again)


def test_a_whole_checkpoint_gives_its_mmdit(tmp_path: Path) -> None:
    model = tiny(WIDE)
    state = {"model.diffusion_model." + name: tensor for name, tensor in model.state_dict().items()}
    state |= {"vae.conv.weight": torch.zeros(3), "model.diffusion_model.__index_timestep_zero__": torch.zeros(0)}
    save_file(state, tmp_path / "file.safetensors")
    again = load_mmdit(tmp_path / "file.safetensors")
    assert again.config == replace(WIDE, zero_cond_t=True)
    assert same(tiny(replace(WIDE, zero_cond_t=True)), again)


def test_a_file_whose_configuration_shapes_do_not_tell_asks_for_it(tmp_path: Path) -> None:
    model = tiny()
    save_file(model.state_dict(), tmp_path / "file.safetensors")
    assert "heads of 16 channels: give its configuration" in refused(tmp_path / "file.safetensors")
    assert same(model, load_mmdit(tmp_path / "file.safetensors", config=TINY))
    gated = tiny(replace(WIDE, mlp="swiglu", mlp_ratio=3.0))
    save_file(gated.state_dict(), tmp_path / "gated.safetensors")
    assert load_mmdit(tmp_path / "gated.safetensors").config == gated.config


def test_another_configuration_is_one_line_that_names_the_first_differences(tmp_path: Path) -> None:
    folder = tmp_path / "transformer"
    save_mmdit(tiny(), folder)
    text = refused(folder, replace(TINY, num_layers=4))
    assert "transformer_blocks.3.img_mod.1.weight is missing" in text
    assert "and 29 more" in text
    assert "(109 tensors, 141 expected)" in text
    assert "transformer_blocks.2.attn.add_k_proj.bias is not known" in refused(folder, replace(TINY, num_layers=2))
    assert "txt_norm.weight is [24] instead of [20]" in refused(folder, replace(TINY, joint_attention_dim=20))


def test_what_is_no_checkpoint_is_said(tmp_path: Path) -> None:
    assert "there is no" in refused(tmp_path / "nothing")
    assert "weights as diffusion_pytorch_model.safetensors are needed" in refused(tmp_path)
    folder = tmp_path / "transformer"
    save_mmdit(tiny(), folder, shard_bytes=60_000)
    (folder / "config.json").write_text("{")
    assert "config.json cannot be read" in refused(folder)
    (folder / "config.json").write_text('{"_class_name": "FluxTransformer2DModel"}')
    assert "holds a FluxTransformer2DModel" in refused(folder)
    (folder / "config.json").unlink()
    assert "no config.json" in refused(folder)
    (folder / "config.json").write_text(json.dumps(TINY.to_dict()))
    load_mmdit(folder)
    first = sorted(folder.glob("*.safetensors"))[0]
    whole = first.read_bytes()
    first.write_bytes(whole[:-5])
    assert "not a whole safetensors file" in refused(folder)
    first.write_bytes(b"")
    assert "not a whole safetensors file" in refused(folder)
    first.unlink()
    assert f"lacks {first.name}" in refused(folder)
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    assert "holds no MMDiT" in refused(tmp_path / "other.safetensors")


def test_eight_bit_weights_are_refused(tmp_path: Path) -> None:
    state = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in tiny(WIDE).state_dict().items()}
    save_file(state, tmp_path / "file.safetensors")
    assert "as F8_E4M3: get the file in bf16" in refused(tmp_path / "file.safetensors")


def test_a_loaded_model_gives_the_same_numbers(tmp_path: Path) -> None:
    model = tiny()
    save_mmdit(model, tmp_path / "transformer")
    batch = inputs(TINY, [[(3, 4)]], 4)
    assert torch.equal(batch.of(load_mmdit(tmp_path / "transformer")), batch.of(model))
