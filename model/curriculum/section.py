"""One table of a TOML file, read strictly: a key that nobody knows is an error that names the nearest known one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from model.curriculum.ramp import Ramp
from warehouse.errors import UsageError


class Section:
    """A table and where it stands, for errors. Every reader raises UsageError, one line."""

    def __init__(self, content: Mapping[str, object], where: str, known: Iterable[str]) -> None:
        self.content, self.where = content, where
        names = list(known)
        for key in content:
            if key not in names:
                raise UsageError(f"{where}: {unknown('key', key, names)}")

    def has(self, key: str) -> bool:
        return key in self.content

    def fail(self, key: str, what: str) -> UsageError:
        return UsageError(f"{self.where}: {key} {what}")

    def text(self, key: str, default: str | None = None) -> str:
        """A string that is not empty."""
        value = self._value(key, default)
        if not isinstance(value, str) or not value.strip():
            raise self.fail(key, f"must be a text, got {value!r}")
        return value

    def one_of(self, key: str, choices: tuple[str, ...], default: str) -> str:
        value = self.text(key, default)
        if value not in choices:
            raise self.fail(key, f"must be one of {', '.join(choices)}, got {value!r}")
        return value

    def whole(self, key: str, default: int | None = None, least: int = 1) -> int:
        """A whole number of at least `least`."""
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self.fail(key, f"must be a whole number of at least {least}, got {value!r}")
        return value

    def number(self, key: str, default: float | None = None, least: float = 0.0, most: float = float("inf")) -> float:
        """A number from `least` to `most`."""
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise self.fail(key, f"must be a number from {least:g} to {most:g}, got {value!r}")
        return float(value)

    def ramp(self, key: str, default: float | None = None, least: float = 0.0, most: float = float("inf")) -> Ramp:
        """A number, or a list of numbers that the phase moves through evenly."""
        value = self._value(key, default)
        points = value if isinstance(value, list) else [value]
        found = []
        for point in points:
            if isinstance(point, bool) or not isinstance(point, int | float) or not least <= point <= most:
                said = (
                    f"must be a number from {least:g} to {most:g}, or a list of such from the phase's begin to its end"
                )
                raise self.fail(key, f"{said}; got {value!r}")
            found.append(float(point))
        if not found:
            raise self.fail(key, "is an empty list")
        return Ramp(tuple(found))

    def ramps(self, key: str, least: float = 0.0) -> dict[str, Ramp]:
        """A table of ramps by name; empty where it is not given."""
        table = self.table(key)
        inner = Section(table, f"{self.where}, {key}", table)
        return {name: inner.ramp(name, least=least) for name in table}

    def table(self, key: str) -> Mapping[str, object]:
        """A table; empty where it is not given."""
        value = self.content.get(key, {})
        if not isinstance(value, dict):
            raise self.fail(key, f"must be a table, got {value!r}")
        return value

    def tables(self, key: str) -> list[Mapping[str, object]]:
        """A list of tables; empty where it is not given."""
        value = self.content.get(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise self.fail(key, f"must be tables, as in [[{key}]]")
        return value

    def texts(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        value = self.content.get(key, list(default))
        if not isinstance(value, list) or not value or not all(isinstance(entry, str) for entry in value):
            raise self.fail(key, "must be a list of texts")
        return tuple(value)

    def _value(self, key: str, default: object) -> object:
        value = self.content.get(key, default)
        if value is None:
            raise UsageError(f"{self.where}: {key} is missing")
        return value


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Says that nothing is called `name`, and what is."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there is {', '.join(names) or 'none'}"
    return f"unknown {what} {name!r}; {hint}"
