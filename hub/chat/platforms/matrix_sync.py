"""The outbound mode of Matrix: /sync, round after round, and the calls that its events need. Pure.

https://spec.matrix.org/v1.13/client-server-api/#syncing

The cursor is JSON: whose position it is, the position, the encrypted rooms that were told so, and invitations that
could not be taken up yet. Of a position that belongs to another account nothing is kept. The first round takes up no
message; where more was said than one answer holds (`limited`), the rest is asked for room by room, back to the last
position.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

from common.catalogue import translate
from hub.chat.platforms.base import HttpCall, HttpResponse, IncomingMessage
from hub.chat.platforms.matrix_events import (
    Me,
    Said,
    events_of,
    is_room,
    is_user,
    moment,
    reaction_message,
    read_message,
    read_reaction,
    server_of,
    thread_of,
)
from hub.chat.platforms.outbound import NoAnswer, OutboundCall, OutboundFailed, Polled, PollRound, TooLong

HOLD: Final = 30.0  # seconds for which the server may hold a call
MAX_SYNC: Final = 16 * 1024 * 1024
MAX_EVENTS: Final = 50  # of a room in one answer
FEWER_EVENTS: Final = 5
MAX_EVENT: Final = 256 * 1024  # bytes of an answer with one event
MAX_PICTURE: Final = 2 * 1024 * 1024
MAX_PAGES: Final = 5  # of what was said while the hub was away, for a room
PAGE: Final = 100
MAX_AGE: Final = 3_600.0  # seconds; older messages are not taken up by the runner, so they are not asked for
MAX_POSITION: Final = 1_000  # characters
MAX_TOLD: Final = 50  # encrypted rooms remembered
MAX_INVITED: Final = 20
JOIN_TRIES: Final = 5
JOIN_GRACE: Final = 30.0  # seconds before it joined, of which a room's messages are taken up
MEMBERS_FOR: Final = 300.0  # seconds for which the size of a room is believed
_TYPES: Final = ["m.room.message", "m.reaction", "m.room.encrypted"]
TOKEN_CURE: Final = (
    "the homeserver does not take the access token; log the bot in again, and write its new token into secret_file"  # noqa: S105
)
T = TypeVar("T")
Calls = Generator[OutboundCall, HttpResponse, T]


@dataclass(slots=True)
class Position:
    """What the cursor holds."""

    user: str
    since: str = ""
    told: list[str] = field(default_factory=list)
    invited: dict[str, int] = field(default_factory=dict)  # room -> how often joining was tried
    joined: dict[str, float] = field(default_factory=dict)  # room -> when we joined, until a sync has shown it

    def to_text(self) -> str:
        body: dict[str, Any] = {"user": self.user, "since": self.since, "told": self.told[-MAX_TOLD:]}
        body |= {"invited": dict(list(self.invited.items())[-MAX_INVITED:])}
        body |= {"joined": dict(list(self.joined.items())[-MAX_INVITED:])}
        return json.dumps(body, separators=(",", ":"))

    @classmethod
    def of(cls, text: str, user: str) -> Position:
        """The inverse of `to_text`; a new one where it is of another account, or none of ours."""
        try:
            found = cls(**json.loads(text))
            found.since.encode()  # half of a surrogate pair can stand in no URL
        except (ValueError, TypeError, AttributeError, RecursionError):
            return cls(user)
        return found if found.user == user and found._is_sound() else cls(user)

    def _is_sound(self) -> bool:
        told, invited, joined = self.told, self.invited, self.joined
        if not (type(self.since) is str and type(told) is list and type(invited) is dict and type(joined) is dict):
            return False
        tries, moments = invited.values(), joined.values()
        return (
            len(self.since) <= MAX_POSITION
            and all(is_room(room) for room in (*told, *invited, *joined))
            and all(type(one) is int and 0 <= one <= JOIN_TRIES for one in tries)
            and all(type(one) in (int, float) and 0 <= one < 1e12 for one in moments)
        )


@dataclass(frozen=True, slots=True)
class Account:
    """The bot's account and what it may do."""

    api: str  # the homeserver, without a final slash
    token: str
    rooms: frozenset[str] = frozenset()  # whose invitations are taken up
    servers: frozenset[str] = frozenset()  # the servers of people whose invitations are taken up
    names: tuple[str, ...] = ()
    direct: bool = False  # whether it matters if a room is a direct one

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> HttpCall:
        data = b"" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return HttpCall(f"{self.api}/_matrix/{path}", data, headers, method)

    def room(self, room: str, rest: str) -> str:
        return f"client/v3/rooms/{quote(room, safe='')}/{rest}"


class MatrixSync:
    """`PollMode` of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._me: Me | None = None
        self._members: dict[str, tuple[int, float]] = {}  # room -> how many are in it, when that was asked

    def poll(self, cursor: str, now: float) -> PollRound:
        if self._me is None:
            self._me = yield from self._who_am_i()
        me = self._me
        position = Position.of(cursor, me.user)
        first = not position.since
        answer = yield from self._sync(position.since)
        since = answer.get("next_batch")
        if not isinstance(since, str) or not 0 < len(since) <= MAX_POSITION:
            raise OutboundFailed("the homeserver's answer has no next_batch that can be kept")
        rooms = answer.get("rooms")
        rooms = rooms if isinstance(rooms, dict) else {}
        messages: list[IncomingMessage] = []
        for room, update in _rooms(rooms.get("join")):
            if first:
                continue
            events = yield from self._events(room, update, position.since, now)
            after = position.joined.pop(room, None)
            for event in events:
                if after is not None and moment(event) < after - JOIN_GRACE:
                    continue
                message = yield from self._read(event, room, me, position, now)
                if message is not None:
                    messages.append(message)
        yield from self._take_invitations(rooms.get("invite"), me, position, now)
        position.since = since
        return Polled(tuple(messages), position.to_text())

    @property
    def _user(self) -> str:
        return self._me.user if self._me is not None else ""

    # ---- who, what is new

    def _who_am_i(self) -> Calls[Me]:
        answer = yield from self._ask(self._account.call("GET", "client/v3/account/whoami"))
        user = answer.get("user_id")
        if not isinstance(user, str) or not is_user(user):
            raise OutboundFailed("the homeserver does not say whose token it is")
        profile = self._account.call("GET", f"client/v3/profile/{quote(user, safe='')}/displayname")
        found = yield from self._look(profile)
        name = found.get("displayname") if found is not None else None
        names = (*self._account.names, name) if isinstance(name, str) and len(name) <= 100 else self._account.names
        return Me(user, names)

    def _sync(self, since: str) -> Calls[dict[str, Any]]:
        try:
            return (yield from self._ask(self._sync_call(since, MAX_EVENTS, HOLD), HOLD + 20, MAX_SYNC))
        except TooLong:
            return (yield from self._ask(self._sync_call(since, FEWER_EVENTS, 0), HOLD, MAX_SYNC))

    def _sync_call(self, since: str, events: int, hold: float) -> HttpCall:
        nothing: dict[str, Any] = {"types": []}
        # What we say ourselves wakes nobody. At the first look only the position counts, and invitations.
        timeline = {"types": _TYPES, "limit": events if since else 1, "not_senders": [self._user]}
        room = {"timeline": timeline, "state": nothing, "ephemeral": nothing, "account_data": nothing}
        wanted = json.dumps({"room": room, "presence": nothing, "account_data": nothing}, separators=(",", ":"))
        query = {"timeout": str(int(hold * 1000) if since else 0), "filter": wanted}
        if since:
            query["since"] = since
        return self._account.call("GET", f"client/v3/sync?{urlencode(query)}")

    def _events(self, room: str, update: dict[str, Any], since: str, now: float) -> Calls[list[dict[str, Any]]]:
        """What was said in a room since the last round, oldest first."""
        timeline = update.get("timeline")
        timeline = timeline if isinstance(timeline, dict) else {}
        events = list(events_of(timeline.get("events")))
        before = timeline.get("prev_batch")
        if timeline.get("limited") is not True or not events:
            return events
        for _ in range(MAX_PAGES):
            if not isinstance(before, str) or len(before) > MAX_POSITION or 0 < moment(events[0]) < now - MAX_AGE:
                break
            query = {"dir": "b", "from": before, "to": since, "limit": str(PAGE)}
            query["filter"] = json.dumps({"types": _TYPES, "not_senders": [self._user]}, separators=(",", ":"))
            path = self._account.room(room, f"messages?{urlencode(query)}")
            try:
                page = yield from self._look(self._account.call("GET", path), limit=MAX_SYNC)
            except TooLong:
                break
            older = list(events_of(page.get("chunk"))) if page is not None else []
            if page is None or not older:
                break
            events = [*reversed(older), *events]
            before = page.get("end")
        return events

    # ---- one event

    def _read(self, event: dict[str, Any], room: str, me: Me, position: Position, now: float) -> Calls[Any]:
        if event.get("type") == "m.room.encrypted":
            if event["sender"] != me.user and moment(event) > now - MAX_AGE:
                yield from self._tell_encrypted(room, position)
            return None
        reaction = read_reaction(event, room, me)
        if reaction is not None:
            card = yield from self._event(room, reaction.target)
            return reaction_message(reaction, card, me, self._account.api)
        said = read_message(event, room, me, self._account.api)
        return None if said is None else (yield from self._complete(said, me, now))

    def _complete(self, said: Said, me: Me, now: float) -> Calls[IncomingMessage | None]:
        """The message with its picture; an edit only where it is its author's, and in the first one's thread."""
        message = said.message
        room = message.conversation
        if said.replaces:
            first = yield from self._event(room, said.replaces)
            if not isinstance(first, dict) or first.get("sender") != message.user:
                return None
            message = replace(message, thread=thread_of(first))
        elif said.picture is not None:
            server, name = said.picture
            path = f"client/v1/media/download/{quote(server, safe='')}/{quote(name, safe='')}"
            picture = yield from self._fetch(self._account.call("GET", path), MAX_PICTURE)
            if picture is not None:
                message = replace(message, images=(picture,))
        if not message.text and not message.images:
            return None
        if self._account.direct and not message.addressed:
            message = replace(message, addressed=(yield from self._is_direct(room, now)))
        return message

    def _is_direct(self, room: str, now: float) -> Calls[bool]:
        """Whether nobody else is in the room than the bot and one person."""
        known = self._members.get(room)
        if known is None or not 0 <= now - known[1] < MEMBERS_FOR:
            found = yield from self._look(self._account.call("GET", self._account.room(room, "joined_members")))
            joined = found.get("joined") if found is not None else None
            if len(self._members) > 1_000:
                self._members.clear()
            known = self._members[room] = (len(joined) if isinstance(joined, dict) else 3, now)
        return known[0] <= 2

    def _tell_encrypted(self, room: str, position: Position) -> Calls[None]:
        """Says once in a room that its messages cannot be read; said as often as asked, it stays one message."""
        if room in position.told:
            return
        text = "\n".join(translate(language, "chat_encrypted") for language in ("en", "zh"))
        key = hashlib.sha256(room.encode()).hexdigest()[:16]
        content = {"msgtype": "m.notice", "body": text, "m.mentions": {}}
        path = self._account.room(room, f"send/m.room.message/answerback-encrypted-{key}")
        if (yield from self._look(self._account.call("PUT", path, content))) is not None:
            position.told.append(room)

    # ---- invitations

    def _take_invitations(self, invited: object, me: Me, position: Position, now: float) -> Calls[None]:
        for room, update in _rooms(invited):
            if room in self._account.rooms or server_of(_inviter(update, me)) in self._account.servers:
                position.invited.setdefault(room, 0)
        for room, tries in list(position.invited.items())[:MAX_INVITED]:
            call = OutboundCall(self._account.call("POST", self._account.room(room, "join"), {}), 40.0)
            try:
                answer = yield call
                done = answer.status != 429 and answer.status < 500
                joined = answer.status == 200
            except NoAnswer:
                done = joined = False
            if joined:
                position.joined[room] = now
            if done or tries + 1 >= JOIN_TRIES:
                del position.invited[room]
            else:
                position.invited[room] = tries + 1

    # ---- calls

    def _ask(self, call: HttpCall, seconds: float = 15.0, limit: int = MAX_EVENT) -> Calls[dict[str, Any]]:
        """The answer to a call without which the round cannot go on."""
        answer = yield OutboundCall(call, seconds, limit)
        body = read_object(answer.body)
        if answer.status == 200 and body is not None:
            return body
        raise failure(answer, body or {})

    def _look(self, call: HttpCall, limit: int = MAX_EVENT) -> Calls[dict[str, Any] | None]:
        """The answer to a call that may fail for good: None. What may go better later fails the round."""
        answer = yield OutboundCall(call, 15.0, limit)
        body = read_object(answer.body)
        if answer.status == 200:
            return body
        if answer.status in (401, 429) or answer.status >= 500:
            raise failure(answer, body or {})
        return None

    def _event(self, room: str, event: str) -> Calls[dict[str, Any] | None]:
        path = self._account.room(room, f"event/{quote(event, safe='')}")
        return (yield from self._look(self._account.call("GET", path)))

    def _fetch(self, call: HttpCall, limit: int) -> Calls[bytes | None]:
        """A file; None where it is too large, or not to be had."""
        try:
            answer = yield OutboundCall(call, 30.0, limit)
        except NoAnswer:
            return None
        return answer.body if answer.status == 200 and answer.body else None


def failure(answer: HttpResponse, body: Mapping[str, Any]) -> OutboundFailed:
    """What a failed call of /sync means. https://spec.matrix.org/v1.13/client-server-api/#standard-error-response"""
    code = body.get("errcode")
    if answer.status == 401 or code in ("M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_USER_DEACTIVATED"):
        return OutboundFailed(TOKEN_CURE, "token")
    said = f" {code}" if isinstance(code, str) and code.isascii() and len(code) <= 40 and code.isprintable() else ""
    return OutboundFailed(f"the homeserver answered {answer.status}{said}", "later", wait_of(answer, body))


def wait_of(answer: HttpResponse, body: Mapping[str, Any]) -> float:
    """Seconds that the homeserver asks us to wait: in its error, or by Retry-After."""
    after = body.get("retry_after_ms")
    if type(after) is int and 0 <= after < 10**9:
        return after / 1000
    header = answer.headers.get("retry-after", "")
    return float(header) if header.isascii() and header.isdigit() and len(header) < 6 else 0.0


def read_object(body: bytes) -> dict[str, Any] | None:
    """A JSON object of the homeserver. Not strict: one odd event of a stranger must not hold up the others."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _rooms(value: object) -> Sequence[tuple[str, dict[str, Any]]]:
    if not isinstance(value, dict):
        return ()
    return [(room, update) for room, update in value.items() if is_room(room) and isinstance(update, dict)]


def _inviter(update: dict[str, Any], me: Me) -> str:
    """Who invites us; "" where it does not say."""
    state = update.get("invite_state")
    events = state.get("events") if isinstance(state, dict) else None
    for event in events if isinstance(events, list) else ():
        if isinstance(event, dict) and event.get("type") == "m.room.member" and event.get("state_key") == me.user:
            sender = event.get("sender")
            return sender if isinstance(sender, str) and is_user(sender) else ""
    return ""
