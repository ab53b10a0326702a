"""Styles as a terminal takes them, and the shortest way from one to the next."""

from __future__ import annotations

import pyte
from hypothesis import given
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.style import Style

from tui.ink import PLAIN, Ink, change, ink, ink_of

inks = st.builds(
    ink,
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
def test_after_a_change_it_writes_in_the_new_ink(before: Ink, after: Ink) -> None:
    """From whatever ink it comes, and never with more than a reset and the whole of it would take."""
    there = change(PLAIN, after)
    assert written(change(PLAIN, before), change(before, after)) == written(there)
    assert len(change(before, after)) <= max(3, len(there) + 2)


@given(inks)
def test_nothing_is_written_for_the_same(same: Ink) -> None:
    """Nor for another style object that looks the same; a reset is three bytes."""
    assert change(same, same) == ""
    assert ink(same.attributes, same.fore, same.back) is same
    assert change(same, PLAIN) in ("", "\x1b[m")


def test_blanks_need_no_letters() -> None:
    """Colour and weight of letters do not show on a blank; ground, underline and reverse do."""
    assert ink_of(Style.parse("bold red on blue")).blank is ink_of(Style.parse("on blue"))
    assert ink_of(Style.parse("bold red")).blank is PLAIN
    for shown in ("underline red", "reverse red on blue"):
        assert ink_of(Style.parse(shown)).blank is ink_of(Style.parse(shown))


def test_colours_follow_what_the_terminal_can() -> None:
    """Sixteen colours where there are no more; a link and what a click means are no part of it."""
    assert ink_of(Style.parse("#ff0000"), ColorSystem.STANDARD).fore in ("31", "91")
    assert ink_of(Style.parse("#ff0000")).fore == "38;2;255;0;0"
    assert ink_of(Style(link="https://example.org", meta={"@click": "app.quit"})) is PLAIN
    assert ink_of(None) is PLAIN
