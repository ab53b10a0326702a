"""tui.text.tables: tables and lines for terminals; whatever is in them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.api.jobs import JobView
from tests.each import each_of
from tui.text import tables


def test_columns_are_aligned_by_cells() -> None:
    """Wide characters take two cells; the last column is not padded."""
    told = tables.render_table(["NAME", "STATE"], [["web-1", "online"], ["网站", "up"]])
    assert told.splitlines() == ["NAME   STATE", "web-1  online", "网站   up"]


def test_a_table_without_rows_is_empty() -> None:
    """The caller then says what that means."""
    assert tables.render_table(["NAME"], []) == ""


def test_cells_are_cut_but_for_the_last() -> None:
    """A command is never cut: what is not shown could be what matters."""
    told = tables.render_table(["A", "B"], [["x" * 100, "y" * 100]], most=10)
    assert told.splitlines()[1] == "x" * 9 + "…  " + "y" * 100


def test_hostile_cells_are_shown_as_what_they_are() -> None:
    """No control byte, no line of one's own, no colour."""
    told = tables.render_table(["A", "B"], [["a\x1b[2J", "b\nfake  row"]])
    assert told.splitlines()[1] == "a\\x1b[2J  b\\nfake  row"


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=5))
def test_a_table_has_a_line_a_row_and_no_control_bytes(rows: list[tuple[str, str]]) -> None:
    """Whatever the cells hold."""
    lines = tables.render_table(["A", "B"], rows).split("\n")
    assert len(lines) == len(rows) + 1
    assert all(line.isprintable() or "\u3000" in line for line in lines)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])), st.integers(1, 20))
def test_cut_keeps_within_its_cells(text: str, cells: int) -> None:
    """A wide character is never halved."""
    assert tables.cell_width(tables.truncate_cells(text, cells)) <= cells
    if tables.cell_width(text) <= cells:
        assert tables.truncate_cells(text, cells) == text


@each_of(
    ("seconds", "told"),
    [(None, "-"), (-5, "0s"), (4.9, "4s"), (192, "3m12s"), (7_500, "2h05m"), (275_000, "3d04h")],
)
def test_ages(seconds: float | None, told: str) -> None:
    """Two units at most."""
    assert tables.age(seconds) == told


@each_of(
    ("count", "told"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 1024**2, "5.0 MiB"), (4096 * 1024**3, "4096.0 GiB")],
)
def test_sizes(count: int, told: str) -> None:
    """Binary units up to GiB."""
    assert tables.format_size(count) == told


def test_moments_are_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the second, in the reader's time zone and with its name."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert tables.format_local_time(0.0) == "1970-01-01 08:00:00 CST"
    finally:
        monkeypatch.undo()
        time.tzset()
    assert tables.format_local_time(None) == "-"


def test_commands_are_exact() -> None:
    """Another vector, another text; nothing in it hidden."""
    assert tables.quote_command(["ls", "a b"]) != tables.quote_command(["ls", "a", "b"])
    assert tables.quote_command(["echo", "\u202e"]) == '["echo", "\\u202e"]'
    assert tables.quote_command(None) == "-"


@each_of(
    ("end", "told"),
    [
        ({"state": "succeeded", "exit_code": 0}, "succeeded"),
        ({"state": "failed", "exit_code": 7}, "failed (exit 7)"),
        ({"state": "failed", "exit_code": None, "signal": 9}, "failed (signal 9)"),
        ({"state": "unknown", "reason": "the machine was\x07 lost"}, "unknown: the machine was\\x07 lost"),
    ],
)
def test_how_a_job_ended(end: dict[str, Any], told: str) -> None:
    """State, exit status or signal, and the reason made safe."""
    job = JobView(id="J", request="R", agent="web-1", person="bob", queued_at=0.0, **end)
    assert tables.describe_end(job) == told


def test_what_is_lost_or_left_is_told_beside_the_end() -> None:
    """One safe line each; output over its cap has no note and is a loss all the same."""
    job = JobView(id="J", request="R", agent="web-1", person="bob", state="succeeded", queued_at=0.0)
    assert (tables.describe_notes(job), tables.has_lost_output(job)) == ([], False)
    noted = replace(job, notes=("left 7 a\x1b[2Jb", "lost 2048"))
    lost, left = tables.describe_notes(noted)
    assert lost.startswith("Lost: 2.0 KiB") or lost.startswith("Lost: 2 KiB"), lost
    assert "\x1b" not in left
    assert tables.has_lost_output(noted)
    assert tables.has_loss_note(noted)
    assert tables.has_lost_output(replace(job, truncated=True))
    assert not tables.has_loss_note(replace(job, truncated=True))
