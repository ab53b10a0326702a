"""Telegram's outbound mode: getUpdates, a long poll. Pure. https://core.telegram.org/bots/api#getupdates

The cursor is the bot and the next `offset`, the id of the last update plus one: another bot counts its own. Telegram
forgets what is below the offset that it is asked for, so it is told only after the commit. What waited before the very
first round is not taken up.

Telegram hands nothing out by getUpdates while a webhook is set, nor to two callers at once; it answers 409 then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from hub.chat.platforms.base import BadBody, HttpCall, HttpResponse, Ignored, IncomingMessage
from hub.chat.platforms.outbound import OutboundCall, OutboundFailed, Polled, PollRound, TooLong, failure_of_status
from hub.chat.platforms.telegram_update import click_id
from hub.core import strict_json
from hub.core.chat_text import inline_text

UPDATES: Final = ("message", "edited_message", "callback_query")
MAX_UPDATES: Final = 20  # at once
WAIT: Final = 25  # seconds that Telegram holds the call
MAX_ANSWER: Final = 4 * 1024 * 1024
_CURSOR: Final = re.compile(r"(?P<bot>[0-9]{1,20})/(?P<offset>[0-9]{1,19})", re.ASCII)
_FIRST: Final = re.compile(rb'\{"ok":true,"result":\[\{"update_id":(?P<id>[0-9]{1,18})[,}]')

Call = Callable[[str, Mapping[str, Any]], HttpCall]


class TelegramPoll:
    """The `PollMode` of one bot."""

    def __init__(
        self, bot: int, call: Call, read: Callable[[Any], IncomingMessage | Ignored], learn: Callable[[str], None]
    ) -> None:
        """`bot` is its id; `call` makes a call of the Bot API; `read` reads one update; `learn` hears the username."""
        self._bot = bot
        self._call = call
        self._read = read
        self._learn = learn
        self._known = False

    def poll(self, cursor: str, now: float) -> PollRound:
        """One round; see `hub.chat.platforms.outbound`."""
        if not self._known:
            me = _result((yield OutboundCall(self._call("getMe", {}))))
            if type(me) is dict and type(name := me.get("username")) is str:
                self._learn(name)
            self._known = True
        position = _CURSOR.fullmatch(cursor)
        if position is None or int(position["bot"]) != self._bot:
            last = _updates((yield self._ask(-1, 1, 0)))
            return Polled(cursor=self._cursor(_next(last, 0)))
        offset = int(position["offset"])
        answer: HttpResponse | None = None
        try:
            answer = yield self._ask(offset, MAX_UPDATES, WAIT)
            updates = _updates(answer)
        except (BadBody, TooLong):
            # Somebody's message is more than we read. One by one it delays no others.
            answer = yield self._ask(offset, 1, 0)
            try:
                updates = _updates(answer)
            except BadBody:
                if (first := _FIRST.match(answer.body)) is None:
                    raise
                return Polled(cursor=self._cursor(int(first["id"]) + 1))
        return self._polled(updates, offset)

    def _polled(self, updates: list[dict[str, Any]], offset: int) -> Polled:
        messages: list[IncomingMessage] = []
        after: list[HttpCall] = []
        for update in updates:
            if query := click_id(update):
                after.append(self._call("answerCallbackQuery", {"callback_query_id": query}))
            try:
                found = self._read(update)
            except BadBody:
                continue
            if isinstance(found, IncomingMessage):
                messages.append(found)
        return Polled(tuple(messages), self._cursor(_next(updates, offset)), tuple(after))

    def _cursor(self, offset: int) -> str:
        return f"{self._bot}/{offset}"

    def _ask(self, offset: int, limit: int, wait: int) -> OutboundCall:
        fields = {"offset": offset, "limit": limit, "timeout": wait, "allowed_updates": UPDATES}
        return OutboundCall(self._call("getUpdates", fields), wait + 15.0, MAX_ANSWER)


def _updates(answer: HttpResponse) -> list[dict[str, Any]]:
    found = _result(answer)
    if type(found) is not list or not all(type(one) is dict and type(one.get("update_id")) is int for one in found):
        raise BadBody("the result of getUpdates must be a list of updates")
    return found


def _next(updates: list[dict[str, Any]], offset: int) -> int:
    return max([offset, *(int(update["update_id"]) + 1 for update in updates)])


def _result(answer: HttpResponse) -> Any:
    """The result of a call; raises OutboundFailed for a refusal and BadBody for what is no answer of the Bot API."""
    try:
        body = strict_json.parse(answer.body)
    except BadBody:
        if answer.status == 200:
            raise
        raise failure_of_status(answer) from None
    if type(body) is not dict or type(body.get("ok")) is not bool:
        raise BadBody("it is no answer of the Bot API; check api_url")
    if body["ok"]:
        return body.get("result")
    words = body.get("description")
    said = inline_text(words, 150) if type(words) is str else "no reason"
    if answer.status in (401, 404):
        raise OutboundFailed("Telegram refuses the bot's token: write the one of @BotFather into secret_file", "token")
    if answer.status == 409 and "webhook" in said.lower():
        raise OutboundFailed("a webhook is set for this bot: call deleteWebhook, or leave `outbound` out", "token")
    if answer.status == 409:
        raise OutboundFailed("another program asks for this bot's messages: end it, or give it a bot of its own")
    parameters = body.get("parameters")
    wait = parameters.get("retry_after") if type(parameters) is dict else None
    raise OutboundFailed(
        f"Telegram answered {answer.status}: {said}", "later", float(wait) if type(wait) is int and wait > 0 else 0.0
    )
