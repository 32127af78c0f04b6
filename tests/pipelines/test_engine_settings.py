"""What workers on another machine are told of the driver's environment."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from pipelines.engines.settings import settled


def test_workers_elsewhere_are_told_where_models_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLYPHMILL_MODELS", "models.toml")
    sent = pickle.dumps(settled(None))
    monkeypatch.setenv("GLYPHMILL_MODELS", "/of/the/other/machine.toml")
    pickle.loads(sent)()
    assert os.environ["GLYPHMILL_MODELS"] == str(tmp_path / "models.toml")


def test_nothing_told_nothing_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLYPHMILL_MODELS", raising=False)
    sent = settled(None)
    monkeypatch.setenv("GLYPHMILL_MODELS", "/of/the/other/machine.toml")
    sent()
    assert os.environ["GLYPHMILL_MODELS"] == "/of/the/other/machine.toml"
