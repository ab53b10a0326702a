"""Ollama servers, through the real `ollama` client: `/api/chat` as NDJSON with `format`; `/api/tags` is the health
check.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final, cast

import httpx
import ollama

from hub.models.ask import MAX_TEXT, Ask, Done, Event, Failed, First, Healthy, Piece
from hub.models.transport import Keys, ended, of_error, of_status, options, shown

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
"""pydantic's ValidationError is a ValueError; a line that is JSON and no object ends as an AttributeError there."""


class Ollama:
    """One server. `stream` and `probe` give failures as values and raise nothing but cancellation."""

    def __init__(
        self, url: str, model: str, keys: Keys, *, timeout: float, parallel: int, keep_alive: float, context: int
    ) -> None:
        """`keep_alive`: seconds that the server keeps the model loaded after a request."""
        self._model = model
        self._keep_alive = keep_alive
        self._context = context
        self._client = ollama.AsyncClient(host=url, **options(keys, timeout, parallel))

    async def close(self) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]  # the client's own method has no types

    async def probe(self) -> Healthy | Failed:
        try:
            listed = {one.model or "": one.digest or "" for one in (await self._client.list()).models}
        except ollama.ResponseError as error:
            return _failed(error)
        except _ERRORS as error:
            return of_error(error)
        for name in (self._model, f"{self._model}:latest"):
            if name in listed:
                return Healthy(f"ollama:{name}:{listed[name][:64]}")
        return Failed("gone", f"no model {self._model} there; it has {shown(', '.join(listed)) or 'none'}")

    async def stream(self, ask: Ask) -> AsyncGenerator[Event, None]:
        """The events of one attempt. Closing the generator closes the connection, which ends the work there too."""
        begun, size = False, 0
        try:
            parts = await self._client.chat(
                model=self._model,
                messages=[{"role": "system", "content": ask.system}]
                + [{"role": turn.role, "content": turn.text} for turn in ask.messages],
                stream=True,
                think=False,
                format=None if ask.schema is None else dict(ask.schema),
                options={"num_predict": ask.max_tokens, "temperature": 0, "num_ctx": self._context},
                keep_alive=self._keep_alive,
            )
            async with aclosing(_closable(parts)) as answer:
                async for part in answer:
                    text = part.message.content or ""
                    if not begun and (text or part.message.thinking):
                        begun = True
                        yield First()
                    size += len(text)
                    if size > MAX_TEXT:
                        yield Failed("nonsense", f"an answer of more than {MAX_TEXT} characters")
                        return
                    if text:
                        yield Piece(text)
                    if part.done:
                        await ended(answer)
                        yield _done(part)
                        return
            yield Failed("gone", "the answer broke off")
        except ollama.ResponseError as error:
            yield _failed(error)
        except _ERRORS as error:
            yield of_error(error)


def _closable(parts: AsyncIterator[ollama.ChatResponse]) -> AsyncGenerator[ollama.ChatResponse, None]:
    """The client says iterator; it is a generator around the connection, and closing it closes that."""
    return cast(AsyncGenerator[ollama.ChatResponse, None], parts)


def _done(part: ollama.ChatResponse) -> Event:
    if part.done_reason not in (None, "", "stop", "length"):
        return Failed("nonsense", f"it ended because of {shown(part.done_reason)}")
    return Done(_count(part.prompt_eval_count), _count(part.eval_count), part.done_reason == "length")


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 10_000_000 else None


def _failed(error: ollama.ResponseError) -> Failed:
    if error.status_code == -1:  # a line {"error": …} in the middle of an answer
        return Failed("gone", f"it gave up: {shown(str(error.error))}")
    return of_status(error.status_code, str(error.error))
