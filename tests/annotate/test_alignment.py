"""Scorers: a small trained model ranks right captions above wrong ones, through the very factory that users go through;
every library's models load from disk; nothing depends on the batch; what is wrong is refused in one line."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from tiny_models import ALL, COLOURS, HELD_OUT, SHAPES, drawn, random_transformers, trained_open_clip, write_models

from annotate.scoring import alignment
from annotate.scoring.alignment import Scorer, cosine, match_probability, pack, scorer, unpack, zero_shot
from annotate.scoring.encoders import Texts
from annotate.scoring.forward import Floats, in_fixed_batches
from warehouse.errors import UsageError

TRANSFORMERS = ("clip", "siglip", "siglip2", "chinese_clip")


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scorer:
    """The trained scorer, from its architecture's file and its checkpoint."""
    architecture, weights = trained_open_clip()
    section = {"library": "open_clip", "model": architecture, "weights": weights}
    configure(tmp_path, monkeypatch, {"alignment.shapes": section})
    return scorer("shapes")


def configure(folder: Path, monkeypatch: pytest.MonkeyPatch, sections: dict[str, dict[str, object]]) -> None:
    monkeypatch.setenv("GLYPHMILL_MODELS", str(write_models(folder / "models.toml", sections)))


def transformers_scorer(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **more: object) -> Scorer:
    section = {"library": "transformers", "model": random_transformers(kind), **more}
    configure(folder, monkeypatch, {f"alignment.{kind}": section})
    return scorer(kind)


# --- a trained model -----------------------------------------------------------------------------------------------


def test_right_captions_rank_above_wrong_ones_on_combinations_never_seen(shapes: Scorer) -> None:
    rng = random.Random(99)
    asked = [what for what in HELD_OUT for _ in range(3)]
    pictures = shapes.images([drawn(what, rng) for what in asked])
    captions = shapes.texts([what.caption for what in ALL])
    assert not captions.truncated.any()
    better = []
    for what, picture in zip(asked, pictures, strict=True):
        scores = [cosine(picture, text) for text in captions.embeddings]
        right = scores[ALL.index(what)]
        better.append(sum(right > score for score in scores) / (len(ALL) - 1))
    assert np.mean(better) > 0.95
    assert min(better) > 0.5


def test_zero_shot_finds_the_ground_and_says_how_sure_it_is(shapes: Scorer) -> None:
    rng = random.Random(5)
    prompts = {ground: [f"a {c} {s} on {ground}" for c in COLOURS for s in SHAPES] for ground in COLOURS}
    pictures = shapes.images([drawn(what, rng) for what in HELD_OUT])
    guesses = zero_shot(shapes, pictures, prompts)
    assert np.mean([guess.label == what.ground for guess, what in zip(guesses, HELD_OUT, strict=True)]) > 0.8
    assert all(1 / len(COLOURS) <= guess.probability <= 1 for guess in guesses)
    assert [zero_shot(shapes, picture[None], prompts)[0] for picture in pictures] == guesses


def test_zero_shot_is_the_softmax_of_scaled_cosines() -> None:
    class Known:
        logit_scale, logit_bias = 10.0, -3.0

        def encode_images(self, images: Sequence[Image.Image]) -> Floats:
            raise AssertionError("never asked")

        def encode_texts(self, texts: Sequence[str]) -> Texts:
            known = {"x": [2, 0], "y": [0, 1], "xy": [1, 1]}
            return Texts(np.array([known[t] for t in texts], np.float32), np.zeros(len(texts), bool))

    (guess,) = zero_shot(Scorer("known", Known()), [[3.0, 0.0]], {"both": ["x", "xy"], "up": ["y"]})
    towards = np.cos(np.pi / 8)  # between the directions of x and of xy
    assert guess == ("both", round(1 / (1 + np.exp(-10 * towards)), 4))
    assert match_probability(0.5, Known()) == pytest.approx(1 / (1 + np.exp(-2)))
    for wrong in ({}, {"empty": []}):
        with pytest.raises(ValueError, match="at least one prompt"):
            zero_shot(Scorer("known", Known()), [[1.0, 0.0]], wrong)


def test_a_folder_of_open_clip_gives_the_same_scorer(
    shapes: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    architecture, weights = trained_open_clip()
    made = tmp_path / "a folder"
    made.mkdir()
    model = json.loads(architecture.read_text())
    (made / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": {}}))
    from safetensors.torch import save_file

    save_file(torch.load(weights, weights_only=True), made / "open_clip_model.safetensors")
    configure(tmp_path, monkeypatch, {"alignment.folder": {"library": "open_clip", "model": made}})
    assert alignment.missing("folder") is None
    picture = drawn(ALL[0], random.Random(0))
    assert np.array_equal(scorer("folder").images([picture]), shapes.images([picture]))


# --- independence of the batch -------------------------------------------------------------------------------------


@settings(max_examples=10)
@given(st.lists(st.sampled_from(range(len(ALL))), min_size=1, max_size=20), st.data())
def test_no_score_depends_on_what_else_is_in_the_batch(chosen: list[int], data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        architecture, weights = trained_open_clip()
        section = {"library": "open_clip", "model": architecture, "weights": weights}
        configure(tiny_models.folder(), patch, {"alignment.shapes": section})
        shapes = scorer("shapes")
    pictures = [drawn(ALL[i], random.Random(i)) for i in chosen]
    place = data.draw(st.integers(0, len(chosen) - 1))
    caption = ALL[chosen[place]].caption
    together, texts = shapes.images(pictures), shapes.texts([ALL[i].caption for i in chosen])
    alone, text = shapes.images([pictures[place]]), shapes.texts([caption])
    assert np.array_equal(together[place], alone[0])
    assert cosine(together[place], texts.embeddings[place]) == cosine(alone[0], text.embeddings[0])


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_neither_do_those_of_transformers(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = transformers_scorer(kind, tmp_path, monkeypatch, batch=4)
    pictures = [drawn(what, random.Random(0), side=50 + i) for i, what in enumerate(ALL[:7])]
    captions = ["a red circle", "红色的圆", "a", "blue square on green", "方块", "a a a a"]
    together, texts = tiny.images(pictures), tiny.texts(captions).embeddings
    for i, picture in enumerate(pictures):
        assert np.array_equal(tiny.images([picture])[0], together[i])
    for i, caption in enumerate(captions):
        assert np.array_equal(tiny.texts([caption]).embeddings[0], texts[i])


def test_batches_have_one_size_and_threads_are_given_back(shapes: Scorer) -> None:
    sizes = []

    def run(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        sizes.append(len(batch["x"]))
        return batch["x"] * 2

    numbers = torch.arange(10.0)[:, None]
    assert np.array_equal(in_fixed_batches({"x": numbers}, 4, "cpu", run), numbers.numpy() * 2)
    assert sizes == [4, 4, 4]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        shapes.images([drawn(ALL[0], random.Random(0))])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# --- transformers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_a_score_is_what_the_library_itself_says(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = transformers_scorer(kind, tmp_path, monkeypatch)
    from transformers import AutoModel, AutoProcessor  # they take torchvision, which the line above prepared

    picture, captions = drawn(ALL[0], random.Random(0)), ["a red circle on blue", "红色的圆"]
    ours = [cosine(tiny.images([picture])[0], text) for text in tiny.texts(captions).embeddings]
    model = AutoModel.from_pretrained(random_transformers(kind)).eval()
    processor = AutoProcessor.from_pretrained(random_transformers(kind))
    own = {"patch_size": 8, "max_num_patches": 16} if kind == "siglip2" else {}  # its processor has numbers of its own
    asked = {"text": captions, "padding": "max_length", "max_length": 16}
    inputs = processor(images=[picture], return_tensors="pt", **asked, **own)
    if kind.startswith("siglip"):
        del inputs["attention_mask"]  # the published processors of SigLIP give none
    with torch.inference_mode():
        logits = model(**inputs).logits_per_image[0].double()
    theirs = (logits - tiny.encoder.logit_bias) / tiny.encoder.logit_scale
    assert ours == pytest.approx(theirs.tolist(), abs=1e-3)  # a stored picture's embedding is of float16
    assert ours[0] != ours[1]


def test_long_captions_are_cut_and_say_so(shapes: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trained model reads 12 tokens, two of them marks; a ! before another mark has the token that fills up, 0."""
    texts = ["a " * 10, "a " * 11, "a " * 40, "a " * 9 + "!%", "", "a " * 8 + "!%"]
    assert shapes.texts(texts).truncated.tolist() == [False, True, True, True, False, False]
    for kind, longest in (("clip", 14), ("siglip", 14), ("chinese_clip", 50)):
        tiny = transformers_scorer(kind, tmp_path, monkeypatch)
        assert tiny.texts(["a " * longest, "a " * (longest + 1)]).truncated.tolist() == [False, True], kind
        same = tiny.texts(["a " * (longest + 1), "a " * (longest + 9)]).embeddings
        assert np.array_equal(same[0], same[1])
    short = transformers_scorer("clip", tmp_path, monkeypatch, context_length=5)
    assert short.texts(["a red circle", "a red circle on"]).truncated.tolist() == [False, True]


def test_weights_that_are_not_in_the_files_are_never_made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import load_file, save_file

    made = tmp_path / "part"
    shutil.copytree(random_transformers("clip"), made)
    weights = load_file(made / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, made / "model.safetensors", metadata={"format": "pt"})
    configure(tmp_path, monkeypatch, {"alignment.part": {"library": "transformers", "model": made}})
    with pytest.raises(UsageError, match=r"its files lack 1 weights, visual_projection.weight first"):
        scorer("part")


# --- one's own -----------------------------------------------------------------------------------------------------

OWN = """
import numpy as np
from annotate.scoring.encoders import Texts

class Brightness:
    logit_scale, logit_bias = 1.0, 0.0
    def __init__(self, weights):
        self.gain = float(open(weights).read())
    def encode_images(self, images):
        return np.array([[self.gain, i.resize((1, 1)).convert("L").getpixel((0, 0))] for i in images], np.float32)
    def encode_texts(self, texts):
        return Texts(np.array([[1, 1000 if "bright" in t else 0] for t in texts], np.float32),
                     np.zeros(len(texts), bool))

class Broken(Brightness):
    def encode_images(self, images):
        return np.zeros((len(images), 2), np.float32)
"""


def test_ones_own_scorer_is_a_function_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_scorers.py").write_text(OWN)
    (tmp_path / "gain.txt").write_text("20")
    monkeypatch.syspath_prepend(tmp_path)
    section = {"library": "python", "factory": "my_scorers:Brightness", "weights": tmp_path / "gain.txt"}
    broken = section | {"factory": "my_scorers:Broken"}
    configure(tmp_path, monkeypatch, {"alignment.own": section, "alignment.broken": broken})
    white = Image.new("RGB", (4, 4), "white")
    (picture,) = scorer("own").images([white])
    bright, dark = scorer("own").texts(["a bright page", "a dark page"]).embeddings
    assert cosine(picture, bright) > 0.99 > cosine(picture, dark)
    first = alignment.fingerprint("own")
    (tmp_path / "gain.txt").write_text("21")
    assert alignment.fingerprint("own") != first
    with pytest.raises(ValueError, match="no vector of finite length"):
        scorer("broken").images([white])


# --- what is stored ------------------------------------------------------------------------------------------------


@given(arrays.arrays(np.float32, st.integers(1, 64), elements=st.floats(-1, 1, width=32)))
def test_an_embedding_comes_back_as_precise_as_float16(embedding: np.ndarray) -> None:
    stored = pack(embedding)
    assert len(stored) == 2 * len(embedding)
    assert np.array_equal(unpack(stored), embedding.astype(np.float16).astype(np.float32))
    assert pack(unpack(stored)) == stored


def test_scores_come_from_what_is_stored(shapes: Scorer) -> None:
    picture = shapes.images([drawn(ALL[3], random.Random(0))])[0]
    assert np.array_equal(unpack(pack(picture)), picture)
    assert cosine(picture, picture) == 1.0
    assert cosine(picture, -3 * picture) == -1.0


# --- configuration -------------------------------------------------------------------------------------------------


def test_absent_scorers_say_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = tmp_path / "nowhere.pt"
    section = {"library": "open_clip", "model": "ViT-B-32", "weights": nowhere}
    configure(tmp_path, monkeypatch, {"alignment.lost": section})
    said = alignment.missing("lost")
    assert said == f"there is nothing at {nowhere}: put the weights there, or correct [alignment.lost] in " + str(
        tmp_path / "models.toml"
    )
    with pytest.raises(UsageError, match="cannot be read"):
        scorer("lost")
    assert "put a section [alignment.clip]" in (alignment.missing("clip") or "")
    with pytest.raises(UsageError, match=r"no scorer clip: put a section \[alignment.clip\]"):
        scorer("clip")
    assert alignment.fingerprint("clip") == ""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert alignment.missing("lost") == "torch is not installed: install glyphmill[clip]"


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"model": "ViT-B-32"}, r"\[alignment.x\] needs library = one of open_clip, transformers, python"),
        ({"library": "keras"}, "needs library = one of"),
        ({"library": "open_clip"}, r"\[alignment.x\] model: field required"),
        ({"library": "open_clip", "model": "ViT-B-32", "wieghts": "x"}, "wieghts: extra inputs are not permitted"),
        ({"library": "open_clip", "model": "ViT-B-32", "batch": "8"}, "batch: input should be a valid integer"),
        ({"library": "open_clip", "model": "ViT-B-32", "device": "tpu"}, "device: input should be 'cpu' or 'cuda'"),
        ({"library": "open_clip", "model": "ViT-B-32"}, "is an architecture without weights: say weights"),
        ({"library": "open_clip", "model": "ViT-B-33", "weights": "openai"}, "'ViT-B-33' not found"),
        ({"library": "open_clip", "model": "ViT-B-32", "weights": "laion2b_s99"}, "'laion2b_s99' is not a known tag"),
        ({"library": "transformers", "model": "MODELS"}, "cannot be loaded"),
        ({"library": "python", "factory": "no_colon"}, "not of the form"),
        ({"library": "python", "factory": "no_such_module_at_all:f"}, "No module named 'no_such_module_at_all'"),
    ],
)
def test_a_wrong_section_is_refused_in_one_line(
    section: dict[str, object], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    found = {k: tmp_path / "empty" if v == "MODELS" else v for k, v in section.items()}
    configure(tmp_path, monkeypatch, {"alignment.x": found})
    with pytest.raises(UsageError, match=says) as raised:
        scorer("x")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600


def test_files_that_are_no_weights_of_this_model_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    architecture, weights = trained_open_clip()
    whole = weights.read_bytes()
    contents = {
        "cut.pt": whole[: len(whole) // 2],
        "text.pt": b"<!DOCTYPE html>",
        "empty.safetensors": b"",
        "other.pt": None,
    }
    for name, content in contents.items():
        if content is None:
            torch.save({"visual.proj": torch.zeros(2, 2)}, tmp_path / name)
        else:
            (tmp_path / name).write_bytes(content)
        section = {"library": "open_clip", "model": architecture, "weights": tmp_path / name}
        configure(tmp_path, monkeypatch, {"alignment.bad": section})
        with pytest.raises(UsageError, match=r"scorer bad .* cannot be loaded \(.*check \[alignment.bad\]") as raised:
            scorer("bad")
        assert "\n" not in str(raised.value)


def test_weights_that_would_run_code_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"state_dict": Trap()}, tmp_path / "trap.pt")
    section = {"library": "open_clip", "model": trained_open_clip()[0], "weights": tmp_path / "trap.pt"}
    configure(tmp_path, monkeypatch, {"alignment.trap": section})
    with pytest.raises(UsageError, match="cannot be loaded"):
        scorer("trap")
    assert not (tmp_path / "sprung").exists()


def test_the_fingerprint_is_of_content_and_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = tmp_path / "one.pt", tmp_path / "two.pt"
    one.write_bytes(b"1")
    two.write_bytes(b"1")

    def fingerprint(**more: object) -> str:
        section = {"library": "open_clip", "model": "ViT-B-32", "weights": one, **more}
        configure(tmp_path, monkeypatch, {"alignment.f": section})
        return alignment.fingerprint("f")

    found = [fingerprint(), fingerprint(batch=16), fingerprint(model="ViT-B-16")]
    one.write_bytes(b"11")
    found.append(fingerprint())
    assert len(set(found)) == len(found)
    assert all(re.fullmatch("[0-9a-f]{32}", f) for f in found)
    one.write_bytes(b"1")
    assert fingerprint() == found[0]


def test_an_architecture_file_never_shadows_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "ViT-B-32.json"
    changed.write_text(trained_open_clip()[0].read_text())
    section = {"library": "open_clip", "model": changed, "weights": trained_open_clip()[1]}
    configure(tmp_path, monkeypatch, {"alignment.shadow": section})
    with pytest.raises(UsageError, match="open_clip has another architecture called ViT-B-32: rename"):
        scorer("shadow")
