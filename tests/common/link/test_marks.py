"""A hub's position in its own history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.link.marks import MAX_MARK, Mark, parse_mark

START = "9f0c2a7be1d35566"
SEAL = "0" * 32


@given(st.integers(0, 10**14), st.integers(0, 10**14), st.integers(0, 10**14))
def test_a_mark_is_read_as_it_was_written(epoch: int, seq: int, number: int) -> None:
    mark = Mark(epoch, START, seq, number)
    assert parse_mark(str(mark)) == (mark, "")
    assert parse_mark(f"{mark}.{SEAL}") == (mark, SEAL)
    assert len(f"{mark}.{SEAL}") <= MAX_MARK


@pytest.mark.parametrize(
    "text",
    ["", "-", "1", f"1.{START}.2", f"-1.{START}.2.3", f"1.{START.upper()}.2.3", f"1.{START}.2.3.", f"1.{START}.2.3\n",
     f"1.{START}.2.3.{SEAL}0", f"1.{START}.２.3", "9" * 200],
)  # fmt: skip
def test_what_is_no_mark_is_none(text: str) -> None:
    assert parse_mark(text) is None


def test_what_supersedes_what() -> None:
    """A later epoch, or the same start; never another start of the same epoch, nor an older epoch."""
    heard = Mark(4, START, 100, 45)
    assert Mark(5, "a" * 16, 1, 1).supersedes(heard)
    assert Mark(4, START, 90, 45).supersedes(heard)
    assert not Mark(4, "a" * 16, 200, 50).supersedes(heard)
    assert not Mark(3, START, 200, 50).supersedes(heard)
