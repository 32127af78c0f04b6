"""Torchvision beside a torch without CUDA: the one place where its plain import is made to work.

The registry's only torchvision wheel is linked to CUDA. Beside a CPU-only torch its library of operators cannot be
loaded, and its import then fails with "operator torchvision::nms does not exist", and so do open_clip, timm and the
image processors of transformers. None of what they do here calls these operators: it is enough that two are declared.
"""

from __future__ import annotations

import importlib.util
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from typing import Any

from warehouse.errors import MissingDependency

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_kept: list[Any] = []  # a declaration holds for as long as the object that made it


def prepare_torchvision() -> None:
    """Call it before the first import of torchvision, open_clip or a transformers class that takes images.

    Where torch has CUDA, or torchvision's own operators can be loaded, nothing is changed; calling it again changes
    nothing either. Raises MissingDependency where torch or torchvision is not installed.
    """
    for name in ("torch", "torchvision"):
        if importlib.util.find_spec(name) is None:
            raise MissingDependency(f"{name} is not installed: install glyphmill[clip]")
    import torch

    if torch.version.cuda is not None or hasattr(torch.ops.torchvision, "nms") or _own_operators_load():
        return
    make: Any = torch.library.Library  # it has no types
    library = make("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(operator + _SCHEMA)
    _kept.append(library)


def _own_operators_load() -> bool:
    """Whether torchvision's compiled library loads here, as that of a CPU build does: it declares them itself."""
    import torch

    load: Any = torch.ops.load_library
    spec = importlib.util.find_spec("torchvision")
    assert spec is not None
    for folder in spec.submodule_search_locations or ():
        found = FileFinder(folder, (ExtensionFileLoader, EXTENSION_SUFFIXES)).find_spec("_C")
        if found is not None and found.origin is not None:
            try:
                load(found.origin)
            except OSError:  # linked to a CUDA that is not there
                continue
            return True
    return False
