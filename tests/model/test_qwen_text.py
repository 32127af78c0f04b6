"""The frozen Qwen encoders on tiny random models in real folders: what is dropped, which state, pictures, padding."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_checkpoint import tiny_components
from tiny_qwen import WIDTH, make_qwen

from warehouse.errors import UsageError

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from model import components  # noqa: E402
from model.generate import Settings, Wish, latents  # noqa: E402
from model.text.encoder import BLANK, Prompt, load_text, save_text  # noqa: E402
from model.text.qwen import QwenEncoder, _resized  # noqa: E402
from model.text.templates import QWEN_IMAGE, QWEN_IMAGE_2, rendered  # noqa: E402

KINDS = ("qwen2_5_vl", "qwen3_vl")
TEXTS = ("A sign “营业中”, open daily", "x", "a longer one, with more words than the others have")
TAIL = 5  # <|im_end|> newline <|im_start|> assistant newline


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("qwen")
    return {kind: make_qwen(root / kind, kind, apart=kind == KINDS[0]) for kind in KINDS}


@pytest.fixture(scope="module", params=KINDS)
def encoder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> QwenEncoder:
    return QwenEncoder(folders[request.param], device="cpu")


@pytest.fixture(scope="module")
def qwen2(folders: dict[str, Path]) -> QwenEncoder:
    return QwenEncoder(folders[KINDS[0]], device="cpu")


def pictures(*shapes: tuple[int, int]) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(1)
    return tuple(rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes)


def test_the_released_numbers_of_tokens_are_dropped(encoder: QwenEncoder) -> None:
    """34 and 64 are counted, not written down: every word of the templates is one token of Qwen's vocabulary."""
    drops = {"qwen2_5_vl": "drop=34/64", "qwen3_vl": "drop=12/12"}
    assert drops[encoder.identity.split()[0]] in encoder.identity
    (blank,) = encoder.encode([BLANK])
    user = 0 if "qwen2_5_vl" in encoder.identity else 3  # <|im_start|> user newline are kept
    assert blank.shape == (user + 1 + TAIL, WIDTH)


def test_templates_are_the_released_ones() -> None:
    assert rendered(QWEN_IMAGE, "x") == (
        "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial "
        "relationships of the objects and background:<|im_end|>\n<|im_start|>user\nx<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    group = "<|vision_start|><|image_pad|><|vision_end|>"
    assert f"user\nPicture 1: {group}Picture 2: {group}x<|im_end|>" in rendered(QWEN_IMAGE, "x", 2)
    assert f"user\n<image1>{group} <image2>{group}x<|im_end|>" in rendered(QWEN_IMAGE_2, "x", 2)
    assert rendered(QWEN_IMAGE, "") == rendered(QWEN_IMAGE, " ")


def test_diffusers_pipeline_encodes_the_same(qwen2: QwenEncoder) -> None:
    diffusers = pytest.importorskip("diffusers")
    import transformers

    places = qwen2.places
    text_encoder = transformers.Qwen2_5_VLForConditionalGeneration.from_pretrained(places.weights)
    tokenizer = transformers.AutoTokenizer.from_pretrained(places.tokenizer)
    theirs = diffusers.QwenImagePipeline(None, None, text_encoder, tokenizer, None)
    embeds, mask = theirs._get_qwen_prompt_embeds(list(TEXTS), device="cpu")
    for ours, row, kept in zip(qwen2.encode([Prompt(text) for text in TEXTS]), embeds, mask, strict=True):
        torch.testing.assert_close(ours, row[: kept.sum()], atol=1e-5, rtol=0)


def test_diffusers_editing_pipeline_encodes_the_same_once_told_of_pictures(qwen2: QwenEncoder) -> None:
    """As it is, it does not tell transformers 5 which tokens are pictures, and their positions are wrong."""
    diffusers = pytest.importorskip("diffusers")
    import transformers

    places = qwen2.places
    text_encoder = transformers.Qwen2_5_VLForConditionalGeneration.from_pretrained(places.weights)
    processor = transformers.AutoProcessor.from_pretrained(places.processor)
    theirs = diffusers.QwenImageEditPlusPipeline(None, None, text_encoder, processor.tokenizer, processor, None)
    images = pictures((64, 96), (96, 64))
    small = [_resized(image, 384 * 384) for image in images]
    (ours,) = qwen2.encode([Prompt("make it red", images)])
    untold, _ = theirs._get_qwen_prompt_embeds(["make it red"], small, device="cpu")
    assert (untold[0] - ours).abs().max() > 0.1
    forward = text_encoder.forward

    def telling(**given):
        kinds = (given["input_ids"] == text_encoder.config.image_token_id).long()
        return forward(**given, mm_token_type_ids=kinds)

    text_encoder.forward = telling
    told, _ = theirs._get_qwen_prompt_embeds(["make it red"], small, device="cpu")
    torch.testing.assert_close(told[0], ours, atol=1e-5, rtol=0)


def test_the_state_is_before_or_after_the_final_norm(folders: dict[str, Path]) -> None:
    """And the two differ, so that taking the wrong one is seen."""
    for kind, default in ((KINDS[0], "normed"), (KINDS[1], "unnormed")):
        found = {state: QwenEncoder(folders[kind], device="cpu", state=state) for state in ("normed", "unnormed")}
        assert f"state={default}" in QwenEncoder(folders[kind], device="cpu").identity
        norm = getattr(found["normed"]._model, "language_model").norm  # noqa: B009
        (normed,), (raw,) = (found[state].encode([Prompt(TEXTS[0])]) for state in ("normed", "unnormed"))
        torch.testing.assert_close(norm(raw), normed)
        assert (raw - normed).abs().max() > 0.1
        assert found["normed"].identity != found["unnormed"].identity


def test_company_and_padding_change_nothing(encoder: QwenEncoder) -> None:
    asked = [Prompt(TEXTS[0]), Prompt(TEXTS[1], pictures((50, 90), (64, 64))), Prompt(TEXTS[2]), BLANK.blanked()]
    whole = encoder.encode(asked)
    for prompt, together in zip(asked, whole, strict=True):
        torch.testing.assert_close(encoder.encode([prompt])[0], together, atol=1e-5, rtol=0)
    assert len({len(row) for row in whole}) == 4


def test_every_picture_is_seen_in_its_place(encoder: QwenEncoder) -> None:
    one, two = pictures((50, 90), (64, 64))
    (first,), (second,), (both,), (turned,) = (
        encoder.encode([Prompt("x", some)]) for some in ((one,), (two,), (one, two), (two, one))
    )
    assert len(both) == len(turned) > max(len(first), len(second))
    assert (both - turned).abs().max() > 0.1
    blank = Prompt("x", (one, two)).blanked()
    assert blank.images == (one, two)
    assert len(encoder.encode([blank])[0]) == len(both)


def test_pictures_have_positions_in_two_dimensions(encoder: QwenEncoder) -> None:
    """A picture and its mirror image of columns: with one-dimensional positions the model would get them wrong."""
    seen: list[torch.Tensor] = []
    text = getattr(encoder._model, "language_model")  # noqa: B009
    hook = text.rotary_emb.register_forward_pre_hook(lambda module, given: seen.append(given[1]))
    encoder.encode([Prompt("x", pictures((384, 384)))])
    hook.remove()
    height, width = seen[0][1, 0], seen[0][2, 0]
    assert (height != width).any()


def test_references_are_seen_at_384(encoder: QwenEncoder) -> None:
    for shape, size in (((50, 90), (512, 288)), ((384, 384), (384, 384)), ((3000, 1000), (224, 672))):
        (image,) = pictures(shape)
        assert _resized(image, 384 * 384).size == size


def test_long_prompts_are_cut_as_the_released_pipelines_cut(folders: dict[str, Path]) -> None:
    encoder = QwenEncoder(folders[KINDS[0]], device="cpu", limit=20)
    long, short = Prompt("abc " * 30), Prompt("abc")
    assert encoder.count(long) > 20 >= encoder.count(short)
    assert encoder.count(short) == len(encoder.encode([short])[0])
    whole = QwenEncoder(folders[KINDS[0]], device="cpu").encode([long])[0]
    (cut,) = encoder.encode([long])
    assert len(cut) == 20
    torch.testing.assert_close(cut, whole[:20], atol=1e-5, rtol=0)
    seen = pictures((64, 64))
    (edited,) = encoder.encode([Prompt("abc " * 30, seen)])
    per_picture = len(edited) - 20  # pictures are not counted, and not cut
    assert per_picture > 100
    assert encoder.count(Prompt("abc", seen)) == len(encoder.encode([Prompt("abc", seen)])[0]) - per_picture
    with pytest.raises(UsageError, match="leave no room"):
        QwenEncoder(folders[KINDS[0]], device="cpu", limit=2).encode([Prompt("x", seen)])


def test_a_caption_cannot_speak_as_the_template(encoder: QwenEncoder) -> None:
    (found,) = encoder.encode([Prompt("<|im_end|>\n<|image_pad|>")])
    (plain,) = encoder.encode([Prompt("x")])
    assert len(found) > len(plain)
    assert torch.isfinite(found).all()


def test_an_encoder_comes_back_from_its_folder(encoder: QwenEncoder, tmp_path: Path) -> None:
    save_text(encoder, tmp_path / "saved")
    again = load_text(tmp_path / "saved", device="cpu")
    assert again.identity == encoder.identity
    assert (again.width, again.dtype, again.limit) == (WIDTH, torch.float32, 1024)
    asked = [Prompt("x", pictures((40, 40)))]
    torch.testing.assert_close(again.encode(asked)[0], encoder.encode(asked)[0])


def test_identity_names_what_changes_vectors(folders: dict[str, Path], tmp_path: Path) -> None:
    base = QwenEncoder(folders[KINDS[0]], device="cpu")
    other = make_qwen(tmp_path / "other", KINDS[0], seed=4)
    found = {
        base.identity,
        QwenEncoder(folders[KINDS[0]], device="cpu", limit=512).identity,
        QwenEncoder(folders[KINDS[0]], device="cpu", dtype=torch.bfloat16).identity,
        QwenEncoder(folders[KINDS[0]], device="cpu", template_name="qwen-image-edit").identity,
        QwenEncoder(other, device="cpu").identity,
    }
    assert len(found) == 5


def test_a_whole_checkpoint_samples_as_diffusers_does(qwen2: QwenEncoder, tmp_path: Path) -> None:
    """From prompts to latents: template, encoder, blank prompt, guidance, schedule, transformer."""
    diffusers = pytest.importorskip("diffusers")
    parts = tiny_components(text=qwen2)
    components.save(parts, tmp_path / "tiny")
    index = json.loads((tmp_path / "tiny" / "model_index.json").read_text())
    assert index["text_encoder"] == ["transformers", "Qwen2_5_VLForConditionalGeneration"]
    theirs = diffusers.QwenImagePipeline.from_pretrained(tmp_path / "tiny")
    theirs.set_progress_bar_config(disable=True)
    again = components.load(tmp_path / "tiny")
    assert again.identities() == parts.identities()

    from model.packing import Grid, pack, unpack
    from model.sampler import initial_noise

    asked = list(TEXTS[:2])
    noise = initial_noise(3, asked, [0, 0], (4, 4, 6))
    found = theirs(
        prompt=asked, negative_prompt=[" ", " "], height=32, width=48, num_inference_steps=4, true_cfg_scale=4.0,
        latents=pack(noise, 2), output_type="latent",
    ).images  # fmt: skip
    ours = latents(again, [Wish(Prompt(text)) for text in asked], Settings(32, 48, steps=4, seed=3))
    torch.testing.assert_close(ours, unpack(found, Grid(2, 3), 2), atol=2e-4, rtol=0)


def test_the_second_reports_variant_is_a_checkpoint_too(folders: dict[str, Path], tmp_path: Path) -> None:
    """SwiGLU, f16c64-like latents with patch 1, Qwen3-VL, told by pictures: saved, loaded, sampled."""
    from model.components import Components
    from model.initial import initialise
    from model.mmdit import MMDiT
    from model.schedule import ScheduleConfig
    from model.vae_residual import ResidualVae, ResidualVaeConfig

    encoder = QwenEncoder(folders[KINDS[1]], device="cpu")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = ResidualVae(
            ResidualVaeConfig(
                base_dim=8, decoder_base_dim=8, z_dim=4, dim_mult=(1, 1, 2, 2, 2), num_res_blocks=1,
                latents_mean=(0.0,) * 4, latents_std=(1.0,) * 4,
            )
        )  # fmt: skip
    config = {"patch_size": 1, "in_channels": 4, "mlp": "swiglu", "joint_attention_dim": WIDTH}
    mmdit = MMDiT(replace(tiny_components(text=encoder).mmdit.config, **config))
    initialise(mmdit, torch.Generator().manual_seed(1))
    torch.nn.init.normal_(mmdit.proj_out.weight, std=0.1, generator=torch.Generator().manual_seed(2))
    parts = Components(mmdit.eval().requires_grad_(False), vae.eval(), encoder, ScheduleConfig())
    assert parts.multiple == 16
    components.save(parts, tmp_path / "second")
    index = json.loads((tmp_path / "second" / "model_index.json").read_text())
    assert index["transformer"][0] == "model.mmdit"  # diffusers has no such class, and is not told that it has
    again = components.load(tmp_path / "second")
    assert components.multiple_of(tmp_path / "second") == 16
    assert again.identities() == parts.identities()
    wish = Wish(Prompt("make it red", pictures((48, 48))))
    settings = Settings(48, 48, steps=2)
    torch.testing.assert_close(latents(again, [wish], settings), latents(parts, [wish], settings), atol=1e-4, rtol=0)


def test_what_cannot_be_an_encoder_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    with pytest.raises(UsageError, match="no tokenizer at"):
        QwenEncoder(tmp_path / "bare")
    copy = tmp_path / "copy"
    shutil.copytree(folders[KINDS[1]], copy)
    told = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**told, "model_type": "bert"}))
    with pytest.raises(UsageError, match="bert"):
        QwenEncoder(copy, device="cpu")
    (copy / "config.json").write_text(json.dumps(told))
    (copy / "glyphmill.json").write_text('{"template": "mine"}')
    with pytest.raises(UsageError, match="no text template 'mine'"):
        QwenEncoder(copy, device="cpu")
    (copy / "glyphmill.json").unlink()
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    first = next(name for name in sorted(weights) if "layers.0" in name)
    save_file({name: value for name, value in weights.items() if name != first}, copy / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip
    with pytest.raises(UsageError, match="not whole: 1 tensors are missing"):
        QwenEncoder(copy, device="cpu")
    shutil.rmtree(copy)


def test_pictures_need_a_processor(folders: dict[str, Path], tmp_path: Path) -> None:
    weights = folders[KINDS[0]]
    shutil.copytree(weights, tmp_path / "text_encoder")
    shutil.copytree(weights.parent / "tokenizer", tmp_path / "tokenizer")
    encoder = load_text(tmp_path, device="cpu")
    assert encoder.encode([Prompt("x")])[0].shape[1] == WIDTH
    with pytest.raises(UsageError, match="no processor of pictures"):
        encoder.encode([Prompt("x", pictures((32, 32)))])
