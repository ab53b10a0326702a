"""What all platforms read in parsed bodies, and in the answers of chats' APIs. Pure.

The readers raise BadBody that names the field and never quotes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from hub.chat.platforms.base import BadBody, HttpResponse
from hub.core import strict_json


def object_at(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key)
    if type(value) is not dict:
        raise BadBody(f"{key}: must be there and be an object")
    return value


def string_at(body: Mapping[str, Any], key: str, most: int, default: str | None = None) -> str:
    """At most so many characters; without a `default` it must be there."""
    value = body.get(key, default)
    if type(value) is not str or len(value) > most:
        raise BadBody(f"{key}: must be there and be a string of at most {most} characters")
    return value


def matched_at(body: Mapping[str, Any], key: str, form: re.Pattern[str], what: str) -> str:
    """A string that is wholly of `form`, which people are told as `what`: "an id of Slack"."""
    value = body.get(key)
    if type(value) is not str or form.fullmatch(value) is None:
        raise BadBody(f"{key}: must be there and be {what}")
    return value


def answer_object(response: HttpResponse) -> dict[str, Any]:
    """The JSON object in an answer; an empty one, which is no success anywhere, where it has none that can be read."""
    try:
        body = strict_json.parse(response.body)
    except BadBody:
        return {}
    return body if type(body) is dict else {}


def compact_json(value: object) -> bytes:
    """As calls carry it: UTF-8 without blanks; half of a surrogate pair becomes a question mark."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
