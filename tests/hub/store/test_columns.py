"""The kinds of columns that the tables are made of."""

from __future__ import annotations

import sqlalchemy as sa

from common.lifecycle import JobState
from hub.store.columns import added_column, one_of, text


def test_values_are_spelt_out_in_order() -> None:
    """A partial index serves a query only where both have the same text."""
    assert one_of("state", {JobState.RUNNING, JobState.LEASED}) == "state IN ('leased', 'running')"


def test_a_column_that_was_added_has_a_value_in_older_rows() -> None:
    """Its default is the database's, since the rows are there already."""
    column = added_column(text("code"), "")
    assert isinstance(column.server_default, sa.DefaultClause)
    assert column.server_default.arg == ""
