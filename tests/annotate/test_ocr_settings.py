"""Which OCR a machine has: what `[ocr]` in models.toml may say, and how a wrong word there is answered."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from annotate.ocr import blind as ocr_blind
from annotate.ocr import reader as ocr
from annotate.ocr.paddle import model_name
from warehouse.errors import UsageError


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models file; what a test writes into it is what this machine has."""
    file = tmp_path / "models.toml"
    file.write_text("")
    monkeypatch.setenv("GLYPHMILL_MODELS", str(file))
    return file


def test_without_a_section_rapidocr_reads_with_the_networks_of_its_wheel(configured: Path) -> None:
    chosen = ocr.settings()
    assert chosen.engine == "rapidocr"
    assert [place.name for place in (chosen.detection, chosen.recognition)] == list(ocr.BUNDLED)
    assert ocr.missing() is None


@pytest.mark.parametrize(
    ("section", "answer"),
    [
        ('engine = "tesseract"', "must be rapidocr or paddleocr"),
        ('detektion = "/x"', "unknown key detektion; known are blind, detection, engine, recognition, runtime"),
        ('runtime = "torch"', "must be onnxruntime or paddle"),
        ('detection = "/nowhere/det.onnx"', "needs both detection and recognition, each the path of an ONNX file"),
        ('detection = "/nowhere/d.onnx"\nrecognition = "/nowhere/r.onnx"', "nothing at /nowhere/d.onnx"),
        ("detection = 3", "detection must be a path in quotes"),
        ('engine = "paddleocr"', "needs both detection and recognition, each the path of a PaddleOCR model folder"),
    ],
)
def test_a_wrong_word_is_named(configured: Path, section: str, answer: str) -> None:
    configured.write_text(f"[ocr]\n{section}\n")
    with pytest.raises(UsageError, match=answer.replace("(", r"\(")):
        ocr.settings()


def test_what_is_not_installed_is_missing_by_name(configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "_there", lambda name: name not in ("rapidocr", "paddleocr"))
    assert ocr.missing() == "install glyphmill[ocr]: no rapidocr on this machine"
    configured.write_text('[ocr]\nengine = "paddleocr"\ndetection = "/d"\nrecognition = "/r"\n')
    told = ocr.missing()
    assert told is not None
    assert "pip install paddleocr" in told


def test_fingerprint_follows_the_networks(configured: Path, tmp_path: Path) -> None:
    bundled = ocr.fingerprint()
    assert bundled.startswith("rapidocr ")
    for name in ("det.onnx", "rec.onnx"):
        (tmp_path / name).write_bytes(name.encode())
    configured.write_text(f'[ocr]\ndetection = "{tmp_path / "det.onnx"}"\nrecognition = "{tmp_path / "rec.onnx"}"\n')
    other = ocr.fingerprint()
    assert other != bundled
    (tmp_path / "rec.onnx").write_bytes(b"another network")
    assert ocr.fingerprint() != other


def test_a_folder_that_is_no_paddleocr_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder of a PaddleOCR model"):
        model_name(tmp_path)
    (tmp_path / "inference.yml").write_text("Global:\n  model_name: PP-OCRv5_server_det\n")
    assert model_name(tmp_path) == "PP-OCRv5_server_det"


def test_the_list_of_blind_characters_is_that_of_the_recogniser(configured: Path, tmp_path: Path) -> None:
    assert ocr_blind.missing() is None
    known = ocr_blind.blind_characters()
    assert "亊" in known  # a rare form of 事
    assert not known & set("的一是不了人我在有他这中大来上国")
    other = tmp_path / "blind.tsv"
    ocr_blind.write(other, [ocr_blind.Misread("犇", "奔"), ocr_blind.Misread("㐀", "")], ocr.settings())
    configured.write_text(f'[ocr]\nblind = "{other}"\n')
    assert ocr_blind.blind_characters() == {"犇", "㐀"}
    (tmp_path / "rec.onnx").write_bytes(b"another network")
    configured.write_text(
        f'[ocr]\nblind = "{other}"\ndetection = "{tmp_path / "rec.onnx"}"\nrecognition = "{tmp_path / "rec.onnx"}"\n'
    )
    told = ocr_blind.missing()
    assert told is not None
    assert "glyphmill ocr blind" in told


def test_a_broken_list_is_named_by_its_line(configured: Path, tmp_path: Path) -> None:
    file = tmp_path / "blind.tsv"
    ocr_blind.write(file, [ocr_blind.Misread("犇", "奔")], ocr.settings())
    file.write_text(file.read_text() + "no tab here\n")
    configured.write_text(f'[ocr]\nblind = "{file}"\n')
    with pytest.raises(UsageError, match="line 3"):
        ocr_blind.blind_characters()


def test_reading_is_quiet_and_switches_no_logger_of_others() -> None:
    code = (
        "import logging; from PIL import Image; from annotate.ocr import reader as ocr;"
        "ocr.reader().read(Image.new('RGB', (64, 64), 'white'));"
        "assert logging.getLogger().level == logging.WARNING and not logging.root.handlers"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
