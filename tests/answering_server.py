"""A chat completions server on real HTTP that misbehaves on request: run in a process of its own, asked for its counts.

What it does is told by a number in the prompt, "picture 17", and by a plan: `{"17": "cut"}`, or `{"*": [...]}` for a
list of ways that the number picks from. Everything is deterministic but for the order in which requests come.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

NUMBER = re.compile(r"picture (\d+)")
WAYS = (
    "good", "slow", "429", "429-date", "500", "cut", "not-json", "not-json-for-ever", "wrong-schema",
    "wrong-schema-for-ever", "refusal", "refusal-in-json", "refusal-field", "filtered", "truncated", "whitespace",
    "whitespace-for-ever", "whole-then-whitespace", "fenced", "no-usage", "down", "bad-request", "not-a-completion",
)  # fmt: skip
#: Status of an image that the server treats so.
STATUS = {
    **dict.fromkeys(("not-json-for-ever", "wrong-schema-for-ever"), "invalid"),
    **dict.fromkeys(("refusal", "refusal-in-json", "refusal-field", "filtered"), "blocked"),
    **dict.fromkeys(("truncated", "whitespace", "whitespace-for-ever"), "truncated"),
    **dict.fromkeys(("down", "bad-request"), "error"),
}
TOKENS = (120, 40)  # in, out: billed for each answer


def annotation(number: int, **changed: Any) -> dict[str, Any]:
    """A valid annotation of picture `number`."""
    return {
        "captions": [{"language": "en", "short": f"Picture {number}.", "long": f"A plain picture, number {number}."}],
        "objects": [{"name": "square", "attributes": ["grey"], "count": 1, "position": "centre"}],
        "scene": "nowhere",
        "style": "plain",
        "image_type": "photograph",
        "relations": [],
        "text_lines": [],
        "abnormal": ["watermark"] if number % 2 else [],
        "category": ["nature", "objects"],
        "confidence": 0.75,
        **changed,
    }


class _Server:
    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.phase = 0
        self.open = 0
        self.most_open = 0
        self.billed = 0
        self.requests = 0
        self.arrived: Counter[str] = Counter()  # "phase/number/turn"
        self.answered: Counter[str] = Counter()  # "number/turn": a whole answer went out
        self.seen: Counter[str] = Counter()

    def way(self, number: int) -> str:
        told = self.plan.get(str(number), self.plan.get("*", "good"))
        return str(told if isinstance(told, str) else told[number % len(told)])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
                body = await reader.readexactly(int(length.group(1)) if length else 0)
                path = head.split(" ", 2)[1]
                if path.startswith("/control"):
                    self._control(path, writer)
                else:
                    self.open += 1
                    self.most_open = max(self.most_open, self.open)
                    try:
                        if not await self._chat(json.loads(body), writer):
                            return
                    finally:
                        self.open -= 1
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    def _control(self, path: str, writer: asyncio.StreamWriter) -> None:
        if path.endswith("phase"):
            self.phase += 1
        stats = {
            "most_open": self.most_open, "billed": self.billed, "requests": self.requests, "arrived": self.arrived,
            "answered": self.answered,
        }  # fmt: skip
        _respond(writer, 200, stats)

    async def _chat(self, asked: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False where the connection is not to be used again."""
        text = next(part["text"] for part in asked["messages"][1]["content"] if part["type"] == "text")
        found = NUMBER.search(text)
        number = int(found.group(1)) if found else 0
        turn = len(asked["messages"]) // 2
        self.requests += 1
        self.arrived[f"{self.phase}/{number}/{turn}"] += 1
        self.seen[f"{number}/{turn}"] += 1
        first = self.seen[f"{number}/{turn}"] == 1
        way = self.way(number)
        assert asked["max_tokens"] > 0
        await asyncio.sleep(0.002)
        if way == "slow":
            await asyncio.sleep(0.1)
        if way in ("429", "429-date") and first:
            after = "0" if way == "429" else formatdate(usegmt=True)
            _respond(writer, 429, {"error": {"message": "slow down"}}, {"Retry-After": after})
            return True
        if (way == "500" and first) or way == "down":
            _respond(writer, 500, {"error": {"message": "out of cheese"}})
            return True
        if way == "bad-request":
            _respond(writer, 400, {"error": {"message": "no such picture"}})
            return True
        if way == "not-a-completion" and first:
            _respond(writer, 200, {"hello": "there"})
            return True
        if way == "cut" and first:
            self.billed += sum(TOKENS)  # it did the work; the answer was lost on the way
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"cho')
            await writer.drain()
            return False
        if way == "whitespace-for-ever":
            self.billed += TOKENS[0] + asked["max_tokens"]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
                await writer.drain()
        content, reason, extra = self._content(way, number, turn)
        usage = {"prompt_tokens": TOKENS[0], "completion_tokens": TOKENS[1]}
        self.billed += sum(TOKENS)
        answer = {"choices": [{"message": {"content": content, **extra}, "finish_reason": reason}], "usage": usage}
        if way == "no-usage":
            del answer["usage"]
        _respond(writer, 200, answer)
        await writer.drain()
        self.answered[f"{number}/{turn}"] += 1
        return True

    def _content(self, way: str, number: int, turn: int) -> tuple[str | None, str, dict[str, Any]]:
        good = json.dumps(annotation(number))
        if way == "not-json-for-ever" or (way == "not-json" and turn == 1):
            return good[:-20] + "...", "stop", {}
        if way == "wrong-schema-for-ever" or (way == "wrong-schema" and turn == 1):
            return json.dumps(annotation(number, confidence="high", mood="gay")), "stop", {}
        if way == "refusal":
            return "I'm sorry, I cannot help with that picture.", "stop", {}
        if way == "refusal-in-json":
            said = "As an AI language model, I cannot describe this picture."
            return (
                json.dumps(annotation(number, captions=[{"language": "en", "short": said, "long": said}])),
                "stop",
                {},
            )
        if way == "refusal-field":
            return None, "stop", {"refusal": "No."}
        if way == "filtered":
            return good[:30], "content_filter", {}
        if way == "truncated":
            return good[: len(good) // 2], "length", {}
        if way == "whitespace":
            return good[:60] + "\n" * 3000, "length", {}
        if way == "whole-then-whitespace":
            return good + " " * 3000, "length", {}
        return (f"```json\n{good}\n```" if way == "fenced" else good), "stop", {}


def _respond(writer: asyncio.StreamWriter, status: int, body: object, headers: dict[str, str] | None = None) -> None:
    data = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Said", "Content-Type: application/json", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)


async def _main(plan: dict[str, Any]) -> None:
    server = await asyncio.start_server(_Server(plan).serve, "127.0.0.1", 0, limit=1 << 24, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


@dataclass(frozen=True)
class Answering:
    """A server that runs: where it is and what it saw."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def stats(self) -> dict[str, Any]:
        return self._control("stats")

    def next_phase(self) -> None:
        """From now on arrivals are counted under the next number."""
        self._control("phase")

    def arrived(self, phase: int) -> Counter[str]:
        """Requests of a phase by "number/turn"."""
        counts: Counter[str] = Counter()
        for key, count in self.stats()["arrived"].items():
            of, _, what = key.partition("/")
            if int(of) == phase:
                counts[what] += count
        return counts

    def _control(self, what: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/control/{what}", timeout=30) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        return found


@contextmanager
def answering(plan: dict[str, Any] | None = None) -> Iterator[Answering]:
    """A server with this plan, in a process of its own, for as long as the context lasts."""
    process = subprocess.Popen([sys.executable, __file__, json.dumps(plan or {})], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Answering(int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


if __name__ == "__main__":
    asyncio.run(_main(json.loads(sys.argv[1])))
