"""Mattermost's WebSocket: who we are, frames as its server writes them, what was missed, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import UserError
from hub.chat.inlets import Inlet
from hub.chat.platforms.base import MAX_PICTURE_REFS, BadSignature, HttpResponse, IncomingMessage, WebhookRequest
from hub.chat.platforms.mattermost import PLATFORM, MattermostPlatform
from hub.chat.platforms.mattermost_config import MattermostInlet
from hub.chat.platforms.mattermost_fields import MAX_TEXT
from hub.chat.platforms.mattermost_socket import (
    BEAT,
    FEWER,
    GAPS,
    KEEP_EVERY,
    MAX_CHANNELS,
    MAX_MISSED,
    OVERLAP,
    MattermostSocket,
)
from hub.chat.platforms.outbound import Heard, NoAnswer, OutboundCall, OutboundFailed, Polled, Socket, TooLong
from tests.hub.chat.test_outbound import NOW, Rig, running, store

__all__ = ["store"]

TOKEN = "9xuqwrwgstrb3mzrxb83nb357a"
ROOT = "https://chat.example"
ME, ALICE, OPS, DIRECT, POST = "m" * 26, "a" * 26, "c" * 26, "d" * 26, "p" * 26
MS = int(NOW * 1000)
Answer = Any  # JSON, bytes, a status or an exception


def post(name: str = POST, message: str = "@answerback disk on web-1", **more: Any) -> dict[str, Any]:
    """A post as the server has it."""
    made = {"id": name, "create_at": MS, "update_at": MS, "edit_at": 0, "delete_at": 0, "is_pinned": False}
    made |= {"user_id": ALICE, "channel_id": OPS, "root_id": "", "original_id": "", "message": message, "type": ""}
    made |= {"props": {"disable_group_highlight": True}, "hashtags": "", "pending_post_id": "", "metadata": {}}
    return made | more


def named(letter: str) -> str:
    return letter * 26


def frame(seq: int, body: dict[str, Any] | str, event: str = "posted", kind: str | None = "O", **data: Any) -> str:
    data = {"channel_display_name": "Ops", "sender_name": "@alice", "team_id": "t" * 26, **data}
    data |= {"post": body if isinstance(body, str) else json.dumps(body)} | ({"channel_type": kind} if kind else {})
    broadcast = {"omit_users": None, "user_id": "", "channel_id": OPS, "team_id": "", "connection_id": ""}
    return json.dumps({"event": event, "data": data, "broadcast": broadcast, "seq": seq})


HELLO = json.dumps({"event": "hello", "data": {"server_version": "10.5.0", "connection_id": "x" * 26}, "seq": 0})


class Chat:
    """A mode whose calls are answered by the path of their URL; what is not scripted is 404."""

    def __init__(self, cursor: str = "", **script: Answer) -> None:
        self.mode = MattermostSocket(ROOT, TOKEN, "answerback")
        self.calls: list[OutboundCall] = []
        self.script: dict[str, Answer] = {"users/me": {"id": ME, "username": "ops-bot"}}
        self.socket = self.opened(cursor)
        self.seq = 0

    def opened(self, cursor: str) -> Socket:
        found: Socket = self._drive(self.mode.connect(cursor, NOW))
        return found

    def _drive(self, calls: Generator[OutboundCall, HttpResponse, Any]) -> Any:
        try:
            call = next(calls)
            while True:
                answer = self._answer(call)
                call = calls.throw(answer) if isinstance(answer, Exception) else calls.send(answer)
        except StopIteration as end:
            return end.value

    def _answer(self, out: OutboundCall) -> HttpResponse | Exception:
        self.calls.append(out)
        url = urlsplit(out.call.url)
        assert (url.scheme, url.netloc, out.call.method) == ("https", "chat.example", "GET")
        assert out.call.headers == {"Authorization": f"Bearer {TOKEN}"}
        found: Any = self.script.get(url.path.removeprefix("/api/v4/"), 404)
        if callable(found):
            found = found(url.query)
        if isinstance(found, Exception):
            return found
        if isinstance(found, int):
            return HttpResponse(found, {"retry-after": "9"}, b"{}")
        return HttpResponse(200, {}, found if isinstance(found, bytes) else json.dumps(found).encode())

    def fetched(self, heard: Heard) -> Polled:
        assert heard.fetch is not None
        found: Polled = self._drive(heard.fetch)
        return found

    def greeted(self, now: float = NOW) -> Polled:
        """What comes of the greeting."""
        self.seq = 0
        return self.fetched(self.mode.hear(HELLO, now))

    def hear(self, body: dict[str, Any] | str, event: str = "posted", kind: str | None = "O", **data: Any) -> Heard:
        self.seq += 1
        return self.mode.hear(frame(self.seq, body, event, kind, **data), NOW)

    def says(self, body: dict[str, Any] | str, event: str = "posted", kind: str | None = "O") -> IncomingMessage | None:
        heard = self.hear(body, event, kind)
        assert heard.fetch is None
        assert len(heard.messages) <= 1
        return heard.messages[0] if heard.messages else None

    def asked(self) -> list[str]:
        return [out.call.url.removeprefix(f"{ROOT}/api/v4/") for out in self.calls]


def chat(cursor: str = str(MS)) -> Chat:
    made = Chat(cursor)
    made.greeted()
    return made


# ---- the way to it


def test_the_socket_is_opened_with_the_bots_token() -> None:
    """Who it is is asked first, since a wrong token does not end the handshake; http:// gives ws://, a path is kept."""
    made = Chat()
    assert made.asked() == ["users/me"]
    assert made.socket == Socket("wss://chat.example/api/v4/websocket", {"Authorization": f"Bearer {TOKEN}"}, beat=BEAT)
    own = MattermostSocket("http://10.0.0.5:8065/chat", TOKEN, "answerback")
    calls = own.connect("", NOW)
    assert next(calls).call.url == "http://10.0.0.5:8065/chat/api/v4/users/me"
    with pytest.raises(StopIteration) as end:
        calls.send(HttpResponse(200, {}, json.dumps({"id": ME, "username": "b"}).encode()))
    assert end.value.value.url == "ws://10.0.0.5:8065/chat/api/v4/websocket"


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (401, "token", "write the bot account's access token into the inlet's secret_file"),
        (403, "token", "it answered 403"),
        (404, "later", "there is no Mattermost at api_url"),
        (429, "later", "answered 429"),
        (502, "later", "answered 502"),
        (b"<html>", "later", "is no Mattermost"),
        ([], "later", "is no Mattermost"),
        ({"id": "x", "username": "b"}, "later", "is no Mattermost"),
        ({"id": ME, "username": ["b"]}, "later", "is no Mattermost"),
        ({"id": ME, "username": "b" * 65}, "later", "is no Mattermost"),
    ],
)
def test_who_it_is_has_to_be_said(answer: Answer, kind: str, says: str) -> None:
    """A refusal has its cure; no reason has the token."""
    made = Chat()
    made.script["users/me"] = answer
    with pytest.raises(OutboundFailed, match=says) as failed:
        made.opened("")
    assert failed.value.kind == kind
    assert TOKEN not in str(failed.value)


# ---- frames


def test_a_post_is_a_message() -> None:
    """With its thread, by the server's clock; the bot's name, as the server or hub.toml has it, is left out."""
    made = chat()
    heard = made.hear(post(create_at=MS + 5))
    message = IncomingMessage(POST, ALICE, OPS, "disk on web-1", (), ROOT, POST, NOW + 0.005)
    assert heard == Heard((message,), cursor=str(MS + 5))
    found = made.says(post(named("q"), "@Ops-Bot: load", root_id=POST))
    assert found is not None
    assert (found.event_id, found.thread, found.text, found.addressed) == (named("q"), POST, "load", True)
    found = made.says(post(named("r"), "disk on web-1"))
    assert found is not None
    assert (found.text, found.addressed) == ("disk on web-1", False)
    called = made.says(post(named("s"), " @answerback "))
    assert called is not None
    assert called.text == "hi"
    for other in ("@answerback2 disk", "x@answerback disk", "@all disk"):
        found = made.says(post(named("t"), other))
        assert found is not None
        assert not found.addressed


@pytest.mark.parametrize(("kind", "addressed"), [("D", True), ("G", False), ("O", False), ("P", False)])
def test_kinds_of_channels(kind: str, addressed: bool) -> None:
    """A direct message is for the bot; in groups and channels, private ones too, it is mentioned."""
    made = chat()
    found = made.says(post(message="disk"), kind=kind)
    assert found is not None
    assert found.addressed is addressed
    edit = made.says(post(message="disks", edit_at=MS + 9), "post_edited", None)  # which does not say the kind
    assert edit is not None
    assert edit.addressed is addressed


def test_an_edit_is_told_as_one() -> None:
    """By the moment of the edit; a post that was pinned is none."""
    made = chat()
    found = made.says(post(message="load on web-1", edit_at=MS + 60_000, update_at=MS + 60_001), "post_edited", None)
    assert found == IncomingMessage(
        POST, ALICE, OPS, "load on web-1", (), ROOT, POST, NOW + 60, addressed=False, edited=True
    )
    assert made.says(post(is_pinned=True, update_at=MS + 9), "post_edited", None) is None


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": ME},
        {"props": {"from_bot": "true"}},
        {"props": {"from_webhook": "true", "override_username": "alice"}},
        {"props": {"from_plugin": "true"}},
        {"props": {"from_oauth_app": "true"}},
        {"type": "system_join_channel"},
        {"delete_at": MS},
        {"message": ""},
        {"message": " \n "},
    ],
)
def test_what_is_not_a_persons_words_is_ignored(change: dict[str, Any]) -> None:
    """The bot's own, other programs', the server's, deleted ones, nothing at all."""
    assert chat().says(post(**change)) is None


def test_a_post_brings_its_files() -> None:
    """With words, with the bot's name alone, or without any; not again in an edit, nor in what the bot wrote."""
    files = [named("f"), "../x", 7, named("g")]
    for said, text in (("disk on web-1", "disk on web-1"), ("@answerback", ""), ("", "")):
        found = chat().says(post(message=said, file_ids=files))
        assert found is not None
        assert found.text == text
        assert [ref.name for ref in found.pictures] == [f"{POST}/{named('f')}", f"{POST}/{named('g')}"]
    many = chat().says(post(file_ids=[f"{n:026d}" for n in range(60)]))
    assert many is not None
    assert len(many.pictures) == MAX_PICTURE_REFS
    edit = chat().says(post(edit_at=MS + 9, file_ids=files), "post_edited", None)
    assert edit is not None
    assert edit.pictures == ()
    assert chat().says(post(message="", user_id=ME, file_ids=files)) is None
    for odd in (None, "", {}, [[]]):
        assert chat().says(post(message="", file_ids=odd)) is None


@pytest.mark.parametrize("event", ["post_deleted", "typing", "reaction_added", "ephemeral_message", 7, None])
def test_other_events_are_ignored(event: Any) -> None:
    """A deleted post is not run again, and what runs goes on."""
    made = chat()
    assert made.hear(post(), event) == Heard()


@pytest.mark.parametrize(
    "change",
    [
        {"id": "short"},
        {"id": None},
        {"user_id": "A" * 26},
        {"channel_id": 7},
        {"root_id": "../../etc"},
        {"message": "x" * (MAX_TEXT + 1)},
        {"message": "a\x00b"},
        {"message": ["x"]},
        {"create_at": "soon", "message": None},
    ],
)
def test_a_post_that_cannot_be_read_is_left_out(change: dict[str, Any]) -> None:
    """What comes after it is heard."""
    made = chat()
    assert made.says(post(**change)) is None
    assert made.says(post(message="x" * MAX_TEXT)) is not None


@pytest.mark.parametrize(
    "bad",
    [
        "no JSON",
        b"\xff\xfe",
        "[]",
        "7",
        "[" * 100_000,
        '{"event": "posted", "seq": 1}',
        '{"event": "posted", "data": [], "seq": 1}',
        '{"event": ["posted"], "data": {}, "seq": 1}',
        frame(1, "no JSON"),
        frame(1, "[]"),
        frame(1, '{"id": "x", "id": "y"}'),
        frame(1, '{"message": NaN}'),
        frame(1, "[" * 100_000),
        frame(1, "\ud800"),
        frame(1, json.dumps(post()).replace("disk", "\\ud800")),
        '{"seq_reply": 1, "error": "x"}',
        '{"seq_reply": [], "status": "OK"}',
    ],
)
def test_bad_frames_are_passed_over(bad: str | bytes) -> None:
    """None of them ends the connection, or is taken for a gap."""
    made = chat()
    assert made.mode.hear(bad, NOW) == Heard()
    made.seq = 1
    if isinstance(bad, str) and "seq_reply" in bad:
        made.seq = 0
    assert made.says(post()) is not None


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
@settings(max_examples=30)
def test_whatever_a_frame_says_it_is_no_fault(value: Any) -> None:
    """Nothing but OutboundFailed, in a frame, its data, its post or a field of that."""
    made = chat()
    for text in (json.dumps(value), frame(1, json.dumps(value)), frame(1, post(props=value, root_id=value))):
        with contextlib.suppress(OutboundFailed):
            made.mode.hear(text, NOW)
    whole = {"event": value, "data": value, "seq": value, "seq_reply": value, "error": value}
    with contextlib.suppress(OutboundFailed):
        made.mode.hear(json.dumps(whole), NOW)


def test_the_cursor_moves_with_what_was_said() -> None:
    """At once with a message for us; with the words of others only now and then, since each move is a write."""
    made = chat()
    assert made.hear(post(user_id=ME, create_at=MS + 1)).cursor is None
    assert made.hear(post(create_at=MS + 2)).cursor == str(MS + 2)
    assert made.hear(post(create_at=MS - 9)).cursor == str(MS + 2)
    assert made.hear(post(user_id=ME, create_at=MS + 1 + KEEP_EVERY)).cursor is None
    assert made.hear(post(user_id=ME, create_at=MS + 2 + KEEP_EVERY)).cursor == str(MS + 2 + KEEP_EVERY)
    far = made.hear(post(create_at=MS * 5)).cursor
    assert far == str(MS + 300_000), "a post from the future keeps nothing from us"


# ---- pings, ends


def test_a_token_that_was_revoked_is_told_by_the_answer_to_a_ping() -> None:
    """The server closes nothing then, it falls silent."""
    made = chat()
    assert json.loads(made.mode.beat(NOW)) == {"action": "ping", "seq": 1}
    reply = {"status": "OK", "data": {"text": "pong", "server_time": MS}, "seq_reply": 1}
    assert made.mode.hear(json.dumps(reply), NOW) == Heard()
    assert json.loads(made.mode.beat(NOW)) == {"action": "ping", "seq": 2}
    error = {"id": "api.web_socket_router.not_authenticated.app_error", "message": "x", "status_code": 401}
    with pytest.raises(OutboundFailed, match="access token into the inlet's secret_file") as failed:
        made.mode.hear(json.dumps({"status": "FAIL", "error": error, "seq_reply": 2}), NOW)
    assert failed.value.kind == "token"
    error = {"id": "api.web_socket_router.bad_action.app_error", "status_code": 500}
    assert made.mode.hear(json.dumps({"status": "FAIL", "error": error, "seq_reply": 2}), NOW) == Heard()


def test_pings_that_are_not_answered_end_the_connection() -> None:
    """The next connection counts anew."""
    made = chat()
    made.mode.beat(NOW)
    made.mode.beat(NOW)
    with pytest.raises(OutboundFailed, match="did not answer 2 pings"):
        made.mode.beat(NOW)
    made.opened("")
    made.mode.beat(NOW)


def test_ends_have_their_reason() -> None:
    """Before the greeting it is most often a proxy."""
    made = Chat()
    assert "a proxy before it must pass WebSockets on" in str(made.mode.closed(1006))
    made.greeted()
    assert str(made.mode.closed(1001)) == "Mattermost closed the socket (1001)"
    assert str(made.mode.closed(0)) == "Mattermost closed the socket"
    assert made.mode.closed(1006).kind == "later"


# ---- what was missed


def channel(name: str, at: int = MS, **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "O", "last_post_at": at, "delete_at": 0, **more}


def listed(*posts: dict[str, Any]) -> dict[str, Any]:
    return {"order": [one["id"] for one in posts], "posts": {one["id"]: one for one in posts}}


def test_at_the_very_first_nothing_is_taken_up() -> None:
    """The position is where the server is, or an hour ago where it does not say."""
    made = Chat()
    made.script["users/me/channels"] = [channel(OPS, MS - 7_000), channel(DIRECT, MS - 9_000, type="D")]
    assert made.greeted() == Polled((), str(MS - 7_000))
    assert made.asked() == ["users/me", "users/me/channels"]
    found = made.says(post(message="disk", channel_id=DIRECT), "post_edited", None)
    assert found is None
    made.script["users/me/channels"] = 404
    made.opened("")
    assert made.greeted() == Polled((), str(MS - 3_600_000))


def test_what_was_said_meanwhile_is_taken_up_in_its_order() -> None:
    """Of all channels in which something was said, with a minute before it; answers and reactions move old posts, and
    are no news; edits are told as edits.
    """
    made = Chat(str(MS))
    made.script["users/me/channels"] = [
        channel(named("e"), MS - OVERLAP - 1),
        channel(OPS, MS + 5_000),
        channel(DIRECT, MS + 9_000, type="D"),
        channel(named("f"), MS + 9_000, delete_at=MS),
        channel("odd"),
        7,
    ]
    made.script[f"channels/{OPS}/posts"] = listed(
        post(named("1"), "disk", create_at=MS + 3_000),
        post(named("2"), "load", create_at=MS + 4_000, edit_at=MS + 4_500),
        post(named("3"), "kept", create_at=MS - 10_000),
        post(named("4"), "kept, edited", create_at=MS - 10_000, edit_at=MS + 1),
        post(named("5"), "old, answered", create_at=MS - OVERLAP - 1, update_at=MS + 1),
        post(named("6"), "old, edited", create_at=MS - 900_000, edit_at=MS + 2),
        post(named("7"), "ours", user_id=ME, create_at=MS + 5_000),
        post(named("8"), "gone", delete_at=MS + 1, create_at=MS + 3_000),
        {"id": "odd", "create_at": MS + 1},
    )
    made.script[f"channels/{DIRECT}/posts"] = listed(
        post(named("9"), "uptime", create_at=MS + 3_500, channel_id=DIRECT)
    )
    polled = made.greeted()
    said = [(one.text, one.edited, one.addressed) for one in polled.messages]
    assert said == [
        ("old, edited", True, False),
        ("kept", False, False),
        ("kept, edited", True, False),
        ("disk", False, False),
        ("uptime", False, True),
        ("load", False, False),
    ]
    assert polled.cursor == str(MS + 5_000)
    since = MS - OVERLAP
    assert made.asked()[2:] == [f"channels/{DIRECT}/posts?since={since}", f"channels/{OPS}/posts?since={since}"]


def test_after_long_it_goes_back_an_hour() -> None:
    """By the hub's clock."""
    made = Chat("1600000000000")
    made.script["users/me/channels"] = [channel(OPS, MS)]
    made.script[f"channels/{OPS}/posts"] = listed()
    made.greeted()
    assert made.asked()[-1] == f"channels/{OPS}/posts?since={MS - 3_600_000}"


def test_what_is_taken_up_is_bounded() -> None:
    """Channels, messages and answers; too many posts in one channel are its last few."""
    made = Chat(str(MS))
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    names = [first + second * 25 for first in letters for second in letters]
    made.script["users/me/channels"] = [channel(name) for name in names[: MAX_CHANNELS + 5]]
    first = names[0]
    asked: list[str] = []

    def answer(query: str) -> Answer:
        asked.append(query)
        return TooLong("x") if "since" in query else listed(post(named("1"), channel_id=first))

    made.script[f"channels/{first}/posts"] = answer
    for index, name in enumerate(names[1:MAX_CHANNELS]):
        posts = [post(one, str(index), channel_id=name) for one in names[index * 12 : index * 12 + 12]]
        made.script[f"channels/{name}/posts"] = listed(*posts)
    polled = made.greeted()
    assert len(polled.messages) == MAX_MISSED
    assert len(made.calls) == 2 + MAX_CHANNELS + 1
    assert asked == [f"since={MS - OVERLAP}", f"per_page={FEWER}"]
    made.script[f"channels/{first}/posts"] = lambda query: TooLong("x")
    made.opened(str(MS))
    assert len(made.greeted().messages) == MAX_MISSED
    made.script["users/me/channels"] = TooLong("x")
    made.opened(str(MS))
    assert made.greeted() == Polled((), str(MS))


@pytest.mark.parametrize("answer", [403, 404, b"", b"[]", {"posts": []}, {"posts": {"x": 7}}])
def test_a_channel_that_cannot_be_read_is_passed_over(answer: Answer) -> None:
    """The bot may have been removed from it meanwhile."""
    made = Chat(str(MS))
    made.script["users/me/channels"] = [channel(OPS)]
    made.script[f"channels/{OPS}/posts"] = answer
    assert made.greeted() == Polled((), str(MS))


@pytest.mark.parametrize(
    ("answer", "kind"), [(401, "token"), (429, "later"), (503, "later"), (NoAnswer("no answer"), "later")]
)
def test_what_may_go_better_later_is_asked_for_again(answer: Answer, kind: str) -> None:
    """The connection ends, and the position stays where it was."""
    made = Chat(str(MS))
    made.script["users/me/channels"] = [channel(OPS, MS + 9_000)]
    made.script[f"channels/{OPS}/posts"] = answer
    with pytest.raises(OutboundFailed) as failed:
        made.greeted()
    assert failed.value.kind == kind
    assert failed.value.retry_after == (9.0 if answer in (429, 503) else 0.0)


def test_a_gap_in_the_count_is_asked_for() -> None:
    """From before it; the message after the gap is kept. A second gap soon after ends the connection."""
    made = chat(str(MS))
    made.script["users/me/channels"] = [channel(OPS, MS + 700_000)]
    made.script[f"channels/{OPS}/posts"] = listed(post(named("1"), "lost", create_at=MS + 30_000))
    made.seq += 2
    heard = made.hear(post(message="next", create_at=MS + 700_000))
    assert ([one.text for one in heard.messages], heard.cursor) == (["next"], None)
    assert [one.text for one in made.fetched(heard).messages] == ["lost"]
    assert made.asked()[-1] == f"channels/{OPS}/posts?since={MS - OVERLAP}"
    made.seq += 1
    with pytest.raises(OutboundFailed, match="missing again and again"):
        made.hear(post())
    made.seq = 40
    assert made.mode.hear(frame(40, post()), NOW + GAPS).fetch is not None


# ---- the inlet


def inlet_platform(root: str = ROOT, **keys: Any) -> MattermostPlatform:
    more = {"secrets": (TOKEN.encode(),), "outbound": True} | keys
    made = PLATFORM.create(MattermostInlet(platform="mattermost", secret_file=Path("s"), api_url=root, **more))
    assert isinstance(made, MattermostPlatform)
    return made


def test_the_inlet_needs_the_bots_token_alone() -> None:
    """Its webhook takes nothing but clicks, which say whose they are; a token in the wrong place is named."""
    made = inlet_platform()
    assert isinstance(made.outbound, MattermostSocket)
    assert (made.can_buttons, made.example(NOW)) == (False, None)
    assert made.who_am_i(NOW).headers == {"Authorization": f"Bearer {TOKEN}"}
    body = {"token": TOKEN, "post_id": POST, "user_id": ALICE, "channel_id": OPS, "text": "x"}
    for delivery in (
        body,
        body | {"command": "/answerback"},
        {"context": {"value": "x", "thread": "", "mac": "0"}} | body,
    ):
        with pytest.raises(BadSignature):
            made.receive(WebhookRequest(json.dumps(delivery).encode(), {"content-type": "application/json"}), NOW)
    assert inlet_platform(callback_url="http://hub.lan/webhook/mm").can_buttons
    with pytest.raises(UserError, match="token_file is not read where outbound = true"):
        inlet_platform(token_file=Path("t"))
    with pytest.raises(UserError, match="secret_file holds no access token"):
        inlet_platform(secrets=(b"short",))
    with pytest.raises(UserError, match="token_file holds no access token"):
        inlet_platform(outbound=False)
    refused = made.read_identity(made.who_am_i(NOW), HttpResponse(401), NOW)
    assert "secret_file" in str(refused)


@dataclass
class Server:
    """A Mattermost: who the token is, a channel with its posts, and the socket."""

    port: int = 0
    posts: list[dict[str, Any]] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def note(self, change: Callable[[], object]) -> None:
        async with self.changed:
            change()
            self.changed.notify_all()

    async def wait_for(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(holds)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        path = request.path.removeprefix("/api/v4/")
        if path == "websocket":
            return await self._socket(request)
        if path == "users/me":
            return web.json_response({"id": ME, "username": "answerback"})
        if path == "users/me/channels":
            at = max((one["create_at"] for one in self.posts), default=MS)
            return web.json_response([channel(OPS, at)])
        since = int(request.query["since"])
        return web.json_response(listed(*[one for one in self.posts if one["update_at"] >= since]))

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(timeout=0.1)
        await socket.prepare(request)
        await socket.send_str(HELLO)
        await self.note(lambda: self.sockets.append(socket))
        async for message in socket:
            assert json.loads(message.data)["action"] == "ping"
        return socket

    async def says(self, seq: int, name: str, text: str, at: int) -> None:
        self.posts.append(post(name, text, create_at=at, update_at=at))
        await self.sockets[-1].send_str(frame(seq, self.posts[-1]))

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Server]:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._call)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()


async def test_messages_come_through_a_real_socket_and_none_is_lost_between_two(store: Any) -> None:
    """Heard, committed, the cursor kept; what is said while it is down comes with the next connection, once."""
    async with Server().serving() as server:
        api = f"http://127.0.0.1:{server.port}"
        rig = Rig(store, {"far": Inlet("far", inlet_platform(api), (api,))})
        async with running(rig):
            await server.wait_for(lambda: server.sockets)
            await server.says(1, named("1"), "@answerback disk", MS + 1_000)
            await rig.until(lambda: len(rig.taken) == 1)
            server.posts.append(post(named("2"), "load", create_at=MS + 2_000, update_at=MS + 2_000))
            await server.sockets[-1].close(code=1001)
            await rig.until(lambda: len(rig.taken) == 2)
            await server.says(1, named("3"), "uptime", MS + 3_000)
            await server.says(2, named("4"), "df", MS + 4_000)
            await rig.until(lambda: len(rig.taken) == 4)
        assert rig.texts == ["disk", "load", "uptime", "df"]
        assert rig.cursor() in (str(MS + 3_000), str(MS + 4_000))
        assert {message.reply_url for _, message in rig.taken} == {api}
        assert len(server.sockets) == 2
