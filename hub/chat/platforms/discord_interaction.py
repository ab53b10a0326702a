"""Interactions of Discord as messages of ours. Pure. https://docs.discord.com/developers/interactions/receiving-and-responding

    type 1  PING                 -> PONG
    type 2  slash command        -> a message: its options, joined; answered "deferred", and the reply replaces that
    type 3  click on a component -> a message of its button; answered "deferred update", which shows nothing
    type 5  a sent modal         -> the code in it (`discord_form`)
    others                       -> an answer for the person's eyes alone

Each interaction has to be answered within three seconds, also one that is not for us. Its token lets us change the
answer for fifteen minutes; it comes as the message's thread, with the application's id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from common.catalogue import Language, translate
from hub.chat.buttons import clicked_text
from hub.chat.platforms.base import BadBody, CodeGiven, HttpCall, ImmediateResponse, IncomingMessage, PictureRef
from hub.chat.platforms.discord_files import read_attachments
from hub.chat.platforms.discord_form import read_submission
from hub.chat.platforms.fields import compact_json, matched_at, object_at

MAX_TEXT: Final = 8_000
MAX_OPTIONS: Final = 25
MAX_DEPTH: Final = 3  # group, command, value
CLICK: Final = "/click"
"""Behind the thread of a click: its answer is the card, so what is said besides is for the person's eyes alone."""
PRIVATE: Final = "/private"
"""Behind the thread of a command that gives a code: what was typed, and its answer, only that person sees."""
PICTURE: Final = "/picture"
"""Behind the thread of a command with pictures: its answer is what was read in them, and what follows stands below."""
_PING, _COMMAND, _COMPONENT, _AUTOCOMPLETE, _SUBMIT = 1, 2, 3, 4, 5
_SAY, _DEFERRED, _DEFERRED_UPDATE, _CHOICES = 4, 5, 6, 8
_EPHEMERAL: Final = 64
_SUBCOMMANDS: Final = frozenset({1, 2})
_ATTACHMENT: Final = 11
_EPOCH: Final = 1_420_070_400.0
"""2015-01-01, from which the upper 42 bits of an id count milliseconds."""
_RUN_COMMANDS: Final = frozenset({"run", "answerback", "ask"})
"""Commands whose options are the message: /run text: df -h on web-1. Others are words: /approve which: r42 k7f2."""
_ID: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
TOKEN: Final = re.compile(r"[\w.=-]{1,500}", re.ASCII)
_FORM: Final = "of Discord's form"
_GIVES_CODE: Final = re.compile(
    r"\s*(?:(?:approve|yes|ok|code|otp|totp|批准|同意|通过|验证码).*)?[0-9０-９](?:[\s-]{0,2}[0-9０-９]){5}.*",
    re.IGNORECASE | re.DOTALL,
)
"""What may give a second factor's code: nothing but a decision, so that no card is kept from others."""
_WORD: Final = re.compile(r"[\w-]{1,32}")


def created_at(snowflake: str) -> float:
    """When an id was made, seconds since the epoch; 0 for what is no id."""
    return (int(snowflake) >> 22) / 1_000 + _EPOCH if _ID.fullmatch(snowflake) else 0.0


def read_interaction(body: Any, reply_url: str) -> IncomingMessage | CodeGiven | ImmediateResponse:
    """A parsed interaction; raises BadBody that names the field."""
    if type(body) is not dict:
        raise BadBody("the body must be a JSON object")
    kind = body.get("type")
    if type(kind) is not int:
        raise BadBody("type: must be there and be an integer; only interactions are taken")
    if kind == _PING:
        return _answer(_PING)
    if kind == _AUTOCOMPLETE:
        return _answer(_CHOICES, choices=[])
    if kind == _SUBMIT:
        return read_submission(body) or _not_understood(body)
    if kind not in (_COMMAND, _COMPONENT):
        return _not_understood(body)
    data = object_at(body, "data")
    pictures: tuple[PictureRef, ...] = ()
    if kind == _COMPONENT:
        text = clicked_text(data.get("custom_id"))
        if text is None:
            return _answer(_DEFERRED_UPDATE)
    elif data.get("type", 1) != 1:
        return _not_understood(body)  # of a menu on a person or a message
    else:
        pictures = read_attachments(data)
        text = _command(data, "" if pictures else "help")
    private = kind == _COMMAND and _GIVES_CODE.fullmatch(text) is not None
    mark = CLICK if kind == _COMPONENT else PRIVATE if private else PICTURE if pictures else ""
    event, token = _id(body, "id"), matched_at(body, "token", TOKEN, _FORM)
    return IncomingMessage(
        event_id=event,
        user=_id(object_at(object_at(body, "member") if "member" in body else body, "user"), "id"),
        conversation=_id(body, "channel_id"),
        text=text,
        pictures=pictures,
        reply_url=reply_url,
        thread=f"{_id(body, 'application_id')}/{token}{mark}",
        sent_at=created_at(event),
        button=kind == _COMPONENT,
        response=_deferred(kind, private=private),
    )


def interaction_call(api: str, identity: str, token: str, answer: ImmediateResponse) -> HttpCall:
    """The call that answers an interaction which came over the gateway: within three seconds, by its own token."""
    url = f"{api}/interactions/{identity}/{token}/callback"
    return HttpCall(url, answer.body, {"Content-Type": "application/json"})


def _deferred(kind: int, *, private: bool) -> ImmediateResponse:
    if kind == _COMPONENT:
        return _answer(_DEFERRED_UPDATE)
    return _answer(_DEFERRED, flags=_EPHEMERAL) if private else _answer(_DEFERRED)


def _command(data: dict[str, Any], called: str) -> str:
    """Its words; `called` where it has none."""
    name = matched_at(data, "name", _WORD, _FORM)
    words = [*([] if name in _RUN_COMMANDS else [name]), *_words(data, 1)]
    text = " ".join(word for word in words if word).strip()
    if len(text) > MAX_TEXT:
        raise BadBody(f"options: more than {MAX_TEXT} characters")
    return text or called


def _words(parent: dict[str, Any], depth: int) -> Iterator[str]:
    """The values of options in their order; a switch that is on is its name."""
    options = parent.get("options", [])
    if type(options) is not list or len(options) > MAX_OPTIONS or not all(type(one) is dict for one in options):
        raise BadBody(f"options: must be a list of at most {MAX_OPTIONS} objects")
    for option in options:
        kind, value = option.get("type"), option.get("value")
        if kind in _SUBCOMMANDS:
            if depth == MAX_DEPTH:
                raise BadBody(f"options: nested deeper than {MAX_DEPTH} levels")
            yield matched_at(option, "name", _WORD, _FORM)
            yield from _words(option, depth + 1)
        elif kind == _ATTACHMENT:
            continue
        elif value is True:
            yield matched_at(option, "name", _WORD, _FORM)
        elif type(value) is str:
            yield value.strip()
        elif type(value) in (int, float):
            yield str(value)
        elif value is not False:
            raise BadBody("value: must be a text, a number, true or false")


def _not_understood(body: dict[str, Any]) -> ImmediateResponse:
    locale = body.get("locale")
    language: Language = "zh" if type(locale) is str and locale.startswith("zh") else "en"
    said = translate(language, "chat_not_understood")
    return _answer(_SAY, content=said, flags=_EPHEMERAL, allowed_mentions={"parse": []})


def _answer(kind: int, **data: Any) -> ImmediateResponse:
    body = {"type": kind, "data": data} if data else {"type": kind}
    return ImmediateResponse(compact_json(body))


def _id(parent: dict[str, Any], key: str) -> str:
    return matched_at(parent, key, _ID, _FORM)
