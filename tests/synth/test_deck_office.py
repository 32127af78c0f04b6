"""Our own renderer beside LibreOffice's: on our decks the same text stands in the same places, in the same lines."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pptx")

from synth.sample import Rejected, Sample
from synth.template.deck import deck as module
from synth.template.deck import office
from synth.template.deck.deck import BATCH, Deck
from warehouse.errors import MissingDependency

needs_office = pytest.mark.skipif(
    shutil.which("soffice") is None or importlib.util.find_spec("pypdfium2") is None,
    reason="LibreOffice or pypdfium2 is not installed",
)


@needs_office
def test_both_renderers_agree_on_where_text_stands() -> None:
    own, other = Deck(), Deck(renderer="libreoffice")
    other.check()
    offsets, same_lines = [], []
    for index in range(BATCH):
        ours, theirs = own.draw(7, index), other.draw(7, index)
        if isinstance(ours, Rejected):
            assert ours == theirs
            continue
        assert isinstance(theirs, Sample), theirs
        assert ours.image.shape == theirs.image.shape
        assert [t.text for t in ours.texts] == [t.text for t in theirs.texts]
        assert theirs.facts["renderer"] == "libreoffice"
        for a, b in zip(ours.texts, theirs.texts, strict=True):
            offsets.append(float(np.abs(a.quad() - b.quad()).max() / max(ours.image.shape)))
            same_lines.append(bool((a.lines == b.lines).all()))
        # Grounds and shapes too: away from letters most pixels agree.
        apart = np.abs(ours.image.astype(int) - theirs.image.astype(int)).max(axis=2)
        assert (apart < 24).mean() > 0.9, ours.template
    assert np.median(offsets) < 0.005
    assert np.quantile(offsets, 0.9) < 0.03
    assert np.mean(same_lines) > 0.95


@needs_office
@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("GLYPHMILL_SOAK"), reason="another start of LibreOffice: make soak")
def test_libreoffice_draws_what_ours_does_not(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shared_data / "pptx" / "apache_poi" / "pie-chart.pptx"
    if not path.exists():
        pytest.skip(f"no {path}")
    monkeypatch.setattr(module, "BATCH", 1)
    assert isinstance(Deck(decks=(str(path),)).draw(1, 0), Rejected)
    drawn = Deck(decks=(str(path),), renderer="libreoffice").draw(1, 0)
    assert isinstance(drawn, Sample)
    assert drawn.facts["left_out"] == ["a chart"]
    assert len(np.unique(drawn.image.reshape(-1, 3), axis=0)) > 50


def test_without_libreoffice_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingDependency, match="libreoffice-impress"):
        Deck(renderer="libreoffice").check()


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "soffice"
    script.write_text("#!/bin/sh\nsleep 600 & echo $! > " + str(tmp_path / "child") + "\nwait\n")
    script.chmod(0o755)
    monkeypatch.setattr(office, "require_office", lambda: str(script))
    monkeypatch.setattr(office, "SECONDS", -9.0)
    office._convert([tmp_path / "a.pptx"], tmp_path)
    child = int((tmp_path / "child").read_text())
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().split()[2] in "ZX"
