"""Discord's modal for the code of a second factor. Pure.
https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-response-object-modal

The modal is the answer to the click, and what it is about stands in its custom_id, which comes back in the signed
MODAL_SUBMIT. Its answer changes nothing on the card, or says to that person alone what was wrong; a modal cannot be
opened again from there, but from the card's button it can.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from common.catalogue import translate
from hub.chat.markup import utf16_units
from hub.chat.platforms.base import BadBody, CodeGiven, ImmediateResponse
from hub.chat.platforms.code_form import MAX_CODE, CodeAnswer, CodeForm, typed_code
from hub.chat.platforms.fields import compact_json, matched_at, object_at

MAX_TEXT: Final = 4_000
"""UTF-16 units of all text displays together."""
MAX_COMPONENTS: Final = 5
FIELD: Final = "code"
_MODAL, _SAY, _DEFERRED_UPDATE = 9, 4, 6
_EPHEMERAL: Final = 64
_ROW, _TEXT_INPUT, _TEXT_DISPLAY, _LABEL = 1, 4, 10, 18
_ID: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_ABOUT: Final = re.compile(r"code r(?P<number>[1-9][0-9]{0,11}) (?P<plan>[0-9a-f]{32}) (?P<user>[0-9]{1,20})", re.ASCII)
_FORM: Final = "of Discord's form"


def code_modal(user: str, form: CodeForm, text: str) -> ImmediateResponse | None:
    """The modal; `text` is the plan in Discord's Markdown. None where it does not fit whole."""
    if utf16_units(text) > MAX_TEXT:
        return None
    field = {"type": _TEXT_INPUT, "custom_id": FIELD, "style": 1, "min_length": 6, "max_length": MAX_CODE}
    label = translate(form.language, "form_code")[:45]
    data = {
        "custom_id": f"code r{form.number} {form.digest} {user}",
        "title": translate(form.language, "form_title", number=form.number)[:45],
        "components": [
            {"type": _TEXT_DISPLAY, "content": text},
            {"type": _LABEL, "label": label, "component": field | {"required": True}},
        ],
    }
    return ImmediateResponse(compact_json({"type": _MODAL, "data": data}))


def read_submission(body: Mapping[str, Any]) -> CodeGiven | None:
    """A MODAL_SUBMIT; None where it is none of ours. Raises BadBody."""
    data = body.get("data")
    about = data.get("custom_id") if isinstance(data, dict) else None
    found = _ABOUT.fullmatch(about) if isinstance(about, str) else None
    if found is None or not isinstance(data, dict):
        return None
    values = [field.get("value") for field in _fields(data) if field.get("custom_id") == FIELD]
    return CodeGiven(
        id=matched_at(body, "id", _ID, _FORM),
        user=matched_at(object_at(object_at(body, "member") if "member" in body else body, "user"), "id", _ID, _FORM),
        opened_by=found["user"],
        conversation=matched_at(body, "channel_id", _ID, _FORM),
        number=int(found["number"]),
        digest=found["plan"],
        code=typed_code(values[0] if len(values) == 1 else None),
    )


def _fields(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The sent fields: each in a label, or, as older modals have them, in an action row."""
    components = data.get("components")
    if type(components) is not list or len(components) > MAX_COMPONENTS:
        raise BadBody(f"components: must be a list of at most {MAX_COMPONENTS}")
    for component in components:
        if type(component) is not dict:
            raise BadBody("components: must be objects")
        inner = component.get("components") if component.get("type") == _ROW else [component.get("component")]
        for field in inner[:MAX_COMPONENTS] if type(inner) is list else ():
            if type(field) is dict:
                yield field


def submission_response(answer: CodeAnswer, said: str) -> ImmediateResponse:
    """The card shows what was done; `said`, why nothing was, in Discord's Markdown, is for that person alone."""
    if answer.ok:
        return ImmediateResponse(compact_json({"type": _DEFERRED_UPDATE}))
    data = {"content": said[:2_000], "flags": _EPHEMERAL, "allowed_mentions": {"parse": []}}
    return ImmediateResponse(compact_json({"type": _SAY, "data": data}))
