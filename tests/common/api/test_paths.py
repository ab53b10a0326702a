"""Values of typed rows by name, as the filter language names them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.api.agents import AgentView
from common.api.codec import encode
from common.api.lists import ROWS
from common.api.paths import has_path
from common.filter.fields import FIELDS, SEARCH_KEYS, VIEWS, ViewName
from common.filter.match import row_value
from common.filter.paths import getter
from tests.common.api.values import objects
from tests.each import each_of

PATHS = {view: sorted({field.key for field in FIELDS[view]} - {""} | set(SEARCH_KEYS[view])) for view in VIEWS}


@each_of(("view", "path"), [(view, path) for view in VIEWS for path in PATHS[view]])
def test_a_row_has_what_the_filter_language_names(view: ViewName, path: str) -> None:
    """Every field, and every text that is searched; but a job's labels, which are its machine's."""
    assert has_path(ROWS[view], path) is ((view, path) != ("jobs", "labels"))
    assert not has_path(ROWS[view], "nothing.of")
    assert not has_path(ROWS[view], path.partition(".")[0] + "x")


@pytest.mark.parametrize("view", VIEWS)
@settings(max_examples=20)
@given(data=st.data())
def test_the_value_is_that_of_the_key(view: ViewName, data: st.DataObject) -> None:
    """Of the typed row what `row_value` finds in the map of it; what is left out there may be empty here."""
    row = data.draw(objects(ROWS[view]))
    plain = encode(row)
    for path in PATHS[view]:
        found: Any = getter(path)(row)
        there = list(found) if isinstance(found, tuple) else found
        assert there == row_value(plain, path) or not there


def test_on_the_way_there_may_be_nothing() -> None:
    """A map without the key, or nothing at all."""
    agent = AgentView(name="web-1", state="active", online=True, facts={"os": "linux"})
    found = [getter(path)(agent) for path in ("facts.os", "facts.arch", "draining.left", "draining", "nothing", "a.b")]
    assert found == ["linux", None, None, None, None, None]
    assert getter("is_bad")(dataclasses.replace(agent, online=False)) is True
