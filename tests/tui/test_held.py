"""Keys that are held down."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.held import Held


def test_a_key_that_comes_again_and_again_is_held_until_it_rests() -> None:
    """From the second on, however long it goes on; after a rest it is pressed anew."""
    held, at = Held(), 100.0
    assert not held.press("r", at)
    assert held.press("r", at := at + 0.6)
    for _ in range(200):
        assert held.press("r", at := at + 0.03)
    assert held.press("r", at := at + Held.WITHIN - 0.01)
    assert not held.press("r", at + Held.WITHIN)


def test_another_key_or_the_mouse_in_between() -> None:
    """A key that is held sends no other, and no hand is at the mouse."""
    held = Held()
    assert not held.press("r", 1.0)
    assert not held.press("j", 1.1)
    assert not held.press("r", 1.2)
    held.let_go()
    assert not held.press("r", 1.3)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0.0, 2.0)), max_size=30))
def test_held_means_the_same_key_soon_after(presses: list[tuple[str, float]]) -> None:
    """Never of the first key, of another key, or after a rest; always of the same one within it."""
    held, at, before = Held(), 0.0, ""
    for key, gap in presses:
        at += gap
        assert held.press(key, at) is (key == before and gap < Held.WITHIN) or abs(gap - Held.WITHIN) < 1e-9
        before = key
