"""The fields of the filter language stand for what the rows of the views have."""

from __future__ import annotations

import pytest

from common.filter_fields import BY_NAME, FIELDS, TEXT, VIEWS, View
from common.lifecycle import JobState, RequestState


@pytest.mark.parametrize("view", VIEWS)
def test_every_name_finds_its_field(view: View) -> None:
    """By its own name and by each alias; names are what the grammar takes for one."""
    for field in FIELDS[view]:
        for name in (field.name, *field.aliases):
            assert BY_NAME[view][name] is field
            assert name.isidentifier()
            assert name == name.lower()


def test_states_are_the_lifecycles() -> None:
    """A state that is added to a lifecycle can be filtered for at once."""
    assert BY_NAME["jobs"]["state"].choices == tuple(state.value for state in JobState)
    assert BY_NAME["requests"]["state"].choices == tuple(state.value for state in RequestState)


@pytest.mark.parametrize("view", VIEWS)
def test_free_text_is_looked_for_somewhere(view: View) -> None:
    """Every view has keys that words without a field are looked for in."""
    assert len(TEXT[view]) == len(set(TEXT[view])) >= 3
