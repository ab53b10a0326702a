"""Styles as a terminal takes them, and the shortest way from one to the next."""

from __future__ import annotations

import pyte
from hypothesis import given
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.style import Style

from tui.terminal.style import DEFAULT_STYLE, SgrStyle, sgr_style, sgr_transition, to_sgr

inks = st.builds(
    sgr_style,
    st.frozensets(st.sampled_from(["1", "3", "4", "7", "9"])),
    st.sampled_from(["", "31", "38;2;1;2;3"]),
    st.sampled_from(["", "44", "48;2;9;8;7"]),
)


def written(*sequences: str) -> tuple[object, ...]:
    """How a terminal that got these writes then."""
    screen = pyte.Screen(4, 1)
    pyte.Stream(screen).feed("".join(sequences) + "x")
    cell = screen.buffer[0][0]
    return cell.fg, cell.bg, cell.bold, cell.italics, cell.underscore, cell.reverse, cell.strikethrough


@given(inks, inks)
def test_after_a_change_it_writes_in_the_new_ink(before: SgrStyle, after: SgrStyle) -> None:
    """From whatever ink it comes, and never with more than a reset and the whole of it would take."""
    there = sgr_transition(DEFAULT_STYLE, after)
    assert written(sgr_transition(DEFAULT_STYLE, before), sgr_transition(before, after)) == written(there)
    assert len(sgr_transition(before, after)) <= max(3, len(there) + 2)


@given(inks)
def test_nothing_is_written_for_the_same(same: SgrStyle) -> None:
    """Nor for another style object that looks the same; a reset is three bytes."""
    assert sgr_transition(same, same) == ""
    assert sgr_style(same.attributes, same.foreground, same.background) is same
    assert sgr_transition(same, DEFAULT_STYLE) in ("", "\x1b[m")


def test_blanks_need_no_letters() -> None:
    """Colour and weight of letters do not show on a blank; ground, underline and reverse do."""
    assert to_sgr(Style.parse("bold red on blue")).blank is to_sgr(Style.parse("on blue"))
    assert to_sgr(Style.parse("bold red")).blank is DEFAULT_STYLE
    for shown in ("underline red", "reverse red on blue"):
        assert to_sgr(Style.parse(shown)).blank is to_sgr(Style.parse(shown))


def test_colours_follow_what_the_terminal_can() -> None:
    """Sixteen colours where there are no more; a link and what a click means are no part of it."""
    assert to_sgr(Style.parse("#ff0000"), ColorSystem.STANDARD).foreground in ("31", "91")
    assert to_sgr(Style.parse("#ff0000")).foreground == "38;2;255;0;0"
    assert to_sgr(Style(link="https://example.org", meta={"@click": "app.quit"})) is DEFAULT_STYLE
    assert to_sgr(None) is DEFAULT_STYLE
