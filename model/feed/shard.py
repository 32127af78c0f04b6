"""The file of a shard: the safetensors layout, read without a copy.

    8 bytes     length of the header, little endian
    header      JSON: where each tensor lies, and under `__metadata__` the manifest; blanks to a multiple of 64
    data        the tensors, one after another

Any safetensors reader opens it. Its name carries the hash of the header, and the header the checksum of every entry,
so a shard is named by its content: a copy of that name is the same shard, on whatever machine.
"""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import xxhash

from model.feed.manifest import Entry, Manifest, Source, from_json, to_json
from model.feed.messages import Dtype, Encoding, Kind
from warehouse.files import replacing

SUFFIX = ".safetensors"
FORMAT = "glyphmill feed 1"
TORCH: dict[Dtype, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_CODES: dict[Dtype, str] = {"float32": "F32", "bfloat16": "BF16"}
_LENGTH = struct.Struct("<Q")
_ALIGN = 64
_LONGEST = 1 << 30  # bytes of a header


class DamagedError(Exception):
    """A file that is no whole shard, or bytes that do not match their checksum."""


def write_shard(
    folder: Path,
    kind: Kind,
    size: tuple[int, int],
    encoding: Encoding,
    tensors: Sequence[tuple[str, torch.Tensor]],
    absent: Mapping[str, str],
    sources: Mapping[str, Source],
) -> tuple[str, Manifest]:
    """Write a shard and give its name and manifest; the file appears whole, or not at all.

    `tensors`: key and value each, which is stored in the dtype that the encoding says; `size`: (height, width).
    """
    dtype = encoding.latent_dtype if kind == "latent" else encoding.text_dtype
    entries, data, offset = [], [], 0
    for key, tensor in sorted(tensors, key=lambda item: item[0]):
        raw = _bytes(tensor.detach().to("cpu", TORCH[dtype]).contiguous())
        entries.append(Entry(key, offset, tuple(tensor.shape), xxhash.xxh3_64_hexdigest(raw)))
        data.append(raw)
        offset += raw.nbytes
    manifest = Manifest(
        kind, *size, dtype, encoding, tuple(entries), dict(sorted(absent.items())), dict(sorted(sources.items()))
    )
    head = header(manifest)
    name = name_of(manifest, head)
    with replacing(folder / name) as path, open(path, "wb") as file:
        file.write(head)
        for raw in data:
            file.write(raw)
    return name, manifest


def header(manifest: Manifest) -> bytes:
    """The first bytes of a shard, up to where its data begins."""
    fields: dict[str, object] = {"__metadata__": {"format": FORMAT, "manifest": to_json(manifest)}}
    for entry in manifest.entries:
        end = entry.offset + entry_bytes(entry, manifest.dtype)
        fields[entry.key] = {
            "dtype": _CODES[manifest.dtype], "shape": list(entry.shape), "data_offsets": [entry.offset, end],
        }  # fmt: skip
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    text = text.ljust(-(-(len(text) + _LENGTH.size) // _ALIGN) * _ALIGN - _LENGTH.size)
    return _LENGTH.pack(len(text)) + text


def name_of(manifest: Manifest, head: bytes) -> str:
    return f"{manifest.kind}-{manifest.bucket}-{xxhash.xxh3_128_hexdigest(head)}{SUFFIX}"


def entry_bytes(entry: Entry, dtype: Dtype) -> int:
    count = TORCH[dtype].itemsize
    for side in entry.shape:
        count *= side
    return count


def read_manifest(path: Path) -> tuple[Manifest, int]:
    """A shard's manifest, and where its data begins. Raises DamagedError for a file that is not the shard that its name
    says, or is cut off."""
    with open(path, "rb") as file:
        start = file.read(_LENGTH.size)
        length = _LENGTH.unpack(start)[0] if len(start) == _LENGTH.size else 0
        if not 0 < length <= _LONGEST:
            raise DamagedError(f"{path} is no shard of latents")
        head = start + file.read(length)
        size = file.seek(0, 2)
    try:
        manifest = from_json(json.loads(head[_LENGTH.size :])["__metadata__"]["manifest"])
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{path} has a damaged header ({error})") from error
    if name_of(manifest, head) != path.name:
        raise DamagedError(f"the header of {path} does not match its name")
    if size != len(head) + data_bytes(manifest):
        raise DamagedError(f"{path} is cut off: {size} of {len(head) + data_bytes(manifest)} bytes")
    return manifest, len(head)


def data_bytes(manifest: Manifest) -> int:
    return sum(entry_bytes(entry, manifest.dtype) for entry in manifest.entries)


class Mapped:
    """A shard's file in memory; tensors are views of the mapping, which lives as long as one of them does."""

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:
            # private and writable, as torch wants its memory: pages are shared with everyone until one is written to
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)

    def tensor(self, offset: int, shape: tuple[int, ...], dtype: Dtype, check: str) -> torch.Tensor:
        """The entry at `offset` bytes of the file, no copy. Raises DamagedError if its checksum does not match."""
        return view(self._map, offset, shape, dtype, check)


def view(buffer: mmap.mmap | bytearray, offset: int, shape: tuple[int, ...], dtype: Dtype, check: str) -> torch.Tensor:
    """A tensor over part of a buffer, no copy. Raises DamagedError if the checksum of its bytes does not match."""
    count = 1
    for side in shape:
        count *= side
    with memoryview(buffer) as whole, whole[offset : offset + count * TORCH[dtype].itemsize] as part:
        if xxhash.xxh3_64_hexdigest(part) != check:
            raise DamagedError(f"{part.nbytes} bytes at {offset} do not match their checksum")
    if count == 0:
        return torch.empty(shape, dtype=TORCH[dtype])
    return torch.frombuffer(buffer, dtype=TORCH[dtype], count=count, offset=offset).view(shape)


def _bytes(tensor: torch.Tensor) -> memoryview:
    raw: npt.NDArray[np.uint8] = tensor.reshape(-1).view(torch.uint8).numpy()
    return raw.data
