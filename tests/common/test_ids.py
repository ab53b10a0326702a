"""Names and ids: what passes may be part of a path, a certificate and a command line."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.ids import is_label_value, is_name, is_ulid
from tests.each import each_of

NAMES = ["a", "7", "web-1", "web_1", "db.example.com", "A-Z", "a" * 64, "r2d2"]
NOT_NAMES = [
    *("", ".", "..", "-", "_", "-a", "a-", ".a", "a.", "_a", "a" * 65),
    *("a..b", "a/b", "../a", "a/../b", "/etc", "a\\b", "a b", " a", "a ", "a\n", "\na", "a\x00", "a\tb"),
    *(
        "wéb",
        "web-１",
        "wеb",
        "web\u200b",
        "\u202eweb",
        "名前",
        "a%2fb",
        "a:b",
        "a@b",
        "a*",
        "a?",
        "~a",
        "$a",
        "a;b",
        "a'b",
    ),
]


@each_of("name", NAMES)
def test_ordinary_names_pass(name: str) -> None:
    """Host names, short names, one character, sixty-four."""
    assert is_name(name)


@pytest.mark.parametrize("name", NOT_NAMES, ids=repr)
def test_anything_that_could_be_more_than_a_name_is_refused(name: str) -> None:
    """No traversal, no separator at an end, no look-alike, no control, no line end that a pattern forgives."""
    assert not is_name(name)


@given(st.text(max_size=70) | st.text("ab1._-/", max_size=66))
def test_a_name_is_a_single_harmless_path_part(name: str) -> None:
    """Whatever passes is ASCII, no option, no hidden file, and stays where it is put."""
    if is_name(name):
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name)
        assert name[0].isalnum()
        assert name[-1].isalnum()
        assert ".." not in name


@given(st.integers(0, 2**128 - 1))
def test_every_ulid_passes(number: int) -> None:
    """All 128-bit values in Crockford's base 32."""
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    text = "".join(alphabet[number >> shift & 31] for shift in range(125, -1, -5))
    assert is_ulid(text)
    assert not is_ulid(text.lower()) or text.isdigit()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "01JZ000000000000000000000",
        "01JZ00000000000000000000000",
        "81JZ0000000000000000000000",
        "01JZ000000000000000000000I",
        "01JZ000000000000000000000L",
        "01JZ000000000000000000000O",
        "01JZ000000000000000000000U",
        "01jz0000000000000000000000",
        "01JZ0000000000000000000000\n",
        "01JZ000000000000000000000/",
        "01JZ00000000000000000000.0",
        "０1JZ0000000000000000000000",
    ],
    ids=repr,
)
def test_anything_near_a_ulid_is_refused(text: str) -> None:
    """One too few, one too many, more than 128 bits, letters that are not in the alphabet, lower case."""
    assert not is_ulid(text)


@each_of(("value", "passes"), [("web", True), ("1.2-3_x", True), ("a" * 63, True), ("a" * 64, False)])
def test_label_values_are_short(value: str, passes: bool) -> None:
    """Sixty-three characters at the most."""
    assert is_label_value(value) is passes


@pytest.mark.parametrize("value", ["", "a b", "a=b", "a,b", "é", "a\n", "a/b", "*"], ids=repr)
def test_label_values_hold_nothing_of_the_target_grammar(value: str) -> None:
    """No comma, equals sign, star or space: a label's value cannot be read as another target."""
    assert not is_label_value(value)
