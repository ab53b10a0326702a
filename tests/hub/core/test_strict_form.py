"""hub.core.strict_form: forms as chats send them, and nothing else."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.strict_form import MAX_FIELDS, MAX_VALUE, BadBody, parse
from tests.each import each_of


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=100), min_size=1, max_size=20))
def test_what_a_browser_would_send_comes_back(fields: dict[str, str]) -> None:
    """Whatever characters they have."""
    assert parse(urlencode(fields).encode()) == fields


@each_of(
    "body",
    [
        b"",
        b"no-equals-sign",
        b"a=1&&b=2",
        b"a=1&a=2",
        b"a=%ff",
        b"a=%ed%a0%80",
        "a=ä".encode(),
        b"\x1f\x8b\x08",
        b"&".join(b"k%d=1" % number for number in range(MAX_FIELDS + 1)),
        b"a=" + b"x" * (MAX_VALUE + 1),
    ],
)
def test_everything_else_is_refused(body: bytes) -> None:
    """Twice the same field, no UTF-8, too many fields, too long a one."""
    with pytest.raises(BadBody) as refused:
        parse(body)
    assert "xxx" not in str(refused.value)


def test_the_bounds_themselves_are_let_pass() -> None:
    """As many fields, and as long a one."""
    assert len(parse(b"&".join(b"k%d=1" % number for number in range(MAX_FIELDS)))) == MAX_FIELDS
    assert len(parse(b"a=" + b"x" * MAX_VALUE)["a"]) == MAX_VALUE


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    """A BadBody or fields."""
    try:
        fields = parse(body)
    except BadBody:
        return
    assert all(isinstance(value, str) for value in fields.values())
