"""What was read of font files, kept between processes: pixels of a quarter of a million glyphs are drawn but once."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path

import freetype
import numpy as np
import uharfbuzz as hb
from xxhash import xxh3_64_hexdigest, xxh3_128_hexdigest

from synth.fonts.coverage import Coverage
from synth.fonts.face import FaceKey
from synth.fonts.facts import FontInfo
from synth.fonts.fontfile import FontFile, Skipped, read_font_file

_CODE = ("characters.py", "coverage.py", "face.py", "facts.py", "fontfile.py", "licence.py", "store.py")


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "glyphmill" / "fonts"


@cache
def version() -> str:
    """Of what decides a reading besides the file: this code, HarfBuzz and FreeType."""
    code = b"\0".join((Path(__file__).parent / name).read_bytes() for name in _CODE)
    return xxh3_64_hexdigest(code + repr((hb.version_string(), freetype.version())).encode())


def read_kept(path: Path) -> FontFile:
    """A font file as `read_font_file` reads it, from what was kept of the same bytes when there is such.
    Raises OSError where the file cannot be read."""
    data = path.read_bytes()
    digest = xxh3_128_hexdigest(data)
    kept = cache_folder() / f"{digest}-{version()}"
    try:
        return _load(kept.read_bytes(), path)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not kept yet, or not whole
    read = read_font_file(path, data, digest)
    _keep(kept, _dump(read))
    return read


def _dump(read: FontFile) -> bytes:
    arrays: list[np.ndarray] = []
    rows = []
    for info, covered in read.faces:
        three = (covered.drawn, covered.lies, covered.false_glyphs)
        arrays += three
        rows.append({**asdict(info), "key": info.key.index, "sizes": [len(a) for a in three]})
    body = b"".join(a.astype("<u4").tobytes() for a in arrays)
    head = json.dumps({"faces": rows, "skipped": [[s.index, s.reason] for s in read.skipped]}).encode() + b"\n"
    return xxh3_64_hexdigest(head + body).encode() + b"\n" + head + body


def _load(kept: bytes, path: Path) -> FontFile:
    checksum, _, rest = kept.partition(b"\n")
    if xxh3_64_hexdigest(rest).encode() != checksum:
        raise ValueError("damaged")
    head, _, body = rest.partition(b"\n")
    told = json.loads(head)
    values = np.frombuffer(body, dtype="<u4").astype(np.uint32, copy=False)
    faces = []
    for row in told["faces"]:
        sizes: Sequence[int] = row.pop("sizes")
        parts = np.split(values[: sum(sizes)], np.cumsum(sizes)[:-1])
        values = values[sum(sizes) :]
        info = FontInfo(**{**row, "key": FaceKey(str(path), row["key"]), "scripts": tuple(row["scripts"])})
        faces.append((info, Coverage(*parts)))
    return FontFile(tuple(faces), tuple(Skipped(str(path), index, reason) for index, reason in told["skipped"]))


def _keep(kept: Path, whole: bytes) -> None:
    """A cache that cannot be written costs time and nothing else."""
    draft = kept.with_name(f"{kept.name}.{os.getpid()}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(whole)
        draft.replace(kept)
    except OSError:
        with suppress(OSError):
            draft.unlink()
