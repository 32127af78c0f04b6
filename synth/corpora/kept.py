"""A large corpus as it was read, kept between processes: it is cleaned but once, and its pages of memory are shared."""

from __future__ import annotations

import json
import mmap
import os
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
from xxhash import xxh3_64_hexdigest, xxh3_128

from synth.corpora.read import File
from synth.corpora.store import Store
from warehouse.errors import UsageError

WORTH = 4_000_000  # bytes of files from which keeping is worth the disk
_MOST = 4  # corpora that are kept, the last used ones
_ARRAYS = (("starts", "<i8"), ("sizes", "<i4"), ("ends", "<i4"), ("codes", "<i2"), ("origins", "<i4"))


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "glyphmill" / "corpora"


def kept_path(files: Sequence[File]) -> Path | None:
    """Where the corpus of these files is kept, by their names and contents and this code; None: too small for that.
    Raises UsageError for a file that cannot be read."""
    found = xxh3_128(_version().encode())
    try:
        if sum(file.path.stat().st_size for file in files) < WORTH:
            return None
        for file in files:
            found.update(f"\0{file.name}\0{file.path.stat().st_size}\0".encode())
            with file.path.open("rb") as opened:
                while part := opened.read(1 << 20):
                    found.update(part)
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be read: {error.strerror}") from error
    return cache_folder() / found.hexdigest()


def load(kept: Path) -> tuple[Store, dict[str, int]] | None:
    """The store and what was left out of it; None where it is not kept, or not whole."""
    try:
        with kept.open("rb") as opened:
            whole = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        os.utime(kept)
        return _parsed(whole)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(kept: Path, store: Store, skipped: Mapping[str, int]) -> None:
    """A cache that cannot be written costs time and nothing else."""
    told = {
        "languages": store.languages,
        "sources": store.sources,
        "words": store.words,
        "skipped": dict(skipped),
        "paragraphs": len(store),
    }
    parts = [np.asarray(getattr(store, name)).astype(kind).tobytes() for name, kind in _ARRAYS]
    body = json.dumps(told).encode() + b"\n" + b"".join(parts) + bytes(store.data)
    draft = kept.with_name(f"{kept.name}.{os.getpid()}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(xxh3_64_hexdigest(body).encode() + b"\n" + body)
        draft.replace(kept)
        for old in sorted(kept.parent.iterdir(), key=lambda path: -path.stat().st_mtime)[_MOST:]:
            old.unlink()
    except OSError:
        with suppress(OSError):
            draft.unlink()


def _parsed(whole: mmap.mmap) -> tuple[Store, dict[str, int]]:
    first = whole.find(b"\n") + 1
    if xxh3_64_hexdigest(memoryview(whole)[first:]).encode() + b"\n" != whole[:first]:
        raise ValueError("damaged")
    at = whole.find(b"\n", first) + 1
    told = json.loads(whole[first:at])
    arrays = []
    for name, kind in _ARRAYS:
        count = told["paragraphs"] + (name == "starts")
        arrays.append(np.frombuffer(whole, kind, count, at))
        at += count * np.dtype(kind).itemsize
    starts, sizes, ends, codes, origins = arrays
    languages, sources = tuple(told["languages"]), tuple(told["sources"])
    store = Store(whole, starts + at, sizes, ends, codes, origins, languages, sources, told["words"])
    return store, told["skipped"]


@cache
def _version() -> str:
    """Of what decides a corpus besides its files: this code, that which tells languages, and Unicode's tables."""
    here = Path(__file__).parent
    code = [*sorted(here.glob("*.py")), here.parents[1] / "annotate" / "captions" / "language.py"]
    return xxh3_64_hexdigest(b"\0".join(path.read_bytes() for path in code) + unicodedata.unidata_version.encode())
