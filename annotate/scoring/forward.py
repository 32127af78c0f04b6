"""Running a torch model so that what it says of one input never depends on its neighbours.

A matrix product picks its kernel by the shape of its operands, and another kernel adds in another order: an image alone
and the same image among eight differ in the seventh digit, which is enough to round a stored score the other way. So a
model always sees batches of one fixed size, the last filled up, on one thread; a row's result then depends on no other
row and not on its place (seen on x86, and kept by tests/annotate/test_encoders.py). On a GPU the same holds per device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from warehouse.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

Floats = npt.NDArray[np.float32]


def in_fixed_batches(
    inputs: Mapping[str, Tensor], batch: int, device: str, run: Callable[[dict[str, Tensor]], Tensor]
) -> Floats:
    """`run` over all rows of `inputs` (each (n, ...)), `batch` rows at a time; its (batch, d) outputs as (n, d)."""
    import torch

    count = len(next(iter(inputs.values())))
    kept: list[Floats] = []
    for start in range(0, count, batch):
        rows = torch.arange(start, start + batch).clamp(max=count - 1)  # the last row fills the batch up
        found = run({name: values[rows].to(device) for name, values in inputs.items()})
        kept.append(found[: count - start].float().cpu().numpy())
    return np.concatenate(kept)


@contextmanager
def alone() -> Iterator[None]:
    """No gradients, and one CPU thread for what is run within; the number of threads is given back afterwards."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads)


def check_device(section: str, device: str) -> None:
    """Raises UsageError where a section names a device that is not here."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError(f'[{section}] says device = "cuda" and torch finds none here: say device = "cpu"')
