"""An immutable set of names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.core.name_set import BUCKETS, NameSet

NAMES = [f"web-{number}" for number in range(3 * BUCKETS)]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(NAMES))))
def test_it_is_the_set_that_its_changes_make(changes: list[tuple[bool, str]]) -> None:
    """Whatever comes and goes, in whatever order; each set before stays as it was."""
    expected: set[str] = set()
    names = NameSet()
    for come, name in changes:
        before, was = names, set(expected)
        names = names.with_name(name) if come else names.without_name(name)
        expected = expected | {name} if come else expected - {name}
        assert set(before) == was
        assert (name in names) is come
    assert (set(names), len(names)) == (expected, len(expected))
    assert set(NameSet(expected)) == expected


def test_what_changes_nothing_is_the_same_set() -> None:
    """Who is there already, and who was never there."""
    names = NameSet(["web-1"])
    assert names.with_name("web-1") is names
    assert names.without_name("web-2") is names
