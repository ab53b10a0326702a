"""Several short messages as one call. Pure.

It pays where a server has fewer slots than there are messages waiting, and reading the prompt is what costs; it is off
unless `[planning] merge` says otherwise, and `tests/bench/nodes.py` measures whether a server gains from it.

Only messages of one person, with the same prompt and no conversation, are put together: in one call each could talk the
model into something about the others, and nobody's words may come into the plan of another person.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from hub.models.ask import Ask, Turn

MAX_SHORT: Final = 400  # characters of a message that may share a call
_TASK: Final = (
    "Below is a JSON list of separate messages. Answer each of them by itself, as if the others were not there. "
    'Give {"answers": [...]}, one answer for each message, in the same order.\n'
)


def group_of(ask: Ask) -> str | None:
    """Asks of the same group may share a call; None for one that goes alone."""
    if not ask.mergeable or not ask.person or ask.schema is None or len(ask.messages) != 1:
        return None
    if ask.messages[0].role != "user" or len(ask.messages[0].text) > MAX_SHORT:
        return None
    return json.dumps([ask.person, ask.system, ask.schema], sort_keys=True)


def combine(asks: Sequence[Ask]) -> Ask:
    """One ask for all of them, which are of one group; it has to be answered by the first deadline."""
    first = asks[0]
    texts = [ask.messages[0].text for ask in asks]
    return replace(
        first,
        messages=(Turn("user", _TASK + json.dumps(texts, ensure_ascii=False)),),
        schema=_schema(first.schema or {}, len(asks)),
        max_tokens=sum(ask.max_tokens for ask in asks),
        deadline=min(ask.deadline for ask in asks),
        mergeable=False,
    )


def split(text: str, count: int) -> list[str] | None:
    """Each one's answer, or None where there are not as many: then each is asked alone."""
    try:
        answers = json.loads(text)["answers"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(answers, list) or len(answers) != count:
        return None
    return [json.dumps(answer, ensure_ascii=False) for answer in answers]


def _schema(one: Mapping[str, Any], count: int) -> dict[str, Any]:
    """A list of `count` of them. Definitions move to the top, where references look for them."""
    item = {key: value for key, value in one.items() if key not in ("$defs", "$schema")}
    whole: dict[str, Any] = {
        "type": "object",
        "properties": {"answers": {"type": "array", "items": item, "minItems": count, "maxItems": count}},
        "required": ["answers"],
        "additionalProperties": False,
    }
    return {**whole, "$defs": one["$defs"]} if "$defs" in one else whole
