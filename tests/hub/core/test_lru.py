from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.core.lru import Lru


def test_what_was_not_used_for_longest_goes_first() -> None:
    """Reading counts as use, looking does not."""
    lru: Lru[str, bytes] = Lru(3, 10_000)
    for key in "abc":
        assert lru.put(key, b"x") == []
    assert (lru.get("a"), lru.peek("b")) == (b"x", b"x")
    assert lru.put("d", b"x") == ["b"]
    assert list(lru) == list(lru.keys()) == ["c", "a", "d"]
    assert (lru.get("b"), lru.peek("b"), lru.evicted) == (None, None, 1)


def test_what_does_not_fit_alone_is_not_kept() -> None:
    """Nor is the value that it would replace; others stay."""
    lru: Lru[str, bytes] = Lru(10, 500)
    lru.put("a", b"x", 201)
    lru.put("b", b"x", 201)
    assert lru.put("a", b"y", 601) == []
    assert list(lru) == ["b"]
    nothing: Lru[str, bytes] = Lru(0, 500)
    nothing.put("a", b"x", 1)
    assert len(nothing) == 0


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(200, 1_100), st.booleans()), max_size=80))
def test_the_bounds_hold(steps: list[tuple[str, int, bool]]) -> None:
    """Entries and size, whatever is put in; the size is that of what is there, and what made room is told."""
    lru: Lru[str, int] = Lru(4, 2_000)
    there: dict[str, int] = {}
    for key, size, drop in steps:
        there.pop(key, None)
        if drop:
            lru.pop(key)
        else:
            for removed in lru.put(key, size, size):
                del there[removed]
            there[key] = size
        assert len(lru) <= 4
        assert lru.size <= 2_000
        assert lru.size == sum(there.values())
        assert set(lru) == set(there)
    lru.clear()
    assert (len(lru), lru.size) == (0, 0)
