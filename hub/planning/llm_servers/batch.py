"""Merges several short requests into one call. Pure.

It pays where a server has fewer slots than there are requests waiting, and processing the prompt dominates; it is off
unless `[planning] merge` enables it, and `tests/bench/nodes.py` measures whether a server gains from it.

Only requests of one person, with the same prompt and without conversation, are merged: in one call each message could
influence the answers to the others, and nobody's text may influence the plan of another person.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from hub.planning.llm_servers.types import ChatMessage, ModelRequest

MAX_MESSAGE_CHARS: Final = 400  # characters of a message that may share a call
_INSTRUCTIONS: Final = (
    "Below is a JSON list of separate messages. Answer each of them by itself, as if the others were not there. "
    'Give {"answers": [...]}, one answer for each message, in the same order.\n'
)


def batch_key(request: ModelRequest) -> str | None:
    """Requests with equal keys may share a call; None for one that must not."""
    if not request.batchable or not request.person or request.schema is None or len(request.messages) != 1:
        return None
    if request.messages[0].role != "user" or len(request.messages[0].text) > MAX_MESSAGE_CHARS:
        return None
    return json.dumps([request.person, request.system, request.schema], sort_keys=True)


def merge_requests(requests: Sequence[ModelRequest]) -> ModelRequest:
    """One request for all of them (equal `batch_key`), with the earliest deadline."""
    first = requests[0]
    texts = [request.messages[0].text for request in requests]
    return replace(
        first,
        messages=(ChatMessage("user", _INSTRUCTIONS + json.dumps(texts, ensure_ascii=False)),),
        schema=_batch_schema(first.schema or {}, len(requests)),
        max_tokens=sum(request.max_tokens for request in requests),
        deadline=min(request.deadline for request in requests),
        batchable=False,
    )


def split_answers(text: str, count: int) -> list[str] | None:
    """The single answers; None where there are not `count` of them, and then each request is sent alone."""
    try:
        answers = json.loads(text)["answers"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(answers, list) or len(answers) != count:
        return None
    return [json.dumps(answer, ensure_ascii=False) for answer in answers]


def _batch_schema(one: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The schema of a list of `count` answers; definitions move to the root, where references point."""
    item = {key: value for key, value in one.items() if key not in ("$defs", "$schema")}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"answers": {"type": "array", "items": item, "minItems": count, "maxItems": count}},
        "required": ["answers"],
        "additionalProperties": False,
    }
    return {**schema, "$defs": one["$defs"]} if "$defs" in one else schema
