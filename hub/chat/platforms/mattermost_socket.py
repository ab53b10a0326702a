"""Mattermost's outbound mode: the WebSocket of its API, with the bot's token. Pure.

https://developers.mattermost.com/api-documentation/#websocket , and the server's `web_conn.go` and `websocket.go`.

The server counts its frames from 0 on, the first is `hello`. `posted` and `post_edited` have the post as JSON in a
string. It keeps nothing for who is away but a short queue in its memory, which a restart or another node of a cluster
does not know; so what was missed is asked for by the API, once the socket is open: the posts since then of the channels
in which something was said. The same where the count has a gap.

The cursor is the moment up to which posts were taken, by the server's clock, in milliseconds. Posts do not arrive
strictly in the order of their moments: a minute before it is asked for once more, and repeats are known by their ids.

A token that is revoked while the socket is open ends nothing: the server falls silent. The answer to a ping tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from hub.chat.platforms.base import BadBody, HttpCall, HttpResponse, IncomingMessage
from hub.chat.platforms.fields import answer_object, matched_at, string_at
from hub.chat.platforms.mattermost_fields import CALLED, ID, MAX_TEXT, read_words, token_cure
from hub.chat.platforms.mattermost_files import read_file_ids
from hub.chat.platforms.outbound import (
    Frame,
    Heard,
    OutboundCall,
    OutboundFailed,
    Polled,
    PollRound,
    Socket,
    SocketCalls,
    TooLong,
    failure_of_status,
)
from hub.core import strict_json
from hub.core.lru import Lru

BEAT: Final = 60.0  # seconds between two pings
MAX_UNANSWERED: Final = 2  # pings
OVERLAP: Final = 60_000  # milliseconds before the cursor that are asked for once more
KEEP_EVERY: Final = 30_000  # milliseconds by which the cursor moves where nothing was for us
BACK: Final = 3_600.0  # seconds: what is older is not taken up
CLOCKS: Final = 300.0  # seconds that the clocks of hub and server may differ
GAPS: Final = 60.0  # seconds within which a second gap ends the connection
MAX_CHANNELS: Final = 50  # that are looked through, those where something was said last
MAX_MISSED: Final = 500  # messages, the newest
MAX_ANSWER: Final = 4 * 1024 * 1024
FEWER: Final = 20  # posts, where all since then are too many
_POSITION: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
TOKEN_CURE: Final = token_cure("secret_file")
_MADE_BY: Final = ("from_bot", "from_webhook", "from_plugin", "from_oauth_app")
_NO_SESSION: Final = frozenset(
    {"api.web_socket_router.not_authenticated.app_error", "api.context.session_expired.app_error"}
)
T = TypeVar("T")
Calls = Generator[OutboundCall, HttpResponse, T]


@dataclass(frozen=True, slots=True)
class Me:
    """The bot as the server knows it."""

    id: str = ""
    names: tuple[str, ...] = ()  # by which it is mentioned


class MattermostSocket:
    """`SocketMode` of one bot."""

    def __init__(self, root: str, bearer: str, bot: str) -> None:
        """`root` is the server's address without a final slash, `bot` the name in hub.toml."""
        self._root = root
        self._headers = {"Authorization": f"Bearer {bearer}"}
        self._bot = bot
        self._me = Me(names=(bot,))
        self._direct: Lru[str, bool] = Lru(2_000)  # channel -> whether it is a direct one
        self._position = self._kept = 0
        self._greeted = False
        self._next: int | None = None  # the number of the frame to come
        self._gap_at = float("-inf")
        self._ping = self._unanswered = 0

    def connect(self, cursor: str, now: float) -> SocketCalls:
        answer = yield self._get("users/me")
        self._me = self._who(answer)
        self._position = self._kept = int(cursor) if _POSITION.fullmatch(cursor) else 0
        self._greeted, self._next, self._unanswered = False, None, 0
        url = "ws" + self._root.removeprefix("http")  # http: of a server of one's own, where api_url says so
        return Socket(f"{url}/api/v4/websocket", self._headers, beat=BEAT)

    def _who(self, answer: HttpResponse) -> Me:
        if answer.status == 401:
            raise OutboundFailed(TOKEN_CURE, "token")
        if answer.status == 404:
            raise OutboundFailed("there is no Mattermost at api_url (it answered 404)")
        if answer.status != 200:
            raise failure_of_status(answer)
        me = answer_object(answer)
        user, name = me.get("id"), me.get("username")
        if not (isinstance(user, str) and ID.fullmatch(user) and isinstance(name, str) and 0 < len(name) <= 64):
            raise OutboundFailed("what is at api_url is no Mattermost: it does not say whose token it is")
        return Me(user, tuple({self._bot: None, name: None}))

    # ---- frames

    def hear(self, frame: Frame, now: float) -> Heard:
        body = _parse(frame)
        if not isinstance(body, dict):
            self._next = None if self._next is None else self._next + 1
            return Heard()
        if "seq_reply" in body:
            self._hear_reply(body)
            return Heard()
        if body.get("event") == "hello":
            self._greeted, self._next = True, 1
            return Heard(fetch=self._missed(self._position, now))
        before, gap = self._position, self._is_gap(body.get("seq"))
        message = self._hear_event(body.get("event"), body.get("data"), now)
        messages = () if message is None else (message,)
        if gap:
            self._note_gap(now)
            return Heard(messages, fetch=self._missed(before, now))
        if not messages and self._position - self._kept < KEEP_EVERY:
            return Heard()
        self._kept = self._position
        return Heard(messages, cursor=str(self._position))

    def _hear_reply(self, body: Mapping[str, Any]) -> None:
        self._unanswered = 0
        error = body.get("error")
        if isinstance(error, dict) and (error.get("status_code") == 401 or _is_of(error.get("id"), _NO_SESSION)):
            raise OutboundFailed(TOKEN_CURE, "token")

    def _is_gap(self, number: object) -> bool:
        if type(number) is not int or not 0 <= number < 2**63:
            return False
        gap = self._next is not None and number != self._next
        self._next = number + 1
        return gap

    def _note_gap(self, now: float) -> None:
        if 0 <= now - self._gap_at < GAPS:
            raise OutboundFailed("frames of Mattermost's socket are missing again and again")
        self._gap_at = now

    def _hear_event(self, event: object, data: object, now: float) -> IncomingMessage | None:
        if event not in ("posted", "post_edited") or not isinstance(data, dict):
            return None
        text = data.get("post")
        try:
            # Half of a surrogate pair is no UTF-8, and is refused with what else cannot be read.
            post = strict_json.parse(text.encode("utf-8", "surrogatepass")) if isinstance(text, str) else None
            if not isinstance(post, dict):
                return None
            kind, channel = data.get("channel_type"), post.get("channel_id")
            if isinstance(kind, str) and isinstance(channel, str) and ID.fullmatch(channel):
                self._direct.put(channel, kind == "D")
            edited = event == "post_edited"
            self._advance(_moment(post, "edit_at" if edited else "create_at"), now)
            # Without edit_at it is another change: it was pinned, somebody reacted.
            return None if edited and not _moment(post, "edit_at") else self._read(post, edited=edited)
        except BadBody:
            return None

    def _read(self, post: Mapping[str, Any], *, edited: bool) -> IncomingMessage | None:
        message = read_post(post, self._me, self._root, edited=edited)
        if message is None or message.addressed or not self._direct.peek(message.conversation):
            return message
        return replace(message, addressed=True)

    def _advance(self, moment: int, now: float) -> None:
        """A post from the future, which an administrator can make, does not keep what comes before it from us."""
        self._position = max(self._position, min(moment, int((now + CLOCKS) * 1000)))

    def beat(self, now: float) -> Frame:
        if self._unanswered >= MAX_UNANSWERED:
            raise OutboundFailed(f"Mattermost did not answer {self._unanswered} pings")
        self._ping += 1
        self._unanswered += 1
        return json.dumps({"action": "ping", "seq": self._ping})

    def closed(self, code: int) -> OutboundFailed:
        if not self._greeted:
            cure = "a proxy before it must pass WebSockets on, with their Authorization"
            return OutboundFailed(f"Mattermost closed the socket before its greeting; {cure}")
        return OutboundFailed("Mattermost closed the socket" + (f" ({code})" if code else ""))

    # ---- what was missed

    def _missed(self, position: int, now: float) -> PollRound:
        """What was said since then. At the very first only the position is taken."""
        channels = yield from self._channels()
        since = max(position - OVERLAP, int((now - BACK) * 1000))
        if not position:
            for _, at in channels:
                self._advance(at, now)
            self._position = self._position or since
            return self._polled(())
        found: list[tuple[int, IncomingMessage]] = []
        for channel, at in channels[:MAX_CHANNELS]:
            if at < since:
                break
            for post in (yield from self._posts(channel, since)):
                self._advance(_moment(post, "create_at"), now)
                message = self._read_missed(post, position, since)
                if message is not None:
                    found.append((_moment(post, "create_at"), message))
        found.sort(key=lambda one: one[0])
        return self._polled(tuple(message for _, message in found[-MAX_MISSED:]))

    def _polled(self, messages: tuple[IncomingMessage, ...]) -> Polled:
        self._kept = self._position
        return Polled(messages, str(self._position))

    def _read_missed(self, post: Mapping[str, Any], position: int, since: int) -> IncomingMessage | None:
        """A post that was changed since then: a new one, or an edit of one that may have been heard before."""
        made, edited = _moment(post, "create_at"), _moment(post, "edit_at")
        if max(made, edited) < since:
            return None  # somebody answered it, or reacted
        try:
            return self._read(post, edited=edited > 0 and made <= position)
        except BadBody:
            return None

    def _channels(self) -> Calls[list[tuple[str, int]]]:
        """The bot's channels and when something was said there last, the latest first. Servers before 6.1 do not tell
        of all teams: nothing is taken up there, nor where there are too many.
        """
        try:
            found = yield from self._look("users/me/channels")
        except TooLong:
            return []
        channels = []
        for channel in found if isinstance(found, list) else ():
            name = channel.get("id") if isinstance(channel, dict) else None
            if isinstance(name, str) and ID.fullmatch(name) and not _moment(channel, "delete_at"):
                channels.append((name, _moment(channel, "last_post_at")))
                if channel.get("type") == "D":
                    self._direct.put(name, True)
        return sorted(channels, key=lambda one: one[1], reverse=True)

    def _posts(self, channel: str, since: int) -> Calls[list[dict[str, Any]]]:
        try:
            found = yield from self._look(f"channels/{channel}/posts?since={since}")
        except TooLong:
            try:
                found = yield from self._look(f"channels/{channel}/posts?per_page={FEWER}")
            except TooLong:
                return []
        posts = found.get("posts") if isinstance(found, dict) else None
        return [post for post in posts.values() if isinstance(post, dict)] if isinstance(posts, dict) else []

    def _look(self, path: str) -> Calls[object]:
        """The answer to a call that may be refused for good: None. What may go better later ends the connection."""
        answer = yield self._get(path, 20.0, MAX_ANSWER)
        if answer.status == 401:
            raise OutboundFailed(TOKEN_CURE, "token")
        if answer.status == 429 or answer.status >= 500:
            raise failure_of_status(answer)
        return _parse(answer.body) if answer.status == 200 else None

    def _get(self, path: str, seconds: float = 15.0, limit: int = 256 * 1024) -> OutboundCall:
        return OutboundCall(HttpCall(f"{self._root}/api/v4/{path}", b"", self._headers, "GET"), seconds, limit)


def read_post(post: Mapping[str, Any], me: Me, root: str, *, edited: bool = False) -> IncomingMessage | None:
    """What a person said in a post, and its pictures but in an edit; None for what is not for us; raises BadBody."""
    name, user, channel = (matched_at(post, key, ID, "an id of Mattermost") for key in ("id", "user_id", "channel_id"))
    props = post.get("props")
    made_by = [props.get(key) for key in _MADE_BY] if isinstance(props, dict) else []
    # Whoever says of themselves that they are a program is not heard; a server's own words have a type.
    if user == me.id or any(made_by) or post.get("type") or _moment(post, "delete_at"):
        return None
    thread = matched_at(post, "root_id", ID, "an id of Mattermost") if post.get("root_id") else name
    said = string_at(post, "message", MAX_TEXT)
    if "\x00" in said or not _is_unicode(said):
        raise BadBody("message: has characters that cannot be kept")
    text, mentioned = read_words(said, "", *me.names)
    pictures = () if edited else read_file_ids(post, name)
    if not text and not pictures:
        return None
    return IncomingMessage(
        event_id=name,
        user=user,
        conversation=channel,
        text="" if text == CALLED and pictures else text,
        pictures=pictures,
        reply_url=root,
        thread=thread,
        sent_at=_moment(post, "edit_at" if edited else "create_at") / 1000,
        addressed=mentioned,
        edited=edited,
    )


def _moment(body: Mapping[str, Any], key: str) -> int:
    """Milliseconds since the epoch; 0 where it is not there."""
    at = body.get(key)
    return at if type(at) is int and 0 <= at < 10**14 else 0


def _parse(data: str | bytes) -> object:
    """A value of JSON; None where it is none. Not strict: one odd event of a stranger must not hold up the others."""
    try:
        found: object = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found


def _is_of(value: object, words: frozenset[str]) -> bool:
    return isinstance(value, str) and value in words


def _is_unicode(text: str) -> bool:
    """Whether it has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
