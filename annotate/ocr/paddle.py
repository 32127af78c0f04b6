"""PP-OCR networks run by PaddleOCR from local folders, for those who have it and its larger models.

A folder is as PaddleOCR ships it: `inference.yml` beside `inference.onnx` or Paddle's own files. Nothing is downloaded.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from annotate.ocr.layout import Quad
from annotate.ocr.reading import Pixels
from warehouse.errors import UsageError

NO_LIMIT = 1 << 20
#: What makes PaddleX ask the net for its model hubs while it is imported, unless told otherwise.
NO_HUB = "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"


class PaddleEngine:
    """`detection` and `recognition`: folders of models. `runtime`: `onnxruntime`, or `paddle` where paddlepaddle is.

    One thread: a pass runs a process per core. Raises UsageError for a folder that is none of PaddleOCR's.
    """

    def __init__(self, detection: Path, recognition: Path, runtime: str) -> None:
        names = [model_name(folder) for folder in (detection, recognition)]
        os.environ.setdefault(NO_HUB, "True")
        from paddleocr import TextDetection, TextRecognition

        threads = (
            {"engine_config": {"intra_op_num_threads": 1, "inter_op_num_threads": 1}}
            if runtime == "onnxruntime"
            else {"cpu_threads": 1}
        )
        self._detector = TextDetection(
            model_name=names[0],
            model_dir=str(detection),
            limit_side_len=NO_LIMIT,  # the page comes at the size it shall be seen at
            limit_type="max",
            engine=runtime,
            **threads,
        )
        self._recogniser = TextRecognition(model_name=names[1], model_dir=str(recognition), engine=runtime, **threads)

    def find(self, page: Pixels) -> Sequence[Quad]:
        boxes = self._detector.predict(page)[0]["dt_polys"]
        return [np.asarray(box, np.float32).reshape(4, 2) for box in boxes]

    def read_line(self, line: Pixels) -> tuple[str, float]:
        read = self._recogniser.predict(line)[0]
        return str(read["rec_text"]), float(read["rec_score"])


def model_name(folder: Path) -> str:
    """The model's own name, from its `inference.yml`. Raises UsageError where there is none."""
    import yaml

    file = folder / "inference.yml"
    try:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
        return str(told["Global"]["model_name"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise UsageError(
            f"{folder} is no folder of a PaddleOCR model ({type(error).__name__} on inference.yml): check [ocr] in "
            "models.toml"
        ) from error
