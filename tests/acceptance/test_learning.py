"""It learns: ten characters, from drawing them to reading back what the model writes, by the real commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from acceptance_tools import Run

pytest.importorskip("uharfbuzz", reason="drawing text needs the extra synth")
pytest.importorskip("rapidocr", reason="reading back needs the extra ocr")
torch = pytest.importorskip("torch", reason="training needs the extra train")

CHARACTERS = "AKRS57中山水明"
EACH = 50  # as many different pictures as there are with two faces
CURRICULUM = """
name = "ten"
dropout = 0.1
buckets = ["1:1"]
[optimizer]
beta2 = 0.99
ema = 0.98
[timesteps]
shift = "resolution"
[source.centred]
sql = "SELECT image_id FROM samples WHERE outcome = 'kept'"
captions_sql = "SELECT image_id, text FROM captions WHERE lang = 'en'"
[[phase]]
name = "centred"
steps = {steps}
shares = {{ centred = 1.0 }}
learning_rate = [3e-3, 1e-4]
decay = "cosine"
warmup = 20
[[phase.resolution]]
side = 64
batch = 32
"""
VAE_STEPS, STEPS = 260, 260


def test_ten_characters_are_written_so_that_ocr_reads_them(
    tmp_path: Path, glyphmill: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # of the producer
    lake, chars, prompts, course = (tmp_path / name for name in ("lake", "chars.txt", "prompts.txt", "ten.toml"))
    chars.write_text(CHARACTERS, encoding="utf-8")
    prompts.write_text("\n".join(f"The character “{c}”." for c in CHARACTERS), encoding="utf-8")
    course.write_text(CURRICULUM.format(steps=STEPS), encoding="utf-8")
    count = EACH * len(CHARACTERS)

    glyphmill("synth", "glyph", "--chars", chars, "--count", count, "--lake", lake, "--quiet")
    glyphmill(
        "curate", lake / "synth" / "glyph", "--source-name", "synth-glyph", "--recipe", "glyphs", "--lake", lake,
        "--quiet",
    )  # fmt: skip
    glyphmill(
        "train", "vae", "--lake", lake, "--out", tmp_path / "vae", "--steps", VAE_STEPS, "--batch", 8, "--lr", 3e-3,
        "--l1", 0, "--l2", 1, "--quiet",
    )  # fmt: skip
    glyphmill(
        "train", "pretrain", "-c", course, "--lake", lake, "--vae", tmp_path / "vae" / "vae", "--out",
        tmp_path / "run", "--validate-every", 0, "--sample-every", 0, "--quiet",
    )  # fmt: skip
    glyphmill("model", "export", tmp_path / "run", "--out", tmp_path / "model")
    told = glyphmill(
        "sample", "--model", tmp_path / "model", "--prompts", prompts, "--count", 4, "--size", "64x64", "--steps", 10,
        "--guidance", 3, "--batch", 40, "--out", tmp_path / "samples", "--read", "--quiet",
    ).stdout  # fmt: skip

    found = re.search(r"^all\s+40\s+([\d.]+)%", told, re.MULTILINE)
    assert found, told
    assert float(found[1]) >= 70, told
