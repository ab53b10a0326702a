"""OpenAI-compatible servers: `POST /v1/chat/completions` as server-sent events, `GET /v1/models` as health check.

Limited to what llama.cpp, vLLM and the clouds have in common. A schema is sent as `response_format` of type
`json_schema`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from hub.planning.llm_servers.transport import (
    CLIENT_ERRORS,
    ApiKeyAuth,
    client_options,
    drain_response,
    failure_of_error,
    failure_of_status,
    log_excerpt,
    token_count,
)
from hub.planning.llm_servers.types import (
    MAX_TEXT,
    AttemptFailed,
    FirstToken,
    Healthy,
    ModelRequest,
    StreamEnd,
    StreamEvent,
    TextDelta,
)

_DONE: Final = "[DONE]"
_VOLATILE_KEYS: Final = frozenset({"created", "permission"})
"""Fields of a model's entry that may differ from call to call, and so are not part of its digest."""


class OpenAIClient:
    """The client of one server. `stream` and `probe` return failures as values and raise nothing but cancellation."""

    def __init__(self, url: str, model: str, keys: ApiKeyAuth, *, timeout: float, parallel: int) -> None:
        self._model = model
        self._base = url.rstrip("/") if urlsplit(url).path.strip("/") else url.rstrip("/") + "/v1"
        self._client = httpx.AsyncClient(**client_options(keys, timeout, parallel))

    async def close(self) -> None:
        await self._client.aclose()

    async def probe(self) -> Healthy | AttemptFailed:
        try:
            response = await self._client.get(f"{self._base}/models")
            if response.status_code in (404, 405):
                return Healthy(_digest({"id": self._model}))  # not every server lists its models
            if response.status_code != 200:
                return failure_of_status(response.status_code, response.text, response.headers.get("retry-after"))
            listed = {str(one["id"]): one for one in response.json()["data"]}
        except CLIENT_ERRORS as error:
            return failure_of_error(error)
        if self._model not in listed:
            return AttemptFailed(
                "gone", f"no model {self._model} there; it has {log_excerpt(', '.join(listed)) or 'none'}"
            )
        return Healthy(_digest(listed[self._model]))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent, None]:
        """The events of one attempt. Closing the generator closes the connection, which ends the server's work."""
        try:
            async with self._client.stream(
                "POST", f"{self._base}/chat/completions", json=self._body(request)
            ) as response:
                if response.status_code != 200:
                    await response.aread()
                    yield failure_of_status(response.status_code, response.text, response.headers.get("retry-after"))
                    return
                reader = _Reader()
                chunks = sse_data(response.aiter_lines())
                async for data in chunks:
                    events = reader.read(data)
                    if reader.over:
                        await drain_response(chunks)
                    for event in events:
                        yield event
                    if reader.over:
                        return
                yield reader.end()
        except CLIENT_ERRORS as error:
            yield failure_of_error(error)

    def _body(self, request: ModelRequest) -> dict[str, Any]:
        turns = [{"role": turn.role, "content": turn.text} for turn in request.messages]
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": "system", "content": request.system}, *turns],
            "max_tokens": request.max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.schema is not None:
            named = {"name": "answer", "strict": True, "schema": request.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return body


async def sse_data(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """The data of each server-sent event (WHATWG HTML, 9.2.6); other fields are ignored.

    Older llama.cpp servers report a failure during the answer in an `error:` line.
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
    # An event without a final empty line is dropped, as the standard requires: it was cut off.


class _Reader:
    """Turns chunks into events, without I/O; a malformed chunk raises one of CLIENT_ERRORS."""

    def __init__(self) -> None:
        self.over = False  # nothing after this event is needed
        self._started = False
        self._size = 0
        self._finish: str | None = None
        self._usage: Mapping[str, Any] = {}

    def read(self, data: str) -> list[StreamEvent]:
        if data.strip() == _DONE:
            self.over = True
            return [self.end()]
        chunk = json.loads(data)
        if "error" in chunk:
            self.over = True
            return [_error(chunk["error"])]
        self._usage = chunk.get("usage") or self._usage
        events: list[StreamEvent] = []
        for choice in chunk["choices"][:1]:
            self._finish = choice.get("finish_reason") or self._finish
            delta = choice.get("delta") or {}
            text = delta.get("content") or ""
            if not self._started and (text or delta.get("reasoning_content")):
                self._started = True
                events.append(FirstToken())
            if text:
                self._size += len(text)
                events.append(TextDelta(text))
        if self._size > MAX_TEXT:
            self.over = True
            return [AttemptFailed("nonsense", f"an answer of more than {MAX_TEXT} characters")]
        return events

    def end(self) -> StreamEvent:
        if self._finish is None:
            return AttemptFailed("gone", "the answer broke off")
        if self._finish not in ("stop", "length"):
            return AttemptFailed("nonsense", f"it ended because of {log_excerpt(str(self._finish))}")
        prompt, output = (token_count(self._usage.get(name)) for name in ("prompt_tokens", "completion_tokens"))
        return StreamEnd(prompt, output, self._finish == "length")


def _error(error: Any) -> AttemptFailed:
    message = str(error.get("message", "")) if isinstance(error, dict) else str(error)
    code = error.get("code") if isinstance(error, dict) else None
    if type(code) is int and 400 <= code < 600:
        return failure_of_status(code, message)
    return AttemptFailed("gone", f"it gave up: {log_excerpt(message)}")


def _digest(model: Mapping[str, Any]) -> str:
    """This protocol has no digest: a hash of the model's entry replaces it."""
    stable = {key: value for key, value in model.items() if key not in _VOLATILE_KEYS}
    return "openai:" + hashlib.sha256(json.dumps(stable, sort_keys=True).encode()).hexdigest()[:32]
