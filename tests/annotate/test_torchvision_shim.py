"""Torchvision imports beside whatever torch is installed here, once the shim was called, however often."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
CODE = """
from annotate.torchvision_shim import prepare_torchvision
prepare_torchvision()
prepare_torchvision()
import torch, torchvision
from torchvision.transforms import v2
print(v2.functional.resize(torch.zeros(3, 8, 8), [4, 4]).shape[-1], hasattr(torch.ops.torchvision, "nms"))
prepare_torchvision()
"""


def test_torchvision_imports_in_a_fresh_process() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["4", "True"]
