"""Small deliveries that several tests of the sources make, and what is read of them."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from PIL import Image

from warehouse.sources import Delivered, ImageReader, Source, open_source, read


def picture(seed: int, kind: str = "PNG") -> bytes:
    """Bytes of a tiny picture, another for each seed."""
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), (seed % 256, seed // 256 % 256, 7)).save(buffer, kind)
    return buffer.getvalue()


def fill(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def write_tar(path: Path, entries: Iterable[tuple[str, bytes | str]], form: int = tarfile.USTAR_FORMAT) -> Path:
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz", format=form) as tar:
        for name, content in entries:
            data = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def deliver(source: Source | str | Path, max_samples: int = 512, kind: str | None = None) -> list[Delivered]:
    """Every sample, read through pickled units as workers do; each that has bytes is read again by its place."""
    source = open_source(str(source), kind) if isinstance(source, str | Path) else source
    units = [pickle.loads(pickle.dumps(u)) for u in source.units(max_samples)]
    assert len({u.key for u in units}) == len(units)
    samples = [sample for unit in units for sample in read(unit)]
    assert len({(s.uri, s.row) for s in samples}) == len(samples)
    with ImageReader() as reader:
        for s in samples:
            if s.data is not None:
                assert reader.read(s.uri, s.offset, s.length, s.row) == s.data
    return samples


def by_name(samples: Iterable[Delivered]) -> dict[str, Delivered]:
    return {s.uri.rsplit("/", 1)[-1]: s for s in samples}


def texts(sample: Delivered) -> list[tuple[str, str, str | None]]:
    return [(c.kind, c.text, c.lang) for c in sample.captions]
