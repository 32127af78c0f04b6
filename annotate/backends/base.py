"""What every backend is asked and what it answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

from annotate.facts import Facts
from annotate.vision import SentImage


class Status(StrEnum):
    """What became of a request. Stored; every annotated image has exactly one.

    success    an annotation that is valid by the schema
    truncated  the answer stopped at its token limit, or never came to an end
    blocked    the model or a filter before it refused
    invalid    an answer that is no valid annotation, also after it was sent back once
    error      no answer: the server, the network, or the image's bytes
    """

    SUCCESS = "success"
    TRUNCATED = "truncated"
    BLOCKED = "blocked"
    INVALID = "invalid"
    ERROR = "error"


@dataclass(frozen=True)
class Request:
    """One image and what is asked of it. `turns` are earlier (answer, what was said to it), for a repair.

    `image` may be left out until it is sent (`needs_image` of the backend says whether it ever is): a request is known
    by its `key`, which takes the image by its id.
    """

    facts: Facts
    system: str
    prompt: str
    schema: dict[str, Any]
    languages: tuple[str, ...]
    answer_tokens: int
    settings: str = ""
    turns: tuple[tuple[str, str], ...] = ()
    image: SentImage | None = field(default=None, compare=False)

    @property
    def image_id(self) -> str:
        return self.facts.image_id

    @property
    def key(self) -> str:
        """Hash of everything that decides the payload; the image by id, and how it is sized by `settings`."""
        pieces = [
            self.image_id, self.system, self.prompt, self.schema, self.languages, self.answer_tokens, self.settings,
            self.turns,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(pieces, ensure_ascii=False, sort_keys=True).encode()).hexdigest()[:32]

    def after(self, answer: str, said: str) -> Request:
        """The request that sends `answer` back with what is wrong with it."""
        return replace(self, turns=(*self.turns, (answer, said)))

    def text_bytes(self) -> int:
        """Bytes of all text of the prompt: no tokenizer of bytes or of words makes more tokens of it."""
        return sum(len(t.encode()) for t in (self.system, self.prompt, *(text for turn in self.turns for text in turn)))


@dataclass(frozen=True)
class Answer:
    """What came back. `status` is `success` where the backend saw nothing wrong: whether the text is a valid
    annotation is judged later. `error` says in one line what was wrong. Tokens are those billed; seconds of the whole
    exchange with all its retries, which are `sends` in number.
    """

    status: Status
    text: str = ""
    error: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    sends: int = 1
    seconds: float = 0.0


class Meter(Protocol):
    """What a backend asks before it spends anything."""

    async def reserve(self, tokens: int, requests: int = 1) -> None:
        """Returns when so many requests of at most `tokens` in all may be sent; raises BudgetSpent where they may not.

        Each call is settled by one call of `settle`.
        """
        ...

    def settle(self, reserved: int, used: int | None) -> None:
        """What came of the tokens reserved; None where nobody knows: then they stay counted. Raises UsageError where
        more were used than reserved."""
        ...


class Backend(Protocol):
    """Answers requests. `batch` requests are handed over at a time, by `askers` tasks at once: as many as keep it busy,
    and perhaps more than it works on, as some wait to try again."""

    name: str
    model: str
    batch: int
    askers: int
    needs_image: bool
    #: What of its own settings decides the answer.
    settings: str

    async def answer(self, requests: Sequence[Request], meter: Meter) -> list[Answer]:
        """One answer for each request, in order. What goes wrong with one ends in its answer; only what is wrong with
        all of them is raised: UsageError (key, address, model), BudgetSpent (before anything was sent)."""
        ...

    async def close(self) -> None: ...


class BudgetSpent(Exception):  # noqa: N818 - nothing went wrong
    """No further request may be sent."""
