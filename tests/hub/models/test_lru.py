from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.models.lru import Lru


def test_what_was_not_used_for_longest_goes_first() -> None:
    """Reading counts as use."""
    lru = Lru(3, 10_000)
    for key in "abc":
        lru.put(key, b"x")
    assert lru.get("a") == b"x"
    lru.put("d", b"x")
    assert list(lru) == ["c", "a", "d"]
    assert (lru.get("b"), lru.evicted) == (None, 1)


def test_what_does_not_fit_alone_is_not_kept() -> None:
    """Nor is the value that it would replace; others stay."""
    lru = Lru(10, 500)
    lru.put("a", b"x")
    lru.put("b", b"x")
    lru.put("a", b"x" * 400)
    assert list(lru) == ["b"]
    nothing = Lru(0, 500)
    nothing.put("a", b"x")
    assert len(nothing) == 0


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 900), st.booleans()), max_size=80))
def test_the_bounds_hold(steps: list[tuple[str, int, bool]]) -> None:
    """Entries and bytes, whatever is put in, and the bytes are what is there."""
    lru = Lru(4, 2_000)
    for key, size, drop in steps:
        if drop:
            lru.drop(key)
        else:
            lru.put(key, b"x" * size)
        assert len(lru) <= 4
        assert lru.bytes <= 2_000
        assert lru.bytes == sum(len(k) + len(lru._values[k]) + Lru.OVERHEAD for k in lru)
    lru.clear()
    assert (len(lru), lru.bytes) == (0, 0)
