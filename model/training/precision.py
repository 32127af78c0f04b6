"""What a step computes in. Weights, moments and averages are float32 everywhere; sigma, its sinusoid, the rotary angles
and the loss as well (half precision there is the usual cause of grids and drift)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from warehouse.errors import UsageError

Name = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class Precision:
    """`compute`: the dtype of matrix products and attention."""

    compute: torch.dtype
    device: torch.device

    @property
    def name(self) -> str:
        """fp32 or bf16."""
        return "fp32" if self.compute == torch.float32 else "bf16"

    def autocast(self) -> AbstractContextManager[object]:
        """Within it, matrix products run in `compute`; norms, softmax and sums stay float32."""
        if self.compute == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.compute)


def chosen(name: Name, device: torch.device) -> Precision:
    """bf16 on a GPU that has it and fp32 on a CPU, where bf16 is three times slower, unless one is named."""
    if name not in ("auto", "fp32", "bf16"):
        raise UsageError(f"precision '{name}' is not one of auto, fp32, bf16")
    if name == "auto":
        name = "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    return Precision(torch.bfloat16 if name == "bf16" else torch.float32, device)


def pick_device(name: str = "auto", index: int = 0) -> torch.device:
    """The device that is named, or the GPU of this process where there is one. Raises UsageError for one not here."""
    if name == "auto":
        name = f"cuda:{index}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"device '{name}' is none: say cpu, cuda or cuda:1") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError("device cuda: torch sees no GPU here; say --device cpu")
    return device
