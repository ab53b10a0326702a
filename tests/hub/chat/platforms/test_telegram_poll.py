"""Telegram's outbound mode, round by round."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.chat.platforms.base import BadBody, BadSignature, HttpResponse, WebhookRequest
from hub.chat.platforms.outbound import OutboundFailed, Polled, PollMode, TooLong, outbound_mode
from hub.chat.platforms.telegram import PLATFORM, TelegramPlatform
from tests.each import each_of
from tests.hub.chat.platforms.test_telegram import GROUP, ROOT, SECRET, TOKEN, click, delivery, table, update

Answer = dict[str, Any] | bytes | Exception


def ok(result: Any) -> dict[str, Any]:
    return {"ok": True, "result": result}


def bot() -> TelegramPlatform:
    return TelegramPlatform(TOKEN, [], ROOT, "answerback", outbound=True)


def run(
    mode: PollMode, cursor: str, answers: list[Answer], status: int = 200
) -> tuple[Polled, list[tuple[str, dict[str, Any]]]]:
    """One round that is answered so; what it asked. Cursors are those of the tests' bot, by their offsets alone."""
    asked = []
    mine = f"{TOKEN.partition(':')[0]}/"
    round_ = mode.poll(mine + cursor if cursor.isdigit() else cursor, 0.0)
    call = next(round_)
    waiting = list(answers)
    try:
        while True:
            assert call.call.url.startswith(f"{ROOT}/bot{TOKEN}/")
            asked.append((call.call.url.rpartition("/")[2], json.loads(call.call.body)))
            answer = waiting.pop(0)
            if isinstance(answer, Exception):
                call = round_.throw(answer)
            else:
                raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                call = round_.send(HttpResponse(status, {}, raw))
    except StopIteration as end:
        polled: Polled = end.value
    assert not waiting
    assert polled.cursor.startswith(mine)
    return replace(polled, cursor=polled.cursor.removeprefix(mine)), asked


ME = ok({"id": 4839574812, "is_bot": True, "username": "ops_bot"})


def known() -> tuple[TelegramPlatform, PollMode]:
    """A bot that knows its name."""
    made = bot()
    mode = outbound_mode(made)
    assert mode is not None
    run(mode, "5", [ME, ok([])])
    return made, mode


def test_an_inlet_is_told_or_asks() -> None:
    """With `outbound` it needs no webhook's secret and takes no webhooks. The class says that it can."""
    assert "outbound" in TelegramPlatform.__annotations__
    assert outbound_mode(PLATFORM.create(table())) is None
    made = PLATFORM.create(table(outbound=True, other_secrets={}))
    assert outbound_mode(made) is not None
    with pytest.raises(BadSignature, match="asks Telegram"):
        made.receive(WebhookRequest(b"{}", {"x-telegram-bot-api-secret-token": SECRET.decode()}), 0.0)


def test_what_waited_before_the_first_round_is_left() -> None:
    """The last update is looked at for its id alone; the bot learns its name, once."""
    mode = outbound_mode(bot())
    assert mode is not None
    polled, asked = run(mode, "", [ME, ok([update()])])
    assert polled == Polled((), "10001")
    assert [method for method, _ in asked] == ["getMe", "getUpdates"]
    assert (asked[1][1]["offset"], asked[1][1]["timeout"]) == (-1, 0)
    polled, asked = run(mode, "", [ok([])])
    assert (polled.cursor, [method for method, _ in asked]) == ("0", ["getUpdates"])


def test_the_offset_of_another_bot_is_none() -> None:
    """Each bot counts its own updates: with a foreign offset it would be deaf, or hear what is long done."""
    _, mode = known()
    for cursor in ("12345/999999999", "/11", "x/11", "4839574812/", "4839574812/1/1"):
        polled, asked = run(mode, cursor, [ok([update()])])
        assert (polled, asked[0][1]["offset"]) == (Polled((), "10001"), -1)


def test_updates_are_taken_in_order_and_the_offset_follows() -> None:
    """A click's spinner is ended once it is committed; the ids of messages are those of the webhook."""
    _, mode = known()
    mention = update("@ops_bot disk", entities=[{"type": "mention", "offset": 0, "length": 8}])
    edit = update("x", key="edited_message", edit_date=1_441_645_600)
    news = [{**mention, "update_id": 11}, {**edit, "update_id": 12}, {**click(), "update_id": 13}, {"update_id": 14}]
    polled, asked = run(mode, "11", [ok(news)])
    assert asked == [
        (
            "getUpdates",
            {
                "offset": 11,
                "limit": 20,
                "timeout": 25,
                "allowed_updates": ["message", "edited_message", "callback_query"],
            },
        )
    ]
    assert [message.text for message in polled.messages] == ["disk", "x", "approve r42 k7f2"]
    assert [message.addressed for message in polled.messages] == [True, False, True]
    assert polled.messages[0].event_id == polled.messages[1].event_id == f"{GROUP['id']}/1365"
    assert polled.cursor == "15"
    assert [(call.url.rpartition("/")[2], json.loads(call.body)) for call in polled.after] == [
        ("answerCallbackQuery", {"callback_query_id": "4382bfdwdsb323b2d9"})
    ]
    told = TelegramPlatform(TOKEN, [SECRET], ROOT, "ops_bot")
    webhook = told.receive(delivery(mention), 0.0)
    assert webhook == polled.messages[0]
    assert run(mode, "15", [ok([])])[0] == Polled((), "15")


def test_an_update_that_cannot_be_read_holds_up_no_others() -> None:
    """Of a wrong form: left out. Too much at once: one by one. Not even JSON that we take: passed by its id."""
    _, mode = known()
    broken = {**update(date="x"), "update_id": 21}
    assert run(mode, "21", [ok([broken, {**update(), "update_id": 22}])])[0].cursor == "23"
    many = ok([{"update_id": 21, "x": [[]] * 9_000}, {"update_id": 22, "x": [[]] * 9_000}])
    for too_much in (many, TooLong("4 MiB")):
        polled, asked = run(mode, "21", [too_much, ok([{**update(), "update_id": 21}])])
        assert (polled.cursor, len(polled.messages)) == ("22", 1)
        assert [fields["limit"] for _, fields in asked] == [20, 1]
    deep = b'{"ok":true,"result":[{"update_id":21,"x":' + b"[" * 100 + b"]" * 100 + b"}]}"
    assert run(mode, "21", [deep, deep])[0] == Polled((), "22")
    with pytest.raises(BadBody):
        run(mode, "21", [b"<html>", b"<html>"])


@each_of(
    ("status", "body", "kind", "word", "wait"),
    [
        (401, {"ok": False, "description": "Unauthorized"}, "token", "secret_file", 0.0),
        (404, {"ok": False, "description": "Not Found"}, "token", "secret_file", 0.0),
        (
            409,
            {"ok": False, "description": "Conflict: can't use getUpdates method while webhook is active"},
            "token",
            "deleteWebhook",
            0.0,
        ),
        (409, {"ok": False, "description": "Conflict: terminated by other getUpdates"}, "later", "program", 0.0),
        (429, {"ok": False, "description": "Too Many", "parameters": {"retry_after": 7}}, "later", "Too Many", 7.0),
        (500, {"ok": False, "description": "Internal"}, "later", "Internal", 0.0),
        (502, b"<html>", "later", "502", 0.0),
    ],
)
def test_a_refusal_says_what_to_do(status: int, body: Any, kind: str, word: str, wait: float) -> None:
    """Without the token."""
    _, mode = known()
    with pytest.raises(OutboundFailed) as caught:
        run(mode, "5", [body], status)
    assert (caught.value.kind, caught.value.retry_after) == (kind, wait)
    assert word in caught.value.reason
    assert TOKEN not in caught.value.reason


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-1, 99), st.text(max_size=5))
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))


@given(st.sampled_from([200, 401, 409, 500]), st.binary(max_size=50) | JSON.map(lambda it: json.dumps(ok(it)).encode()))
def test_any_answer_ends_a_round(status: int, body: bytes) -> None:
    """As a result or as one of the two refusals."""
    _, mode = known()
    checked: Callable[[], object] = lambda: run(mode, "5", [body, body], status)  # noqa: E731
    try:
        checked()
    except (OutboundFailed, BadBody, AssertionError):
        pass
