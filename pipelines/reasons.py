"""Why a sample could not be judged: every code that opens an `error` of the tables, in one place."""

from __future__ import annotations

import re
import struct
import zlib
from enum import StrEnum


class Reason(StrEnum):
    """First word of an `error`; a colon and the detail follow."""

    EMPTY = "empty"  # no bytes at all
    MISSING = "missing"  # the source names a file that is not there
    READ = "read"  # the file is there and could not be read
    DOWNLOAD = "download"  # the source says that fetching it had failed
    UNIDENTIFIED = "unidentified"  # no image format starts with these bytes
    UNSUPPORTED = "unsupported"  # a known format that is not read here
    BOMB = "bomb"  # the header promises more pixels than are safe to decode
    TRUNCATED = "truncated"  # the bytes end before the picture does
    CORRUPT = "corrupt"  # the bytes break the rules of their own format
    TIMEOUT = "timeout"  # decoding took too long and was stopped
    MEMORY = "memory"  # decoding wanted too much memory and was stopped
    CRASH = "crash"  # decoding killed its process
    EXTRACTOR = "extractor"  # the picture is fine, a signal's own code failed on it
    UNIT = "unit failed"  # the unit of work could not be finished, the sample was never looked at


class UnreadableError(Exception):
    """A picture that cannot be judged: `reason` says which way, `detail` says what was found, in one line."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = one_line(detail)

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def one_line(text: str) -> str:
    """Text of an exception, the same on every run: one line, without addresses of objects."""
    return " ".join(_ADDRESS.sub("", text).split())


_ADDRESS = re.compile(r" at 0x[0-9a-f]+")

#: What image decoders raise on bytes that they cannot take: they were written for good files, and almost any built-in
#: exception has been seen on a broken one.
FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
    zlib.error,
)


def unreadable(error: BaseException, doing: str) -> UnreadableError:
    """The UnreadableError that says what a decoder's own exception means; `doing` opens the detail."""
    if isinstance(error, UnreadableError):
        return error
    if isinstance(error, MemoryError):
        return UnreadableError(Reason.MEMORY, f"{doing}: not enough memory")
    text = str(error) or type(error).__name__
    lower = text.lower()
    if type(error).__name__.startswith("DecompressionBomb"):
        return UnreadableError(Reason.BOMB, text)
    cut = isinstance(error, EOFError) or any(
        word in lower for word in ("truncated", "premature end", "unexpected end", "not enough image data")
    )
    return UnreadableError(Reason.TRUNCATED if cut else Reason.CORRUPT, f"{doing}: {text}")
