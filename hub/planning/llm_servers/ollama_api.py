"""Ollama servers, through the official `ollama` client: `/api/chat` as NDJSON with `format`; `/api/tags` as health
check.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

import ollama

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


class OllamaClient:
    """The client of one server. `stream` and `probe` return failures as values and raise nothing but cancellation."""

    def __init__(
        self, url: str, model: str, keys: ApiKeyAuth, *, timeout: float, parallel: int, keep_alive: float, context: int
    ) -> None:
        """`keep_alive`: seconds that the server keeps the model loaded after a request."""
        self._model = model
        self._keep_alive = keep_alive
        self._context = context
        self._client = ollama.AsyncClient(host=url, **client_options(keys, timeout, parallel))

    async def close(self) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]  # the client's own method has no types

    async def probe(self) -> Healthy | AttemptFailed:
        try:
            listed = {one.model or "": one.digest or "" for one in (await self._client.list()).models}
        except ollama.ResponseError as error:
            return _failure(error)
        except CLIENT_ERRORS as error:
            return failure_of_error(error)
        for name in (self._model, f"{self._model}:latest"):
            if name in listed:
                return Healthy(f"ollama:{name}:{listed[name][:64]}")
        return AttemptFailed("gone", f"no model {self._model} there; it has {log_excerpt(', '.join(listed)) or 'none'}")

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent, None]:
        """The events of one attempt. Closing the generator closes the connection, which ends the server's work."""
        started, size = False, 0
        try:
            parts = await self._client.chat(
                model=self._model,
                messages=[{"role": "system", "content": request.system}]
                + [{"role": turn.role, "content": turn.text} for turn in request.messages],
                stream=True,
                think=False,
                format=None if request.schema is None else dict(request.schema),
                options={"num_predict": request.max_tokens, "temperature": 0, "num_ctx": self._context},
                keep_alive=self._keep_alive,
            )
            async with aclosing(_closable(parts)) as answer:
                async for part in answer:
                    text = part.message.content or ""
                    if not started and (text or part.message.thinking):
                        started = True
                        yield FirstToken()
                    size += len(text)
                    if size > MAX_TEXT:
                        yield AttemptFailed("nonsense", f"an answer of more than {MAX_TEXT} characters")
                        return
                    if text:
                        yield TextDelta(text)
                    if part.done:
                        await drain_response(answer)
                        yield _stream_end(part)
                        return
            yield AttemptFailed("gone", "the answer broke off")
        except ollama.ResponseError as error:
            yield _failure(error)
        except CLIENT_ERRORS as error:
            yield failure_of_error(error)


def _closable(parts: AsyncIterator[ollama.ChatResponse]) -> AsyncGenerator[ollama.ChatResponse, None]:
    """The client's annotation says iterator; it is a generator, and closing it closes the connection."""
    return cast(AsyncGenerator[ollama.ChatResponse, None], parts)


def _stream_end(part: ollama.ChatResponse) -> StreamEvent:
    if part.done_reason not in (None, "", "stop", "length"):
        return AttemptFailed("nonsense", f"it ended because of {log_excerpt(part.done_reason)}")
    return StreamEnd(token_count(part.prompt_eval_count), token_count(part.eval_count), part.done_reason == "length")


def _failure(error: ollama.ResponseError) -> AttemptFailed:
    if error.status_code == -1:  # a line {"error": …} in the middle of an answer
        return AttemptFailed("gone", f"it gave up: {log_excerpt(str(error.error))}")
    return failure_of_status(error.status_code, str(error.error))
