"""How a user writes where a lake lies: a folder, or `s3://bucket/prefix`."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath, PurePosixPath

from warehouse.errors import UsageError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(?=[^/])")


class ObjectPath(PurePosixPath):
    """`s3://bucket/key`: a path that joins and prints, and opens nothing by itself."""

    def __str__(self) -> str:
        return re.sub(r"^(\w+):/(?!/)", r"\1://", super().__str__())

    def __fspath__(self) -> str:
        return str(self)

    def __reduce__(self) -> tuple[type[ObjectPath], tuple[str]]:
        return ObjectPath, (str(self),)


def place(where: str | PurePath) -> PurePath:
    """A `Path`, or an ObjectPath for `s3://bucket/prefix`. Raises UsageError for other object stores."""
    if isinstance(where, ObjectPath):
        return where
    text = os.fspath(where)
    scheme = _SCHEME.match(text)  # a Path has made one slash of two
    if scheme is None:
        return Path(text)
    if scheme[1].lower() != "s3":
        raise UsageError(f"a lake cannot lie at {text}: name a folder, or s3://bucket/prefix")
    return ObjectPath(f"s3://{text[scheme.end() :].rstrip('/')}")


def is_remote(path: PurePath) -> bool:
    return isinstance(path, ObjectPath)
