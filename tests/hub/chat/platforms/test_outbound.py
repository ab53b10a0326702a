"""The interface of outbound modes."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from typing import Any

import pytest

from hub.chat.platforms import discord_gateway, matrix_sync
from hub.chat.platforms.base import HttpResponse, Ignored
from hub.chat.platforms.dingtalk_socket import DingTalkStream
from hub.chat.platforms.discord_gateway import DiscordGateway
from hub.chat.platforms.feishu_socket import FeishuSocket
from hub.chat.platforms.generic import GenericPlatform
from hub.chat.platforms.matrix_sync import Account, MatrixSync
from hub.chat.platforms.mattermost_socket import MattermostSocket
from hub.chat.platforms.outbound import (
    MAX_CURSOR,
    Mode,
    OutboundCall,
    OutboundFailed,
    SocketMode,
    TooLong,
    failure_of_status,
    outbound_mode,
)
from hub.chat.platforms.registry import built_in, implementation
from hub.chat.platforms.slack_socket import SlackSocket
from hub.chat.platforms.telegram import TelegramPlatform
from hub.chat.platforms.telegram_poll import TelegramPoll
from hub.chat.platforms.wecom_socket import WecomSocket
from hub.cli.inlets import _may_ask

API = "https://chat.example"
ME = "@me:example.org"
NOW = 1_700_000_000.0


class Asked(GenericPlatform):
    outbound: object = None


def test_a_mode_is_what_a_platform_has() -> None:
    """A platform without the attribute, or with None, takes webhooks."""
    asked = Asked([b"a long enough secret"])
    assert outbound_mode(asked) is None
    assert outbound_mode(GenericPlatform([b"a long enough secret"])) is None
    asked.outbound = mode = object()
    assert outbound_mode(asked) is mode


@pytest.mark.parametrize(
    ("status", "header", "kind", "seconds"),
    [
        (401, "", "token", 0),
        (403, "30", "token", 30),
        (429, "7", "later", 7),
        (500, "soon", "later", 0),
        (502, "9" * 400, "later", 0),
        (503, "³", "later", 0),
    ],
)
def test_failures_by_status(status: int, header: str, kind: str, seconds: float) -> None:
    """401 and 403 are the token; Retry-After in seconds counts, anything else there does not."""
    failed = failure_of_status(HttpResponse(status, {"retry-after": header}))
    assert (failed.kind, failed.retry_after) == (kind, seconds)
    assert str(status) in str(failed)


def test_an_answer_that_is_too_long_is_one_that_is_missing() -> None:
    """A round that goes on without an answer goes on without a long one too."""
    assert isinstance(TooLong("x"), OutboundFailed)


def _ignore(*_: object) -> Any:
    return Ignored("")


def _telegram() -> TelegramPoll:
    mode = TelegramPlatform("1:x", [], API, "bot", outbound=True).outbound
    assert mode is not None
    return mode


MODES: dict[str, Callable[[], Mode]] = {
    "dingtalk": lambda: DingTalkStream(API, "key", "secret", _ignore),
    "discord": lambda: DiscordGateway(API, "token", "chat.example", content=True, draw=lambda: 0.5),
    "feishu": lambda: FeishuSocket(API, "app", "secret", _ignore),
    "matrix": lambda: MatrixSync(Account(API, "token")),
    "mattermost": lambda: MattermostSocket(API, "token", "bot"),
    "slack": lambda: SlackSocket(API, "xapp-1", "chat.example"),
    "telegram": _telegram,
    "wecom": lambda: WecomSocket("wss://chat.example", "bot", "secret", API),
}
GREETINGS = {
    "discord": {"op": 10, "d": {"heartbeat_interval": 41_250}},
    "mattermost": {"event": "hello", "data": {}, "seq": 0},
}
ANSWER = {"ok": True, "result": [], "url": "wss://chat.example", "id": "a" * 26, "username": "bot", "code": 0}
ANSWER |= {"user_id": ME, "next_batch": "s9", "endpoint": "wss://chat.example", "ticket": "t"}
MATRIX = json.loads(matrix_sync.Position(ME, "s1", ["!a:b"], {"!c:d": 1}, {"!e:f": 1.5}).to_text())
DISCORD = json.loads(discord_gateway.Position(MODES["discord"]()._key, "s1", 7, "wss://chat.example", "1").to_text())  # type: ignore[union-attr]
ODD = (None, 7, True, [7], {"x": []}, "\ud800", 1e400)
GARBLED = (
    *("null", "[]", "{}", '"', "42.", "-1", "x" * MAX_CURSOR, "[" * MAX_CURSOR, "\ud800", "\x00", "１２", "9" * 400),
    *(
        json.dumps(MATRIX | {key: value})
        for key in MATRIX
        for value in (None, 7, True, [7], {"x": []}, "\ud800", 1e400)
    ),
    *(json.dumps(MATRIX | {"joined": {"!e:f": moment}}) for moment in ("1", -1, 10**400, float("nan"))),
    json.dumps(MATRIX | {"since": "s" * (matrix_sync.MAX_POSITION + 1)}),
    json.dumps(MATRIX | {"more": 1}),
    *(json.dumps(DISCORD | {key: value}) for key in DISCORD for value in ODD if (key, value) != ("sequence", 7)),
    *(json.dumps(DISCORD | {"sequence": number}) for number in (-1, 2**53)),
    json.dumps(DISCORD | {"url": "https://elsewhere.example"}),
)


def _asked(kind: str, cursor: str) -> list[object]:
    """All that the first round says, or the connection up to what follows the greeting."""
    mode, said = MODES[kind](), []

    def drive(calls: Generator[OutboundCall, HttpResponse, Any]) -> None:
        try:
            call = next(calls)
            for _ in range(20):
                said.append(call)
                call = calls.send(HttpResponse(200, {}, json.dumps(ANSWER).encode()))
        except StopIteration as end:
            said.append(end.value)
        except OutboundFailed as failed:
            said.append(str(failed))

    if not isinstance(mode, SocketMode):
        drive(mode.poll(cursor, NOW))
        return said
    drive(mode.connect(cursor, NOW))
    if kind in GREETINGS:
        heard = mode.hear(json.dumps(GREETINGS[kind]), NOW)
        said.append(heard.send)
        if heard.fetch is not None:
            drive(heard.fetch)
    return said


@pytest.mark.parametrize("kind", MODES)
def test_a_cursor_that_is_none_of_ours_is_as_an_empty_one(kind: str) -> None:
    """Whatever stands in the store, of whichever platform; a mode's own is not."""
    if kind == "wecom":  # whose first frame has a number drawn anew
        for cursor in GARBLED:
            assert len(_asked(kind, cursor)) == 1
        return
    first = _asked(kind, "")
    for cursor in GARBLED:
        assert _asked(kind, cursor) == first, cursor[:100]
    own = {"matrix": json.dumps(MATRIX), "discord": json.dumps(DISCORD), "mattermost": "1", "telegram": "1/7"}
    if kind in own:
        assert _asked(kind, own[kind]) != first


def test_every_mode_is_tried() -> None:
    asking = {name for name, kind in built_in().items() if _may_ask(implementation(kind))}
    assert set(MODES) == asking
