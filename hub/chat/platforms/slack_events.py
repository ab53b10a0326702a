"""What Slack delivers, verified, as messages: events, slash commands and clicks. Pure.

A message is known by (channel, ts): its `app_mention` and its `message` event are the same one, and an edit has the ts
of what was said first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from hub.chat.buttons import clicked_text
from hub.chat.platforms.base import BadBody, Ignored, ImmediateResponse, IncomingMessage, ReceiveResult
from hub.chat.platforms.fields import matched_at, object_at, string_at
from hub.chat.platforms.slack_files import read_files
from hub.chat.platforms.slack_text import read_text

MAX_TEXT: Final = 40_000
"""Characters of a message; Slack's own bound."""
OK: Final = ImmediateResponse(b"", "text/plain")
ID: Final = re.compile(r"[A-Za-z0-9]{1,40}", re.ASCII)
TS: Final = re.compile(r"[0-9]{1,12}\.[0-9]{1,9}", re.ASCII)
_TRIGGER: Final = re.compile(r"[\w.-]{1,150}", re.ASCII)
_SPOKEN: Final = frozenset({"", "file_share", "thread_broadcast", "me_message"})
"""Subtypes of a person's words."""


def read_event(body: Any, api: str) -> ReceiveResult:
    """An event, or the challenge that proves the address; `api` is the root of the API. Raises BadBody."""
    body = object_of(body, "the body")
    if body.get("type") == "url_verification":
        return ImmediateResponse(string_at(body, "challenge", 1_000).encode(), "text/plain; charset=utf-8")
    if body.get("type") != "event_callback":
        return Ignored("no event")
    event = object_at(body, "event")
    if event.get("type") not in ("message", "app_mention"):
        return Ignored("an event that is no message")
    message, edited = event, "edited" in event
    if event.get("subtype") == "message_changed":
        message, edited = object_at(event, "message"), True
        before = event.get("previous_message")
        if isinstance(before, dict) and before.get("text") == message.get("text"):
            return Ignored("a preview of a link, or the like: the words are the same")
    if string_at(message, "subtype", 100, default="") not in _SPOKEN:
        return Ignored("no words of a person")
    bots = _bots(body.get("authorizations"))
    if message.get("bot_id") or string_at(message, "user", 100, default="") in {"", *bots}:
        return Ignored("the bot's own words, or another bot's")
    channel, ts = _id(event, "channel"), _ts(message, "ts")
    direct = event.get("channel_type") == "im" or channel.startswith("D")
    text, mentioned = read_text(string_at(message, "text", MAX_TEXT, default=""), bots)
    pictures = () if edited else read_files(message)
    if not text and not pictures:
        return Ignored("a message without words")
    thread = _ts(message, "thread_ts") if message.get("thread_ts") is not None else ""
    return IncomingMessage(
        event_id=f"{channel}:{ts}",
        user=_id(message, "user"),
        conversation=channel,
        text=text,
        pictures=pictures,
        reply_url=api,
        thread=thread or ("" if direct else ts),
        sent_at=float(ts),
        addressed=direct or mentioned or event["type"] == "app_mention",
        edited=edited,
        response=OK,
    )


def read_command(form: Mapping[str, str], timestamp: int, api: str) -> ReceiveResult:
    """A slash command; `timestamp` is when Slack signed it. Raises BadBody."""
    if "command" not in form:
        return Ignored("a form that is no slash command")
    trigger = form.get("trigger_id", "")
    if not _TRIGGER.fullmatch(trigger):
        raise BadBody("trigger_id: must be there and be an id")
    text, _ = read_text(string_at(form, "text", MAX_TEXT, default=""), ())
    user = _id(form, "user_id")
    return IncomingMessage(
        event_id=f"cmd:{trigger}",
        user=user,
        conversation=_id(form, "channel_id"),
        text=text or "help",
        reply_url=api,
        thread=f"@{user}",  # it may have been said where the bot is not: then the reply goes to the person
        sent_at=float(timestamp),
        response=OK,  # nothing: what was typed, and it may have been a code, stays with the person
    )


def read_click(body: Any, api: str) -> ReceiveResult:
    """A click on a button of a card. Raises BadBody."""
    body = object_of(body, "payload")
    actions = body.get("actions")
    if body.get("type") != "block_actions" or not isinstance(actions, list) or not actions:
        return Ignored("no click on a button")
    action = object_of(actions[0], "actions")
    text = clicked_text(action.get("value"))
    if text is None or action.get("type") != "button" or body.get("channel") is None:
        return Ignored("a button that is not ours")
    user, channel = _id(object_at(body, "user"), "id"), _id(object_at(body, "channel"), "id")
    at = _ts(action, "action_ts")
    message = object_at(body, "message")
    threaded = message.get("thread_ts") is not None
    direct, trigger = channel.startswith("D"), body.get("trigger_id")
    return IncomingMessage(
        event_id=f"click:{text.partition(' ')[0]}:{user}:{channel}:{at}",
        user=user,
        conversation=channel,
        text=text,
        reply_url=api,
        thread=_ts(message, "thread_ts") if threaded else "" if direct else _ts(message, "ts"),
        sent_at=float(at),
        button=True,
        response=OK,
        trigger=trigger if isinstance(trigger, str) and _TRIGGER.fullmatch(trigger) else "",
    )


def _bots(authorizations: Any) -> frozenset[str]:
    """The user ids under which the app was told of the event."""
    entries = authorizations if isinstance(authorizations, list) else []
    ids = (entry.get("user_id") for entry in entries if isinstance(entry, dict) and entry.get("is_bot") is True)
    return frozenset(identity for identity in ids if isinstance(identity, str))


def object_of(value: Any, what: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise BadBody(f"{what}: must be a JSON object")
    return value


def _id(body: Mapping[str, Any], key: str) -> str:
    return matched_at(body, key, ID, "an id of Slack")


def _ts(body: Mapping[str, Any], key: str) -> str:
    return matched_at(body, key, TS, "a timestamp of Slack")
