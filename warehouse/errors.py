"""Errors meant for people: one line that says what is wrong and what to do about it."""

from __future__ import annotations


class GlyphmillError(Exception):
    """A failure the user can act on. The command line prints its message alone and exits with `exit_code`."""

    exit_code = 1


class UsageError(GlyphmillError):
    """What was asked for cannot be done as written: a wrong recipe, column, option or path."""

    exit_code = 2


class LakeError(GlyphmillError):
    """The lake is missing, is not a lake, cannot be written or does not verify."""

    exit_code = 3


class LakeBusy(LakeError):  # noqa: N818 - the words say what it is
    """Another run holds the lake's writer lock."""

    exit_code = 4


class MissingDependency(GlyphmillError):  # noqa: N818 - the words say what it is
    """An extra, an extension or weights are not installed; the message names what to install."""

    exit_code = 5


class EngineError(GlyphmillError):
    """A shuffle's work failed after all its retries, or the engine itself did; what was last seen of it."""

    exit_code = 8
