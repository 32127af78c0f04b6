"""Prompts: versioned texts in `annotate/prompts/`, filled in with what is known of the image."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template

from annotate.facts import Facts
from annotate.schema import SCHEMA_VERSION
from warehouse.errors import UsageError

#: Facts beyond these are left out of the prompt, so that a page full of text does not fill the model's context.
MAX_CAPTIONS = 6
MAX_CAPTION = 600  # characters
MAX_LINES = 80
FOLDER = Path(__file__).parent / "prompts"
PARTS = ("system", "user", "captions", "text", "repair")


@dataclass(frozen=True)
class Prompt:
    """The texts of one language. `version` is the file's own number, and a hash of its words and the schema's version,
    so that no two wordings ever share one."""

    language: str
    version: str
    parts: dict[str, str]
    languages: dict[str, str]

    @property
    def system(self) -> str:
        return self.parts["system"].strip()

    def version_for(self, languages: Sequence[str]) -> str:
        """The version that annotations with captions in these languages are stored with."""
        return "+".join([self.version, *(name for name in languages if name != self.language)])

    def user(self, languages: Sequence[str], facts: Facts) -> str:
        """What is asked of one image: captions in `languages`, with the facts that are there."""
        told = [self._fill("user", languages=", ".join(self.languages[name] for name in languages))]
        captions = [c for c in facts.captions if c.kind == "raw"][:MAX_CAPTIONS]
        if captions:
            told.append(self._fill("captions", lines=_listed(c.text[:MAX_CAPTION] for c in captions)))
        if facts.text:
            boxes = [(line.text, line.box) for line in facts.text[:MAX_LINES]]
            lines = _listed(f'"{text}" [{b.left}, {b.top}, {b.right}, {b.bottom}]' for text, b in boxes)
            told.append(self._fill("text", lines=lines))
        return "\n\n".join(told)

    def repair(self, fault: str) -> str:
        """What is said to an answer that is not valid."""
        return self._fill("repair", fault=fault)

    def _fill(self, part: str, **values: str) -> str:
        return Template(self.parts[part]).substitute(values).strip()


@cache
def load(language: str) -> Prompt:
    """The prompt of that language. Raises UsageError where there is none."""
    file = FOLDER / f"{language}.toml"
    if not file.is_file():
        raise UsageError(f"no prompt in language {language}: choose en or zh")
    return loads(language, file.read_text(encoding="utf-8"))


def loads(language: str, text: str) -> Prompt:
    """A prompt from the text of its file."""
    found = tomllib.loads(text)
    words = hashlib.sha256(f"{SCHEMA_VERSION}\n{text}".encode()).hexdigest()[:8]
    return Prompt(
        language=language,
        version=f"{language}-{found['version']}-{words}",
        parts={part: found[part] for part in PARTS},
        languages=found["languages"],
    )


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
