"""What stands in the place of a sealed value that does not open."""

from __future__ import annotations

import json

from hub.core.unreadable import is_unreadable, unreadable


def test_it_names_its_place_in_the_form_that_was_expected() -> None:
    place = "events|data|7"
    assert str(unreadable(place)) == "(unreadable: events|data|7 was changed outside the hub)"
    assert unreadable(place, binary=True).startswith(b"(unreadable: events|data|7")
    assert json.loads(str(unreadable(place, is_json=True))) == {"unreadable": place}
    assert all(is_unreadable(unreadable(place, binary=binary)) for binary in (True, False))


def test_what_somebody_wrote_is_not_taken_for_it() -> None:
    """It is known by its type, not by its words."""
    assert not is_unreadable(str(unreadable("jobs|command|7"))[:])
    assert not is_unreadable("(unreadable: jobs|command|7 was changed outside the hub)")
