"""tui.show: tables and lines for terminals; whatever is in them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui import show


def test_columns_are_aligned_by_cells() -> None:
    """Wide characters take two cells; the last column is not padded."""
    told = show.table(["NAME", "STATE"], [["web-1", "online"], ["网站", "up"]])
    assert told.splitlines() == ["NAME   STATE", "web-1  online", "网站   up"]


def test_a_table_without_rows_is_empty() -> None:
    """The caller then says what that means."""
    assert show.table(["NAME"], []) == ""


def test_cells_are_cut_but_for_the_last() -> None:
    """A command is never cut: what is not shown could be what matters."""
    told = show.table(["A", "B"], [["x" * 100, "y" * 100]], most=10)
    assert told.splitlines()[1] == "x" * 9 + "…  " + "y" * 100


def test_hostile_cells_are_shown_as_what_they_are() -> None:
    """No control byte, no line of one's own, no colour."""
    told = show.table(["A", "B"], [["a\x1b[2J", "b\nfake  row"]])
    assert told.splitlines()[1] == "a\\x1b[2J  b\\nfake  row"


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=5))
def test_a_table_has_a_line_a_row_and_no_control_bytes(rows: list[tuple[str, str]]) -> None:
    """Whatever the cells hold."""
    lines = show.table(["A", "B"], rows).split("\n")
    assert len(lines) == len(rows) + 1
    assert all(line.isprintable() or "\u3000" in line for line in lines)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])), st.integers(1, 20))
def test_cut_keeps_within_its_cells(text: str, cells: int) -> None:
    """A wide character is never halved."""
    assert show.width(show.cut(text, cells)) <= cells
    if show.width(text) <= cells:
        assert show.cut(text, cells) == text


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(None, "-"), (-5, "0s"), (4.9, "4s"), (192, "3m12s"), (7_500, "2h05m"), (275_000, "3d04h")],
)
def test_ages(seconds: float | None, told: str) -> None:
    """Two units at most."""
    assert show.age(seconds) == told


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 1024**2, "5.0 MiB"), (4096 * 1024**3, "4096.0 GiB")],
)
def test_sizes(count: int, told: str) -> None:
    """Binary units up to GiB."""
    assert show.size(count) == told


def test_moments_are_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the second, in the reader's time zone."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert show.moment(0.0) == "1970-01-01 08:00:00"
    finally:
        monkeypatch.undo()
        time.tzset()
    assert show.moment(None) == "-"


def test_commands_are_exact() -> None:
    """Another vector, another text; nothing in it hidden."""
    assert show.command(["ls", "a b"]) != show.command(["ls", "a", "b"])
    assert show.command(["echo", "\u202e"]) == '["echo", "\\u202e"]'
    assert show.command(None) == "-"


@pytest.mark.parametrize(
    ("job", "told"),
    [
        ({"state": "succeeded", "exit_code": 0}, "succeeded"),
        ({"state": "failed", "exit_code": 7}, "failed (exit 7)"),
        ({"state": "failed", "exit_code": None, "signal": 9}, "failed (signal 9)"),
        ({"state": "unknown", "reason": "the machine was\x07 lost"}, "unknown: the machine was\\x07 lost"),
    ],
)
def test_how_a_job_ended(job: dict[str, object], told: str) -> None:
    """State, exit status or signal, and the reason made safe."""
    assert show.end_of(job) == told
