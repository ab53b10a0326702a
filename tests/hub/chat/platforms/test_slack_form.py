"""Slack's modal for a code, with Slack's own models as the judge of what is opened."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.models.views import View

from hub.chat.platforms.base import BadBody, CodeGiven, HttpResponse, Ignored, IncomingMessage
from hub.chat.platforms.code_form import MAX_CODE, CodeAnswer, CodeForm
from hub.chat.platforms.privacy import sight_of
from hub.chat.platforms.slack_form import read_submission
from tests.hub.chat.platforms.test_slack import NOW, SLACK, form

DIGEST = "fedcba9876543210" * 2
FORM = CodeForm(42, DIGEST, "r42: carol asks\nOn web-1:\n```\nreboot <@U1> & *now*\n```", "en")
CLICK = IncomingMessage(
    "click:approve:U1:C1:1.2", "U1", "C1", "approve r42 k7f2", button=True, trigger="12345.98765.ab"
)


def clicked(**more: Any) -> dict[str, Any]:
    """A click as the documentation of block_actions has it."""
    return {
        "type": "block_actions",
        "team": {"id": "T9TK3CUKW", "domain": "example"},
        "user": {"id": "UA8RXUSPL", "username": "jtorrance", "team_id": "T9TK3CUKW"},
        "trigger_id": "12321423423.333649436676.d8c1bb837935619ccad0f624c448ffb3",
        "channel": {"id": "CBR2V3XEX", "name": "review-updates"},
        "message": {
            "bot_id": "BAH5CA16Z",
            "type": "message",
            "text": "",
            "user": "UAJ2RU415",
            "ts": "1548261231.000200",
        },
        "actions": [
            {"action_id": "approve", "type": "button", "value": "approve r42 k7f2", "action_ts": "1548426417.840180"}
        ],
    } | more


def sent(view: dict[str, Any], value: Any = "123456", **more: Any) -> dict[str, Any]:
    """A view_submission, as documented, of a modal that was opened."""
    state = {"values": {"code": {"code": {"type": "plain_text_input", "value": value}}}}
    return {
        "type": "view_submission",
        "team": {"id": "T9TK3CUKW", "domain": "example"},
        "user": {"id": "U1", "name": "bob"},
        "view": {**view, "id": "VNHU13V36", "state": state, "hash": "156663117.cd33ad1f"},
    } | more


def opened(text: CodeForm = FORM, click: IncomingMessage = CLICK) -> dict[str, Any]:
    call = SLACK.open_form(click, text)
    assert call is not None
    assert call.url == "https://slack.com/api/views.open"
    body: dict[str, Any] = json.loads(call.body)
    assert set(body) == {"trigger_id", "view"}
    assert body["trigger_id"] == click.trigger
    found: dict[str, Any] = body["view"]
    return found


def received(payload: Any) -> Any:
    return SLACK.receive(form({"payload": json.dumps(payload)}), NOW)


def test_a_click_opens_a_modal_that_slack_takes() -> None:
    """With the whole plan as text; within Slack's limits; bound to the request, its plan, the person."""
    view = opened()
    parsed = View(**view)
    parsed.validate_json()
    assert parsed.to_dict().keys() == view.keys()
    shown = json.dumps(view["blocks"][0])
    assert "reboot <@U1> & *now*" in shown
    assert json.loads(view["private_metadata"]) == {"request": "42", "plan": DIGEST, "user": "U1", "channel": "C1"}
    assert len(view["private_metadata"]) <= 3_000
    for long in (CodeForm(10**12 - 1, DIGEST, "x", "en"), CodeForm(10**12 - 1, DIGEST, "x", "zh")):
        for key in ("title", "submit", "close"):
            assert len(opened(long)[key]["text"]) <= 24


def test_what_does_not_fit_or_has_no_trigger_opens_none() -> None:
    """Then the click is answered in words."""
    assert SLACK.open_form(CLICK, CodeForm(42, DIGEST, "x" * 10_001, "en")) is None
    plain = received(clicked(trigger_id=None))
    assert isinstance(plain, IncomingMessage)
    assert plain.trigger == ""
    assert SLACK.open_form(plain, FORM) is None


def test_a_click_has_its_trigger() -> None:
    """Which no text of ours has, and no log: it is a secret for three seconds."""
    found = received(clicked())
    assert isinstance(found, IncomingMessage)
    assert found.trigger == clicked()["trigger_id"]
    assert found.trigger not in repr(found)
    for odd in ("x" * 151, "a b", 7, {}):
        assert received(clicked(trigger_id=odd)).trigger == ""


def test_a_sent_modal_gives_the_code() -> None:
    """By the signed user; a code that is too long stays so; it stands in no repr."""
    found = received(sent(opened()))
    assert found == CodeGiven("VNHU13V36", "U1", "U1", "C1", 42, DIGEST, "123456")
    assert "123456" not in repr(found)
    other = received(sent(opened(), user={"id": "U2"}))
    assert (other.user, other.opened_by) == ("U2", "U1")
    assert len(received(sent(opened(), "1" * 3_000)).code) == MAX_CODE + 1
    assert received(sent(opened(), None)).code == ""
    assert received(sent(opened(), 123456)).code == ""


def test_what_is_none_of_ours_is_ignored_or_refused() -> None:
    """Another app's form, and metadata of another form, however signed."""
    view = opened()
    assert isinstance(received(sent(view | {"callback_id": "other"})), Ignored)
    for metadata in ("", "{", "[]", "{}", "x" * 3_001, None, '{"request":"0","plan":"x","user":"U1","channel":"C1"}'):
        with pytest.raises(BadBody):
            received(sent(view | {"private_metadata": metadata}))
    for key, value in (("request", 42), ("request", "042"), ("plan", "A" * 32), ("user", "<@U1>"), ("channel", "")):
        about = json.loads(view["private_metadata"]) | {key: value}
        with pytest.raises(BadBody):
            received(sent(view | {"private_metadata": json.dumps(about)}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["values", "code", "value", "id"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=150)
@given(JSON, st.sampled_from([("view",), ("user",), ("view", "state"), ("view", "state", "values"), ("view", "id")]))
def test_no_submission_is_unexpected(value: Any, path: tuple[str, ...]) -> None:
    body = deepcopy(sent(opened()))
    parent = body
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    with_luck = (CodeGiven, Ignored)
    try:
        assert isinstance(read_submission(body), with_luck)
    except BadBody:
        pass


def test_the_answer_closes_it_or_says_what_was_wrong() -> None:
    given_ = received(sent(opened()))
    assert SLACK.answer_form(given_, CodeAnswer("done", ok=True)).body == b""
    wrong = json.loads(SLACK.answer_form(given_, CodeAnswer("the code is wrong" * 100, ok=False, again=True)).body)
    assert wrong["response_action"] == "errors"
    assert set(wrong["errors"]) == {"code"}
    assert len(wrong["errors"]["code"]) <= 300


def test_only_a_good_answer_has_opened_it() -> None:
    assert SLACK.is_opened(HttpResponse(200, {}, b'{"ok":true,"view":{"id":"V1"}}'))
    for status, body in (
        (200, b'{"ok":false,"error":"expired_trigger_id"}'),
        (200, b"<html>"),
        (500, b""),
        (429, b'{"ok":true}'),
    ):
        assert not SLACK.is_opened(HttpResponse(status, {}, body))


def test_who_sees_what_is_said() -> None:
    """A bot deletes no person's message; commands and clicks nobody sees; a D channel has nobody else in it."""
    assert sight_of(SLACK, "C1:1.2", "C1", "1.2") == "seen"
    assert sight_of(SLACK, "cmd:1.2.a", "C1", "@U1") == "unseen"
    assert sight_of(SLACK, "click:approve:U1:C1:1.2", "C1", "1.2") == "unseen"
    assert SLACK.is_direct("D024BE91L", "")
    assert not any(SLACK.is_direct(channel, "") for channel in ("C024BE91L", "G024BE91L"))


def test_the_form_is_signed_like_all() -> None:
    """As urlencode writes it; the test's own form helper signs it."""
    assert urlencode({"payload": "{}"}) == "payload=%7B%7D"
