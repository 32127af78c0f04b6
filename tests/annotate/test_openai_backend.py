"""The openai backend alone, over real HTTP, against every way in which a server may misbehave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from answering_server import STATUS, TOKENS, WAYS, Answering, answering
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from annotate.backends.base import Answer, BudgetSpent, Request, Status
from annotate.backends.openai import OpenAIBackend, Retry, Server, constrained, retry_after
from annotate.facts import Facts
from annotate.judge import judge
from annotate.schema import json_schema
from annotate.vision import SentImage, Sizing, encode
from warehouse.errors import UsageError

PICTURE = encode(Image.new("RGB", (40, 30), "red"), Sizing())
FAST = Retry(sends=4, base_s=0.01, cap_s=0.05)


class Counting:
    """A meter that lets everything pass and keeps the books."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.reserved: list[int] = []
        self.settled: list[tuple[int, int | None]] = []

    async def reserve(self, tokens: int, requests: int = 1) -> None:
        if self.limit is not None and len(self.reserved) >= self.limit:
            raise BudgetSpent
        self.reserved.append(tokens)

    def settle(self, reserved: int, used: int | None) -> None:
        self.settled.append((reserved, used))


def request(number: int, answer_tokens: int = 300, image: SentImage = PICTURE) -> Request:
    return Request(
        facts=Facts(f"{number:032x}"), system="Describe.", prompt=f"This is picture {number}.",
        schema=json_schema(["en"]), languages=("en",), answer_tokens=answer_tokens, image=image,
    )  # fmt: skip


def ask(server: Server, requests: list[Request], meter: Counting | None = None) -> list[Answer]:
    async def run() -> list[Answer]:
        backend = OpenAIBackend(server)
        try:
            return await backend.answer(requests, meter or Counting())
        finally:
            await backend.close()

    return asyncio.run(run())


@pytest.fixture(scope="module")
def every_way() -> Iterator[Answering]:
    """Picture n is answered in the n-th way."""
    with answering({str(n): way for n, way in enumerate(WAYS)}) as server:
        yield server


@pytest.mark.parametrize("way", WAYS)
def test_each_way_has_its_status(way: str, every_way: Answering) -> None:
    asked = request(WAYS.index(way))
    meter = Counting()
    (answer,) = ask(Server(every_way.url, "m", retry=FAST), [asked], meter)
    judged = judge(answer, asked)
    expected = "invalid" if way in ("not-json", "wrong-schema") else STATUS.get(way, "success")
    assert judged.status == expected
    assert (judged.annotation is not None) == (expected == "success")
    assert (judged.error is None) == (expected == "success")
    assert (judged.fault is not None) == (expected == "invalid")
    sends = {"429": 2, "429-date": 2, "500": 2, "cut": 2, "not-a-completion": 2, "down": 4}.get(way, 1)
    assert answer.sends == sends == len(meter.reserved) == len(meter.settled)
    if way == "whitespace-for-ever":
        assert answer.error == "endless whitespace"
        assert meter.settled[-1][1] is None
    elif expected == "error":
        assert answer.text == ""
    else:
        used = None if way == "no-usage" else sum(TOKENS)
        assert meter.settled[-1][1] == used


def test_what_may_have_been_billed_stays_counted(every_way: Answering) -> None:
    for way, first in (("429", 0), ("500", None), ("cut", None)):
        with answering({"1": way}) as server:
            meter = Counting()
            ask(Server(server.url, "m", retry=FAST), [request(1)], meter)
            assert meter.settled[0][1] == first, way


def test_the_bound_is_never_passed(every_way: Answering) -> None:
    with answering({"*": ["good", "slow", "500", "429"]}) as server:
        answers = ask(Server(server.url, "m", retry=FAST, concurrency=5), [request(n) for n in range(60)])
        assert 1 < server.stats()["most_open"] <= 5
    assert {answer.status for answer in answers} == {Status.SUCCESS}


def test_no_send_without_the_meters_leave(every_way: Answering) -> None:
    with answering({"*": "down"}) as server:
        with pytest.raises(BudgetSpent):
            ask(Server(server.url, "m", retry=FAST), [request(1)], Counting(limit=2))
        assert server.stats()["requests"] == 2


def test_a_server_that_asks_for_hours_is_not_waited_for() -> None:
    async def hours(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 429 No\r\nRetry-After: 7200\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    assert "429" in str(_against(hours, FAST)[0].error)


def test_an_answer_that_never_comes_ends_in_an_error() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    (answer,) = _against(silent, Retry(sends=1), total_s=0.3)
    assert (answer.status, answer.error) == (Status.ERROR, "no whole answer within 0.3 s (sent 1 times)")
    (answer,) = _against(silent, Retry(sends=1), read_s=0.3)
    assert "ReadTimeout" in str(answer.error)


@pytest.mark.parametrize(("code", "words"), [(401, "--api-key-env"), (403, "--model"), (404, "--base-url")])
def test_what_is_wrong_with_every_request_is_raised(code: int, words: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {code} No\r\nContent-Length: 2\r\n\r\nno".encode())
        await writer.drain()
        writer.close()

    with pytest.raises(UsageError, match=words):
        _against(refuse, FAST)


def _against(handler: Any, retry: Retry, **settings: float) -> list[Answer]:
    """The answers to one request from a server that does nothing but `handler`."""

    async def run() -> list[Answer]:
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        backend = OpenAIBackend(Server(f"http://127.0.0.1:{port}/v1", "m", retry=retry, **settings))  # type: ignore[arg-type]
        try:
            return await backend.answer([request(1)], Counting())
        finally:
            await backend.close()
            server.close()

    return asyncio.run(run())


NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("2.5", 2.5),
        ("-3", 0.0),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("", None),
    ],
)
def test_retry_after_in_seconds_and_as_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


@given(st.text(max_size=40))
def test_retry_after_takes_anything(value: str) -> None:
    found = retry_after(value, NOW)
    assert found is None or found >= 0


def test_pauses_are_at_least_what_was_asked_for_and_random_below_the_cap() -> None:
    backend = OpenAIBackend(Server("http://localhost:1/v1", "m", retry=Retry(base_s=1.0, cap_s=8.0)))
    from annotate.backends.openai import _Got

    asked = [backend._pause(_Got(Answer(Status.ERROR), True, wait_s=2.0), 1) for _ in range(50)]
    assert min(asked) >= 2.0
    assert max(asked) <= 2.6
    for sent in range(1, 8):
        own = [backend._pause(_Got(Answer(Status.ERROR), True), sent) for _ in range(50)]
        assert 0 <= min(own) < max(own) <= min(8.0, 2**sent)


def test_the_payload_holds_the_server_to_the_schema() -> None:
    backend = OpenAIBackend(Server("http://localhost:1/v1/", "m"))
    asked = request(3).after("{}", "captions is missing")
    body = backend.payload(asked)
    assert body["max_tokens"] == 300
    assert body["response_format"]["json_schema"]["strict"] is True
    assert body["response_format"]["json_schema"]["schema"] == json_schema(["en"])
    assert [m["role"] for m in body["messages"]] == ["system", "user", "assistant", "user"]
    assert body["messages"][1]["content"][0]["image_url"]["url"].startswith("data:image/jpeg;base64,/9j/")
    assert constrained("guided_json", {"type": "object"}) == {"guided_json": {"type": "object"}}
    assert constrained("structured_outputs", {})["structured_outputs"]["disable_any_whitespace"] is True
    assert constrained("none", {}) == {}
    assert len(json.dumps(body["messages"][0]).encode()) < backend.most_tokens(asked)
