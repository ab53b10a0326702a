"""Who sees what is said: removals of people's messages, and direct conversations, platform by platform."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote

from hub.chat.platforms.base import Delivered, DeliveryFailed, HttpCall, HttpResponse
from hub.chat.platforms.dingtalk_text import Route
from hub.chat.platforms.generic import GenericPlatform
from hub.chat.platforms.privacy import is_alone, sight_of
from hub.chat.platforms.registry import built_in, implementation
from tests.each import each_of
from tests.hub.chat.platforms import test_dingtalk, test_feishu, test_matrix, test_mattermost, test_telegram
from tests.hub.chat.platforms.test_matrix import MATRIX, ROOM
from tests.hub.chat.platforms.test_mattermost import POST, ROOT
from tests.hub.chat.platforms.test_telegram import TOKEN

DOCS = Path(__file__).resolve().parents[4] / "docs" / "chat"
TELEGRAM, MATTERMOST = test_telegram.BOT, test_mattermost.platform()
CALL = HttpCall("https://chat.example", b"")


def call_of(found: object) -> HttpCall:
    assert isinstance(found, HttpCall)
    return found


def test_telegram_deletes_a_message() -> None:
    """The example's message id; clicks are no messages."""
    call = call_of(TELEGRAM.removal("-1001234567890/1365", "-1001234567890", ""))
    assert call.url.endswith(f"/bot{TOKEN}/deleteMessage")
    assert json.loads(call.body) == {"chat_id": -1001234567890, "message_id": 1365}
    assert TELEGRAM.removal("click/4382bfdwdsb323b2d9", "1", "") == "unseen"


@each_of(
    ("status", "body", "kind"),
    (
        (200, b'{"ok":true,"result":true}', ""),
        (400, b'{"ok":false,"error_code":400,"description":"Bad Request: message to delete not found"}', ""),
        (400, b'{"ok":false,"error_code":400,"description":"Bad Request: message can\'t be deleted"}', "refused"),
        (403, b'{"ok":false,"error_code":403,"description":"Forbidden: bot was kicked"}', "refused"),
        (429, b'{"ok":false,"description":"Too Many Requests","parameters":{"retry_after":7}}', "later"),
        (502, b"<html>", "later"),
        (200, b"", "later"),
    ),
)
def test_what_telegram_answers_to_a_deletion(status: int, body: bytes, kind: str) -> None:
    """Never with the token in the reason."""
    found = TELEGRAM.read_removal(CALL, HttpResponse(status, {}, body))
    assert isinstance(found, DeliveryFailed if kind else Delivered)
    if isinstance(found, DeliveryFailed):
        assert found.kind == kind
        assert TOKEN not in found.reason
        assert found.retry_after == ("7" if status == 429 else "")


def test_mattermost_deletes_a_post() -> None:
    call = call_of(MATTERMOST.removal(POST, "c" * 26, POST))
    assert (call.method, call.url) == ("DELETE", f"{ROOT}/api/v4/posts/{POST}")
    for event in ("cmd:abc", "click:abc"):
        assert MATTERMOST.removal(event, "c" * 26, "") == "unseen"


@each_of(("status", "kind"), ((200, ""), (404, ""), (403, "refused"), (429, "later"), (500, "later")))
def test_what_mattermost_answers_to_a_deletion(status: int, kind: str) -> None:
    found = MATTERMOST.read_removal(CALL, HttpResponse(status, {}, b"{}"))
    assert isinstance(found, DeliveryFailed if kind else Delivered)
    assert not isinstance(found, DeliveryFailed) or found.kind == kind


def test_matrix_redacts_an_event() -> None:
    """With one transaction id however often: a second try is the same redaction."""
    call = call_of(MATRIX.removal("$said", ROOM, ""))
    assert call.method == "PUT"
    assert unquote(call.url).startswith(
        f"https://m.example.org/_matrix/client/v3/rooms/{ROOM}/redact/$said/answerback-"
    )
    assert json.loads(call.body) == {}
    assert MATRIX.removal("$said", ROOM, "") == call
    assert MATRIX.removal("$other", ROOM, "") != call
    assert MATRIX.removal("no event", ROOM, "") == "seen"


@each_of(
    ("status", "body", "kind"),
    (
        (200, b'{"event_id":"$r"}', ""),
        (404, b'{"errcode":"M_NOT_FOUND"}', ""),
        (403, b'{"errcode":"M_FORBIDDEN"}', "refused"),
        (429, b'{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":1500}', "later"),
        (500, b"", "later"),
    ),
)
def test_what_matrix_answers_to_a_redaction(status: int, body: bytes, kind: str) -> None:
    found = MATRIX.read_removal(CALL, HttpResponse(status, {}, body))
    assert isinstance(found, DeliveryFailed if kind else Delivered)
    assert not isinstance(found, DeliveryFailed) or (found.kind, found.retry_after) == (
        kind,
        "2" if status == 429 else "",
    )


def test_direct_conversations_are_told_apart() -> None:
    """By the id that is the user's, or by what the platform says of it; where nobody says, it is a room."""
    assert is_alone(None, "bob", "bob", "")
    assert not is_alone(None, "bob", "room", "")
    assert not is_alone(GenericPlatform([b"0" * 16]), "bob", "room", "")
    dingtalk = test_dingtalk.platform()
    assert is_alone(dingtalk, "bob", "cid1", str(Route(1.0, False, "robot", "staff")))
    for thread in (str(Route(1.0, True, "robot", "staff")), "", "made up"):
        assert not is_alone(dingtalk, "bob", "cid1", thread)
    feishu = test_feishu.platform()
    assert is_alone(feishu, "ou_1", "oc_1", "om_1 p2p")
    assert is_alone(feishu, "ou_1", "oc_1", "om_1 thread p2p")
    for thread in ("om_1", "om_1 thread", ""):
        assert not is_alone(feishu, "ou_1", "oc_1", thread)


def test_a_platform_that_says_nothing_lets_everybody_see() -> None:
    assert sight_of(None, "e1", "room", "") == "seen"
    assert sight_of(test_feishu.platform(), "om_1", "oc_1", "om_1") == "seen"


def test_matrix_rooms_are_no_direct_ones() -> None:
    """Who is in a room may change with every invitation."""
    assert not is_alone(test_matrix.MATRIX, "@bob:example.org", ROOM, "")


def test_the_docs_say_of_each_platform_what_it_can() -> None:
    """Whether it has a form for a code, and whether its API deletes what people wrote."""
    text = (DOCS / "README.md").read_text()
    rows = re.findall(r"^\| (\w+) \| (yes|-) \| (yes|-) \| \S", text, re.MULTILINE)
    marks = {True: "yes", False: "-"}
    found = []
    for name, kind in built_in().items():
        if name not in ("generic", "standard"):
            made = implementation(kind)
            deletes = "HttpCall" in str(getattr(made, "removal", cannot).__annotations__["return"])
            found.append((name, marks[hasattr(made, "open_form")], marks[deletes]))
    assert sorted(rows) == sorted(found)


def cannot() -> None:
    """Of a platform without removals."""
