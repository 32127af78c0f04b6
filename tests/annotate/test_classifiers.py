"""Classifiers load with all their weights and mean what their labels say; heads compute what their layers say."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_models import ALL, drawn, random_classifier, random_transformers

from annotate.scoring.classifiers import Head, HeadOf, Labelled, classifier, head, layers
from warehouse.errors import UsageError

NAMES = ("safe", "porn", "hentai", "gore")


@pytest.fixture(autouse=True)
def _no_models_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models.toml").touch()
    monkeypatch.setenv("GLYPHMILL_MODELS", str(tmp_path / "models.toml"))


def pictures(count: int) -> list[Image.Image]:
    return [drawn(what, random.Random(0), side=40 + i) for i, what in enumerate(ALL[:count])]


def test_probabilities_are_what_the_library_itself_says() -> None:
    folder = str(random_classifier(NAMES))
    from transformers import pipeline  # it takes torchvision, which the line above prepared

    model = classifier("nsfw.sexual", Labelled(model=folder, labels=("porn", "hentai")))
    assert model.names == NAMES
    found = model.probabilities(pictures(3))
    theirs = pipeline("image-classification", folder)(pictures(3), top_k=4)
    for ours, told in zip(found, theirs, strict=True):
        by_name = {t["label"]: t["score"] for t in told}
        assert ours == pytest.approx([by_name[name] for name in NAMES], abs=1e-5)
    shares = model.share(found, ("porn", "hentai"))
    assert shares == pytest.approx(found[:, 1] + found[:, 2])
    assert found.std() > 0.01


def test_labels_that_do_not_exclude_each_other_stand_for_themselves() -> None:
    folder = str(random_classifier(NAMES, several=True))
    model = classifier("nsfw.violence", Labelled(model=folder, labels=("gore",)))
    found = model.probabilities(pictures(2))
    assert found.sum(axis=1) != pytest.approx(1)
    assert ((found > 0) & (found < 1)).all()
    assert model.share(found, ("porn", "gore")) == pytest.approx(found[:, [1, 3]].max(axis=1))


def test_no_probability_depends_on_what_else_is_in_the_batch() -> None:
    folder = str(random_classifier(NAMES))
    model = classifier("nsfw.sexual", Labelled(model=folder, labels=("porn",), batch=4))
    together = model.probabilities(pictures(7))
    for i, picture in enumerate(pictures(7)):
        assert np.array_equal(model.probabilities([picture])[0], together[i])


def test_what_is_no_such_classifier_is_refused(tmp_path: Path) -> None:
    folder = str(random_classifier(NAMES))
    with pytest.raises(UsageError, match=r"label 'nudity', classifier .* has: safe, porn, hentai, gore"):
        classifier("nsfw.sexual", Labelled(model=folder, labels=("nudity",)))
    with pytest.raises(UsageError, match="cannot be read"):
        classifier("nsfw.sexual", Labelled(model=str(tmp_path / "nowhere"), labels=("porn",)))
    # A model of images and texts has no head: transformers would make one up.
    with pytest.raises(UsageError, match=r"its files lack 2 weights, classifier.bias first"):
        classifier("nsfw.sexual", Labelled(model=str(random_transformers("siglip")), labels=("porn",)))


def saved(folder: Path, tensors: dict[str, torch.Tensor], suffix: str) -> str:
    file = folder / f"head{suffix}"
    if suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(tensors, file)
    else:
        torch.save(tensors, file)
    return str(file)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    ("network", "activation"),
    [
        (lambda: torch.nn.Linear(6, 1), "none"),
        (lambda: torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Dropout(0.2), torch.nn.Linear(5, 1)), "none"),
        (lambda: torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 1)), "relu"),
    ],
)
def test_a_head_computes_what_torch_does(
    network: Callable[[], torch.nn.Module], activation: str, suffix: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    made = network().eval()
    tensors = {f"layers.{k}" if activation == "none" else k: v for k, v in made.state_dict().items()}
    told = HeadOf.model_validate({"scorer": "clip", "head": saved(tmp_path, tensors, suffix), "activation": activation})
    x = torch.randn(6)
    with torch.inference_mode():
        assert head("aesthetic", told)(x.numpy()) == pytest.approx(float(made(x)), rel=1e-5)
    with pytest.raises(ValueError, match="the head takes 6 numbers, the embedding has 5"):
        head("aesthetic", told)(x[:5].numpy())


@given(st.permutations(list(range(12))))
def test_layers_follow_their_numbers_not_their_place_in_the_file(order: list[int]) -> None:
    tensors = {f"{i}.weight": np.full((1, 1), i + 1, np.float32) for i in order}
    tensors |= {f"{i}.bias": np.full((1,), float(i == 11), np.float32) for i in order}
    found = layers(tensors)
    assert [float(weight[0, 0]) for weight, _ in found] == list(range(1, 13))
    assert Head(found, "none")([1.0]) == pytest.approx(479001600 + 1)


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({}, "it holds no layer"),
        ({"a.weight": torch.zeros(3)}, "a is no linear layer"),
        ({"weight": torch.zeros(1, 3), "bias": torch.zeros(2)}, "it is no linear layer"),
        (
            {"0.weight": torch.zeros(4, 3), "1.weight": torch.zeros(1, 5)},
            "a layer of 5 inputs follows one of 4",
        ),
        ({"weight": torch.zeros(2, 3)}, "it has 2 outputs and should have one"),
    ],
)
def test_what_is_no_head_is_refused(tensors: dict[str, torch.Tensor], says: str, tmp_path: Path) -> None:
    told = HeadOf(scorer="clip", head=saved(tmp_path, tensors, ".pt"))
    with pytest.raises(UsageError, match=rf"head .* cannot be loaded \(ValueError: {says}.*\): check \[aesthetic\]"):
        head("aesthetic", told)
    for wrong, why in (("head.pt", "neither an absolute path"), (str(tmp_path / "no.pt"), "cannot be read")):
        with pytest.raises(UsageError, match=why):
            head("aesthetic", HeadOf(scorer="clip", head=wrong))


def test_a_head_may_come_from_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the hub's local cache, since no network may be needed here."""
    from huggingface_hub import constants

    commit = "0" * 40
    repository = tmp_path / "models--someone--heads"
    (repository / "snapshots" / commit).mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    saved(repository / "snapshots" / commit, torch.nn.Linear(4, 1).state_dict(), ".pt")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    found = head("aesthetic", HeadOf(scorer="clip", head="hf-hub:someone/heads/head.pt"))
    assert found.layers[0][0].shape == (1, 4)
    with pytest.raises(UsageError, match="cannot be loaded"):
        head("aesthetic", HeadOf(scorer="clip", head="hf-hub:someone/heads/other.pt"))
