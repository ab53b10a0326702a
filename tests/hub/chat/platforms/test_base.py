"""What all platforms share: the content of a reply as JSON, and what an HTTP answer means."""

from __future__ import annotations

import json

from hub.chat.platforms.base import (
    Delivered,
    DeliveryFailed,
    HttpCall,
    HttpResponse,
    OutboundReply,
    ReplyContent,
    ReplyJob,
    ReplyRequest,
    result_of_status,
)
from hub.chat.platforms.outbound import OutboundCall, SocketCall
from tests.each import each_of

CONTENT = ReplyContent(
    in_reply_to="m-1",
    conversation="运维",
    text="web-1 的磁盘",
    request=ReplyRequest("01ARZ3NDEKTSV4RRFFQ69G5FAV", 42, "done"),
    jobs=(ReplyJob("01ARZ3NDEKTSV4RRFFQ69G5FAW", "web-1", ("/bin/df", "-h"), "succeeded", 0, "/ 40%\n"),),
    actions=("cancel",),
    kind="final",
)


def test_the_json_has_the_documented_form() -> None:
    """A script that reads replies finds the keys that the design promises."""
    assert json.loads(CONTENT.to_json()) == {
        "in_reply_to": "m-1",
        "conversation": "运维",
        "kind": "final",
        "text": "web-1 的磁盘",
        "request": {"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "number": 42, "state": "done"},
        "jobs": [
            {
                "id": "01ARZ3NDEKTSV4RRFFQ69G5FAW",
                "agent": "web-1",
                "argv": ["/bin/df", "-h"],
                "state": "succeeded",
                "exit_code": 0,
                "output": "/ 40%\n",
                "output_is": "data",
            }
        ],
        "actions": ["cancel"],
    }


@each_of("content", [CONTENT, ReplyContent("m", "", "no jobs", thread="t-1")])
def test_content_survives_the_outbox(content: ReplyContent) -> None:
    """What was written is what a platform renders from."""
    assert OutboundReply("r.1", "https://chat.example/", content.to_json()).content == content


@each_of(
    ("status", "kind"),
    [
        (200, None),
        (202, None),
        (204, None),
        (301, "refused"),
        (307, "refused"),
        (400, "refused"),
        (401, "refused"),
        (404, "refused"),
        (408, "later"),
        (410, "gone"),
        (425, "later"),
        (429, "later"),
        (500, "later"),
        (503, "later"),
    ],
)
def test_a_status_says_whether_another_try_makes_sense(status: int, kind: str | None) -> None:
    """2xx delivers, 410 ends, 408, 425, 429 and 5xx pass, everything else (redirects too) is a refusal."""
    heard = result_of_status(HttpResponse(status))
    if kind is None:
        assert isinstance(heard, Delivered)
    else:
        assert isinstance(heard, DeliveryFailed)
        assert heard.kind == kind
        assert str(status) in heard.reason


def test_retry_after_is_passed_on() -> None:
    """What the receiver asks for reaches the policy of retries."""
    heard = result_of_status(HttpResponse(429, {"retry-after": "7"}))
    assert isinstance(heard, DeliveryFailed)
    assert heard.retry_after == "7"


def test_a_call_shows_no_token() -> None:
    """Wherever a platform puts it; nor does what holds a call."""
    call = HttpCall("https://chat.example/bot-secret/x", b"secret", {"Authorization": "Bearer secret"})
    socket = SocketCall("wss://chat.example/?key=secret", b"secret", {"X": "secret"}, key="k1")
    assert "secret" not in repr((call, socket, OutboundCall(call)))
    assert "k1" in repr(socket)
