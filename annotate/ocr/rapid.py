"""PP-OCR networks run by rapidocr on onnxruntime: the engine that needs nothing but its wheel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from annotate.ocr.layout import Quad
from annotate.ocr.reading import Pixels

LINE_HEIGHT = 48  # pixels: what the recogniser was trained on
LEAST_WIDTH = 96
WIDTH_STEP = 32
NO_LIMIT = 1 << 20


class RapidEngine:
    """`detection` and `recognition`: ONNX files of PP-OCR models, the latter with its characters in its metadata.

    One thread: a pass runs a process per core. Both networks are loaded here, so that a broken file fails at once.
    """

    def __init__(self, detection: Path, recognition: Path) -> None:
        from rapidocr import RapidOCR

        whole = RapidOCR(
            params={
                "Global.log_level": "error",
                "Global.use_cls": False,
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                "Det.model_path": str(detection),
                "Det.limit_type": "max",
                "Det.limit_side_len": NO_LIMIT,  # the page comes at the size it shall be seen at
                "Rec.model_path": str(recognition),
            }
        )
        # Its flags stay for later calls unless all are given; this call loads the networks.
        whole(np.full((64, 64, 3), 255, np.uint8), use_det=True, use_cls=False, use_rec=False)
        whole(np.full((LINE_HEIGHT, 96, 3), 255, np.uint8), use_det=False, use_cls=False, use_rec=True)
        self.detector: Any = whole.text_det
        self.recogniser: Any = whole.text_rec

    def find(self, page: Pixels) -> Sequence[Quad]:
        boxes = self.detector(page).boxes
        return [] if boxes is None else list(boxes.astype(np.float32))

    def read_line(self, line: Pixels) -> tuple[str, float]:
        recogniser = self.recogniser
        width = math.ceil(max(LEAST_WIDTH, LINE_HEIGHT * line.shape[1] / line.shape[0]) / WIDTH_STEP) * WIDTH_STEP
        tensor = recogniser.resize_norm_img(line, width / LINE_HEIGHT)[np.newaxis]
        (text, confidence), *_ = recogniser.postprocess_op(recogniser.session(tensor))[0]
        return text, float(confidence)
