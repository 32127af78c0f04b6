"""Encoders that a trainer needs now and then lie on its device no longer than that."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from feed_plans import tiny_encoders

from model.feed.encoders import Encoders, load_encoders
from model.text.characters import CharacterEncoder
from model.training.resting import Resting


class Weighty(CharacterEncoder):
    """An encoder of characters that says where it was taken."""

    def __init__(self) -> None:
        super().__init__(8)
        self.at: list[str] = []

    def move(self, device: str) -> None:
        self.at.append(device)


@pytest.mark.parametrize(("device", "places"), [("cuda:1", ["cpu", "cuda:1", "cpu"]), ("cpu", ["cpu"])])
def test_they_are_on_their_device_within_awake_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, places: list[str]
) -> None:
    made, text = load_encoders(*tiny_encoders(tmp_path), device="cpu"), Weighty()
    at: list[str] = []
    monkeypatch.setattr(type(made.vae), "to", lambda vae, where: at.append(where))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    resting = Resting(Encoders(made.vae, text, made.encoding, device))
    with resting.awake() as encoders:
        assert (encoders.text, at[-1]) == (text, device)
    assert at == text.at == places
