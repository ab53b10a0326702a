"""Rounds of /sync against a scripted homeserver: what is asked, what comes of the answers, what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.chat.platforms.base import HttpResponse
from hub.chat.platforms.matrix_events import CARD
from hub.chat.platforms.matrix_sync import JOIN_TRIES, Account, MatrixSync, Position, failure, wait_of
from hub.chat.platforms.outbound import NoAnswer, OutboundCall, OutboundFailed, Polled, TooLong

NOW = 1_700_000_000.0
ME = "@answerback:example.org"
ROOM = "!ops:example.org"
Answer = dict[str, Any] | int | bytes | Exception
JSON = st.recursive(
    st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=8
)


class Server:
    """Answers calls by the end of their path; what is not scripted is 404."""

    def __init__(self, **more: Any) -> None:
        account = Account(
            "https://m.example.org", "token-1", frozenset({"!known:far.org"}), frozenset({"example.org"}), **more
        )
        self.mode = MatrixSync(account)
        self.asked: list[tuple[str, str]] = []
        self.calls: list[OutboundCall] = []
        self.script: dict[str, Answer | Callable[[OutboundCall], Answer]] = {
            "whoami": {"user_id": ME},
            "displayname": {"displayname": "Ops Bot"},
        }

    def round(self, cursor: str = "", now: float = NOW) -> Polled:
        calls = self.mode.poll(cursor, now)
        try:
            call = next(calls)
            while True:
                answer = self._answer(call)
                call = calls.throw(answer) if isinstance(answer, Exception) else calls.send(answer)
        except StopIteration as end:
            polled: Polled = end.value
            return polled

    def _answer(self, out: OutboundCall) -> HttpResponse | Exception:
        self.calls.append(out)
        path = unquote(urlsplit(out.call.url).path)
        self.asked.append((out.call.method, path))
        assert out.call.headers["Authorization"] == "Bearer token-1"
        found: Any = next((each for end, each in self.script.items() if path.endswith(end)), 404)
        if callable(found):
            found = found(out)
        if isinstance(found, Exception):
            return found
        if isinstance(found, int):
            return HttpResponse(found, {}, b"{}")
        return HttpResponse(200, {}, found if isinstance(found, bytes) else json.dumps(found).encode())

    def syncs(self, *answers: Answer) -> None:
        left = list(answers)
        self.script["/sync"] = lambda call: left.pop(0)

    def query(self, number: int = -1) -> dict[str, str]:
        """The query of a call to /sync."""
        urls = [out.call.url for out in self.calls if "/sync?" in out.call.url]
        return {key: value[0] for key, value in parse_qs(urlsplit(urls[number]).query).items()}


def event(
    name: str, body: str = "disk", kind: str = "m.room.message", at: float = NOW, **content: Any
) -> dict[str, Any]:
    content = {"msgtype": "m.text", "body": body, **content}
    return {
        "type": kind,
        "event_id": f"${name}",
        "sender": "@carol:example.org",
        "origin_server_ts": int(at * 1000),
        "content": content,
    }


def synced(
    since: str, *events: dict[str, Any], room: str = ROOM, invite: Any = None, **timeline: Any
) -> dict[str, Any]:
    rooms: dict[str, Any] = {"join": {room: {"timeline": {"events": list(events), **timeline}}}}
    return {"next_batch": since, "rooms": rooms | ({"invite": invite} if invite else {})}


def invitation(sender: str) -> dict[str, Any]:
    state = {"type": "m.room.member", "state_key": ME, "sender": sender, "content": {"membership": "invite"}}
    return {"invite_state": {"events": [{"type": "m.room.name"}, state]}}


def test_the_first_round_takes_up_nothing_and_the_next_go_on() -> None:
    """The first asks who we are and where the stream is; later ones wait there; our own words wake nobody."""
    server = Server()
    server.syncs(synced("s1", event("old")), synced("s2", event("a"), event("b", "load")))
    first = server.round()
    assert first.messages == ()
    assert "since" not in server.query()
    assert server.query()["timeout"] == "0"
    second = server.round(first.cursor)
    assert [message.text for message in second.messages] == ["disk", "load"]
    assert (server.query()["since"], server.query()["timeout"]) == ("s1", "30000")
    assert json.loads(server.query()["filter"])["room"]["timeline"]["not_senders"] == [ME]
    assert json.loads(second.cursor)["since"] == "s2"
    assert len(max((out.call.url for out in server.calls), key=len)) < 2_048
    assert [path for _, path in server.asked].count("/_matrix/client/v3/account/whoami") == 1


def test_a_position_of_another_account_is_dropped() -> None:
    """Nor does a position outgrow what is kept."""
    server = Server()
    server.syncs(synced("s9", event("old")))
    foreign = Position("@other:example.org", "s5").to_text()
    assert server.round(foreign).messages == ()
    position = Position(
        ME, "s", [f"!{number}:x" for number in range(500)], {f"!{number}:x": 1 for number in range(500)}
    )
    assert len(position.to_text()) < 4_000
    assert Position.of(Position(ME, "s", ["!a:b"], {"!c:d": 2}, {"!e:f": 1.5}).to_text(), ME).invited == {"!c:d": 2}


def test_what_one_answer_does_not_hold_is_asked_for() -> None:
    """Backwards to the last position, oldest first in the end; not beyond an hour, and not for ever."""
    server = Server()
    server.syncs(synced("s2", event("d"), limited=True, prev_batch="p1"))
    pages = [{"chunk": [event("c"), event("b")], "end": "p2"}, {"chunk": [event("a")], "end": None}]
    server.script["/messages"] = lambda call: pages.pop(0)
    polled = server.round(Position(ME, "s1").to_text())
    assert [message.event_id for message in polled.messages] == ["$a", "$b", "$c", "$d"]
    queries = [parse_qs(urlsplit(out.call.url).query) for out in server.calls if "/messages?" in out.call.url]
    assert [(query["from"], query["to"]) for query in queries] == [(["p1"], ["s1"]), (["p2"], ["s1"])]
    server.syncs(synced("s3", event("d", at=NOW - 4_000), limited=True, prev_batch="p1"))
    before = len(server.calls)
    server.round(polled.cursor)
    assert len(server.calls) == before + 1
    server.syncs(synced("s4", event("d"), limited=True, prev_batch="p1"))
    server.script["/messages"] = lambda call: {"chunk": [event("again")], "end": "more"}
    assert len(server.round(polled.cursor).messages) == 6


def test_too_much_at_once_is_asked_for_in_smaller_pieces() -> None:
    """An answer that is too long is asked for again with fewer events a room."""
    server = Server()
    server.syncs(TooLong("too long"), synced("s2", event("a")))
    assert len(server.round(Position(ME, "s1").to_text()).messages) == 1
    limits = [json.loads(server.query(number)["filter"])["room"]["timeline"]["limit"] for number in (0, 1)]
    assert limits == [50, 5]


@pytest.mark.parametrize(
    ("answer", "kind", "seconds", "says"),
    [
        (HttpResponse(401, {}, b'{"errcode":"M_UNKNOWN_TOKEN"}'), "token", 0, "log the bot in again"),
        (HttpResponse(401, {}, b"<html>"), "token", 0, "log the bot in again"),
        (HttpResponse(403, {}, b'{"errcode":"M_FORBIDDEN"}'), "later", 0, "403 M_FORBIDDEN"),
        (HttpResponse(429, {}, b'{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":2500}'), "later", 2.5, "429"),
        (HttpResponse(429, {"retry-after": "7"}, b"{}"), "later", 7, "429"),
        (HttpResponse(429, {"retry-after": "soon"}, b'{"retry_after_ms":"x"}'), "later", 0, "429"),
        (HttpResponse(502, {}, b'{"errcode":"\\u001b[31m"}'), "later", 0, "502"),
    ],
)
def test_failures(answer: HttpResponse, kind: str, seconds: float, says: str) -> None:
    """The token is for a person to mend, all else is retried, at the time that the server names."""
    try:
        body = json.loads(answer.body)
    except ValueError:
        body = {}
    failed = failure(answer, body)
    assert (failed.kind, failed.retry_after) == (kind, seconds)
    assert says in failed.reason
    assert "\x1b" not in failed.reason
    assert wait_of(answer, body) == (seconds if kind == "later" else 0)


def test_invitations_are_taken_up_where_hub_toml_says_so() -> None:
    """By room or by the inviter's server; from then on its messages, not what was said before; failing is retried."""
    server = Server()
    invites = {
        "!a:example.org": invitation("@carol:example.org"),
        "!b:evil.org": invitation("@mallory:evil.org"),
        "!known:far.org": invitation("@zoe:far.org"),
        "!c:evil.org": {"invite_state": {"events": "none"}},
    }
    tries: list[str] = []
    server.script["a:example.org/join"] = {"room_id": "!a:example.org"}
    server.script["known:far.org/join"] = lambda call: (tries.append("x"), NoAnswer("slow"))[1]
    server.syncs(synced("s1", invite=invites), *(synced(f"s{number}") for number in range(2, 9)))
    polled = server.round()
    joins = [path for method, path in server.asked if method == "POST"]
    assert [path.split("/")[5] for path in joins] == ["!a:example.org", "!known:far.org"]
    cursor = polled.cursor
    assert json.loads(cursor)["joined"] == {"!a:example.org": NOW}
    for _ in range(7):
        cursor = server.round(cursor).cursor
    assert len(tries) == JOIN_TRIES
    assert json.loads(cursor)["invited"] == {}
    before, after = event("before", at=NOW - 60), event("after", at=NOW + 1)
    server.syncs(synced("s20", before, after, room="!a:example.org"))
    polled = server.round(cursor)
    assert [message.event_id for message in polled.messages] == ["$after"]
    assert json.loads(polled.cursor)["joined"] == {}


def test_an_encrypted_room_is_told_once() -> None:
    """Also over a restart, and again where it could not be said."""
    server = Server()
    sealed = event("x", kind="m.room.encrypted")
    server.syncs(synced("s2", sealed), synced("s3", sealed, sealed), synced("s4", sealed))
    cursor = server.round(Position(ME, "s1").to_text()).cursor
    assert json.loads(cursor)["told"] == []  # 404
    server.script["answerback-encrypted-" + server.asked[-1][1].rpartition("-")[2]] = {"event_id": "$said"}
    cursor = server.round(cursor).cursor
    sent = [out.call for out in server.calls if out.call.method == "PUT"]
    assert len(sent) == 2
    assert sent[0].url == sent[1].url
    assert b"encrypted" in sent[1].body
    assert "加密" in sent[1].body.decode()
    again = Server()
    again.syncs(synced("s4", sealed))
    again.round(cursor)
    assert not [out for out in again.calls if out.call.method == "PUT"]


def test_edits_pictures_and_reactions_are_looked_up() -> None:
    """An edit by its author alone, in the first one's thread; a picture's bytes; a card's words."""
    thread = {"m.relates_to": {"rel_type": "m.thread", "event_id": "$root"}}
    new = {"m.new_content": {"msgtype": "m.text", "body": "load"}}
    edit = event("e", **new, **{"m.relates_to": {"rel_type": "m.replace", "event_id": "$mine"}})
    foreign = event("f", **new, **{"m.relates_to": {"rel_type": "m.replace", "event_id": "$theirs"}})
    picture = event("p", "shot.png", msgtype="m.image", url="mxc://example.org/abc")
    lost = event("q", "lost.png", msgtype="m.image", url="mxc://example.org/lost")
    click = event("r", kind="m.reaction")
    click["content"] = {"m.relates_to": {"rel_type": "m.annotation", "event_id": "$card", "key": "❌"}}
    server = Server()
    server.script |= {
        "event/$mine": event("mine", **thread),
        "event/$theirs": {**event("theirs"), "sender": "@bob:example.org"},
        "event/$card": {"sender": ME, "content": {CARD: {"❌": "reject r1"}}},
        "download/example.org/abc": b"PNG",
        "download/example.org/lost": TooLong("large"),
    }
    server.syncs(synced("s2", edit, foreign, picture, lost, click))
    found = server.round(Position(ME, "s1").to_text()).messages
    assert [(one.event_id, one.text, one.edited, one.thread) for one in found] == [
        ("$mine", "load", True, "$root"), ("$p", "", False, ""), ("$r", "reject r1", False, "")
    ]  # fmt: skip
    assert found[1].images == (b"PNG",)
    assert found[2].button


def test_a_direct_room_is_addressed_to_the_bot() -> None:
    """Where it matters what is: asked once in five minutes; where it does not, not at all."""
    server = Server(direct=True)
    server.script["joined_members"] = {"joined": {ME: {}, "@carol:example.org": {}}}
    server.syncs(*(synced(f"s{number}", event(f"m{number}")) for number in range(2, 5)))
    cursor = Position(ME, "s1").to_text()
    for now in (NOW, NOW + 200, NOW + 301):
        assert server.round(cursor, now).messages[0].addressed
    assert sum(path.endswith("joined_members") for _, path in server.asked) == 2
    plain = Server()
    plain.syncs(synced("s2", event("m")))
    assert not plain.round(cursor).messages[0].addressed
    assert not any(path.endswith("joined_members") for _, path in plain.asked)


@pytest.mark.parametrize(
    "answer", [b"[]", b"not JSON", b"[" * 100_000, {}, {"next_batch": ""}, {"next_batch": "x" * 2_000}]
)
def test_an_answer_that_cannot_be_read_is_a_failed_round(answer: Answer) -> None:
    """And the position stays."""
    server = Server()
    server.syncs(answer)
    with pytest.raises(OutboundFailed):
        server.round(Position(ME, "s1").to_text())


@given(JSON, JSON, JSON)
def test_no_answer_raises_anything_else(rooms: Any, update: Any, timeline: Any) -> None:
    """Whatever a homeserver sends for rooms, a room, a timeline."""
    server = Server()
    for odd in (rooms, {"join": {ROOM: update}, "invite": {ROOM: update}}, {"join": {ROOM: {"timeline": timeline}}}):
        server.syncs({"next_batch": "s2", "rooms": odd})
        server.round(Position(ME, "s1").to_text())
