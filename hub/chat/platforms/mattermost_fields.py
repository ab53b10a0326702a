"""Bodies of Mattermost: JSON and forms, their fields, what answers say; and the MACs that are ours. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any, Final

from hub.chat.platforms.base import (
    BadBody,
    Delivered,
    DeliveryFailed,
    HttpResponse,
    WebhookRequest,
    result_of_status,
)
from hub.chat.platforms.fields import matched_at
from hub.core import strict_form, strict_json

MAX_TEXT: Final = 16_383  # characters of a post, both ways
CALLED: Final = "hi"  # what is read where nothing but the bot's name was said
ID: Final = re.compile(r"[a-z0-9]{26}", re.ASCII)
_TRIGGER: Final = re.compile(r"[\w+/=.:-]{1,2000}", re.ASCII)


def parse_body(request: WebhookRequest) -> Any:
    """A body by its content type; raises BadBody."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or (not kind and request.body.startswith(b"{")):
        return strict_json.parse(request.body)
    if kind in ("application/x-www-form-urlencoded", ""):
        return strict_form.parse(request.body)
    raise BadBody("the body must be JSON or a form, as Mattermost sends them")


def read_words(text: str, trigger: str, *names: str) -> tuple[str, bool]:
    """The words without the webhook's trigger and the bot's name around them, and whether one was there."""
    text = text.strip()
    addressed = bool(trigger) and text.startswith(trigger)
    if addressed:
        text = text[len(trigger) :].lstrip(" \t,:，：")
    any_name = "|".join(map(re.escape, names))
    name = re.compile(rf"(?<![\w@.-])@(?:{any_name})(?![\w-]|\.\w)", re.IGNORECASE)
    if found := name.match(text):
        text, addressed = text[found.end() :].lstrip(" \t,:，：\n"), True
    elif name.search(text):
        addressed = True
    return (text.strip() or CALLED if addressed else text), addressed


def token_cure(key: str) -> str:
    """What is said where the server refuses the bot's token, which stands in the file of this key."""
    return f"Mattermost does not take the token; write the bot account's access token into the inlet's {key}"


def mac_of(key: bytes, *words: str) -> str:
    """Over the words with their lengths, so that no two lists of words are signed alike."""
    text = b"".join(b"%d:%b" % (len(data), data) for word in words for data in [word.encode("utf-8", "replace")])
    return hmac.digest(key, text, "sha256").hex()


def id_of(body: Mapping[str, Any], key: str) -> str:
    """An id of the server's; raises BadBody."""
    return matched_at(body, key, ID, "an id of Mattermost")


def trigger_of(body: Mapping[str, Any]) -> str:
    """The id of one act. It is long and signed by the server for its own use, so a digest stands for it."""
    value = body.get("trigger_id")
    if type(value) is not str or not _TRIGGER.fullmatch(value):
        raise BadBody("trigger_id: must be there and be an id")
    return hashlib.sha256(value.encode()).hexdigest()[:32]


def trigger_time(body: Mapping[str, Any]) -> float:
    """When a person typed or clicked, seconds since the epoch; 0 where the trigger does not say it.

    Commands and clicks have no other moment: base64 of "<id>:<user>:<milliseconds>:<signature>", as the server's
    GenerateTriggerId makes it.
    """
    value = body.get("trigger_id")
    if type(value) is not str or not _TRIGGER.fullmatch(value):
        return 0.0
    try:
        parts = base64.b64decode(value, validate=True).split(b":")
    except binascii.Error:
        return 0.0
    return int(parts[2]) / 1000 if len(parts) == 4 and re.fullmatch(rb"[0-9]{12,14}", parts[2]) else 0.0


def time_of(body: Mapping[str, Any]) -> float:
    """Seconds since the epoch: JSON has milliseconds, a form seconds. 0 where it is not there."""
    value = body.get("timestamp", 0)
    if type(value) is str and re.fullmatch(r"[0-9]{1,14}", value, re.ASCII):
        value = int(value)
    if type(value) is not int or not 0 <= value < 10**14:
        raise BadBody("timestamp: must be a moment in milliseconds or seconds")
    return value / 1000 if value > 10**11 else float(value)


def read_deletion(response: HttpResponse) -> Delivered | DeliveryFailed:
    """What became of the deletion of a person's post; one that is not there any more is as good."""
    if response.status == 403:
        return DeliveryFailed("Mattermost answered 403; the bot may not delete others' posts", "refused")
    return Delivered() if response.status == 404 else result_of_status(response)
