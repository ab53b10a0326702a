"""An immutable mapping by name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.core.name_map import BUCKETS, NameMap

NAMES = [f"web-{number}" for number in range(3 * BUCKETS)]


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.none() | st.integers())))
def test_it_is_the_mapping_that_its_changes_make(changes: list[tuple[str, int | None]]) -> None:
    """Whatever comes, changes and goes, in whatever order; each mapping before stays as it was."""
    expected: dict[str, int] = {}
    names: NameMap[int] = NameMap()
    for name, value in changes:
        before, was = names, dict(expected)
        if value is None:
            names = names.without_name(name)
            expected.pop(name, None)
        else:
            names = names.with_item(name, value)
            expected[name] = value
        assert dict(before) == was
        assert (name in names, names.get(name)) == (value is not None, value)
    assert (dict(names), len(names)) == (expected, len(expected))
    assert dict(NameMap(expected.items())) == expected


def test_who_was_never_there_changes_nothing() -> None:
    """And the mapping is the same one."""
    names = NameMap([("web-1", 1)])
    assert names.without_name("web-2") is names
