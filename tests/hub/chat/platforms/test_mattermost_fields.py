"""hub.chat.platforms.mattermost_fields: bodies, ids, moments, MACs."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.chat.platforms.base import BadBody, HttpResponse, WebhookRequest
from hub.chat.platforms.fields import answer_object
from hub.chat.platforms.mattermost_fields import id_of, mac_of, parse_body, time_of, trigger_of, trigger_time
from tests.each import each_of


def test_bodies_are_read_by_their_kind() -> None:
    """By content type, or by the body where there is none."""
    for kind in ("application/json", "application/json; charset=utf-8", ""):
        assert parse_body(WebhookRequest(b'{"a":"1"}', {"content-type": kind})) == {"a": "1"}
    for kind in ("application/x-www-form-urlencoded", ""):
        assert parse_body(WebhookRequest(b"a=1", {"content-type": kind})) == {"a": "1"}
    for body, kind in ((b"<a/>", "text/xml"), (b"{}", "multipart/form-data"), (b"{", ""), (b"\xff", "")):
        with pytest.raises(BadBody):
            parse_body(WebhookRequest(body, {"content-type": kind}))


@each_of(
    ("value", "seconds"),
    [(1_700_000_000_123, 1_700_000_000.123), ("1700000000", 1_700_000_000.0), (0, 0.0), (None, None), (-1, None),
     ("x", None), (True, None), (10**14, None), (1.5, None), ("9" * 15, None)],
)  # fmt: skip
def test_moments_are_milliseconds_or_seconds(value: Any, seconds: float | None) -> None:
    """JSON has the ones, forms the others."""
    if seconds is None:
        with pytest.raises(BadBody):
            time_of({"timestamp": value})
    else:
        assert time_of({"timestamp": value}) == seconds
    assert time_of({}) == 0.0


@each_of("value", [None, "", "short", "A" * 26, "a" * 27, "a" * 25 + "\n", 5, ["a" * 26]])
def test_ids_have_their_form(value: Any) -> None:
    """Twenty-six of a to z and 0 to 9."""
    with pytest.raises(BadBody):
        id_of({"post_id": value}, "post_id")
    assert id_of({"post_id": "a" * 26}, "post_id") == "a" * 26


def test_a_trigger_is_known_by_a_digest() -> None:
    """The same each time, another for another; what is none is refused."""
    assert (
        trigger_of({"trigger_id": "abc=="}) == trigger_of({"trigger_id": "abc=="}) != trigger_of({"trigger_id": "abd"})
    )
    for value in (None, "", "a b", "x" * 2_001):
        with pytest.raises(BadBody):
            trigger_of({"trigger_id": value})


def test_a_trigger_says_when_it_was() -> None:
    """What is no trigger of the server's own form says nothing."""
    made = base64.b64encode(b"c" * 26 + b":" + b"u" * 26 + b":1480000000123:MEUCIQ==").decode()
    assert trigger_time({"trigger_id": made}) == 1_480_000_000.123
    for said in (b"c:u:x:s", b"c:u:1480000000123", b"c:u:1480000000123456:s", b"\xff:\xff:-480000000123:s", b""):
        assert trigger_time({"trigger_id": base64.b64encode(said).decode()}) == 0.0
    for value in (None, 5, "abc", "a b", made * 40):
        assert trigger_time({"trigger_id": value}) == 0.0


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_macs_are_of_exactly_these_words(one: list[str], other: list[str]) -> None:
    """However they are cut."""
    assert (mac_of(b"key", *one) == mac_of(b"key", *other)) == (one == other)
    assert mac_of(b"key", *one) != mac_of(b"another", *one)


@given(st.binary(max_size=100))
def test_answers_are_objects_or_nothing(body: bytes) -> None:
    """What cannot be read says nothing."""
    assert isinstance(answer_object(HttpResponse(200, {}, body)), dict)
    assert answer_object(HttpResponse(200, {}, b'{"id":"x"}')) == {"id": "x"}
