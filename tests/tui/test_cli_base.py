"""tui.cli_base: how requests are named, JSON, connecting."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UserError
from tui.cli_base import is_number, number_of, to_json


@pytest.mark.parametrize("text", ["42", "r42", "R42", "#42"])
def test_a_request_has_three_names(text: str) -> None:
    """As chat, tables and people write it."""
    assert number_of(text) == 42
    assert is_number(text)


@pytest.mark.parametrize("text", ["", "r", "x42", "4 2", "-1", "٤٢", "r42r", "9" * 16, "1e3"])
def test_what_is_no_request_is_said_to_be_none(text: str) -> None:
    """With how it is written."""
    with pytest.raises(UserError, match="write r42"):
        number_of(text)
    assert not is_number(text)


def test_a_hostile_name_is_made_safe() -> None:
    """It is repeated in the error."""
    with pytest.raises(UserError) as raised:
        number_of("\x1b[2J" * 50)
    assert str(raised.value).isprintable()


def test_the_end_of_a_jobs_id_is_no_request() -> None:
    """Ten digits can be the last characters of a job's id."""
    assert not is_number("0123456789")


@given(st.text())
def test_names_never_break(text: str) -> None:
    """A number or a UserError."""
    if is_number(text):
        assert number_of(text) >= 0


def test_bytes_in_json() -> None:
    """Text where they are UTF-8, base64 where not; the document is ASCII."""
    told = to_json({"a": "网".encode(), "b": b"\xff\x00"})
    assert told.isascii()
    assert json.loads(told) == {"a": "网", "b": {"base64": "/wA="}}


def test_what_is_not_json_is_an_error() -> None:
    """Never a guess."""
    with pytest.raises(TypeError, match="set is not JSON"):
        to_json({"a": {1}})
