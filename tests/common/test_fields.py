"""Checkers: one value against one type hint."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.fields import MAX_BYTES, MAX_INT, MAX_STR, MAX_TIME, BadField, build_validator, is_time, with_rule
from tests.each import each_of

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
    max_leaves=6,
)
HINTS = [str, bytes, int, float, bool, str | None, int | None, tuple[str, ...], dict[str, int], dict[str, float] | None]


@pytest.mark.parametrize("hint", HINTS)
@given(value=ANYTHING)
def test_a_checked_value_is_of_the_type_and_stays_what_it_is(hint: Any, value: Any) -> None:
    """Whatever comes, it is refused as BadField, or what comes out passes again unchanged."""
    check = build_validator(hint)
    try:
        checked = check(value)
    except BadField:
        return
    assert check(checked) == checked
    assert checked == (tuple(value) if isinstance(value, list) else value)


TAKEN: list[tuple[Any, Any, Any]] = [
    (str, "x" * MAX_STR, "x" * MAX_STR),
    (bytes, b"x" * MAX_BYTES, b"x" * MAX_BYTES),
    (int, 0, 0),
    (int, MAX_INT, MAX_INT),
    (float, -1.5, -1.5),
    (float, 3, 3.0),
    (bool, False, False),
    (int | None, None, None),
    (tuple[str, ...], ["a"], ("a",)),
    (tuple[str, ...], ("a",), ("a",)),
    (dict[str, int], {"a": 1}, {"a": 1}),
    (Any, {"what": [b"ever"]}, {"what": [b"ever"]}),
]


@each_of(("hint", "value", "expected"), TAKEN)
def test_values_within_bounds_come_out_in_python_form(hint: Any, value: Any, expected: Any) -> None:
    """Up to and including the bound; arrays as tuples, whole numbers as floats where a float is meant."""
    checked = build_validator(hint)(value)
    assert checked == expected
    assert type(checked) is type(expected)


@each_of(
    ("hint", "value"),
    [
        (str, b"bytes"),
        (str, "x" * (MAX_STR + 1)),
        (bytes, "text"),
        (bytes, bytearray(b"x")),
        (bytes, b"x" * (MAX_BYTES + 1)),
        (int, True),
        (int, 1.0),
        (int, -1),
        (int, MAX_INT + 1),
        (float, False),
        (float, "1"),
        (float, MAX_INT + 1),
        (float, float("nan")),
        (float, float("inf")),
        (bool, 0),
        (bool, None),
        (int | None, "none"),
        (tuple[str, ...], "ab"),
        (tuple[str, ...], [1]),
        (dict[str, int], [("a", 1)]),
        (dict[str, int], {1: 1}),
        (dict[str, int], {"a": "1"}),
    ],
)
def test_values_out_of_bounds_or_of_another_type_are_refused(hint: Any, value: Any) -> None:
    """One past the bound, and every near miss of a type: a bool is no number, a string no list of strings."""
    with pytest.raises(BadField):
        build_validator(hint)(value)


def test_an_unknown_hint_is_a_programming_error() -> None:
    """A field of a type without a checker fails when the messages are defined, not when one arrives."""
    with pytest.raises(KeyError):
        build_validator(complex)


def test_a_rule_is_asked_after_the_type() -> None:
    """The rule never sees a value of another type."""
    check = with_rule(build_validator(str), {"a", "b"}.__contains__)
    assert check("a") == "a"
    with pytest.raises(BadField, match="not among"):
        check("c")
    with pytest.raises(BadField, match="str was expected"):
        check(["unhashable"])


def test_a_time_can_be_shown_by_a_calendar() -> None:
    """From 1970 to the end of 9999."""
    assert is_time(0.0)
    assert is_time(MAX_TIME)
    assert not is_time(-0.1)
    assert not is_time(MAX_TIME + 1)
