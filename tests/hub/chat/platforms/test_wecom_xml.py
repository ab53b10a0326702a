"""The XML of WeCom's callbacks: fields under one root, and a refusal for everything that is more."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.chat.platforms.wecom_xml import MAX_DEPTH, MAX_ELEMENTS, MAX_TEXT, read_fields
from hub.core.strict_json import BadBody
from tests.each import each_of


def test_fields_are_read_with_their_text() -> None:
    """CDATA, plain text, references and other languages; what is nested is not read."""
    document = (
        "<xml><A><![CDATA[<b>&amp;]]></A><B>1 &lt; 2 &#20013;</B><C/>\n<D><E>x</E></D><F>你好 🙂</F></xml>".encode()
    )
    assert read_fields(document) == {"A": "<b>&amp;", "B": "1 < 2 中", "C": "", "D": "", "F": "你好 🙂"}


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9))
    + b"]><xml><A>&j;</A></xml>"
)


@each_of(
    ("document", "why"),
    [
        (b"", "not XML"),
        (b"hello", "not XML"),
        (b"<xml>", "not XML"),
        (b"<xml></xml><xml></xml>", "not XML"),
        (b"<xml><A>\xff</A></xml>", "not XML"),
        (b"<xml><A>\x00</A></xml>", "not XML"),
        (b"<xml><A>&secret;</A></xml>", "not XML"),
        ("<xml/>".encode("utf-16"), "not XML"),
        (b"<!DOCTYPE xml><xml/>", "DOCTYPE"),
        (b'<!DOCTYPE xml SYSTEM "http://127.0.0.1/x.dtd"><xml/>', "DOCTYPE"),
        (b'<!DOCTYPE xml [<!ENTITY f SYSTEM "file:///etc/passwd">]><xml><A>&f;</A></xml>', "DOCTYPE"),
        (BOMB, "DOCTYPE"),
        (b"<?php x ?><xml/>", "processing instruction"),
        (b"<xml><A>1</A><A>2</A></xml>", "same field twice"),
        (b"<xml>" + b"<A>" * MAX_DEPTH + b"</A>" * MAX_DEPTH + b"</xml>", "deeper"),
        (b"<xml>" + b"<A/>" * MAX_ELEMENTS + b"</xml>", "twice"),
        (b"<xml>" + b"".join(b"<A%d/>" % i for i in range(MAX_ELEMENTS)) + b"</xml>", "elements"),
        (b"<xml><A>" + b"x" * (MAX_TEXT + 1) + b"</A></xml>", "longer"),
    ],
)
def test_what_is_more_is_refused(document: bytes, why: str) -> None:
    """By name, before anything is expanded or fetched."""
    with pytest.raises(BadBody, match=why):
        read_fields(document)


def test_the_largest_field_passes() -> None:
    """One character less than too many."""
    assert len(read_fields(b"<xml><A>" + b"x" * MAX_TEXT + b"</A></xml>")["A"]) == MAX_TEXT


def test_a_bomb_costs_no_memory() -> None:
    """Ten to the ninth characters are refused in a few kilobytes."""
    tracemalloc.start()
    try:
        with pytest.raises(BadBody):
            read_fields(BOMB)
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=200) | st.text(alphabet="<>/!&;[]AaxmlCDT\"'= \n中", max_size=200).map(str.encode))
def test_any_bytes_are_fields_or_a_refusal(document: bytes) -> None:
    """And never another exception."""
    try:
        fields = read_fields(document)
    except BadBody:
        return
    assert all(isinstance(value, str) for value in fields.values())
