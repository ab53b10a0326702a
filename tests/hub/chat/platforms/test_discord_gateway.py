"""Discord's gateway: the payloads of its documentation, frame by frame, and over a real socket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from common.errors import UserError
from hub.chat.inlets import Inlet
from hub.chat.platforms.base import BadSignature, CodeGiven, HttpCall, HttpResponse, ImmediateResponse, IncomingMessage
from hub.chat.platforms.code_form import CodeAnswer, CodeForm
from hub.chat.platforms.discord import PLATFORM, DiscordInlet, DiscordPlatform
from hub.chat.platforms.discord_gateway import (
    DIRECT_MESSAGES,
    GOODBYE,
    GUILD_MESSAGES,
    HELLO_SECONDS,
    KEEP_SECONDS,
    MAX_RESUMES,
    MESSAGE_CONTENT,
    NEAR_RESUMES,
    STARTS_LEFT,
    DiscordGateway,
)
from hub.chat.platforms.outbound import Heard, NoAnswer, OutboundFailed, Socket, SocketMode, outbound_mode
from hub.cli.inlet_setup import InletAnswers, check_answers, keys_of
from hub.config import HubConfig, HubTable
from hub.store.store import Store
from tests.each import each_of
from tests.hub.chat.platforms.socket_server import SocketServer
from tests.hub.chat.platforms.test_discord import API, NOW, PUBLIC, TOKEN, click, command, delivery, snowflake
from tests.hub.chat.platforms.test_discord_form import sent
from tests.hub.chat.platforms.test_discord_message import ME, message
from tests.hub.chat.test_outbound import Forms, Rig, running, store

__all__ = ["store"]

HELLO = {"op": 10, "d": {"heartbeat_interval": 45_000}, "s": None, "t": None}
ACK = {"op": 11}
INTENTS = GUILD_MESSAGES | DIRECT_MESSAGES | MESSAGE_CONTENT
BOT = {
    "url": "wss://gateway.discord.gg",
    "shards": 1,
    "session_start_limit": {"total": 1000, "remaining": 999, "reset_after": 14_400_000, "max_concurrency": 1},
}
"""The answer of "Get Gateway Bot"."""
RESUME_URL = "wss://gateway-us-east1-b.discord.gg"


def ready(sequence: int = 1, **more: Any) -> dict[str, Any]:
    data = {
        "v": 10,
        "user": {"id": ME, "username": "answerback", "bot": True},
        "guilds": [{"id": "290926798626357999", "unavailable": True}],
        "session_id": "a_session_1",
        "resume_gateway_url": RESUME_URL,
        "shard": [0, 1],
        "application": {"id": ME, "flags": 565_248},
        **more,
    }
    return event("READY", data, sequence)


def event(kind: str, data: Any, sequence: Any) -> dict[str, Any]:
    return {"op": 0, "d": data, "s": sequence, "t": kind}


def identify(intents: int = INTENTS) -> dict[str, Any]:
    properties = {"os": "linux", "browser": "answerback", "device": "answerback"}
    return {"op": 2, "d": {"token": TOKEN, "intents": intents, "properties": properties}}


def resume(sequence: int, session: str = "a_session_1") -> dict[str, Any]:
    return {"op": 6, "d": {"token": TOKEN, "session_id": session, "seq": sequence}}


class Gateway:
    """One mode and what the store keeps for it."""

    def __init__(self, *, content: bool = True, cursor: str = "", token: str = TOKEN) -> None:
        self.mode = DiscordGateway(API, token, "discord.gg", content=content, draw=lambda: 0.25)
        self.cursor = cursor
        self.asked: list[HttpCall] = []

    def connect(self, answer: Any = BOT, status: int = 200) -> Socket:
        self.asked = []
        calls = self.mode.connect(self.cursor, NOW)
        try:
            call = next(calls)
            while True:
                self.asked.append(call.call)
                raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                call = calls.send(HttpResponse(status, {"retry-after": "7"}, raw))
        except StopIteration as end:
            opened: Socket = end.value
            return opened

    def hear(self, body: Any, now: float = NOW) -> Heard:
        heard = self.mode.hear(body if isinstance(body, str | bytes) else json.dumps(body), now)
        if heard.cursor is not None:
            self.cursor = heard.cursor
        return heard

    def say(self, body: Any) -> list[Any]:
        """What is sent after a frame."""
        return [json.loads(frame) for frame in self.hear(body).send]

    def beat(self) -> Any:
        return json.loads(self.mode.beat(NOW))

    def let_in(self) -> Gateway:
        self.connect()
        self.hear(HELLO)
        self.hear(ready())
        return self


def table(**more: Any) -> DiscordInlet:
    keys: dict[str, Any] = {"platform": "discord", "secret_file": Path("t"), "secrets": (TOKEN.encode(),), **more}
    return DiscordInlet(**keys)


# The inlet


def test_an_inlet_asks_or_is_told() -> None:
    """With `outbound` it needs no public key and takes no webhooks, however signed. The class says that it can."""
    assert "outbound" in DiscordPlatform.__annotations__
    made = PLATFORM.create(table(outbound=True))
    assert isinstance(outbound_mode(made), SocketMode)
    with pytest.raises(BadSignature) as refused:
        made.receive(delivery(b'{"type":1}'), NOW)
    assert refused.value.code == "outbound"
    assert outbound_mode(PLATFORM.create(table(public_key=PUBLIC.hex()))) is None
    with pytest.raises(UserError, match="outbound = true"):
        PLATFORM.create(table())


def test_it_is_set_up_with_the_token_alone(tmp_path: Path) -> None:
    """`inlet add` asks for both ways' keys and needs those of one."""
    assert {"public_key", "outbound"} <= {key.name for key in keys_of(PLATFORM) if not key.needed}
    answers = InletAnswers(PLATFORM, "discord", "dc")
    answers.set_secret("secret_file", TOKEN.encode())
    config = HubConfig(HubTable("hub"), path=tmp_path / "hub.toml")
    with pytest.raises(UserError, match="public_key"):
        check_answers(config, answers)
    answers.set("outbound", "true")
    check_answers(config, answers)
    assert answers.missing() == []


@each_of(
    ("answer", "intents"),
    [
        ("everything", GUILD_MESSAGES | DIRECT_MESSAGES | MESSAGE_CONTENT),
        ("commands", GUILD_MESSAGES | DIRECT_MESSAGES | MESSAGE_CONTENT),
        ("mentions", GUILD_MESSAGES | DIRECT_MESSAGES),
    ],
)
def test_no_more_is_asked_for_than_is_answered(answer: Any, intents: int) -> None:
    """Discord lets an app read what mentions it, and direct messages, without the privileged intent."""
    made = PLATFORM.create(table(outbound=True, answer=answer))
    mode = outbound_mode(made)
    assert isinstance(mode, DiscordGateway)
    mode.hear(json.dumps(HELLO), NOW)
    assert json.loads(mode.hear(json.dumps(HELLO), NOW).send[0]) == identify(intents)


def test_gateways_are_at_discords_own_domain() -> None:
    """And for another server of the API at hosts below its own."""
    for api, domain in (
        (API, "discord.gg"),
        ("https://ptb.discord.com/api", "discord.gg"),
        ("https://x.example", "x.example"),
    ):
        mode = DiscordPlatform(TOKEN, None, api).outbound
        assert mode is not None
        assert mode._domain == domain
    assert DiscordPlatform(TOKEN, None, "https://evildiscord.com").outbound._domain == "evildiscord.com"  # type: ignore[union-attr]


# Opening


def test_the_first_connection_begins_a_session() -> None:
    """The URL comes from Discord, with our token; Identify answers the greeting, and READY is what proves it."""
    gateway = Gateway()
    socket = gateway.connect()
    assert socket == Socket(
        "wss://gateway.discord.gg/?v=10&encoding=json", beat=HELLO_SECONDS, goodbye=GOODBYE, domain="discord.gg"
    )
    (call,) = gateway.asked
    assert (call.method, call.url, call.headers) == ("GET", f"{API}/gateway/bot", {"Authorization": f"Bot {TOKEN}"})
    heard = gateway.hear(HELLO)
    assert [json.loads(frame) for frame in heard.send] == [identify()]
    assert (heard.beat, heard.beat_in, heard.works) == (45.0, 45.0 * 0.25, False)
    heard = gateway.hear(ready())
    assert (heard.works, heard.messages, heard.send) == (True, (), ())
    assert TOKEN not in gateway.cursor


def test_a_connection_goes_on_from_the_last_event() -> None:
    """Also after a restart of the hub: at the session's own address, without another session."""
    gateway = Gateway().let_in()
    gateway.hear(event("MESSAGE_CREATE", message(), 2))
    for after in (gateway, Gateway(cursor=gateway.cursor)):
        assert after.connect().url == f"{RESUME_URL}/?v=10&encoding=json"
        assert after.asked == []
        assert after.say(HELLO) == [resume(2)]
        again = after.hear(event("MESSAGE_CREATE", message("uptime", id=snowflake(NOW, 8)), 3))
        assert (again.works, [one.text for one in again.messages]) == (False, ["uptime"])
        assert after.hear(event("RESUMED", {"_trace": []}, 4)).works
        assert after.hear(event("MESSAGE_CREATE", message(author={"id": ME}), 5)).messages == ()


def test_the_session_of_another_token_or_with_other_intents_is_not_resumed() -> None:
    """Nor what an inlet of another platform left there."""
    cursor = Gateway().let_in().cursor
    others = [
        Gateway(cursor=cursor, token=TOKEN + "x"),
        Gateway(cursor=cursor, content=False),
        *(Gateway(cursor=text) for text in ("42", "[]", "s72594_4483_1934", '{"since":"x"}', "null")),
    ]
    for gateway in others:
        gateway.connect()
        assert gateway.say(HELLO)[0]["op"] == 2


def test_what_a_busy_server_says_is_not_written_at_each_word() -> None:
    """The cursor moves with each message for us, and every few seconds; the connection goes on from where it was."""
    gateway = Gateway().let_in()
    other = message(author={"id": "1", "bot": True})
    assert gateway.hear(event("MESSAGE_CREATE", other, 2), NOW + 1).cursor is None
    assert gateway.hear(event("TYPING_START", {}, 3), NOW + 2).cursor is None
    kept = gateway.cursor
    gateway.hear(ACK)
    gateway.connect()
    assert gateway.say(HELLO) == [resume(3)]
    restarted = Gateway(cursor=kept)
    restarted.connect()
    assert restarted.say(HELLO) == [resume(1)]
    gateway.hear(event("RESUMED", {}, 4), NOW + 3)
    assert gateway.hear(event("TYPING_START", {}, 5), NOW + 3 + KEEP_SECONDS).cursor is not None
    assert gateway.hear(event("TYPING_START", {}, 6), NOW - 100).cursor is not None


def test_the_last_event_counts_once_it_was_committed() -> None:
    """The connection ends with the frame whose message could not be stored: it is asked for again."""
    gateway = Gateway().let_in()
    kept = gateway.cursor
    gateway.hear(event("MESSAGE_CREATE", message(), 2))
    gateway.cursor = kept  # as where the commit failed
    gateway.connect()
    assert gateway.say(HELLO) == [resume(1)]


def test_a_session_that_cannot_be_resumed_is_given_up() -> None:
    """First at its own address, then at the usual one, then another is begun; being let in counts anew."""
    gateway = Gateway().let_in()
    for number in range(MAX_RESUMES):
        gateway.connect()
        assert len(gateway.asked) == (number >= NEAR_RESUMES)
        assert gateway.say(HELLO) == [resume(1)]
    gateway.connect()
    assert gateway.say(HELLO) == [identify()]
    gateway.hear(ready(session_id="a_session_2"))
    gateway.connect()
    assert gateway.say(HELLO) == [resume(1, "a_session_2")]


@each_of(
    ("status", "answer", "kind", "wait", "says"),
    [
        (401, {"message": "401: Unauthorized", "code": 0}, "token", 0, "token"),
        (429, {"message": "You are being rate limited.", "retry_after": 64.57, "global": False}, "later", 64.57, "429"),
        (429, b"", "later", 7, "429"),
        (500, b"<html>", "later", 7, "500"),
        (200, b"<html>", "later", 0, "api_url"),
        (200, {}, "later", 0, "api_url"),
        (200, [], "later", 0, "api_url"),
        (200, BOT | {"url": "https://discord.com"}, "later", 0, "api_url"),
        (200, BOT | {"url": "wss://a@b"}, "later", 0, "api_url"),
        (200, BOT | {"session_start_limit": {"remaining": 0, "reset_after": 60_000}}, "later", 60, "0 sessions"),
        (200, BOT | {"session_start_limit": {"remaining": STARTS_LEFT, "reset_after": "x"}}, "later", 0, "sessions"),
    ],
)
def test_why_no_session_is_begun(status: int, answer: Any, kind: str, wait: float, says: str) -> None:
    """What a person has to see to, and what time cures: also that too many were begun today."""
    with pytest.raises(OutboundFailed, match=says) as failed:
        Gateway().connect(answer, status)
    assert (failed.value.kind, failed.value.retry_after) == (kind, wait)
    assert TOKEN not in str(failed.value)


def test_resuming_needs_no_beginning() -> None:
    """Where none may be begun, and where the limit is not told."""
    gateway = Gateway().let_in()
    none_left = BOT | {"session_start_limit": {"remaining": 0, "reset_after": 60_000}}
    for _ in range(MAX_RESUMES):
        gateway.connect(none_left)
    with pytest.raises(OutboundFailed):
        gateway.connect(none_left)
    Gateway().connect({"url": "wss://gateway.discord.gg/"})


# Heartbeats


def test_heartbeats_carry_the_last_number() -> None:
    """None before the first event; each is answered, or the connection is dead."""
    gateway = Gateway()
    gateway.connect()
    gateway.hear(HELLO)
    assert gateway.beat() == {"op": 1, "d": None}
    gateway.hear(ACK)
    gateway.hear(ready(7))
    assert gateway.beat() == {"op": 1, "d": 7}
    gateway.hear(event("TYPING_START", {}, 8))
    with pytest.raises(NoAnswer, match="heartbeat"):
        gateway.beat()
    gateway.connect()
    gateway.hear(HELLO)
    assert gateway.beat() == {"op": 1, "d": 8}


def test_a_heartbeat_that_is_asked_for_is_sent_at_once() -> None:
    """Beside those that are due; it is not the one whose answer is waited for."""
    gateway = Gateway().let_in()
    assert gateway.say({"op": 1, "d": None}) == [{"op": 1, "d": 1}]
    assert gateway.beat() == {"op": 1, "d": 1}
    gateway.hear(ACK)
    gateway.beat()


def test_a_server_that_does_not_greet_is_left() -> None:
    """Instead of waiting for ever."""
    gateway = Gateway()
    gateway.connect()
    with pytest.raises(NoAnswer, match="greet"):
        gateway.mode.beat(NOW)


@each_of("interval", [None, "45000", 999, 600_001, 4.5e4, True, []])
def test_a_greeting_without_a_sound_interval_is_refused(interval: Any) -> None:
    """A second to ten minutes."""
    gateway = Gateway()
    gateway.connect()
    for hello in ({"heartbeat_interval": interval}, [interval], None):
        with pytest.raises(OutboundFailed, match="interval"):
            gateway.hear({"op": 10, "d": hello})


# Events


@each_of(
    ("body", "text", "addressed"),
    [
        (message(), "df -h on web-1", False),
        (message(f"<@{ME}> df -h", mentions=[{"id": ME, "username": "answerback"}]), "df -h", True),
        (message("uptime", guild_id=None), "uptime", True),
    ],
)
def test_messages_are_heard(body: dict[str, Any], text: str, addressed: bool) -> None:
    """They are on disk before the cursor has their number."""
    gateway = Gateway().let_in()
    heard = gateway.hear(event("MESSAGE_CREATE", body, 2))
    (found,) = heard.messages
    assert (found.text, found.addressed, found.edited, found.thread) == (text, addressed, False, "")
    assert json.loads(gateway.cursor)["sequence"] == 2
    assert heard.after == ()


def test_an_update_is_an_edit_where_the_words_changed() -> None:
    """It has the id of what was said first, so it never runs a second time."""
    gateway = Gateway().let_in()
    (first,) = gateway.hear(event("MESSAGE_CREATE", message(), 2)).messages
    changed = message("df -h on web-2", edited_timestamp="2023-11-14T22:14:20+00:00")
    (edit,) = gateway.hear(event("MESSAGE_UPDATE", changed, 3)).messages
    assert (edit.event_id, edit.edited, edit.text) == (first.event_id, True, "df -h on web-2")
    preview = {"id": first.event_id, "channel_id": first.conversation, "embeds": [{"type": "link"}]}
    assert gateway.hear(event("MESSAGE_UPDATE", preview, 4)).messages == ()


@each_of(
    ("body", "text", "answer"),
    [
        (command(), "df -h on web-1", {"type": 5}),
        (click(), "approve r42 k7f2", {"type": 6}),
        (click("made up"), None, {"type": 6}),
        (command(type=4), None, {"type": 8, "data": {"choices": []}}),
    ],
)
def test_interactions_are_answered_by_a_call(body: dict[str, Any], text: str | None, answer: Any) -> None:
    """With what the webhook would have been answered, by the interaction's own token."""
    heard = Gateway().let_in().hear(event("INTERACTION_CREATE", body, 2))
    assert [found.text for found in heard.messages] == ([text] if text else [])
    (call,) = heard.after
    assert (call.method, call.url) == ("POST", f"{API}/interactions/{body['id']}/A_UNIQUE_TOKEN/callback")
    assert (call.headers, json.loads(call.body)) == ({"Content-Type": "application/json"}, answer)


def test_a_click_may_open_a_modal() -> None:
    """By the call that would have answered it; then it is no message. What Discord refuses has opened nothing."""
    heard = Gateway().let_in().hear(event("INTERACTION_CREATE", click(), 2))
    assert heard.form is not None
    found = heard.form.received
    assert isinstance(found, IncomingMessage)
    assert heard.messages == (found,)
    bot = DiscordPlatform(TOKEN, None, API)
    call = bot.open_form(found, CodeForm(42, "0" * 32, "the plan", "en"))
    assert isinstance(call, HttpCall)
    assert (call.method, call.url) == (heard.after[0].method, heard.after[0].url)
    assert json.loads(call.body)["type"] == 9
    assert bot.open_form(found, CodeForm(42, "0" * 32, "x" * 4_001, "en")) is None
    assert [bot.is_opened(HttpResponse(status)) for status in (200, 204, 400, 404)] == [True, True, False, False]
    done = heard.form.answered(ImmediateResponse(b"", "text/plain"))
    assert (done.messages, done.after, done.form, done.cursor) == ((), (), None, heard.cursor)
    assert Gateway().let_in().hear(event("INTERACTION_CREATE", command(), 2)).form is None


def test_a_sent_modal_is_answered_by_a_call() -> None:
    """Once it was acted on, and not before."""
    body = sent({"custom_id": f"code r42 {'0' * 32} 7"})
    heard = Gateway().let_in().hear(event("INTERACTION_CREATE", body, 2))
    assert (heard.messages, heard.after, heard.send) == ((), (), ())
    assert heard.cursor
    assert heard.form is not None
    assert isinstance(heard.form.received, CodeGiven)
    assert "123456" not in repr(heard)
    (call,) = heard.form.answered(ImmediateResponse(b'{"type":6}')).after
    assert call.url == f"{API}/interactions/{body['id']}/A_UNIQUE_TOKEN/callback"
    assert call.body == b'{"type":6}'


@each_of(
    "body",
    [
        event("MESSAGE_CREATE", message(author={"id": "1", "bot": True}), 2),
        event("MESSAGE_CREATE", message(webhook_id="1"), 2),
        event("MESSAGE_CREATE", message(id=7), 2),
        event("MESSAGE_CREATE", None, 2),
        event("MESSAGE_DELETE", {"id": "1", "channel_id": "2"}, 2),
        event("INTERACTION_CREATE", command(id="../x"), 2),
        event("INTERACTION_CREATE", command(type=4, token="a/../b"), 2),
        event("INTERACTION_CREATE", [], 2),
        event("OF_TOMORROW", {}, 2),
        event(["READY"], {}, 2),  # type: ignore[arg-type]
        event("MESSAGE_CREATE", message(author={"id": ME}), "2"),
        event("MESSAGE_CREATE", message(author={"id": ME}), -1),
        event("MESSAGE_CREATE", message(author={"id": ME}), 2**60),
        {"op": 0},
        {"op": 99},
        {"op": None},
        {"op": [10]},
        {},
        [],
        "",
        "{",
        b"\xff",
        "\ud800",
        "[" * 5_000,
        '{"op": 1, "op": 7}',
        '{"op": 0, "s": 1e999}',
    ],
)
def test_what_is_not_for_us_brings_nothing(body: Any) -> None:
    """Bots, deletions, what cannot be read, what there may be tomorrow: the connection goes on."""
    heard = Gateway().let_in().hear(body, NOW + 1)
    assert (heard.messages, heard.send, heard.after, heard.again, heard.works) == ((), (), (), False, True)


@each_of(
    "broken", [{"user": None}, {"user": {"id": "x"}}, {"session_id": 7}, {"session_id": "a b"}, {"session_id": ""}]
)
def test_a_ready_that_cannot_be_read_ends_the_connection(broken: dict[str, Any]) -> None:
    """Without the bot's id its own words could not be told from others'."""
    gateway = Gateway()
    gateway.connect()
    gateway.hear(HELLO)
    with pytest.raises(OutboundFailed, match="READY"):
        gateway.hear(ready(**broken))
    for frame in (event("READY", [], 1), "{"):
        with pytest.raises(OutboundFailed):
            gateway.hear(frame)


def test_a_resume_address_that_is_none_is_not_used() -> None:
    """The session is resumed at the usual one."""
    for odd in (None, 7, "https://discord.gg", "wss://a b", "wss://gateway.discord.gg/?x=1"):
        gateway = Gateway()
        gateway.connect()
        gateway.hear(ready(resume_gateway_url=odd))
        assert gateway.connect().url == "wss://gateway.discord.gg/?v=10&encoding=json"
        assert gateway.say(HELLO) == [resume(1)]


# Ends


def test_discord_asks_for_a_new_connection() -> None:
    """The session goes on there. Who was not let in yet waits before the next session is begun."""
    gateway = Gateway().let_in()
    assert gateway.hear({"op": 7, "d": None}) == Heard(again=True)
    gateway.connect()
    assert gateway.say(HELLO) == [resume(1)]
    outside = Gateway()
    outside.connect()
    outside.hear(HELLO)
    with pytest.raises(OutboundFailed, match="let us in"):
        outside.hear({"op": 7, "d": None})


def test_a_refused_session_is_begun_anew_after_a_pause() -> None:
    """One to five seconds; resumed where Discord says that it can be. Refused again it is a failure."""
    gateway = Gateway().let_in()
    gateway.connect()
    heard = gateway.hear({"op": 9, "d": True})
    assert (heard.again, heard.wait, heard.cursor) == (True, 2.0, None)
    gateway.connect()
    assert gateway.say(HELLO) == [resume(1)]
    gateway.hear(event("RESUMED", {}, 2))
    gateway.connect()
    heard = gateway.hear({"op": 9, "d": False})
    assert (heard.again, heard.wait, heard.cursor) == (True, 2.0, "")
    gateway.connect()
    assert gateway.say(HELLO) == [identify()]
    with pytest.raises(OutboundFailed, match="again") as failed:
        gateway.hear({"op": 9, "d": False})
    assert failed.value.kind == "later"
    gateway.connect()
    gateway.hear(ready(session_id="a_session_2"))
    assert gateway.hear({"op": 9, "d": False}).again


@each_of(
    ("code", "kind", "says", "ended"),
    [
        (4000, "later", "4000", False),
        (4001, "later", "4001", False),
        (4002, "later", "4002", False),
        (4003, "later", "4003", True),
        (4004, "token", "secret_file", True),
        (4005, "later", "4005", True),
        (4007, "later", "4007", True),
        (4008, "later", "4008", False),
        (4009, "later", "4009", True),
        (4010, "token", "shard", True),
        (4011, "token", "servers", True),
        (4012, "token", "version", True),
        (4013, "token", "intents", True),
        (4014, "token", "Message Content Intent", True),
        (1000, "later", "1000", False),
        (1006, "later", "1006", False),
        (0, "later", "0", False),
    ],
)
def test_codes_say_whether_it_is_tried_again(code: int, kind: str, says: str, ended: bool) -> None:
    """Where a person has to act the cure is named; where the session is over another one is begun."""
    gateway = Gateway().let_in()
    failed = gateway.mode.closed(code)
    assert failed.kind == kind
    assert says in failed.reason
    assert str(code) in failed.reason
    gateway.connect()
    assert gateway.say(HELLO) == [identify() if ended else resume(1)]


@given(st.data())
def test_mutated_frames_raise_nothing_else(data: st.DataObject) -> None:
    """Any value anywhere: something heard, or a failure of the connection that says why."""
    odd = st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.just([]), st.just({}), st.just([{}])
    )
    frames = [HELLO, ready(), {"op": 9, "d": False}, event("MESSAGE_CREATE", message(), 2),
              event("INTERACTION_CREATE", command(), 3)]  # fmt: skip
    gateway = Gateway(cursor=data.draw(st.sampled_from(["", Gateway().let_in().cursor])))
    gateway.connect()
    for original in frames:
        body = json.loads(json.dumps(original))
        spot: Any = body
        while True:
            key = data.draw(st.sampled_from(sorted(spot)) if isinstance(spot, dict) else st.just(0))
            inner = spot[key]
            if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
                spot[key] = data.draw(odd)
                break
            spot = inner
        try:
            heard = gateway.hear(body)
        except OutboundFailed:
            continue
        assert all(isinstance(found, IncomingMessage) for found in heard.messages)
        assert heard.form is None or isinstance(heard.form.received, IncomingMessage | CodeGiven)


# Over a real socket


async def test_from_the_token_to_the_message_through_a_restart(store: Store) -> None:
    """Identify, a message and a command, answered once they are committed; the connection is left so that the session
    stays; the next hub resumes it, hears what came meanwhile, and what it heard before is a repeat.
    """

    def answer(request: web.Request, body: bytes) -> Any:
        if request.path.endswith("/callback"):
            assert json.loads(body) == {"type": 5}
            assert [found.text for _, found in rig.taken] == ["df -h on web-1", "uptime on web-1"]
            return web.Response(status=204)
        assert (request.path, request.headers["Authorization"]) == ("/api/v10/gateway/bot", f"Bot {TOKEN}")
        return BOT | {"url": f"ws://127.0.0.1:{server.port}"}

    async def behave(socket: web.WebSocketResponse, number: int) -> None:
        await socket.send_json(HELLO)
        if number == 1:
            await server.until(lambda: identify() in server.frames)
            await socket.send_json(ready(resume_gateway_url=f"ws://127.0.0.1:{server.port}"))
            await socket.send_json(event("MESSAGE_CREATE", message(), 2))
            words = [{"name": "text", "type": 3, "value": "uptime on web-1"}]
            await socket.send_json(event("INTERACTION_CREATE", command(options=words, id=snowflake(NOW, 8)), 3))
        else:
            await server.until(lambda: resume(3) in server.frames)
            await socket.send_json(event("INTERACTION_CREATE", command(id=snowflake(NOW, 8)), 3))
            await socket.send_json(event("MESSAGE_CREATE", message("free on web-1", id=snowflake(NOW, 9)), 4))
            await socket.send_json(event("RESUMED", {"_trace": []}, 5))
            await socket.send_json({"op": 1, "d": None})

    server = SocketServer(answer, behave)
    async with server.serving():

        def inlets() -> dict[str, Inlet]:
            made = PLATFORM.create(table(outbound=True, api_url=f"http://127.0.0.1:{server.port}/api/v10"))
            return {"dc": Inlet("dc", made, made.hosts)}

        rig = Rig(store, inlets(), now=NOW)
        async with running(rig):
            await server.until(lambda: any(path.endswith("/callback") for path in server.called))
        await server.until(lambda: server.codes == [GOODBYE])
        first, rig = rig, Rig(store, inlets(), now=NOW, taken=rig.taken)
        async with running(rig):
            await server.until(lambda: {"op": 1, "d": 5} in server.frames)
    assert first.texts == ["df -h on web-1", "uptime on web-1", "free on web-1"]
    assert server.opened == ["/?v=10&encoding=json"] * 2
    assert server.called.count("GET /api/v10/gateway/bot") == 1


async def test_forms_over_the_gateway(store: Store) -> None:
    """The modal answers the click, which is no message then; one that Discord does not open leaves the click as it is.
    What is sent is acted on before it is answered, and no code is in the log.
    """
    said: list[Any] = []

    def answer(request: web.Request, body: bytes) -> Any:
        if not request.path.endswith("/callback"):
            return BOT | {"url": f"ws://127.0.0.1:{server.port}"}
        said.append(json.loads(body))
        given = len(forms.given)
        assert given == {1: 0, 2: 0, 3: 0, 4: 1}.get(len(said), 3)
        return web.Response(status=404 if len(said) == 2 else 204)

    async def behave(socket: web.WebSocketResponse, number: int) -> None:
        await socket.send_json(HELLO)
        await server.until(lambda: identify() in server.frames)
        await socket.send_json(ready(resume_gateway_url=f"ws://127.0.0.1:{server.port}"))
        await socket.send_json(event("INTERACTION_CREATE", click(), 2))
        await socket.send_json(event("INTERACTION_CREATE", click(id=snowflake(NOW, 8)), 3))
        await server.until(lambda: len(said) == 3)
        for one in (4, 5, 6):
            body = sent({"custom_id": said[0]["data"]["custom_id"]}, f"12345{one}", id=snowflake(NOW, one))
            await socket.send_json(event("INTERACTION_CREATE", body, one))
        await socket.send_json({"op": 1, "d": None})

    server = SocketServer(answer, behave)
    forms = Forms([CodeAnswer("wrong", ok=False, again=True), OSError("the disk is full"), CodeAnswer("", ok=True)])
    async with server.serving():
        made = PLATFORM.create(table(outbound=True, api_url=f"http://127.0.0.1:{server.port}/api/v10"))
        rig = Rig(store, {"dc": Inlet("dc", made, made.hosts)}, now=NOW, forms=forms)
        with capture_logs() as logs:
            async with running(rig):
                await server.until(lambda: {"op": 1, "d": 6} in server.frames)
    assert [one["type"] for one in said] == [9, 9, 6, 4, 6]
    assert (said[3]["data"]["content"], said[3]["data"]["flags"]) == ("wrong", 64)
    assert [given.code for given in forms.given] == ["123454", "123455", "123456"]
    assert not any(code in repr(logs) for code in ("123454", "123455", "123456"))
    assert [(found.event_id, found.text) for _, found in rig.taken] == [(snowflake(NOW, 8), "approve r42 k7f2")]


async def test_an_intent_that_is_not_switched_on_is_a_line_and_no_storm(store: Store) -> None:
    """Discord greets everybody and closes then: the cure is named, and it is tried again after minutes."""

    async def behave(socket: web.WebSocketResponse, number: int) -> None:
        await socket.send_json(HELLO)
        await server.until(lambda: identify() in server.frames)
        await socket.close(code=4014)

    server = SocketServer(lambda request, body: BOT | {"url": f"ws://127.0.0.1:{server.port}"}, behave)
    async with server.serving():
        made = PLATFORM.create(table(outbound=True, api_url=f"http://127.0.0.1:{server.port}/api/v10"))
        rig = Rig(store, {"dc": Inlet("dc", made, made.hosts)}, now=NOW)
        rig.open.clear()
        async with running(rig):
            await rig.until(lambda: rig.waits)
            (state,) = rig.supervisor.states()
    assert rig.waits == [450.0]
    assert "Message Content Intent" in state.error
    assert state.connected_at == 0
