"""Any server that speaks the OpenAI chat completions protocol: vLLM, SGLang, a hosted one.

Every request has a token limit, a time limit and a limit of bytes read, so none of them goes on for ever, whatever the
server does. A failure that may pass is tried again, with growing pauses of random length or as long as the server says.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal

from annotate.backends.base import Answer, Meter, Request, Status
from warehouse.errors import MissingDependency, UsageError

if TYPE_CHECKING:
    import httpx

Constraint = Literal["response_format", "structured_outputs", "guided_json", "none"]

AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
NOT_BILLED = frozenset({429})  # refused before any work was done
OURS_TO_MEND = {
    401: "the server does not accept the key: put it into the variable that --api-key-env names",
    403: "the key may not use this model: check --model and the key",
    404: "the server knows no such address or model: check --base-url (it ends in /v1 as a rule) and --model",
}
TEMPLATE_TOKENS = 256  # of the chat template around the texts, at most
BYTES_PER_TOKEN = 16  # more than any token's text in JSON; an answer beyond that has no end
ENVELOPE_BYTES = 1 << 16


@dataclass(frozen=True)
class Retry:
    """How often a request is sent at most, and how long to wait in between: before the n-th further send a random time
    up to min(`cap_s`, `base_s` * 2^n), or what the server asks for. One that asks for more than `patience_s` is not
    waited for: the image ends as an error, and the next run asks again."""

    sends: int = 6
    base_s: float = 0.5
    cap_s: float = 30.0
    patience_s: float = 300.0


@dataclass(frozen=True)
class Server:
    """Where the model is and how it is asked. `image_tokens`: the most that one image is billed at, where that is not
    what `Request.settings` come to. `constraint`: how the schema is given: `response_format` (the OpenAI way, also
    vLLM's and SGLang's), `structured_outputs` (vLLM from 0.12, without any whitespace), `guided_json` (vLLM before)."""

    base_url: str
    model: str
    api_key: str | None = None
    concurrency: int = 16
    image_tokens: int = 1026
    constraint: Constraint = "response_format"
    connect_s: float = 10.0
    read_s: float = 120.0
    total_s: float = 300.0
    retry: Retry = field(default_factory=Retry)


class OpenAIBackend:
    """Answers from a server. At most `server.concurrency` requests are on their way at any time."""

    name = "openai"
    batch = 1
    needs_image = True

    def __init__(self, server: Server) -> None:
        try:
            import httpx
        except ImportError as error:
            raise MissingDependency("httpx is not installed: install glyphmill[vlm]") from error
        self.server = server
        self.model = server.model
        self.askers = 2 * server.concurrency  # the other half may be waiting for a retry
        self.settings = f"openai {server.constraint}"
        self._random = random.Random()
        self._slots = asyncio.Semaphore(server.concurrency)
        headers = {"Authorization": f"Bearer {server.api_key}"} if server.api_key else {}
        try:
            self._client = httpx.AsyncClient(
                headers={**headers, "Content-Type": "application/json"},
                timeout=httpx.Timeout(server.read_s, connect=server.connect_s, pool=None),
                limits=httpx.Limits(max_connections=server.concurrency, max_keepalive_connections=server.concurrency),
            )
            self._url = httpx.URL(server.base_url.rstrip("/") + "/chat/completions")
        except (httpx.InvalidURL, ValueError) as error:
            raise UsageError(f"{server.base_url} is no address of a server: {error}") from error
        if self._url.scheme not in ("http", "https"):
            raise UsageError(f"{server.base_url} is no address of a server: it begins with http:// or https://")

    async def answer(self, requests: Sequence[Request], meter: Meter) -> list[Answer]:
        return list(await asyncio.gather(*(self._answer(request, meter) for request in requests)))

    async def close(self) -> None:
        await self._client.aclose()

    async def _answer(self, request: Request, meter: Meter) -> Answer:
        started = time.monotonic()
        body = json.dumps(self.payload(request), ensure_ascii=False).encode()
        bound = self.most_tokens(request)
        retry = self.server.retry
        sent = 0
        while True:
            async with self._slots:
                await meter.reserve(bound)
                got = await self._send_metered(body, request.answer_tokens, meter, bound)
            sent += 1
            pause = self._pause(got, sent)
            if not got.again or sent >= retry.sends or pause > retry.patience_s:
                if got.again:
                    got.answer = _error(f"{got.answer.error} (sent {sent} times)")
                found = got.answer
                return Answer(
                    found.status, found.text, found.error, found.input_tokens, found.output_tokens, sent,
                    time.monotonic() - started,
                )  # fmt: skip
            await asyncio.sleep(pause)

    def payload(self, request: Request) -> dict[str, Any]:
        """The body of the request as the server gets it."""
        assert request.image is not None
        picture = {"type": "image_url", "image_url": {"url": request.image.url}}
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": request.system},
            {"role": "user", "content": [picture, {"type": "text", "text": request.prompt}]},
        ]
        for answer, said in request.turns:
            messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": said}]
        body = {
            "model": self.model,
            "messages": messages,
            "max_tokens": request.answer_tokens,
            "temperature": 0,
        }
        return {**body, **constrained(self.server.constraint, request.schema)}

    def most_tokens(self, request: Request) -> int:
        """The most that one send of the request can be billed at: prompt, schema (some servers write it into the
        prompt), image and answer."""
        schema = len(json.dumps(request.schema).encode())
        return request.text_bytes() + schema + TEMPLATE_TOKENS + self.server.image_tokens + request.answer_tokens

    async def _send_metered(self, body: bytes, answer_tokens: int, meter: Meter, bound: int) -> _Got:
        used: int | None = None
        try:
            got = await self._send(body, answer_tokens)
            used = got.used
        finally:
            meter.settle(bound, used)
        return got

    async def _send(self, body: bytes, answer_tokens: int) -> _Got:
        """One exchange. Raises UsageError where no request could succeed."""
        import httpx

        limit = answer_tokens * BYTES_PER_TOKEN + ENVELOPE_BYTES
        try:
            async with (
                asyncio.timeout(self.server.total_s),
                self._client.stream("POST", self._url, content=body) as response,
            ):
                content = bytearray()
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > limit:
                        break
                return _read(response, bytes(content), whole=len(content) <= limit)
        except TimeoutError:
            return _Got(_error(f"no whole answer within {self.server.total_s:g} s"), again=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return _Got(_error(f"no connection to {self._url.host}: {_one_line(error)}"), again=True, used=0)
        except (httpx.TransportError, httpx.DecodingError) as error:
            return _Got(_error(f"the connection failed: {type(error).__name__} {_one_line(error)}".strip()), again=True)

    def _pause(self, got: _Got, sent: int) -> float:
        retry = self.server.retry
        jittered = self._random.uniform(0, min(retry.cap_s, retry.base_s * 2**sent))
        # A moment more than asked for, and not the same for all: those that wait must not come back at one stroke.
        return jittered if got.wait_s is None else got.wait_s + min(jittered, 0.25 * got.wait_s + 0.05)


@dataclass
class _Got:
    """What one send gave. `again`: it may go better another time. `used`: tokens billed, None where nobody knows."""

    answer: Answer
    again: bool = False
    wait_s: float | None = None
    used: int | None = None


def constrained(how: Constraint, schema: dict[str, Any]) -> dict[str, Any]:
    """The part of a request's body that makes the server follow the schema."""
    if how == "response_format":
        named = {"name": "annotation", "strict": True, "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    if how == "structured_outputs":
        return {"structured_outputs": {"json": schema, "disable_any_whitespace": True}}
    return {"guided_json": schema} if how == "guided_json" else {}


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, given in seconds or as an HTTP date; None where it says nothing."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = ((when if when.tzinfo else when.replace(tzinfo=UTC)) - now).total_seconds()
    return None if math.isnan(seconds) else max(0.0, seconds)


def _read(response: httpx.Response, content: bytes, *, whole: bool) -> _Got:
    status = response.status_code
    if status in OURS_TO_MEND:
        raise UsageError(f"{OURS_TO_MEND[status]} ({status} {_said(content)})")
    if status != 200:
        again = status in AGAIN
        wait = retry_after(response.headers.get("Retry-After"), datetime.now(UTC)) if again else None
        billed = None if again and status not in NOT_BILLED else 0
        return _Got(_error(f"the server says {status}: {_said(content)}"), again, wait, billed)
    if not whole:
        return _Got(Answer(Status.TRUNCATED, content.decode("utf-8", "replace"), _endless(content)))
    try:
        return _completion(json.loads(content))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return _Got(_error(f"what the server sent is no chat completion: {_said(content)}"), again=True)


def _completion(found: dict[str, Any]) -> _Got:
    """The first choice of a chat completion."""
    choice = found["choices"][0]
    message, reason = choice["message"], choice.get("finish_reason")
    usage = found.get("usage") or {}
    read, written = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    text = message.get("content") or ""
    if isinstance(text, list):
        text = "".join(part.get("text", "") for part in text)
    status, error = Status.SUCCESS, None
    if message.get("refusal"):
        status, error, text = Status.BLOCKED, "the model refused", text or message["refusal"]
    elif reason == "content_filter":
        status, error = Status.BLOCKED, "a content filter stopped it"
    elif reason == "length":
        status, error = Status.TRUNCATED, f"cut off after {written} tokens"
    return _Got(Answer(status, text, error, read, written), used=read + written if usage else None)


def _endless(content: bytes) -> str:
    blank = len(content) - len(content.rstrip())
    return "endless whitespace" if blank > len(content) // 2 else f"no end after {len(content)} bytes"


def _error(text: str) -> Answer:
    return Answer(Status.ERROR, error=text)


def _said(content: bytes) -> str:
    """The server's own words, in one line."""
    try:
        found = json.loads(content)
        said = found.get("error", found) if isinstance(found, dict) else found
        said = said.get("message", said) if isinstance(said, dict) else said
    except ValueError:
        said = content[:1000].decode("utf-8", "replace")
    return " ".join(str(said).split())[:300]


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
