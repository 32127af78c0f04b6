"""Folders of weights as diffusers lays them out: config.json, safetensors, shards with an index above a size."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from torch import Tensor

from warehouse.errors import UsageError
from warehouse.files import make_folder, replacing, sync, told

CONFIG = "config.json"
WHOLE = "diffusion_pytorch_model.safetensors"
INDEX = WHOLE + ".index.json"
#: Bytes in one file of weights, at most, unless one tensor alone is larger.
SHARD_BYTES = 10_000_000_000


@dataclass(frozen=True)
class Stored:
    """One tensor on disk: which file, under which name there, its shape and its type (F32, BF16, ...)."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: str


def write_folder(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor], limit: int) -> None:
    """Writes `config` and `tensors`, in files of at most `limit` bytes; the folder appears whole or not at all.

    Raises UsageError where the folder exists and is not empty: finished weights are never overwritten.
    """
    from safetensors.torch import save_file

    refuse_existing(folder)
    make_folder(folder.parent)
    building = folder.with_name(f".{folder.name}.{token_hex(4)}.tmp")
    try:
        with told(f"writing {folder}", folder.parent):
            building.mkdir()
            groups = shards(tensors, limit)
            names = [WHOLE] if len(groups) == 1 else [_shard(n, len(groups)) for n in range(1, len(groups) + 1)]
            for name, group in zip(names, groups, strict=True):
                part = {key: tensors[key].detach().cpu().contiguous() for key in group}
                save_file(part, building / name, metadata={"format": "pt"})
                sync(building / name)
            if len(groups) > 1:
                told_map = {key: name for name, group in zip(names, groups, strict=True) for key in group}
                total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
                index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(told_map.items()))}
                _write_json(building / INDEX, index)
            _write_json(building / CONFIG, config)
            if folder.exists():
                folder.rmdir()  # empty, or this fails
            building.rename(folder)
            sync(folder.parent)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def refuse_existing(folder: Path) -> None:
    """Raises UsageError where `folder` is there already and holds something."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UsageError(f"{folder} exists already: name another folder, or remove it first")


def shards(tensors: Mapping[str, Tensor], limit: int) -> list[list[str]]:
    """Names in order, cut into groups of at most `limit` bytes; a tensor that is larger has a group of its own."""
    groups: list[list[str]] = [[]]
    filled = 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        if groups[-1] and filled + size > limit:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += size
    return groups


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's config.json. Raises UsageError where there is none that can be read."""
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no {CONFIG} in {folder}: name the folder that holds it (often transformer or vae)") from None
    except (ValueError, OSError) as error:
        raise UsageError(f"{path} cannot be read ({error})") from error
    if not isinstance(config, dict):
        raise UsageError(f"{path} is not a configuration: it holds no keys")
    return config


def find_weights(place: Path) -> list[Path]:
    """The safetensors files of a folder, or the one file named. Raises UsageError where any is missing."""
    if place.is_file():
        return [place]
    index = place / INDEX
    if index.is_file():
        try:
            named = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
            files = sorted({place / str(name) for name in named.values()})
        except (ValueError, KeyError, AttributeError) as error:
            raise UsageError(f"{index} is not an index of weights ({type(error).__name__}: {error})") from error
        missing = [path.name for path in files if not path.is_file()]
        if missing:
            raise UsageError(f"{place} lacks {', '.join(missing)}, which its index names: copy or download it again")
        return files
    if (place / WHOLE).is_file():
        return [place / WHOLE]
    found = sorted(place.glob("*.safetensors"))
    if len(found) != 1:
        told_found = "none" if not found else f"{len(found)} without an index"
        raise UsageError(f"weights as {WHOLE} are needed in {place}, there is {told_found}")
    return found


def headers(files: list[Path]) -> dict[str, Stored]:
    """What the files hold, from their headers alone. Raises UsageError where a file is cut off or of another kind."""
    stored: dict[str, Stored] = {}
    for file in files:
        for name, entry in _header(file).items():
            if name == "__metadata__":
                continue
            if name in stored:
                raise UsageError(f"{name} stands both in {stored[name].file} and in {file}")
            stored[name] = Stored(file, name, tuple(entry["shape"]), str(entry["dtype"]))
    return stored


def _header(file: Path) -> dict[str, Any]:
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if not 2 <= length <= min(size - 8, 100_000_000):
                raise ValueError("its header does not fit into the file")
            header = json.loads(stream.read(length))
        if not isinstance(header, dict):
            raise ValueError("its header is no table")
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        if 8 + length + max(ends, default=0) != size:
            raise ValueError(f"it has {size:,} bytes where its header counts {8 + length + max(ends, default=0):,}")
    except (OSError, ValueError, struct.error, KeyError, TypeError, IndexError) as error:
        raise UsageError(f"{file} is not a whole safetensors file ({error}): copy or download it again") from error
    return header


def tensors_of(stored: Mapping[str, Stored]) -> Iterator[tuple[str, Tensor]]:
    """The tensors themselves, under the keys of `stored`, file by file; each is read when it is asked for."""
    from safetensors import safe_open

    by_file: dict[Path, list[tuple[str, str]]] = {}
    for key, one in stored.items():
        by_file.setdefault(one.file, []).append((key, one.name))
    for file, names in by_file.items():
        with safe_open(file, framework="pt") as opened:
            for key, name in names:
                yield key, opened.get_tensor(name)


def _shard(number: int, of: int) -> str:
    return f"diffusion_pytorch_model-{number:05d}-of-{of:05d}.safetensors"


def _write_json(path: Path, told_values: Mapping[str, Any]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(told_values, indent=2) + "\n", encoding="utf-8")
