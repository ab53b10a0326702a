"""Discord's modal for a code, and what of a person's words others see there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hub.chat.platforms.base import (
    BadBody,
    CodeGiven,
    Delivered,
    DeliveryFailed,
    HttpCall,
    HttpResponse,
    ImmediateResponse,
    IncomingMessage,
)
from hub.chat.platforms.code_form import MAX_CODE, CodeAnswer, CodeForm
from hub.chat.platforms.privacy import sight_of
from tests.each import each_of
from tests.hub.chat.platforms.test_discord import ALICE, BOT, EVENT, NOW, click, command, delivery, snowflake

DIGEST = "fedcba9876543210" * 2
FORM = CodeForm(42, DIGEST, "r42: carol asks @everyone\nOn web-1:\n```\nreboot **now**\n```", "en")


def received(body: Any) -> Any:
    return BOT.receive(delivery(body), NOW)


def opened(form: CodeForm = FORM) -> dict[str, Any]:
    found = received(click())
    assert isinstance(found, IncomingMessage)
    said = BOT.open_form(found, form)
    assert isinstance(said, ImmediateResponse)
    body: dict[str, Any] = json.loads(said.body)
    assert set(body) == {"type", "data"}
    assert body["type"] == 9
    data: dict[str, Any] = body["data"]
    return data


def sent(data: dict[str, Any], value: Any = "123456", **more: Any) -> dict[str, Any]:
    """A MODAL_SUBMIT as documented: the display and the labelled field, with what was typed."""
    label = {"type": 18, "id": 2, "component": {"type": 4, "id": 3, "custom_id": "code", "value": value}}
    components = [{"type": 10, "id": 1}, label]
    return command(type=5, data={"custom_id": data["custom_id"], "components": components}, **more)


def test_a_click_opens_a_modal_within_discords_limits() -> None:
    """The plan whole, in text that is no markup and no mention; bound to request, plan and person."""
    data = opened()
    assert set(data) == {"custom_id", "title", "components"}
    assert data["custom_id"] == f"code r42 {DIGEST} {ALICE['id']}"
    display, label = data["components"]
    assert (display["type"], label["type"], label["component"]["type"]) == (10, 18, 4)
    assert "reboot **now**" in display["content"]
    assert set(label) == {"type", "label", "component"}
    assert label["component"]["max_length"] == MAX_CODE
    for language in ("en", "zh"):
        long = opened(CodeForm(10**12 - 1, DIGEST, "x", language))  # type: ignore[arg-type]
        assert len(long["custom_id"]) <= 100
        assert len(long["title"]) <= 45
        assert len(long["components"][1]["label"]) <= 45
    found = received(click())
    assert BOT.open_form(found, CodeForm(42, DIGEST, "x" * 4_001, "en")) is None
    assert not BOT.is_opened(HttpResponse(200))


def test_a_sent_modal_gives_the_code() -> None:
    """By the signed user; an older client's action row too; a code that is too long stays so."""
    about = opened()
    found = received(sent(about))
    assert found == CodeGiven(EVENT, ALICE["id"], ALICE["id"], "645027906669510667", 42, DIGEST, "123456")
    assert "123456" not in repr(found)
    bob = {"user": {"id": "42", "username": "bob"}}
    other = received(sent(about, member=bob))
    assert (other.user, other.opened_by) == ("42", ALICE["id"])
    row = {"type": 1, "components": [{"type": 4, "custom_id": "code", "value": "654321"}]}
    assert received(command(type=5, data={"custom_id": about["custom_id"], "components": [row]})).code == "654321"
    assert len(received(sent(about, "1" * 4_000)).code) == MAX_CODE + 1
    assert received(sent(about, None)).code == ""


@each_of(
    "custom_id",
    (
        "",
        "code",
        f"code r0 {DIGEST} 1",
        f"code r42 {DIGEST[:-1]} 1",
        f"code r42 {DIGEST} bob",
        "approve r42",
        None,
        7,
        [],
    ),
)
def test_other_modals_are_not_understood(custom_id: Any) -> None:
    """Said to that person alone."""
    found = received(command(type=5, data={"custom_id": custom_id, "components": []}))
    assert isinstance(found, ImmediateResponse)
    assert json.loads(found.body)["data"]["flags"] == 64


@each_of("components", (None, "x", [1], [[]], [{"type": 10}] * 6))
def test_components_of_another_form_are_refused(components: Any) -> None:
    with pytest.raises(BadBody):
        received(command(type=5, data={"custom_id": opened()["custom_id"], "components": components}))


@each_of(
    "components", ([], [{"type": 18}], [{"type": 1, "components": 7}], [{"type": 18, "component": {"value": "1"}}])
)
def test_a_modal_without_the_field_has_no_code(components: Any) -> None:
    assert received(command(type=5, data={"custom_id": opened()["custom_id"], "components": components})).code == ""


def test_the_answer_changes_nothing_or_is_for_that_person_alone() -> None:
    found = received(sent(opened()))
    assert json.loads(BOT.answer_form(found, CodeAnswer("done", ok=True)).body) == {"type": 6}
    wrong = json.loads(BOT.answer_form(found, CodeAnswer("wrong @everyone **x**", ok=False, again=True)).body)
    assert (wrong["type"], wrong["data"]["flags"]) == (4, 64)
    assert wrong["data"]["allowed_mentions"] == {"parse": []}
    assert "**" not in wrong["data"]["content"]


@each_of(
    ("text", "private"),
    (
        ("approve r42 k7f2 123456", True),
        ("Approve r42 123 456", True),
        ("批准 r42 １２３４５６", True),
        ("my code: 123456", False),
        ("123456", True),
        ("code 123456", True),
        ("approve r42", False),
        ("@web-1 echo 123456", False),
        ("restart 123456", False),
        ("approve r2 1234", False),
    ),
)
def test_a_command_with_a_code_is_answered_in_private(text: str, private: bool) -> None:
    """So that nobody else sees what was typed; a request's card is never kept from the others."""
    found = received(command(options=[{"name": "text", "type": 3, "value": text}]))
    assert isinstance(found, IncomingMessage)
    assert isinstance(found.response, ImmediateResponse)
    flags = json.loads(found.response.body).get("data", {}).get("flags", 0)
    assert (flags, found.thread.endswith("/private")) == (64 if private else 0, private)
    assert sight_of(BOT, found.event_id, found.conversation, found.thread) == ("unseen" if private else "seen")


def test_a_persons_message_is_deleted() -> None:
    """By the bot's token; clicks are no messages."""
    message = snowflake(NOW)
    call = BOT.removal(message, "645027906669510667", "")
    assert isinstance(call, HttpCall)
    assert (call.method, call.body) == ("DELETE", b"")
    assert call.url == f"https://discord.com/api/v10/channels/645027906669510667/messages/{message}"
    found = received(click())
    assert BOT.removal(found.event_id, found.conversation, found.thread) == "unseen"
    assert BOT.removal("../x", "1", "") == "seen"
    for status, kind in ((204, None), (404, None), (403, "refused"), (429, "later"), (500, "later"), (401, "refused")):
        read = BOT.read_removal(call, HttpResponse(status, {}, b'{"code":50013,"retry_after":1.5}'))
        assert isinstance(read, DeliveryFailed if kind else Delivered), status
        assert kind is None or (isinstance(read, DeliveryFailed) and read.kind == kind), status
