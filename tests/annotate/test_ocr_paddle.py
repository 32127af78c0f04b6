"""PaddleOCR behind the same interface: the bundled networks as its model folders. Only where paddleocr is installed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import ocr_pages
import pytest

from annotate.ocr import reader as ocr

pytest.importorskip("paddleocr", reason="paddleocr is not installed; it is an alternative engine, not a dependency")

DETECTION: dict[str, Any] = {
    "Global": {"model_name": "PP-OCRv6_small_det"},
    "PreProcess": {
        "transform_ops": [
            {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}},
            {"DetResizeForTest": {"resize_long": 960}},
            {"NormalizeImage": {"mean": [0.5] * 3, "std": [0.5] * 3, "scale": "1./255.", "order": "hwc"}},
            {"ToCHWImage": None},
            {"KeepKeys": {"keep_keys": ["image", "shape"]}},
        ]
    },
    "PostProcess": {
        "name": "DBPostProcess",
        "thresh": 0.3,
        "box_thresh": 0.5,
        "max_candidates": 1000,
        "unclip_ratio": 1.6,
    },
}
RECOGNITION: dict[str, Any] = {
    "Global": {"model_name": "PP-OCRv6_small_rec"},
    "PreProcess": {
        "transform_ops": [
            {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}},
            {"RecResizeImg": {"image_shape": [3, 48, 320]}},
            {"KeepKeys": {"keep_keys": ["image"]}},
        ]
    },
}


def test_paddleocr_reads_from_local_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime
    import yaml

    monkeypatch.setenv("GLYPHMILL_MODELS", str(tmp_path / "models.toml"))
    (tmp_path / "models.toml").write_text("")
    bundled = ocr.settings()
    session = onnxruntime.InferenceSession(str(bundled.recognition), providers=["CPUExecutionProvider"])
    characters = session.get_modelmeta().custom_metadata_map["character"].splitlines()
    reads = {**RECOGNITION, "PostProcess": {"name": "CTCLabelDecode", "character_dict": characters}}
    for name, network, told in (("det", bundled.detection, DETECTION), ("rec", bundled.recognition, reads)):
        (tmp_path / name).mkdir()
        shutil.copy(network, tmp_path / name / "inference.onnx")
        (tmp_path / name / "inference.yml").write_text(yaml.safe_dump(told, allow_unicode=True), encoding="utf-8")
    (tmp_path / "models.toml").write_text(
        f'[ocr]\nengine = "paddleocr"\ndetection = "{tmp_path}/det"\nrecognition = "{tmp_path}/rec"\n'
    )
    assert ocr.missing() is None
    drawn = ocr_pages.page(4, "mixed", text_px=24, size=(420, 300), most=5)
    read = "\n".join(line.text for line in ocr.reader().read(drawn.image))
    assert ocr_pages.score(drawn.text, read).accuracy >= 0.95
    assert ocr.fingerprint().startswith("paddleocr ")
