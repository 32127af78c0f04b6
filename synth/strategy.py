"""What a strategy is: something that draws sample i of a seed, anywhere, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from synth.sample import Rejected, Sample


class Strategy(Protocol):
    """A frozen, picklable description of what to draw (paths, sizes, shares): workers open fonts and corpora by it.

    `draw` is a pure function of the description, the seed and the index; what it opened is kept in the process.
    """

    @property
    def name(self) -> str:
        """`pure`, `compositional`, `template` or `glyph`."""

    def check(self) -> None:
        """Before anything is drawn: raises UsageError or MissingDependency in words that say what to change."""

    def fingerprint(self) -> str:
        """Names everything besides seed and index that decides the bytes: corpora, fonts, photographs, versions."""

    def draw(self, seed: int, index: int) -> Sample | Rejected: ...


@dataclass(frozen=True)
class EditPair:
    """The same scene twice with one change. `quad`: x, y of the four corners outside of which no pixel differs.

    `instruction`: by language, `en` and `zh`. `kind`: word | colour | font | position | language.
    """

    reference: Sample
    target: Sample
    quad: tuple[float, ...]
    instruction: dict[str, str]
    kind: str
