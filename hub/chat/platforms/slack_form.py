"""Slack's modal for the code of a second factor. Pure. https://docs.slack.dev/surfaces/modals

A click has a `trigger_id`, which opens one modal within three seconds (views.open). What the modal is about stands in
its `private_metadata`, which comes back in the signed `view_submission`; the answer to that closes the modal, or says
below the field what was wrong (`response_action`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from common.catalogue import translate
from hub.chat.markup import split_blocks
from hub.chat.platforms.base import (
    BadBody,
    CodeGiven,
    Ignored,
    ImmediateResponse,
    IncomingMessage,
    ReceiveResult,
)
from hub.chat.platforms.code_form import MAX_CODE, CodeAnswer, CodeForm, bound_to, typed_code
from hub.chat.platforms.fields import compact_json, matched_at, object_at
from hub.chat.platforms.slack_events import ID, read_click
from hub.chat.platforms.slack_text import rich_text
from hub.core import strict_json

CALLBACK: Final = "answerback_code"
FIELD: Final = "code"
MAX_METADATA: Final = 3_000
MAX_BLOCKS: Final = 10_000  # characters of the plan's rich text
MAX_ERROR: Final = 300
CLOSED: Final = ImmediateResponse(b"", "text/plain")


def code_view(click: IncomingMessage, form: CodeForm) -> dict[str, Any] | None:
    """The modal; None where the plan does not fit whole."""
    elements = rich_text(split_blocks(form.text))
    if len(elements) > MAX_BLOCKS:
        return None
    said = form.language
    about = {"request": str(form.number), "plan": form.digest, "user": click.user, "channel": click.conversation}
    element = {"type": "plain_text_input", "action_id": FIELD, "min_length": 6, "max_length": MAX_CODE}
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "private_metadata": json.dumps(about, separators=(",", ":")),
        "title": _plain(translate(said, "form_title", number=form.number)[:24]),
        "submit": _plain(translate(said, "button_approve")[:24]),
        "close": _plain(translate(said, "form_close")[:24]),
        "blocks": [
            {"type": "rich_text", "elements": json.loads(elements)},
            {"type": "input", "block_id": FIELD, "label": _plain(translate(said, "form_code")), "element": element},
        ],
    }


def read_interaction(payload: Any, api: str) -> ReceiveResult:
    """The `payload` of a form: a click, or a sent modal. Raises BadBody."""
    sent = type(payload) is dict and payload.get("type") == "view_submission"
    return read_submission(payload) if sent else read_click(payload, api)


def read_submission(body: Mapping[str, Any]) -> CodeGiven | Ignored:
    """A `view_submission`. Raises BadBody."""
    view = object_at(body, "view")
    if view.get("callback_id") != CALLBACK:
        return Ignored("a form that is not ours")
    carried = view.get("private_metadata")
    if not isinstance(carried, str) or len(carried) > MAX_METADATA:
        raise BadBody(f"private_metadata: must be a string of at most {MAX_METADATA} characters")
    about = strict_json.parse(carried.encode("utf-8", "replace"))
    bound = bound_to(about) if isinstance(about, dict) else None
    if bound is None:
        raise BadBody("private_metadata: it is not of our form")
    field = object_at(object_at(object_at(object_at(view, "state"), "values"), FIELD), FIELD)
    return CodeGiven(
        id=matched_at(view, "id", ID, "an id of Slack"),
        user=matched_at(object_at(body, "user"), "id", ID, "an id of Slack"),
        opened_by=matched_at(about, "user", ID, "an id of Slack"),
        conversation=matched_at(about, "channel", ID, "an id of Slack"),
        number=bound[0],
        digest=bound[1],
        code=typed_code(field.get("value")),
    )


def submission_response(answer: CodeAnswer) -> ImmediateResponse:
    """It closes; or it stays, and below the field stands what was wrong."""
    if answer.ok:
        return CLOSED
    text = answer.text[:MAX_ERROR]
    return ImmediateResponse(compact_json({"response_action": "errors", "errors": {FIELD: text}}))


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}
