"""hub.chat.removals: which entries of the outbox take a message away, and what a chat's answer means."""

from __future__ import annotations

from typing import Any

import pytest

from hub.chat.platforms.base import (
    Delivered,
    DeliveryFailed,
    HttpCall,
    HttpResponse,
    OutboundReply,
    ReplyContent,
)
from hub.chat.platforms.privacy import REMOVAL
from hub.chat.removals import is_removal, notice_after, removal_call, removal_result
from hub.core.records import Reply

CALL = HttpCall("https://chat.example/delete", b"")


class Chat:
    """It answers with what the test says."""

    def __init__(self, call: object = CALL, result: Any = None) -> None:
        self.call, self.result = call, result
        self.asked: list[tuple[str, str, str]] = []

    def removal(self, event_id: str, conversation: str, thread: str) -> object:
        self.asked.append((event_id, conversation, thread))
        return self.call

    def read_removal(self, call: HttpCall, response: HttpResponse) -> Any:
        return self.result


def body(kind: str = REMOVAL, text: str = "others can read it") -> str:
    return ReplyContent("m1", "ops", text, kind=kind, thread="t1").to_json()


def entry(**more: Any) -> Reply:
    fields: dict[str, Any] = {
        "id": 7, "request_id": "", "inlet": "ops", "url": "https://chat.example", "kind": REMOVAL, "body": body(),
        "created_at": 100.0, "next_at": 130.0, "attempts": 4, "state": "dead", "error": "no right",
    }  # fmt: skip
    return Reply(**(fields | more))


def posting() -> OutboundReply:
    return OutboundReply("r.7", "https://chat.example", body())


def test_a_reply_is_no_removal() -> None:
    """Whatever it says: one of a request is a reply, and so is a notice."""
    assert is_removal(entry())
    assert not is_removal(entry(request_id="01M8"))
    assert not is_removal(entry(body=body("progress")))


def test_the_call_names_the_message() -> None:
    """By its id, conversation and thread; a chat that removes nothing fails for good."""
    chat: Any = Chat()
    assert removal_call(chat, posting()) == CALL
    assert chat.asked == [("m1", "ops", "t1")]
    for other in (Chat(call="seen"), object()):
        failed = removal_call(other, posting())  # type: ignore[arg-type]
        assert isinstance(failed, DeliveryFailed)
        assert failed.kind == "gone"


@pytest.mark.parametrize(
    ("result", "kind"),
    [(Delivered(), ""), (DeliveryFailed("no right", "refused"), "gone"), (DeliveryFailed("busy"), "later")],
    ids=["done", "refused", "later"],
)
def test_a_missing_right_ends_it(result: Any, kind: str) -> None:
    """It does not come by waiting; what is busy is tried again."""
    chat: Any = Chat(result=result)
    found = removal_result(chat, posting(), CALL, HttpResponse(403))
    assert getattr(found, "kind", "") == kind


def test_what_is_said_where_it_stays() -> None:
    """The sentence that it carried along, as a reply that has not been tried; nothing in a conversation of two."""
    notice = notice_after(entry(), 200.0)
    assert notice is not None
    assert not is_removal(notice)
    assert (notice.id, notice.created_at, notice.next_at, notice.attempts) == (0, 200.0, 200.0, 0)
    assert (notice.state, notice.error) == ("pending", "")
    assert ReplyContent.from_json(notice.body).text == "others can read it"
    assert notice_after(entry(body=body(text="")), 200.0) is None
