"""hub.chat.platforms.fields: what is there is read, the rest is named and nothing else raised."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from hub.chat.platforms.base import BadBody, HttpResponse
from hub.chat.platforms.fields import answer_object, compact_json, matched_at, object_at, string_at

BODY: dict[str, Any] = {"object": {"a": 1}, "text": "words", "id": "U1", "number": 7, "list": []}
ID = re.compile(r"U[0-9]+")


def test_what_is_there_is_read() -> None:
    """Objects, strings up to a length, ids of a form; a default only where the key is not there."""
    assert object_at(BODY, "object") == {"a": 1}
    assert string_at(BODY, "text", 5) == "words"
    assert string_at(BODY, "gone", 5, default="") == ""
    assert matched_at(BODY, "id", ID, "an id") == "U1"


def test_what_is_not_is_named_and_not_quoted() -> None:
    """By its key, whatever stands there."""
    readers: tuple[Callable[[str], object], ...] = (
        lambda key: object_at(BODY, key),
        lambda key: string_at(BODY, key, 4),
        lambda key: matched_at(BODY, key, ID, "an id"),
    )
    for read in readers:
        for key in ("gone", "number", "list", "text"):
            with pytest.raises(BadBody, match=f"^{key}: must be there and be ") as caught:
                read(key)
            assert "words" not in str(caught.value)


def test_an_answer_is_an_object_or_an_empty_one() -> None:
    """A page of somebody's proxy is no success."""
    assert answer_object(HttpResponse(200, {}, b'{"ok":true}')) == {"ok": True}
    for body in (b"", b"<html>", b"[]", b"\xff", b"[" * 100_000, b'{"a":1,"a":2}'):
        assert answer_object(HttpResponse(200, {}, body)) == {}


def test_json_of_calls() -> None:
    """Short, readable, and never an error for what people's text holds."""
    assert compact_json({"text": "磁盘", "n": [1]}) == '{"text":"磁盘","n":[1]}'.encode()
    assert compact_json("\ud800") == b'"?"'
