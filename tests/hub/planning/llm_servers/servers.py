"""Strict model servers in the process of the test: OpenAI's protocol (SSE) and Ollama's (NDJSON), with behaviours.

Strict: a request with a field, type or shape that the protocol's documentation does not have is answered 400, so a
client that drifts from it fails its tests. They know when a client hangs up.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

JSON = "application/json"
ANSWER = '{"say": "ok"}'


@dataclass
class Behaviour:
    """How the server treats a request for an answer."""

    answer: Callable[[dict[str, Any]], str] = lambda body: ANSWER
    gate: asyncio.Event | None = None  # nothing is said before it is set
    delay: float = 0.0  # seconds before the first token
    per_token: float = 0.0  # seconds
    die_after: int | None = None  # tokens, and then the connection ends
    cut: bool = False  # it says that it ended at max_tokens
    counts: bool = True  # it tells how many tokens there were
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    said: str = "no"  # with a status other than 200
    raw: bytes | None = None  # in place of an answer
    error_after: int | None = None  # tokens, and then an error in the protocol's own form


class BadRequest(Exception):
    """Not of the protocol; `status` and text of the answer."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class Server:
    """Both protocols' common half: HTTP/1.1 with keep-alive and chunks, keys, what was asked, who hung up."""

    def __init__(self, model: str, keys: tuple[str, ...] = (), behaviour: Behaviour | None = None) -> None:
        self.model = model
        self.keys = keys
        self.behaviour = behaviour or Behaviour()
        self.url = ""
        self.asked: list[dict[str, Any]] = []  # the bodies of requests for an answer
        self.authorizations: list[str] = []
        self.probes = 0
        self.running = 0
        self.most_running = 0
        self.hung_up = 0  # clients that left before their answer was whole
        self.connections = 0
        self.changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._port = 0

    async def start(self) -> None:
        """Listens; after `stop`, on the same port as before."""
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Closes the port and every connection."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(45), self.changed:
            await self.changed.wait_for(holds)

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        before = b""
        try:
            while True:
                head = before + await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("ascii").split("\r\n")
                method, path, _ = lines[0].split(" ")
                headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines[1:] if x)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                before = await self._watched(reader, writer, method, path, headers, body)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _watched(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
    ) -> bytes:
        """Answers, unless the client hangs up meanwhile. What was read beyond is the beginning of the next request."""
        answering = asyncio.ensure_future(self._answer(writer, method, path, headers, body))  # noqa: TID251
        leaving = asyncio.ensure_future(reader.read(1))  # noqa: TID251
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answering.result()
                return leaving.result() if leaving.done() else b""
            self.hung_up += 1
            raise ConnectionResetError
        finally:
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
            await self._tell()

    async def _answer(
        self, writer: asyncio.StreamWriter, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> None:
        try:
            self._authorize(headers)
            if method == "GET":
                self.probes += 1
                await self._tell()
                return await send(writer, 200, self.listing(path))
            if headers.get("content-type") != JSON:
                raise BadRequest("not JSON", 415)
            asked = json.loads(body)
            self.check(path, asked)
        except BadRequest as bad:
            return await send(writer, bad.status, self.error(str(bad)))
        self.asked.append(asked)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await self._tell()
        try:
            return await self._behave(writer, asked)
        finally:
            self.running -= 1

    async def _behave(self, writer: asyncio.StreamWriter, asked: dict[str, Any]) -> None:
        how = self.behaviour
        if how.gate is not None:
            await how.gate.wait()
        if how.status != 200:
            return await send(writer, how.status, self.error(how.said), how.headers)
        if how.raw is not None:
            writer.write(how.raw)
            await writer.drain()
            raise ConnectionResetError
        await start_chunks(writer, self.stream_type, how.headers)
        if how.delay:
            await asyncio.sleep(how.delay)
        text = how.answer(asked)
        tokens = [text[at : at + 4] for at in range(0, len(text), 4)]
        for number, token in enumerate(tokens):
            if number == how.die_after:
                raise ConnectionResetError
            if number == how.error_after:
                await chunk(writer, self.broken())
                raise ConnectionResetError
            await chunk(writer, self.piece(token, number))
            if how.per_token:
                await asyncio.sleep(how.per_token)
        for last in self.ending(len(tokens), how):
            await chunk(writer, last)
        writer.write(b"0\r\n\r\n")
        return await writer.drain()

    def _authorize(self, headers: dict[str, str]) -> None:
        given = headers.get("authorization", "")
        self.authorizations.append(given)
        if self.keys and given not in {f"Bearer {key}" for key in self.keys}:
            raise BadRequest(f"Incorrect API key provided: {given}", 401)

    # ---- the protocol's half

    stream_type = ""

    def listing(self, path: str) -> dict[str, Any]:
        raise NotImplementedError

    def check(self, path: str, asked: dict[str, Any]) -> None:
        raise NotImplementedError

    def error(self, text: str) -> dict[str, Any]:
        raise NotImplementedError

    def piece(self, token: str, number: int) -> bytes:
        raise NotImplementedError

    def broken(self) -> bytes:
        raise NotImplementedError

    def ending(self, tokens: int, how: Behaviour) -> list[bytes]:
        raise NotImplementedError


class OpenAIServer(Server):
    """`/v1/models` and `/v1/chat/completions`, streamed."""

    stream_type = "text/event-stream"
    fields = frozenset(
        ("model", "messages", "max_tokens", "temperature", "stream", "stream_options", "response_format")
    )

    def listing(self, path: str) -> dict[str, Any]:
        if path != "/v1/models":
            raise BadRequest("no such path", 404)
        model = {"id": self.model, "object": "model", "created": self.probes, "owned_by": "tests"}
        return {"object": "list", "data": [model]}

    def check(self, path: str, asked: dict[str, Any]) -> None:
        require(path == "/v1/chat/completions", "no such path", 404)
        require(set(asked) <= self.fields, f"unknown fields {set(asked) - self.fields}")
        require(asked["model"] == self.model, "The model does not exist", 404)
        check_messages(asked["messages"])
        require(type(asked["max_tokens"]) is int and asked["max_tokens"] > 0, "max_tokens")
        require(asked["stream"] is True and asked["stream_options"] == {"include_usage": True}, "stream")
        if "response_format" in asked:
            given = asked["response_format"]
            require(set(given) == {"type", "json_schema"} and given["type"] == "json_schema", "response_format")
            require(set(given["json_schema"]) == {"name", "strict", "schema"}, "json_schema")
            require(isinstance(given["json_schema"]["schema"], dict), "schema")

    def error(self, text: str) -> dict[str, Any]:
        return {"error": {"message": text, "type": "invalid_request_error", "code": None}}

    def _event(self, **more: Any) -> bytes:
        told = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": self.model, **more}
        return b"data: " + json.dumps(told).encode() + b"\n\n"

    def piece(self, token: str, number: int) -> bytes:
        delta = {"content": token, **({"role": "assistant"} if number == 0 else {})}
        return b": ping\n\n" + self._event(choices=[{"index": 0, "delta": delta, "finish_reason": None}])

    def broken(self) -> bytes:
        return b'data: {"error": {"code": 500, "message": "out of memory", "type": "server_error"}}\n\n'

    def ending(self, tokens: int, how: Behaviour) -> list[bytes]:
        finish = "length" if how.cut else "stop"
        last = [self._event(choices=[{"index": 0, "delta": {}, "finish_reason": finish}])]
        if how.counts:
            usage = {"prompt_tokens": 11, "completion_tokens": tokens, "total_tokens": 11 + tokens}
            last.append(self._event(choices=[], usage=usage))
        return [*last, b"data: [DONE]\n\n"]


class OllamaServer(Server):
    """`/api/tags` and `/api/chat`, streamed."""

    stream_type = "application/x-ndjson"
    fields = frozenset(("model", "messages", "tools", "format", "options", "stream", "keep_alive", "think"))
    options: ClassVar[dict[str, Any]] = {"num_predict": int, "temperature": (int, float), "num_ctx": int}
    digest = "sha256:" + "ab" * 32

    def listing(self, path: str) -> dict[str, Any]:
        if path != "/api/tags":
            raise BadRequest("404 page not found", 404)
        details = {"format": "gguf", "family": "llama", "parameter_size": "135M", "quantization_level": "Q4_1"}
        model = {"name": self.model, "model": self.model, "modified_at": "2026-01-01T00:00:00Z", "size": 1}
        return {"models": [{**model, "digest": self.digest, "details": details}]}

    def check(self, path: str, asked: dict[str, Any]) -> None:
        require(path == "/api/chat", "404 page not found", 404)
        require(set(asked) <= self.fields, f"unknown fields {set(asked) - self.fields}")
        require(asked["model"] == self.model, f"model '{asked['model']}' not found", 404)
        check_messages(asked["messages"])
        require(asked["stream"] is True and not asked.get("tools"), "stream and no tools")
        require(type(asked["keep_alive"]) in (int, float, str), "keep_alive")
        require(asked["think"] is False, "think")
        require(asked.get("format") is None or isinstance(asked["format"], dict), "format")
        for name, value in asked["options"].items():
            require(isinstance(value, self.options[name]), name)

    def error(self, text: str) -> dict[str, Any]:
        return {"error": text}

    def _line(self, content: str, **more: Any) -> bytes:
        told = {"model": self.model, "created_at": "2026-01-01T00:00:00Z"}
        return json.dumps({**told, "message": {"role": "assistant", "content": content}, **more}).encode() + b"\n"

    def piece(self, token: str, number: int) -> bytes:
        return self._line(token, done=False)

    def broken(self) -> bytes:
        return b'{"error": "an error was encountered while running the model"}\n'

    def ending(self, tokens: int, how: Behaviour) -> list[bytes]:
        counts = {"prompt_eval_count": 11, "eval_count": tokens, "total_duration": 5} if how.counts else {}
        return [self._line("", done=True, done_reason="length" if how.cut else "stop", **counts)]


def require(holds: bool, text: str, status: int = 400) -> None:
    if not holds:
        raise BadRequest(text, status)


def check_messages(messages: Any) -> None:
    require(isinstance(messages, list) and len(messages) >= 1, "messages")
    for one in messages:
        require(set(one) == {"role", "content"} and one["role"] in ("system", "user", "assistant"), "message")
        require(isinstance(one["content"], str), "content")


async def send(writer: asyncio.StreamWriter, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
    data = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"content-type: {JSON}", f"content-length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
    await writer.drain()


async def start_chunks(writer: asyncio.StreamWriter, kind: str, headers: dict[str, str]) -> None:
    lines = ["HTTP/1.1 200 OK", f"content-type: {kind}", "transfer-encoding: chunked"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
    await writer.drain()


async def chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    await writer.drain()


@asynccontextmanager
async def serving(*servers: Server) -> AsyncIterator[None]:
    """The servers, listening."""
    for server in servers:
        await server.start()
    try:
        yield
    finally:
        for server in servers:
            await server.stop()
