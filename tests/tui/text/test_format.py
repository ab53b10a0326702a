"""What stands in cells: words, numbers, ages, sparklines, cut by cells."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from common.times import utc
from tests.each import each_of
from tui.text import format as form


@given(st.text(max_size=30), st.integers(0, 40), st.booleans())
def test_fit_is_exactly_as_wide_as_asked(text: str, cells: int, right: bool) -> None:
    """Padded or cut, wide characters never halved."""
    assert cell_len(form.fit_cells(form.one_line(text), cells, right=right)) == cells


@given(st.text(alphabet="ab 汉字", max_size=60), st.integers(2, 20))
def test_wrap_keeps_every_character_but_spaces(text: str, cells: int) -> None:
    """No line is too wide, nothing but the blanks at line ends is lost."""
    lines = form.wrap(text, cells)
    assert all(cell_len(line) <= cells for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@each_of(
    ("seconds", "text"),
    [
        (None, "-"),
        (float("nan"), "-"),
        (0.0, "0s"),
        (59.9, "59s"),
        (252, "4m12s"),
        (1900, "31m"),
        (7500, "2h05m"),
        (273_600, "3d04h"),
    ],
)
def test_ages(seconds: float | None, text: str) -> None:
    """Two units at most; the longer, the coarser."""
    assert form.format_age(seconds) == text


@each_of(
    ("seconds", "text"),
    [(None, "-"), (-1, "-"), (0.0042, "4.2ms"), (0.31, "310ms"), (1.44, "1.4s"), (61, "61s"), (248, "4m08s")],
)
def test_latencies(seconds: float | None, text: str) -> None:
    """A number with its unit."""
    assert form.format_latency(seconds) == text


def test_numbers() -> None:
    """Short, with their unit, and a dash where nothing is known."""
    assert (form.format_number(98_311), form.format_short_number(98_311), form.format_short_number(1_200_000)) == (
        "98,311",
        "98.3k",
        "1.2M",
    )
    assert (form.format_rate(3.14), form.format_rate(250), form.format_percent(0.007), form.format_rate(None)) == (
        "3.1",
        "250",
        "0.7%",
        "-",
    )


def test_times_are_in_the_readers_zone_and_say_so() -> None:
    """Its name behind a moment, `Z` for UTC; the bare time of day is for columns."""

    def tokyo(at: float) -> tuple[int, str]:
        return 32_400, "JST"

    assert (form.format_clock(0.0, tokyo), form.format_clock(None, tokyo)) == ("09:00:00", "-")
    assert (form.zone_mark(0.0, utc), form.zone_mark(0.0, tokyo)) == ("Z", " JST")
    assert form.format_moment(0.0, 60.0, utc) == "00:00:00Z"
    assert form.format_moment(0.0, 60.0, tokyo) == "09:00:00 JST"
    assert form.format_moment(0.0, 1e9, tokyo) == "1970-01-01 09:00:00 JST"
    assert form.format_moment(None, 1e9, tokyo) == "-"


def test_sparklines() -> None:
    """From 0 to the highest; a gap is a blank; ASCII has its own bars; exactly as wide as asked."""
    assert form.sparkline([0, 1, 2, None, 4], 5) == "▁▃▅ █"
    assert form.sparkline([0, 4], 4, plain=True) == "  _#"
    assert form.sparkline([], 3) == "   "
    assert form.sparkline([float("inf"), 1], 2) == " █"
    assert form.sparkline([1, 2, 3], 0) == ""


def test_a_command_is_plain_only_where_it_is() -> None:
    """The usual folder is left out, blanks are quoted, and what cannot be seen is shown in the exact form."""
    assert form.format_command(["/usr/bin/df", "-h"]) == "df -h"
    assert form.format_command(["/opt/tool", "-h"]) == "/opt/tool -h"
    assert form.format_command(["echo", "a b"]) == "echo 'a b'"
    assert "\x1b" not in form.format_command(["echo", "\x1b[2J"])
    assert form.format_command(None) == "-"


def test_hostile_values_become_one_safe_line() -> None:
    """Anything from outside, whatever its type."""
    assert form.one_line("a\nb\x1b]0;x\x07") == "a\\nb\\x1b]0;x\\x07"
    assert form.one_line(5) == "5"
    assert form.short_id("01JDZZZZZZZZZZZZZZZZABCDEF") == "abcdef"


def test_a_command_in_a_cell_begins_with_what_runs() -> None:
    """A long folder gives way to a sign of it; what is quoted, short or no path stays as it is."""
    assert form.abbreviate_command("/opt/somewhere/far/away/dump-db nightly", "…") == "…/dump-db nightly"
    assert form.abbreviate_command("/opt/somewhere/far/away/dump-db", "~") == "~/dump-db"
    quoted = "'/opt/somewhere/far/a way/x' y"
    for line in ("df -h /opt/somewhere/far/away/x", "/opt/x/run", quoted, "/opt/somewhere/far/", ""):
        assert form.abbreviate_command(line, "…") == line


def test_samples_fill_the_cells_of_a_graph() -> None:
    """They are spread over all of them; of several the highest; a gap stays one."""
    assert form.fit_samples([1, 2], 5) == [1, 1, 1, 2, 2]
    assert form.fit_samples([1, 5, None, None, 3], 3) == [1, 5, 3]
    assert form.fit_samples([None, None, 4, 1], 2) == [None, 4]
    assert form.fit_samples([], 5) == []
    assert form.sparkline([50, 100], 2, top=100.0) == "\u2585\u2588"


def test_when_it_began() -> None:
    """The time of day; with its date where that is not within twelve hours."""
    assert form.format_start(1_790_000_000.0, 1_790_000_100.0, utc) == "14:13:20"
    assert form.format_start(1_790_000_000.0, 1_790_100_000.0, utc) == "09-21 14:13"
    assert form.format_start(None, 0.0, utc) == "-"
