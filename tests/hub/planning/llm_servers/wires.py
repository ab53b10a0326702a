"""What both protocols' tests have in common: the same behaviours, told in the same events."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import Any

from hub.planning.llm_servers.types import ChatMessage, ModelRequest, StreamEvent, TextDelta

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"say": {"type": "string"}}, "required": ["say"]}


def ask(text: str = "hello", **more: Any) -> ModelRequest:
    values = {"schema": SCHEMA, "max_tokens": 64, "deadline": time.monotonic() + 30, **more}
    return ModelRequest(values.pop("system", "Be brief."), (ChatMessage("user", text),), **values)


async def events(wire: Any, asked: ModelRequest) -> list[StreamEvent]:
    async with aclosing(wire.stream(asked)) as stream:
        return [event async for event in stream]


def text_of(found: list[StreamEvent]) -> str:
    return "".join(event.text for event in found if isinstance(event, TextDelta))
