"""Small helpers for the XML of slides: names, attributes, and numbers that may be missing or broken."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from lxml import etree  # type: ignore[import-untyped]

from synth.template.deck.errors import DeckError

__all__ = ["EMU_PER_POINT", "A", "Element", "P", "R", "child", "etree", "first", "flag", "local", "q", "whole"]

A: Final = "http://schemas.openxmlformats.org/drawingml/2006/main"
P: Final = "http://schemas.openxmlformats.org/presentationml/2006/main"
R: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
SPACES: Final = {"a": A, "p": P, "r": R}

Element = Any  # lxml's element; its own stubs are not installed
EMU_PER_POINT: Final = 12700


@cache
def q(name: str) -> str:
    """`a:off` as lxml writes it."""
    prefix, local = name.split(":")
    return f"{{{SPACES[prefix]}}}{local}"


def local(element: Element) -> str:
    """The tag without its name space; empty for comments."""
    return str(element.tag).rsplit("}", 1)[-1] if isinstance(element.tag, str) else ""


def child(element: Element | None, *names: str) -> Element | None:
    """Down a path of first children, or None."""
    for name in names:
        if element is None:
            return None
        element = element.find(q(name))
    return element


def first(element: Element | None, names: tuple[str, ...]) -> Element | None:
    """The first child with one of these names."""
    if element is None:
        return None
    wanted = _tags(names)
    return next((c for c in element if c.tag in wanted), None)


@cache
def _tags(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(q, names))


def whole(element: Element | None, name: str, default: int = 0) -> int:
    """A whole number; percentages are written 50% or 50000 and both give 50000. Raises DeckError."""
    if element is None or (text := element.get(name)) is None:
        return default
    try:
        return round(float(text[:-1]) * 1000) if text.endswith("%") else round(float(text))
    except (ValueError, OverflowError) as error:
        raise DeckError("broken XML", f"{name}={text!r} is no number") from error


def flag(element: Element | None, name: str, default: bool = False) -> bool:
    if element is None or (text := element.get(name)) is None:
        return default
    return str(text) in ("1", "true", "on")
