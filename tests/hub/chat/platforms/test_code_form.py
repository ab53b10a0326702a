"""hub.chat.platforms.code_form: what a form carries along and what is typed into it, both from outside."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hub.chat.platforms.code_form import DIGEST_CHARS, MAX_CODE, bound_to, has_forms, typed_code
from hub.chat.platforms.slack_socket import SlackSocket

DIGEST = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        (" 123456\n", "123456"),
        ("123 456", "123 456"),
        ("1" * MAX_CODE, "1" * MAX_CODE),
        ("1" * 4000, "1" * (MAX_CODE + 1)),
        (None, ""),
        (123456, ""),
        (["123456"], ""),
    ],
    ids=["blanks", "inner", "longest", "too long", "none", "number", "list"],
)
def test_what_was_typed_is_bounded(typed: object, code: str) -> None:
    """And one that is too long does not become a good one by being cut."""
    assert typed_code(typed) == code


@pytest.mark.parametrize(
    ("fields", "bound"),
    [
        ({"request": "42", "plan": DIGEST}, (42, DIGEST)),
        ({"request": "042", "plan": DIGEST}, None),
        ({"request": "0", "plan": DIGEST}, None),
        ({"request": "٤٢", "plan": DIGEST}, None),
        ({"request": "9" * 13, "plan": DIGEST}, None),
        ({"request": 42, "plan": DIGEST}, None),
        ({"request": "42", "plan": DIGEST[1:]}, None),
        ({"request": "42", "plan": DIGEST.upper()}, None),
        ({"request": "42", "plan": None}, None),
        ({}, None),
    ],
    ids=["whole", "zero first", "zero", "arabic", "long", "number", "short", "upper", "null", "empty"],
)
def test_what_a_form_carried_along(fields: dict[str, Any], bound: tuple[int, str] | None) -> None:
    """Number and digest as we wrote them, or nothing."""
    assert len(DIGEST) == DIGEST_CHARS
    assert bound_to(fields) == bound


def test_a_chat_that_is_polled_has_no_forms() -> None:
    """There a click may be heard too late to open one; over a socket it is not."""
    calls = {name: lambda *_: None for name in ("open_form", "is_opened", "answer_form")}
    told: Any = SimpleNamespace(**calls, outbound=None)
    polled: Any = SimpleNamespace(**calls, outbound=SimpleNamespace(poll=None))
    heard: Any = SimpleNamespace(**calls, outbound=SlackSocket("https://slack.com/api", "xapp-1", "slack.com"))
    without: Any = SimpleNamespace(outbound=None)
    assert [has_forms(one) for one in (told, polled, heard, without)] == [True, False, True, False]
