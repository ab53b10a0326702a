"""Discord's outbound mode: the gateway. Pure. https://docs.discord.com/developers/events/gateway

    /gateway/bot           the URL, and how many sessions may still be begun today
    10 Hello               how often to send a heartbeat; answered by Identify, or by Resume where there is a session
    0 READY, RESUMED       we are let in
    0 MESSAGE_CREATE, MESSAGE_UPDATE, INTERACTION_CREATE
                           what people say and click; an interaction is answered by a call once it is committed, and
                        a click that asks for a code by one that opens a modal
    1, 11                  a heartbeat that is asked for, and the answer to one: without it the connection is dead
    7 Reconnect, 9 Invalid Session

The cursor is the session and the number of the last event that is on disk; with them Discord sends again what came
since, for some minutes after a connection was lost, so a connection is never closed with 1000, which ends the session.
Events that bring no message move the cursor every few seconds only: what is heard again is found as a repeat.

A thousand sessions may be begun a day; Discord resets the bot's token beyond that. The last of them are left alone.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Any, Final

from hub.chat.platforms.base import BadBody, CodeGiven, HttpCall, HttpResponse, ImmediateResponse, IncomingMessage
from hub.chat.platforms.discord_interaction import TOKEN, interaction_call, read_interaction
from hub.chat.platforms.discord_message import ID, read_message
from hub.chat.platforms.fields import answer_object, compact_json, matched_at
from hub.chat.platforms.outbound import (
    FormHeard,
    Frame,
    Heard,
    NoAnswer,
    OutboundCall,
    OutboundFailed,
    Socket,
    SocketCalls,
    failure_of_status,
)
from hub.core import strict_json

QUERY: Final = "/?v=10&encoding=json"
GUILD_MESSAGES: Final = 1 << 9
DIRECT_MESSAGES: Final = 1 << 12
MESSAGE_CONTENT: Final = 1 << 15
"""Privileged: a person has to switch it on. Needed for words that neither mention the bot nor are said to it alone."""
GOODBYE: Final = 4900  # a code of our own, after which the session can be resumed
HELLO_SECONDS: Final = 30.0
MAX_INTERVAL: Final = 600.0  # seconds between two heartbeats
KEEP_SECONDS: Final = 5.0
NEAR_RESUMES: Final = 3  # tries at the address that the session was given; then at that of /gateway/bot
MAX_RESUMES: Final = 6
STARTS_LEFT: Final = 20  # sessions a day that are left to others
_URL: Final = re.compile(r"wss?://[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?/?", re.ASCII)
_SESSION: Final = re.compile(r"[!-~]{1,200}", re.ASCII)
TOKEN_CURE: Final = "the bot's token is wrong or was reset; write that of the developer portal into secret_file"  # noqa: S105
_CURES: Final[Mapping[int, str]] = {
    4004: TOKEN_CURE,
    4010: "Discord refuses our shard; update Answerback",
    4011: "the bot is on more servers than one connection may serve; give Answerback a bot of its own",
    4012: "Discord no longer speaks this version of its gateway; update Answerback",
    4013: "Discord does not know our intents; update Answerback",
    4014: "switch on Message Content Intent, page Bot of the developer portal, or write answer = \"mentions\"",
}  # fmt: skip
"""Codes with which Discord closes until a person has acted."""
_ENDED: Final = frozenset({4003, 4004, 4005, 4007, 4009, *_CURES})
"""Codes after which the session cannot be resumed."""
_Answer = Callable[[ImmediateResponse], HttpCall]


class Op(IntEnum):
    """What a frame is."""

    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    RESUME = 6
    RECONNECT = 7
    INVALID_SESSION = 9
    HELLO = 10
    HEARTBEAT_ACK = 11


@dataclass(frozen=True, slots=True)
class Position:
    """What the cursor holds."""

    key: str  # of which token and intents it is the session
    session: str = ""
    sequence: int = 0
    url: str = ""  # where it is resumed
    user: str = ""  # the bot's own id

    def to_text(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":")) if self.session else ""

    @classmethod
    def of(cls, text: str, key: str) -> Position:
        """The inverse of `to_text`; none where it is of another token, or of what the inlet was before."""
        try:
            found = cls(**json.loads(text))
        except (ValueError, TypeError, RecursionError):
            return cls(key)
        return found if found.key == key and found._is_sound() else cls(key)

    def _is_sound(self) -> bool:
        if type(self.sequence) is not int or not 0 <= self.sequence < 2**53:
            return False
        forms = ((self.session, _SESSION), (self.url, _URL), (self.user, ID))
        return all(type(text) is str and (text == "" or form.fullmatch(text)) for text, form in forms)


class DiscordGateway:
    """The `SocketMode` of one bot."""

    def __init__(
        self, api: str, token: str, domain: str, *, content: bool, draw: Callable[[], float] = random.random
    ) -> None:
        """`domain` is that of Discord's gateways, `content` whether words are read that do not address the bot, `draw`
        a random number in [0, 1).
        """
        self._api = api
        self._token = token
        self._domain = domain
        self._draw = draw
        self._intents = GUILD_MESSAGES | DIRECT_MESSAGES | (MESSAGE_CONTENT if content else 0)
        # Never the token itself: the cursor is in the store. A session keeps the intents it was begun with.
        self._key = hashlib.sha256(f"{self._intents} {token}".encode()).hexdigest()[:16]
        self._position = Position(self._key)
        self._settled = 0  # the last event of the session that is surely on disk
        self._ended = False  # the session of the cursor cannot be resumed
        self._resumes = 0  # tries to resume since we were last let in
        self._refused = 0  # sessions that were refused since then
        self._greeted = self._live = False  # on this connection
        self._answered = True  # the last heartbeat
        self._kept_at = 0.0

    # ---- opening

    def connect(self, cursor: str, now: float) -> SocketCalls:
        self._greeted = self._live = False
        self._answered = True
        position = Position(self._key) if self._ended else Position.of(cursor, self._key)
        if position.session == self._position.session:  # the cursor is some seconds behind
            position = replace(position, sequence=max(position.sequence, self._settled))
        resumes = bool(position.session) and self._resumes < MAX_RESUMES
        if resumes and position.url and self._resumes < NEAR_RESUMES:
            url = position.url
        else:
            url = yield from self._ask(starts=not resumes)
        self._resumes += resumes
        self._position = position if resumes else Position(self._key)
        self._settled = self._position.sequence
        return Socket(url + QUERY, beat=HELLO_SECONDS, goodbye=GOODBYE, domain=self._domain)

    def _ask(self, *, starts: bool) -> Generator[OutboundCall, HttpResponse, str]:
        """The gateway's URL; `starts` where a session is to be begun there."""
        headers = {"Authorization": f"Bot {self._token}"}
        answer = yield OutboundCall(HttpCall(f"{self._api}/gateway/bot", b"", headers, "GET"))
        body = answer_object(answer)
        if answer.status == 401:
            raise OutboundFailed(f"Discord answered 401: {TOKEN_CURE}", "token")
        if answer.status != 200:
            after = body.get("retry_after")
            failed = failure_of_status(answer)
            wait = float(after) if isinstance(after, int | float) and 0 < after < 1e9 else failed.retry_after
            raise OutboundFailed(failed.reason, failed.kind, wait)
        url, limit = body.get("url"), body.get("session_start_limit")
        if type(url) is not str or not _URL.fullmatch(url):
            raise OutboundFailed("the answer of /gateway/bot is none of Discord's; check api_url")
        limit = limit if type(limit) is dict else {}
        left, after = limit.get("remaining"), limit.get("reset_after")
        if starts and type(left) is int and left <= STARTS_LEFT:
            wait = after / 1_000 if type(after) is int and 0 < after < 1e12 else 0.0
            raise OutboundFailed(f"Discord lets this bot begin {left} sessions more today; we wait", "later", wait)
        return url.rstrip("/")

    # ---- frames

    def hear(self, frame: Frame, now: float) -> Heard:
        self._settled = self._position.sequence
        try:
            body = strict_json.parse(frame.encode("utf-8", "replace") if isinstance(frame, str) else frame)
        except BadBody as error:
            if not self._position.session:
                raise OutboundFailed(f"Discord's greeting cannot be read: {error}") from None
            return Heard(works=self._live)  # somebody's message: it would come as it is
        if type(body) is not dict:
            return Heard(works=self._live)
        match body.get("op"):
            case Op.DISPATCH:
                return self._dispatched(body, now)
            case Op.HEARTBEAT:
                return Heard(send=(self._heartbeat(),), works=self._live)
            case Op.RECONNECT:
                if not self._position.session:
                    raise OutboundFailed("Discord asks us to connect anew before it has let us in")
                return Heard(again=True, works=self._live)
            case Op.INVALID_SESSION:
                return self._invalid(body.get("d") is True)
            case Op.HELLO:
                return self._greet(body.get("d"))
            case Op.HEARTBEAT_ACK:
                self._answered = True
        return Heard(works=self._live)

    def _greet(self, hello: Any) -> Heard:
        interval = hello.get("heartbeat_interval") if type(hello) is dict else None
        if type(interval) is not int or not 1_000 <= interval <= MAX_INTERVAL * 1_000:
            raise OutboundFailed("Discord's greeting cannot be read: it names no interval")
        self._greeted = True
        position = self._position
        if position.session:
            session = {"token": self._token, "session_id": position.session, "seq": position.sequence}
            proof = _frame(Op.RESUME, session)
        else:
            properties = {"os": "linux", "browser": "answerback", "device": "answerback"}
            proof = _frame(Op.IDENTIFY, {"token": self._token, "intents": self._intents, "properties": properties})
        every = interval / 1_000
        return Heard(send=(proof,), beat=every, beat_in=every * self._draw(), works=False)

    def _invalid(self, resumable: bool) -> Heard:
        """A pause of one to five seconds, as documented; longer and longer where it is said again."""
        self._refused += 1
        self._ended = not resumable
        if self._refused > 1:
            raise OutboundFailed("Discord refuses our session again")
        cursor = None if resumable else ""
        return Heard(cursor=cursor, again=True, wait=1 + 4 * self._draw(), works=self._live)

    def _dispatched(self, body: Mapping[str, Any], now: float) -> Heard:
        sequence, kind, data = body.get("s"), body.get("t"), body.get("d")
        if type(sequence) is int and 0 <= sequence < 2**53:
            self._position = replace(self._position, sequence=sequence)
        if kind == "READY":
            self._position = self._begun(data)
        if kind in ("READY", "RESUMED"):
            self._live, self._ended = True, False
            self._resumes = self._refused = 0
            return Heard(cursor=self._keep(now))
        found, answer = self._read(kind, data)
        message = found if isinstance(found, IncomingMessage) else None
        keep = isinstance(found, IncomingMessage | CodeGiven) or not 0 <= now - self._kept_at < KEEP_SECONDS
        cursor = self._keep(now) if keep else None
        heard = Heard((message,) if message is not None else (), cursor=cursor, works=self._live)
        if answer is None:
            return heard

        def answered(response: ImmediateResponse) -> Heard:
            return replace(heard, messages=(), after=(answer(response),) if response.body else ())

        if isinstance(found, CodeGiven):
            return replace(heard, form=FormHeard(found, answered))
        form = FormHeard(message, answered) if message is not None and message.button else None
        said = found.response if isinstance(found, IncomingMessage) else found
        response = said("accepted", 0) if callable(said) else said
        return replace(heard, after=(answer(response or ImmediateResponse(b"")),), form=form)

    def _keep(self, now: float) -> str:
        self._kept_at = now
        return self._position.to_text()

    def _begun(self, ready: Any) -> Position:
        try:
            ready = ready if type(ready) is dict else {}
            user = matched_at(ready["user"] if type(ready.get("user")) is dict else {}, "id", ID, "an id of Discord")
            session = matched_at(ready, "session_id", _SESSION, "a session's id")
        except BadBody as error:
            raise OutboundFailed(f"Discord's READY cannot be read: {error}") from None
        url = ready.get("resume_gateway_url")
        url = url.rstrip("/") if type(url) is str and _URL.fullmatch(url) else ""
        return replace(self._position, session=session, url=url, user=user)

    def _read(
        self, kind: Any, data: Any
    ) -> tuple[IncomingMessage | CodeGiven | ImmediateResponse | None, _Answer | None]:
        """What is for us, and what makes the call that answers it. What cannot be read is left out: it would come as it
        is.
        """
        try:
            match kind:
                case "MESSAGE_CREATE" | "MESSAGE_UPDATE":
                    edited = kind == "MESSAGE_UPDATE"
                    found = read_message(data, self._position.user, self._api, edited=edited)
                    return (found if isinstance(found, IncomingMessage) else None), None
                case "INTERACTION_CREATE":
                    read = read_interaction(data, self._api)
                    identity = matched_at(data, "id", ID, "an id of Discord")
                    token = matched_at(data, "token", TOKEN, "of Discord's form")
                    return read, lambda response: interaction_call(self._api, identity, token, response)
        except BadBody:
            pass
        return None, None

    # ---- staying

    def beat(self, now: float) -> Frame:
        self._settled = self._position.sequence
        if not self._greeted:
            raise NoAnswer(f"Discord did not greet within {HELLO_SECONDS:g} s")
        if not self._answered:
            raise NoAnswer("Discord did not answer the last heartbeat")
        self._answered = False
        return self._heartbeat()

    def _heartbeat(self) -> str:
        return _frame(Op.HEARTBEAT, self._position.sequence or None)

    def closed(self, code: int) -> OutboundFailed:
        self._ended = self._ended or code in _ENDED
        cure = _CURES.get(code)
        reason = f"Discord closed the connection ({code})"
        return OutboundFailed(f"{reason}: {cure}", "token") if cure else OutboundFailed(reason)


def _frame(operation: Op, data: object) -> str:
    return compact_json({"op": int(operation), "d": data}).decode()
