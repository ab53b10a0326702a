"""Keys that are held down."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.terminal.key_repeat import KeyRepeat


def test_a_key_that_comes_again_and_again_is_held_until_it_rests() -> None:
    """From the second on, however long it goes on; after a rest it is pressed anew."""
    held, at = KeyRepeat(), 100.0
    assert not held.is_repeat("r", at)
    assert held.is_repeat("r", at := at + 0.6)
    for _ in range(200):
        assert held.is_repeat("r", at := at + 0.03)
    assert held.is_repeat("r", at := at + KeyRepeat.REPEAT_WITHIN - 0.01)
    assert not held.is_repeat("r", at + KeyRepeat.REPEAT_WITHIN)


def test_another_key_or_the_mouse_in_between() -> None:
    """A key that is held sends no other, and no hand is at the mouse."""
    held = KeyRepeat()
    assert not held.is_repeat("r", 1.0)
    assert not held.is_repeat("j", 1.1)
    assert not held.is_repeat("r", 1.2)
    held.reset()
    assert not held.is_repeat("r", 1.3)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0.0, 2.0)), max_size=30))
def test_held_means_the_same_key_soon_after(presses: list[tuple[str, float]]) -> None:
    """Never of the first key, of another key, or after a rest; always of the same one within it."""
    held, at, before = KeyRepeat(), 0.0, ""
    for key, gap in presses:
        at += gap
        assert (
            held.is_repeat(key, at) is (key == before and gap < KeyRepeat.REPEAT_WITHIN)
            or abs(gap - KeyRepeat.REPEAT_WITHIN) < 1e-9
        )
        before = key
