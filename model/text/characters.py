"""An encoder that needs no weights: each character of a quoted text, and each word outside, is a vector of its hash.

The vectors are frozen and random, so they carry no meaning, only identity, and that is enough to learn which prompt
draws which glyph on a laptop. Order needs no help: text tokens have positions in the model's rotary embedding.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from hashlib import blake2b

import torch

from annotate.captions.language import HAN
from model.text.prompt import Prompt
from warehouse.errors import UsageError

#: Quoted texts, by the marks “” "" 「」 『』; a mark that is never closed is a sign like others.
_QUOTED = re.compile('“([^“”]*)”|"([^"]*)"|「([^「」]*)」|『([^『』]*)』')
_WORD = re.compile(rf"[{HAN}]|\d+(?:\.\d+)?|[^\W\d_{HAN}]+(?:['’-][^\W\d_{HAN}]+)*")
_KEPT = 1 << 13  # vectors, about as many as there are characters in use
VERSION = 1  # raise when another text would give other tokens or vectors


def tokens(text: str) -> list[str]:
    """What stands for a token each: `c:X` for a character X within quotation marks, `w:word` for a word outside.

    Quoted text is taken as it is (NFC: case and blanks count); outside, case and compatibility forms do not, a Chinese
    character is a word and signs are none. Each quoted text begins with `q:`, so that two are not one. A text without
    any is `blank` alone.
    """
    found: list[str] = []
    at = 0
    for match in _QUOTED.finditer(text):
        found += _words(text[at : match.start()])
        said = next(group for group in match.groups() if group is not None)
        found += ["q:", *(f"c:{character}" for character in unicodedata.normalize("NFC", said))]
        at = match.end()
    return (found + _words(text[at:])) or ["blank"]


def _words(text: str) -> list[str]:
    return [f"w:{word}" for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold())]


class CharacterEncoder:
    """A `TextEncoder`. `width`: length of a vector. Pictures of a prompt are not seen: the model has their latents."""

    dtype = torch.float32

    def __init__(self, width: int, seed: int = 0, *, limit: int = 1024) -> None:
        if width < 1 or limit < 1:
            raise UsageError(f"character encoder: width {width} and limit {limit} must be at least 1")
        self.width, self.seed, self.limit = width, seed, limit
        self._kept: dict[str, torch.Tensor] = {}

    @property
    def identity(self) -> str:
        return f"characters-v{VERSION} width={self.width} seed={self.seed} limit={self.limit} cut dtype=float32"

    def count(self, prompt: Prompt) -> int:
        """Tokens of a prompt before any is cut off."""
        return len(tokens(prompt.text))

    def encode(self, prompts: Sequence[Prompt]) -> list[torch.Tensor]:
        """(T_i, width) float32 on the CPU for each prompt; what is beyond `limit` tokens is cut off."""
        return [torch.stack([self._vector(t) for t in tokens(prompt.text)[: self.limit]]) for prompt in prompts]

    def _vector(self, token: str) -> torch.Tensor:
        """Standard normal; the same on every machine, whatever was drawn before."""
        if token in self._kept:
            return self._kept[token]
        digest = blake2b(f"{VERSION} {self.seed} {token}".encode(), digest_size=8).digest()
        generator = torch.Generator()
        generator.manual_seed(int.from_bytes(digest, "little") >> 1)
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        return self._kept.setdefault(token, torch.randn(self.width, generator=generator))
