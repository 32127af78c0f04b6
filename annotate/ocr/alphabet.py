"""The characters that an OCR can write at all: another script is not misread, it is not there."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from annotate.ocr import reader as ocr


def alphabet() -> frozenset[str] | None:
    """The characters of the configured recogniser; None where its file does not tell. Raises UsageError."""
    chosen = ocr.settings()
    if chosen.recognition.is_dir():
        return _of_folder(chosen.recognition / "inference.yml")
    return _of_network(chosen.recognition, chosen.recognition.stat().st_mtime_ns)


@cache
def _of_network(file: Path, changed: int) -> frozenset[str] | None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # it is only asked
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    network = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    listed = network.get_modelmeta().custom_metadata_map.get("character")
    return frozenset("".join(listed.splitlines())) if listed else None


def _of_folder(file: Path) -> frozenset[str] | None:
    """As PaddleOCR's `inference.yml` lists them."""
    import yaml

    if not file.is_file():
        return None
    told = yaml.safe_load(file.read_text(encoding="utf-8"))
    listed = told.get("PostProcess", {}).get("character_dict") if isinstance(told, dict) else None
    return frozenset("".join(map(str, listed))) if listed else None
