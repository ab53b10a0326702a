"""What did not open is named once, and bounded."""

from __future__ import annotations

from hub.store.broken import MAX_PLACES, BrokenValues


def test_each_place_is_told_once_and_their_number_is_bounded() -> None:
    broken = BrokenValues()
    for number in range(2 * MAX_PLACES):
        broken.note(f"jobs|command|{number % (MAX_PLACES + 5)}", "changed")
    assert broken.more
    assert len(broken.places()) == MAX_PLACES
    assert broken.take(3) == [(f"jobs|command|{number}", "changed") for number in range(3)]
    assert len(broken.take(9_999)) == MAX_PLACES - 3
    broken.note("jobs|command|0", "changed")
    assert broken.take(9) == []
