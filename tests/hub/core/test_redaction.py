"""Deliveries with what is private replaced: nothing of it is left, and they are read as before."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

from hypothesis import given
from hypothesis import strategies as st

from hub.core.redaction import CUT, MAX_BODY, MAX_VALUE, Redactor
from tests.each import each_of

REDACTOR = Redactor(b"key", ("https://chat.example", "api.example:8443"))


def body(value: Any, content_type: str = "application/json") -> Any:
    kept, note = REDACTOR.body(json.dumps(value, ensure_ascii=False).encode(), content_type)
    assert kept is not None
    assert note == ""
    return json.loads(kept)


def test_what_a_person_said_is_not_there() -> None:
    """Nor names, ids, tokens; the same word is the same everywhere, so that mentions still are some."""
    said = {
        "token": "XXYYZZabcdef0123",
        "event": {"user": "U2147483697", "name": "Alice Smith", "text": "<@U2147483697> 重启 nginx, code 123456"},
        "authorizations": [{"user_id": "U2147483697"}],
    }
    found = body(said)
    told = json.dumps(found, ensure_ascii=False)
    for private in ("XXYYZZ", "U2147483697", "Alice", "Smith", "重启", "nginx", "code", "123456"):
        assert private not in told
    user = found["event"]["user"]
    assert user == found["authorizations"][0]["user_id"]
    assert found["event"]["text"].startswith(f"<@{user}> ")
    assert len(found["event"]["text"]) == len(said["event"]["text"])  # type: ignore[index]
    assert user[0] == "U"


@each_of(
    ("key", "value", "stays"),
    [
        ("type", "event_callback", True),
        ("msgtype", "m.text", True),
        ("schema", "2.0", True),
        ("type", "Alice Smith", False),
        ("type", "user1234567", False),
        ("is_bot", True, True),
        ("thing", None, True),
        ("offset", 9_999, True),
        ("id", 10_000, False),
        ("id", -1001234567890, False),
        ("id", "1700000000", False),
        ("ts", "1700000000.000100", True),
        ("date", 1_700_000_000, True),
        ("createAt", 1_700_000_000_123, True),
        ("chat", 1_700_000_000, False),
        ("timestamp", "2026-01-01T10:00:00Z", True),
        ("time", "ten o'clock", False),
        ("n", 2**63 - 1, False),
        ("f", 12345.5, False),
    ],
)
def test_what_stays(key: str, value: Any, stays: bool) -> None:
    """The platform's words, small numbers and times; the type is the same in any case."""
    found = body({key: value})[key]
    assert (found == value) is stays
    assert type(found) is type(value)
    if isinstance(value, int):
        assert -(2**63) <= found < 2**63
        assert len(str(found)) == len(str(value)) or value is True


def test_keys_stay_but_ids() -> None:
    """Something may stand under somebody's id."""
    found = body({"users": {"123456789": 1, "U012ABCDEF": 2, "@bob:example.org": 3, "first_name": 4}})["users"]
    assert list(found.values()) == [1, 2, 3, 4]
    assert [name in found for name in ("123456789", "U012ABCDEF", "@bob:example.org", "first_name")] == [
        *(False, False, False),
        True,
    ]


def test_urls_of_the_platform_keep_their_host() -> None:
    """Others do not."""
    found = body(
        {"a": "https://chat.example/reply/T0secret", "b": "https://api.example:8443/x", "c": "http://corp.example/x"}
    )
    assert found["a"].startswith("https://chat.example/")
    assert found["b"].startswith("https://api.example:8443/")
    assert found["c"].startswith("http://")
    told = json.dumps(found)
    assert "secret" not in told
    assert "corp" not in told


def test_json_within_json_and_prefixes() -> None:
    """A text that is JSON stays JSON; an id keeps the letters that say what it is of."""
    found = body({"content": '{"text":"hello bob"}', "open_id": "ou_7d8a6e6df7621556"})
    inner = json.loads(found["content"])
    assert list(inner) == ["text"]
    assert "bob" not in inner["text"]
    assert found["open_id"].startswith("ou_")
    assert "7d8a" not in found["open_id"]


def test_a_form() -> None:
    """Each field by its name, also where it holds JSON."""
    fields = {"command": "/ops", "user_name": "alice", "payload": json.dumps({"type": "click", "who": "alice"})}
    kept, _ = REDACTOR.body(urlencode(fields).encode(), "application/x-www-form-urlencoded; charset=utf-8")
    found = dict(parse_qsl(kept or ""))
    assert list(found) == list(fields)
    payload = json.loads(found["payload"])
    assert (payload["type"], payload["who"]) == ("click", found["user_name"])
    assert "alice" not in str(found)


@each_of(
    ("raw", "note"),
    [
        (b'{"encrypt":"FIAfJPGRmFWAXj"}', "encrypted"),
        (b"<xml><Encrypt>abc</Encrypt></xml>", "encrypted"),
        (b"<xml>alice</xml>", "neither JSON nor a form"),
        (b"\xff\xfe", "neither JSON nor a form"),
        (b"[" * 100, "neither JSON nor a form"),
        (b'"' + b"x" * MAX_BODY + b'"', "bytes, more than"),
    ],
)
def test_what_cannot_be_redacted_is_not_kept(raw: bytes, note: str) -> None:
    """And the note says why, with nothing of it."""
    kept, told = REDACTOR.body(raw)
    assert kept is None
    assert note in told
    assert "alice" not in told


def test_an_empty_body_and_a_long_value() -> None:
    """Nothing is nothing; a picture in a text is cut."""
    assert REDACTOR.body(b"") == ("", "")
    assert len(body({"data": "x" * (MAX_VALUE + 1)})["data"]) == CUT
    assert len(body({"data": "x" * MAX_VALUE})["data"]) == MAX_VALUE


def test_headers_and_query() -> None:
    """Signatures and addresses go, times and the kind of body stay, and so do the names that a platform looks for."""
    found = REDACTOR.headers(
        {
            "content-type": "application/json",
            "x-signature": "v0=a2114d57",
            "x-request-timestamp": "1531420618",
            "authorization": "Bearer abc12",
            "x-forwarded-for": "192.0.2.7",
            "cookie": "a=b",
            "host": "hub.corp.example",
        }
    )
    assert found.keys() == {"content-type", "x-signature", "x-request-timestamp", "authorization"}
    assert (found["content-type"], found["x-request-timestamp"]) == ("application/json", "1531420618")
    assert len(found["x-signature"]) == len("v0=a2114d57")
    assert "a2114d57" not in found["x-signature"]
    assert "abc12" not in found["authorization"]
    query = REDACTOR.query({"msg_signature": "5c45ff5e", "timestamp": "1409659589", "nonce": "12"})
    assert query["timestamp"] == "1409659589"
    assert query["msg_signature"] != "5c45ff5e"


def test_the_bot_keeps_its_name() -> None:
    """By which it is mentioned."""
    found = Redactor(b"key", bot="ops_bot").text("@ops_bot restart nginx of alice")
    assert found.startswith("@ops_bot ")
    assert "alice" not in found


def test_another_recording_has_other_words() -> None:
    """Its key is its own: nobody compares two."""
    assert Redactor(b"a").text("alice") != Redactor(b"b").text("alice")
    assert Redactor(b"a").text("alice") == Redactor(b"a").text("alice")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=80),
        lambda each: st.lists(each, max_size=4) | st.dictionaries(st.text(max_size=20), each, max_size=4),
        max_leaves=12,
    )
)
def test_anything_is_redacted_to_what_can_be_written(value: Any) -> None:
    """Never an error; the result is JSON of the same form."""
    found = REDACTOR.value(value)
    json.loads(json.dumps(found))
    assert type(found) is type(value)
