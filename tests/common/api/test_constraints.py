"""Bounds that are declared with a field."""

from __future__ import annotations

from typing import Any

import pytest

from common.api import constraints as c
from common.fields import MAX_TIME, BadField, build_validator
from tests.each import each_of

CASES: list[tuple[c.Constraint, Any, list[Any], list[Any]]] = [
    (c.Chars(3), str, ["", "abc"], ["abcd", 1, None, ["a"]]),
    (c.Chars(3, 1, "some is expected"), str, ["a"], ["", "abcd"]),
    (c.Whole(0, 9), int, [0, 9], [-1, 10, True, 1.0, "1"]),
    (c.Whole(0, 9), int | None, [0, None], [10]),
    (c.Range(0, 2), float, [0.0, 2.0, 1.5], [-0.1, 2.1, True, "1", float("nan")]),
    (c.Words(2), tuple[str, ...], [("a",), ("a", "")], [(), ("a",) * 3, ("a", 1), "ab", None]),
    (c.Items(2, "things"), tuple[str, ...], [(), ("a", "b")], [("a",) * 3, "ab"]),
    (c.Matches("[a-z]+", "letters are expected"), str, ["abc"], ["", "a1", "a\n", 1]),
    (c.TIME, float, [0.0, MAX_TIME], [-1.0, MAX_TIME * 2, "1", float("nan")]),
    (c.TIME, float | None, [None, 1.0], [-1]),
]


@each_of(("constraint", "hint", "good", "bad"), CASES)
def test_the_bounds_are_within_and_what_lies_behind_is_not(
    constraint: c.Constraint, hint: Any, good: list[Any], bad: list[Any]
) -> None:
    """A value comes out as it went in, or not at all."""
    check = constraint.on(build_validator(hint))
    for value in good:
        assert check(value) == value
    for value in bad:
        with pytest.raises(BadField):
            check(value)


def test_what_is_brought_into_bounds() -> None:
    """Clamped, or taken as the default."""
    clamp = c.Clamp(1, 5, 3).on(build_validator(int))
    assert [clamp(value) for value in (None, -9, 4, 99)] == [3, 1, 4, 5]
    with pytest.raises(BadField, match=r"^a whole number is expected$"):
        clamp("4")
    fallback = c.Fallback("x").on(build_validator(str))
    assert [fallback(value) for value in ("a", 1)] == ["a", "x"]


def test_where_an_error_is() -> None:
    """From the inside outwards."""
    inner = c.BadValue.at("state", BadField("why"))
    assert str(c.BadValue.at("rows", c.BadValue.at("3", inner))) == "rows.3.state: why"
    assert str(c.BadValue.at("rows", c.BadValue("", "why"))) == "rows: why"
