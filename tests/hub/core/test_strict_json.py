"""Strict JSON: what RFC 8259 allows within the bounds is read; everything else is a BadBody and no other exception."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub.core.strict_json import MAX_DEPTH, MAX_NODES, MAX_STRING, BadBody, parse

YES: list[tuple[str, bytes, Any]] = [
    ("empty object", b"{}", {}),
    ("empty array", b"[]", []),
    ("lonely string", b'"a"', "a"),
    ("lonely number", b"42", 42),
    ("lonely true", b"true", True),
    ("lonely null", b"null", None),
    ("space around", b" \t\r\n[ 1 ,\n2 ]\r\n", [1, 2]),
    ("empty key", b'{"":0}', {"": 0}),
    ("nested", b'{"a":[{"b":null}]}', {"a": [{"b": None}]}),
    ("minus zero", b"-0", 0),
    ("fraction", b"0.5", 0.5),
    ("exponent", b"1E+2", 100.0),
    ("small exponent", b"1e-400", 0.0),
    ("largest integer", b"9223372036854775807", 2**63 - 1),
    ("smallest integer", b"-9223372036854775808", -(2**63)),
    ("all escapes", rb'"\"\\\/\b\f\n\r\t"', '"\\/\b\f\n\r\t'),
    ("escaped NUL", rb'"\u0000"', "\0"),
    ("surrogate pair", rb'"\uD83D\uDE00"', "\U0001f600"),
    ("raw emoji", "\U0001f600".encode().join([b'"', b'"']), "\U0001f600"),
    ("DEL", b'"\x7f"', "\x7f"),
    ("noncharacter", b'"\xef\xbf\xbf"', "\uffff"),
    ("line separator", b'"\xe2\x80\xa8"', "\u2028"),
    ("brackets in a string", b'"' + b"[{" * 100 + b'"', "[{" * 100),
    ("commas in a string", b'"' + b"," * 20_000 + b'"', "," * 20_000),
    ("quote and brackets in a string", b'["' + rb"\"[" * 100 + b'"]', ['"[' * 100]),
    ("as deep as allowed", b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None),
    ("many but not nested", b"[" + b"[]," * 100 + b"[]]", [[]] * 101),
    ("longest string", b'"' + b"a" * MAX_STRING + b'"', "a" * MAX_STRING),
]

NO: list[tuple[str, bytes]] = [
    ("nothing", b""),
    ("only space", b" "),
    ("form feed as space", b"\x0c[]"),
    ("no-break space", b"[\xc2\xa0]"),
    ("byte order mark", b"\xef\xbb\xbf{}"),
    ("UTF-16", "{}".encode("utf-16")),
    ("UTF-16 without mark", "{}".encode("utf-16-le")),
    ("lone continuation byte", b'["\x80"]'),
    ("overlong slash", b'["\xc0\xaf"]'),
    ("overlong NUL", b'["\xc0\x80"]'),
    ("encoded surrogate", b'["\xed\xa0\x80"]'),
    ("beyond Unicode", b'["\xf4\xbf\xbf\xbf"]'),
    ("cut UTF-8", b'["\xe2\x82'),
    ("lone high surrogate", rb'["\uD800"]'),
    ("lone low surrogate", rb'["\uDC00"]'),
    ("surrogates the wrong way round", rb'["\uDE00\uD83D"]'),
    ("high surrogate, then a letter", rb'["\uD83Dx"]'),
    ("lone surrogate as key", rb'{"\uD800":1}'),
    ("NaN", b"[NaN]"),
    ("Infinity", b"[Infinity]"),
    ("minus Infinity", b"[-Infinity]"),
    ("nan", b"[nan]"),
    ("overflowing float", b"[1e400]"),
    ("overflowing negative float", b"[-1e9999]"),
    ("integer of 65 bits", b"[9223372036854775808]"),
    ("negative integer of 65 bits", b"[-9223372036854775809]"),
    ("integer of a million digits", b"1" * 1_000_000),
    ("leading zero", b"[01]"),
    ("negative leading zero", b"[-012]"),
    ("plus", b"[+1]"),
    ("no integer part", b"[.5]"),
    ("no fraction", b"[1.]"),
    ("no exponent", b"[1e]"),
    ("hexadecimal", b"[0x1]"),
    ("underscore", b"[1_000]"),
    ("two signs", b"[--1]"),
    ("minus alone", b"[-]"),
    ("full-width digit", "[１]".encode()),
    ("same key twice", b'{"a":1,"a":1}'),
    ("same key twice, escaped", rb'{"a":1,"\u0061":2}'),
    ("same key twice, deep", b'[{"x":{"a":1,"a":2}}]'),
    ("trailing comma in array", b"[1,]"),
    ("trailing comma in object", b'{"a":1,}'),
    ("comma alone", b"[,]"),
    ("two commas", b"[1,,2]"),
    ("no comma", b"[1 2]"),
    ("no colon", b'{"a" 1}'),
    ("two colons", b'{"a"::1}'),
    ("no value", b'{"a":}'),
    ("unquoted key", b"{a:1}"),
    ("number as key", b"{1:1}"),
    ("single quotes", b"['a']"),
    ("comment", b"[1] // x"),
    ("block comment", b"[/**/1]"),
    ("two values", b"{}{}"),
    ("garbage behind", b"[1]x"),
    ("NUL behind", b"[1]\0"),
    ("unclosed array", b"[1"),
    ("unclosed object", b'{"a":1'),
    ("unclosed string", b'["a'),
    ("closed otherwise", b"[1}"),
    ("closed too often", b"[1]]"),
    ("newline in a string", b'["a\nb"]'),
    ("tab in a string", b'["\t"]'),
    ("NUL in a string", b'["\0"]'),
    ("unknown escape", rb'["\x41"]'),
    ("cut escape", rb'["\u00A"]'),
    ("escape at the end", b'["\\'),
    ("Python words", b"[True, None]"),
    ("capital TRUE", b"[TRUE]"),
    ("cut literal", b"[nul]"),
    ("one too deep", b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)),
    ("one too deep, objects", b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1)),
    ("a bomb of brackets", b"[" * 1_000_000),
    ("a bomb of objects", b'{"a":' * 200_000),
    ("a bomb behind an unclosed string", b'"' + b"[" * 100_000),
    ("too many values", b"[" + b"0," * (MAX_NODES + 1) + b"0]"),
    ("too many empty lists", b"[" + b"[]," * MAX_NODES + b"[]]"),
    ("string too long", b'"' + b"a" * (MAX_STRING + 1) + b'"'),
    ("key too long", b'{"' + b"a" * (MAX_STRING + 1) + b'":1}'),
]


@pytest.mark.parametrize(("data", "value"), [case[1:] for case in YES], ids=[case[0] for case in YES])
def test_what_json_allows_is_read(data: bytes, value: Any) -> None:
    """Every form of RFC 8259 within the bounds gives its value."""
    parsed = parse(data)
    if value is not None or data == b"null":
        assert parsed == value


@pytest.mark.parametrize("data", [case[1] for case in NO], ids=[case[0] for case in NO])
def test_what_json_does_not_allow_is_a_bad_body(data: bytes) -> None:
    """Everything else is refused as BadBody, in a short message."""
    with pytest.raises(BadBody) as caught:
        parse(data)
    assert 0 < len(str(caught.value)) < 120


def test_the_message_does_not_quote_the_body() -> None:
    """A refusal says where it went wrong without repeating what was sent."""
    canary = b"s3cr3tcanary"
    for data in (b"{" + canary, b'{"' + canary + b'":1,"' + canary + b'":2}', b"[" + canary + b"]", canary):
        with pytest.raises(BadBody) as caught:
            parse(data)
        assert canary.decode() not in str(caught.value)


def test_long_strings_pass_only_under_their_key() -> None:
    """The images of a message may be long, other strings may not, and the images' own bound holds."""
    long = b'"' + b"A" * (MAX_STRING + 1) + b'"'
    data = b'{"data":{"images":[' + long + b"]}}"
    assert len(parse(data, long_keys=("images",), long_chars=MAX_STRING + 1)["data"]["images"][0]) == MAX_STRING + 1
    with pytest.raises(BadBody, match="longer than 65536"):
        parse(data)
    with pytest.raises(BadBody, match="longer than 70000"):
        parse(b'{"images":["' + b"A" * 70_001 + b'"]}', long_keys=("images",), long_chars=70_000)
    with pytest.raises(BadBody):
        parse(b'{"images":[{"x":' + long + b"}]}", long_keys=("images",), long_chars=1_000_000)


def test_twelve_megabytes_of_escapes_are_read_in_linear_time() -> None:
    """The scan for brackets has no state that grows with a string."""
    data = b'{"images":["' + rb"\\" * 1_000_000 + b'"],"x":[' + b"[]," * 40 + b"[]]}"
    assert len(parse(data, long_keys=("images",), long_chars=2_000_000)["images"][0]) == 1_000_000


SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_what_json_writes_is_read_back(value: Any, escaped: bool) -> None:
    """Any value within the bounds survives being written and read."""
    assert parse(json.dumps(value, ensure_ascii=escaped).encode()) == value


@given(st.binary(max_size=200))
@example(b"\xff")
def test_bytes_never_raise_anything_else(data: bytes) -> None:
    """Whatever the bytes, the outcome is a value or BadBody."""
    try:
        parse(data)
    except BadBody:
        pass


@given(st.text(alphabet='[]{}",:\\u0d8 1eE.-+NaIn', max_size=60))
def test_what_is_accepted_is_what_the_standard_library_reads(text: str) -> None:
    """The strict reader never reads something as another value than `json` does."""
    try:
        value = parse(text.encode())
    except BadBody:
        return
    assert value == json.loads(text)
    assert not (isinstance(value, float) and math.isnan(value))
