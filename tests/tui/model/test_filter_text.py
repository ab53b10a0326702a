"""A filter's text on the screen: what is wrong with it, and where; completion at its end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.model.filter_text import FilterProblem, check_filter, complete_view_filter, split_parts


def test_a_good_filter_has_no_problem() -> None:
    """What the hub would take is not complained about; unknown views are the hub's."""
    assert check_filter("jobs", "state:running agent:web-*", "en") is None
    assert check_filter("lanes", "%%%", "en") is None


def test_a_wrong_filter_is_shown_where_it_is_wrong() -> None:
    """The piece at fault is marked, the rest is shown as typed."""
    problem = check_filter("jobs", "state:sleeping", "en")
    assert problem is not None
    assert problem.position is not None
    pieces = split_parts("state:sleeping", problem)
    assert "".join(piece.text for piece in pieces) == "state:sleeping"
    assert any(piece.wrong for piece in pieces)
    assert check_filter("jobs", "state:sleeping", "zh") != problem


def test_completion_keeps_what_was_typed() -> None:
    """Each choice begins with the text before the word."""
    found = complete_view_filter("jobs", "agent:web-1 sta")
    assert any(text.startswith("agent:web-1 state") for text in found)
    assert any(text.endswith("web-7") for text in complete_view_filter("jobs", "agent:we", ["web-7"]))


@given(st.text(max_size=40), st.integers(-5, 60), st.one_of(st.none(), st.integers(-5, 60)))
def test_the_parts_are_the_text(text: str, position: int, end: int | None) -> None:
    """Wherever a problem claims to be, nothing of the text is lost."""
    assert "".join(piece.text for piece in split_parts(text, FilterProblem("x", position, end))) == text
