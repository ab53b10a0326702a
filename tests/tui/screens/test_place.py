"""Where a cursor was, and whether it has passed to another row by itself."""

from __future__ import annotations

from tui.screens.place import REPLACED_GRACE, CursorPlace, update_place

R41 = CursorPlace("a", "r41")


def test_a_row_that_goes_leaves_its_title_for_a_while() -> None:
    """The next row asks for a second press for some seconds, or until the operator has been told."""
    place = update_place(R41, "b", "r42", 0, True, 10.0)
    assert (place.row_id, place.title) == ("b", "r42")
    assert place.replaced_title("b", 10.0 + REPLACED_GRACE - 0.1) == "r41"
    assert place.replaced_title("b", 10.0 + REPLACED_GRACE) == ""
    assert place.acknowledged().replaced_title("b", 10.0) == ""
    assert place.replaced_title("c", 10.0) == ""  # gone to by hand since


def test_shown_again_it_stays_as_it_was() -> None:
    """The same row keeps what is known of the passing; a title that is not known any more is kept."""
    place = update_place(R41, "b", "r42", 0, True, 10.0)
    again = update_place(place, "b", "", 0, False, 11.0)
    assert again.replaced_title("b", 11.0) == "r41"
    assert again.title == "r42"


def test_behind_a_dialog_it_counts_from_when_it_is_seen() -> None:
    """Nobody has noticed what nobody could see."""
    place = update_place(R41, "b", "r42", 0, True, 10.0).restart_grace(60.0)
    assert place.replaced_title("b", 60.0) == "r41"


def test_what_is_no_passing() -> None:
    """Moved by hand to another row of the list, another list, or the first row there is."""
    assert update_place(R41, "b", "r42", 0, False, 10.0).replaced_title("b", 10.0) == ""
    assert update_place(R41, "b", "r42", 1, True, 10.0).replaced_title("b", 10.0) == ""
    assert update_place(None, "b", "r42", 0, True, 10.0).replaced_title("b", 10.0) == ""
    assert update_place(CursorPlace(), "b", "r42", 0, True, 10.0).replaced_title("b", 10.0) == ""
    assert update_place(R41, None, "", 0, True, 10.0).row_id == ""
