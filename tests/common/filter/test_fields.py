"""The fields of the filter language stand for what the rows of the views have."""

from __future__ import annotations

from common.filter.fields import FIELDS, FIELDS_BY_NAME, SEARCH_KEYS, VIEWS, ViewName
from common.lifecycle import JobState, RequestState
from tests.each import each_of


@each_of("view", VIEWS)
def test_every_name_finds_its_field(view: ViewName) -> None:
    """By its own name and by each alias; names are what the grammar takes for one."""
    for field in FIELDS[view]:
        for name in (field.name, *field.aliases):
            assert FIELDS_BY_NAME[view][name] is field
            assert name.isidentifier()
            assert name == name.lower()


def test_states_are_the_lifecycles() -> None:
    """A state that is added to a lifecycle can be filtered for at once."""
    assert FIELDS_BY_NAME["jobs"]["state"].choices == tuple(state.value for state in JobState)
    assert FIELDS_BY_NAME["requests"]["state"].choices == tuple(state.value for state in RequestState)


@each_of("view", VIEWS)
def test_free_text_is_looked_for_somewhere(view: ViewName) -> None:
    """Every view has keys that words without a field are looked for in."""
    assert len(SEARCH_KEYS[view]) == len(set(SEARCH_KEYS[view])) >= 3
