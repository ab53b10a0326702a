"""The three lines that never hide."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from common.catalogue import Sentence, say
from tests.tui.scripted_source import HOSTILE, NOW, ScriptedSource, job_row
from tui.commands import Undo, bottom_line
from tui.console import Console, Settings
from tui.headline import MODES, Span, act_at, keys_line, modes, pad, status_line, top_line, waiting_approvals, width
from tui.safety import is_safe
from tui.source import Link

SPANS = st.lists(
    st.builds(Span, st.text("ab 汉字é", max_size=9), st.just(""), st.sampled_from(["", "x", "y"])), max_size=5
)


def console(source: ScriptedSource | None = None, **settings: Any) -> Console:
    return Console(source or ScriptedSource(), Settings(**settings))


def text(spans: list[Span]) -> str:
    return "".join(span.text for span in spans)


@given(SPANS, SPANS, st.integers(0, 60))
def test_left_and_right_make_exactly_a_line(left: list[Span], right: list[Span], cells: int) -> None:
    """The right part stays whole and the left is cut by cells, never through a wide character."""
    line = pad(left, right, cells, "~")
    assert width(line) == max(cells, width(right))
    assert text(line).endswith(text(right))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("cells", [60, 61, 80, 100])
def test_lines_that_are_cut_have_no_sign_beyond_ascii_with_ascii(cells: int, language: Any) -> None:
    """`--ascii` holds where a line is cut too: no ellipsis, in any of the lines, whatever they say."""
    place = console(ascii=True, language=language, read_only=True)
    row = job_row(1)
    lines = [top_line(place, mode, cells) for mode in MODES]
    lines.append(keys_line(place, bottom_line(place.scene("jobs", "job", row), 11), cells))
    lines.append(status_line(place, "x" * 300, cells))
    place.tell("y" * 300, "bad")
    lines.append(status_line(place, "", cells))
    place.source.link.state = "lost"
    place.source.link.reason = "z" * 300
    lines.append(status_line(place, "", cells))
    lines.append(top_line(place, "jobs", cells))
    assert all("\u2026" not in text(spans) for spans in lines)
    assert any("~" in text(spans) for spans in lines)


def test_the_reason_of_a_lost_link_is_told() -> None:
    """Why it cannot be had stands beside since when; what a hub says is made safe."""
    place = console()
    place.source.link.state, place.source.link.reason = "lost", "the hub refused alice: \x1b[31mrevoked"
    line = text(status_line(place, "", 160))
    assert "the hub refused alice" in line
    assert is_safe(line)


@given(SPANS, st.integers(0, 60))
def test_a_click_means_the_run_it_is_on(spans: list[Span], x: int) -> None:
    """By cells; beyond the line it means nothing."""
    cells = [span.act for span in spans for _ in range(cell_len(span.text))]
    assert act_at(spans, x) == (cells[x] if x < len(cells) else "")


@pytest.mark.parametrize("cells", [60, 80, 100, 160])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_where_am_i_is_never_cut(cells: int, language: Any) -> None:
    """Hub, link, who, and the screen one is on stand in the line of every width, in both languages."""
    for mode in MODES:
        spans = top_line(console(language=language, read_only=cells >= 80), mode, cells)
        assert cell_len(text(spans)) == cells
        assert "prod-1" in text(spans)
        assert "alice" in text(spans)
        assert ">" in text(spans)
        assert {span.act for span in spans} >= {f"go_{name}" for name in MODES}


def test_the_link_in_words() -> None:
    """Live, connecting, and lost with for how long and when it is tried again; a click on a lost one connects."""
    source = ScriptedSource()
    place = console(source)
    live = text(top_line(place, "jobs", 120))
    source.link = Link("connecting", NOW)
    connecting = text(top_line(place, "jobs", 120))
    source.link, source.clock = Link("lost", NOW, NOW + 20), NOW + 12
    spans = top_line(place, "jobs", 120)
    assert len({live, connecting, text(spans)}) == 3
    assert "12s" in text(spans)
    assert "8" in text(spans)
    assert "refresh" in {span.act for span in spans}


def need(seconds: float) -> dict[str, Any]:
    return {"kind": "approve", "number": int(seconds), "expires": NOW + seconds}


def test_what_waits_for_approval_stands_on_the_tab() -> None:
    """With its count, and a sign where the first one's time is nearly over; odd counts of a newer hub are none."""
    source = ScriptedSource()
    source.overview = {"counts": {"asking": 3}, "needs_you": [need(60), need(700)]}
    place = console(source)
    assert waiting_approvals(place) == (3, 60)
    assert ":3!" in text(top_line(place, "jobs", 80))
    source.overview = {"counts": {"asking": 3}, "needs_you": [need(600)]}
    assert ":3!" not in text(top_line(place, "jobs", 80))
    for odd in (
        {},
        {"counts": None},
        {"counts": {"asking": "x"}, "needs_you": [{"expires": "y"}, 3, {}]},
        {"counts": {}, "needs_you": 7},
    ):
        source.overview = odd
        assert waiting_approvals(place) == (0, None)


def test_the_status_line_says_the_most_urgent_thing() -> None:
    """A lost link, what was said, rows that wait to move, the row at hand, in this order; undo can be clicked."""
    source = ScriptedSource()
    place = console(source, still=True)
    assert "the row" in text(status_line(place, "the row", 80))
    held = status_line(place, "the row", 80, held=12)
    assert "12" in text(held)
    assert "refresh" in {span.act for span in held}
    place.undo = Undo(Sentence("console_whole_queue"), "resume", {}, NOW + 8)
    place.tell("said [b]so[/b]", "ok")
    spans = status_line(place, "the row", 80, held=12)
    assert "said [b]so[/b]" in text(spans)
    assert "undo" in {span.act for span in spans}
    source.link, source.clock = Link("lost", NOW, NOW + 5), NOW + 6
    assert "said" not in text(status_line(place, "the row", 80))
    place.tell("refused", "bad")
    assert "refused" in text(status_line(place, "the row", 80))


@pytest.mark.parametrize("cells", [60, 80, 120])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_keys_never_lose_help_and_quit(cells: int, language: Any) -> None:
    """However narrow, exactly one line, with help and quit at its end."""
    place = console(language=language)
    for row in (job_row(1), None):
        spans = keys_line(place, bottom_line(place.scene("jobs", "job" if row else "", row), 11), cells)
        assert cell_len(text(spans)) == cells
        assert [act for act in ("help", "quit") if act not in {span.act for span in spans}] == []


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_in_the_lines(hostile: str) -> None:
    """A hub's name, a person's and what was said are words."""
    place = console(ScriptedSource(person=hostile, hub=hostile, roles=(hostile,)))
    place.tell(hostile, "bad")
    for line in (top_line(place, "jobs", 80), status_line(place, "", 80)):
        assert is_safe(text(line))
        assert width(line) == 80


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("state", ["live", "lost"])
def test_where_one_is_never_gives_way(state: Any, language: Any) -> None:
    """On the least screen, with the longest words: the other screens' titles go, then the person, never this one's."""
    place = console(language=language)
    place.source.link.state = state
    place.source.link.retry_at = NOW + 12
    place.source.link.since = NOW - 723
    for index, mode in enumerate(MODES, 1):
        spans = top_line(place, mode, 60)
        assert width(spans) == 60
        title = say(language, f"console_tab_short_{mode}")
        assert any(span.text.startswith(f">{index}{title}") for span in spans), text(spans)
        for other in range(1, len(MODES) + 1):
            assert str(other) in text(spans)


@pytest.mark.parametrize("cells", [60, 80, 160])
def test_a_screen_that_the_hub_has_not_is_no_tab(cells: int) -> None:
    """Models are left out of an older hub's line, and the others keep their digits."""
    for verbs in (frozenset(), frozenset({"approve"})):
        place = console(ScriptedSource(verbs=verbs))
        spans = top_line(place, "audit", cells)
        assert modes(place) == [mode for mode in MODES if mode != "models"]
        assert "go_models" not in {span.act for span in spans}
        assert any(span.text.startswith((">5", "5")) and span.act == "go_audit" for span in spans)
    source = ScriptedSource()
    source.who = None
    assert "models" not in modes(console(source))
