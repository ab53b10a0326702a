"""OpenAI-compatible servers: `POST /v1/chat/completions` as server-sent events, `GET /v1/models` as health check.

Kept to what llama.cpp, vLLM and the clouds have in common. A schema goes as `response_format` of type `json_schema`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from hub.models.ask import MAX_TEXT, Ask, Done, Event, Failed, First, Healthy, Piece
from hub.models.transport import Keys, ended, of_error, of_status, options, shown

_DONE: Final = "[DONE]"
_CHANGING: Final = frozenset({"created", "permission"})
"""What a server says of a model that may differ from call to call, and is no part of which model it is."""
_ERRORS: Final = (
    httpx.HTTPError,
    httpx.StreamError,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RecursionError,
)


class OpenAI:
    """One server. `stream` and `probe` give failures as values and raise nothing but cancellation."""

    def __init__(self, url: str, model: str, keys: Keys, *, timeout: float, parallel: int) -> None:
        self._model = model
        self._base = url.rstrip("/") if urlsplit(url).path.strip("/") else url.rstrip("/") + "/v1"
        self._client = httpx.AsyncClient(**options(keys, timeout, parallel))

    async def close(self) -> None:
        await self._client.aclose()

    async def probe(self) -> Healthy | Failed:
        try:
            response = await self._client.get(f"{self._base}/models")
            if response.status_code in (404, 405):
                return Healthy(_digest({"id": self._model}))  # not every server lists what it has
            if response.status_code != 200:
                return of_status(response.status_code, response.text, response.headers.get("retry-after"))
            listed = {str(one["id"]): one for one in response.json()["data"]}
        except _ERRORS as error:
            return of_error(error)
        if self._model not in listed:
            return Failed("gone", f"no model {self._model} there; it has {shown(', '.join(listed)) or 'none'}")
        return Healthy(_digest(listed[self._model]))

    async def stream(self, ask: Ask) -> AsyncGenerator[Event, None]:
        """The events of one attempt. Closing the generator closes the connection, which ends the work there too."""
        try:
            async with self._client.stream("POST", f"{self._base}/chat/completions", json=self._body(ask)) as response:
                if response.status_code != 200:
                    await response.aread()
                    yield of_status(response.status_code, response.text, response.headers.get("retry-after"))
                    return
                reader = _Reader()
                chunks = sse_data(response.aiter_lines())
                async for data in chunks:
                    read = reader.read(data)
                    if reader.over:
                        await ended(chunks)
                    for event in read:
                        yield event
                    if reader.over:
                        return
                yield reader.end()
        except _ERRORS as error:
            yield of_error(error)

    def _body(self, ask: Ask) -> dict[str, Any]:
        turns = [{"role": turn.role, "content": turn.text} for turn in ask.messages]
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": "system", "content": ask.system}, *turns],
            "max_tokens": ask.max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if ask.schema is not None:
            named = {"name": "answer", "strict": True, "schema": ask.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return body


async def sse_data(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """The data of each server-sent event (WHATWG HTML, 9.2.6); other fields are of no use here.

    An `error:` line is what older llama.cpp servers send for a failure in the middle.
    """
    data: list[str] = []
    async for line in lines:
        if not line:
            if data:
                yield "\n".join(data)
                data = []
            continue
        name, _, value = line.partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))
        elif name == "error":
            yield f'{{"error":{value}}}'
    # What is not ended by an empty line is dropped, as the standard has it: it was cut off.


class _Reader:
    """Chunks into events. Sans I/O; raises what a chunk that is no chunk makes it raise."""

    def __init__(self) -> None:
        self.over = False  # nothing after this event matters
        self._begun = False
        self._size = 0
        self._finish: str | None = None
        self._usage: Mapping[str, Any] = {}

    def read(self, data: str) -> list[Event]:
        if data.strip() == _DONE:
            self.over = True
            return [self.end()]
        chunk = json.loads(data)
        if "error" in chunk:
            self.over = True
            return [_error(chunk["error"])]
        self._usage = chunk.get("usage") or self._usage
        events: list[Event] = []
        for choice in chunk["choices"][:1]:
            self._finish = choice.get("finish_reason") or self._finish
            delta = choice.get("delta") or {}
            text = delta.get("content") or ""
            if not self._begun and (text or delta.get("reasoning_content")):
                self._begun = True
                events.append(First())
            if text:
                self._size += len(text)
                events.append(Piece(text))
        if self._size > MAX_TEXT:
            self.over = True
            return [Failed("nonsense", f"an answer of more than {MAX_TEXT} characters")]
        return events

    def end(self) -> Event:
        if self._finish is None:
            return Failed("gone", "the answer broke off")
        if self._finish not in ("stop", "length"):
            return Failed("nonsense", f"it ended because of {shown(str(self._finish))}")
        return Done(
            count(self._usage, "prompt_tokens"), count(self._usage, "completion_tokens"), self._finish == "length"
        )


def count(counts: Mapping[str, Any], name: str) -> int | None:
    """A number of tokens that a server told; None where it is none that could be."""
    value = counts.get(name)
    return value if type(value) is int and 0 <= value < 10_000_000 else None


def _error(error: Any) -> Failed:
    said = str(error.get("message", "")) if isinstance(error, dict) else str(error)
    code = error.get("code") if isinstance(error, dict) else None
    if type(code) is int and 400 <= code < 600:
        return of_status(code, said)
    return Failed("gone", f"it gave up: {shown(said)}")


def _digest(model: Mapping[str, Any]) -> str:
    """There is no digest in this protocol: what the server says of the model stands for it."""
    told = {key: value for key, value in model.items() if key not in _CHANGING}
    return "openai:" + hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]
