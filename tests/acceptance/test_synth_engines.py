"""Every strategy as a command on every engine: the same rows and the same tars."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from acceptance_tools import Run

pytest.importorskip("uharfbuzz", reason="drawing text needs the extra synth")

STRATEGIES = ("pure", "compositional", "template", "edit")
RUNS = "runs"  # tells the engine and the seconds


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("GLYPHMILL_SOAK"), reason="twelve starts of three engines: make soak")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_engines_draw_the_same(strategy: str, tmp_path: Path, glyphmill: Run) -> None:
    pytest.importorskip("apache_beam")
    pytest.importorskip("pyspark")
    told = {}
    for engine in ("local", "beam", "spark"):
        lake = tmp_path / "lake"  # in the same place each time: rows tell where their tars lie
        size = "512..1328" if strategy == "template" else "512..640"
        glyphmill("synth", strategy, "--count", 70, "--size", size, "--lake", lake, "--engine", engine, "--workers", 2)
        digests = json.loads(glyphmill("digest", "--lake", lake, "--json").stdout)
        tars = {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted((lake / "synth").rglob("*.tar"))
        }
        assert tars
        lake.rename(tmp_path / engine)
        told[engine] = ({table: d for table, d in digests.items() if table != RUNS}, tars)
    assert told["beam"] == told["local"]
    assert told["spark"] == told["local"]
