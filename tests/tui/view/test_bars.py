"""The three lines that never hide."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from common.api import verbs
from common.api.actions import ResumeArgs
from common.api.overview import HubView, Overview
from common.catalogue import Sentence, translate
from tests.each import each_of
from tests.tui.fake_source import HOSTILE, NOW, FakeSource
from tests.tui.rows import job
from tui.client.source import LinkStatus
from tui.model.actions import Undo, key_bar_entries
from tui.model.context import ConsoleContext
from tui.model.settings import ConsoleSettings
from tui.terminal.sanitize import is_safe
from tui.view.bars import (
    SCREEN_MODES,
    BarSpan,
    action_at,
    available_modes,
    justify,
    key_bar,
    spans_width,
    status_bar,
    title_bar,
    waiting_approvals,
    wrap_spans,
)

SPANS = st.lists(
    st.builds(BarSpan, st.text("ab 汉字é", max_size=9), st.just(""), st.sampled_from(["", "x", "y"])), max_size=5
)


def console(source: FakeSource | None = None, **settings: Any) -> ConsoleContext:
    return ConsoleContext(source or FakeSource(), ConsoleSettings(**settings))


def text(spans: list[BarSpan]) -> str:
    return "".join(span.text for span in spans)


@given(SPANS, SPANS, st.integers(0, 60))
def test_left_and_right_make_exactly_a_line(left: list[BarSpan], right: list[BarSpan], cells: int) -> None:
    """The right part stays whole and the left is cut by cells, never through a wide character."""
    line = justify(left, right, cells, "~")
    assert spans_width(line) == max(cells, spans_width(right))
    assert text(line).endswith(text(right))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("cells", [60, 61, 80, 100])
def test_lines_that_are_cut_have_no_sign_beyond_ascii_with_ascii(cells: int, language: Any) -> None:
    """`--ascii` holds where a line is cut too: no ellipsis, in any of the lines, whatever they say."""
    place = console(ascii=True, language=language, read_only=True)
    row = job(1)
    lines = [title_bar(place, mode, cells) for mode in SCREEN_MODES]
    lines.append(key_bar(place, key_bar_entries(place.action_context("jobs", "job", row), 11), cells))
    lines.append(status_bar(place, "x" * 300, cells))
    place.notify("y" * 300, "bad")
    lines.append(status_bar(place, "", cells))
    place.source.link.state = "lost"
    place.source.link.reason = "z" * 300
    lines.append(status_bar(place, "", cells))
    lines.append(title_bar(place, "jobs", cells))
    assert all("\u2026" not in text(spans) for spans in lines)
    assert any("~" in text(spans) for spans in lines)


def test_the_reason_of_a_lost_link_is_told() -> None:
    """Why it cannot be had stands beside since when; what a hub says is made safe."""
    place = console()
    place.source.link.state, place.source.link.reason = "lost", "the hub refused alice: \x1b[31mrevoked"
    line = text(status_bar(place, "", 160))
    assert "the hub refused alice" in line
    assert is_safe(line)


@given(SPANS, st.integers(0, 60))
def test_a_click_means_the_run_it_is_on(spans: list[BarSpan], x: int) -> None:
    """By cells; beyond the line it means nothing."""
    cells = [span.action_id for span in spans for _ in range(cell_len(span.text))]
    assert action_at(spans, x) == (cells[x] if x < len(cells) else "")


@pytest.mark.parametrize("cells", [60, 80, 100, 160])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_where_am_i_is_never_cut(cells: int, language: Any) -> None:
    """Hub, link, who, and the screen one is on stand in the line of every width, in both languages."""
    for mode in SCREEN_MODES:
        spans = title_bar(console(language=language, read_only=cells >= 80), mode, cells)
        assert cell_len(text(spans)) == cells
        assert "prod-1" in text(spans)
        assert "alice" in text(spans)
        assert ">" in text(spans)
        assert {span.action_id for span in spans} >= {f"go_{name}" for name in SCREEN_MODES}


def test_the_link_in_words() -> None:
    """Live, connecting, and lost with for how long and when it is tried again; a click on a lost one connects."""
    source = FakeSource()
    place = console(source)
    live = text(title_bar(place, "jobs", 120))
    source.link = LinkStatus("connecting", NOW)
    connecting = text(title_bar(place, "jobs", 120))
    source.link, source.clock = LinkStatus("lost", NOW, NOW + 20), NOW + 12
    spans = title_bar(place, "jobs", 120)
    assert len({live, connecting, text(spans)}) == 3
    assert "12s" in text(spans)
    assert "8" in text(spans)
    assert "refresh" in {span.action_id for span in spans}


def need(seconds: float) -> dict[str, Any]:
    return {"kind": "approve", "number": int(seconds), "since": NOW, "expires": NOW + seconds}


def test_what_waits_for_approval_stands_on_the_tab() -> None:
    """With its count, and a sign where the first one's time is nearly over; odd counts of a newer hub are none."""
    source = FakeSource()
    source.overview = {"counts": {"asking": 3}, "needs_you": [need(60), need(700)]}
    place = console(source)
    assert waiting_approvals(place) == (3, 60)
    assert ":3!" in text(title_bar(place, "jobs", 80))
    source.overview = {"counts": {"asking": 3}, "needs_you": [need(600)]}
    assert ":3!" not in text(title_bar(place, "jobs", 80))
    source.overview = {}
    assert waiting_approvals(place) == (0, None)
    source.overview = {"counts": {}, "needs_you": []}
    for odd in (
        {"counts": None},
        {"counts": {"asking": "x"}, "needs_you": [{"expires": "y"}, 3, {}]},
        {"counts": {}, "needs_you": 7},
    ):
        source.overview = odd
        assert waiting_approvals(place) == (0, None)


def test_the_status_line_says_the_most_urgent_thing() -> None:
    """A lost link, what was said, rows that wait to move, the row at hand, in this order; undo can be clicked."""
    source = FakeSource()
    place = console(source, static=True)
    assert "the row" in text(status_bar(place, "the row", 80))
    held = status_bar(place, "the row", 80, pending_moves=12)
    assert "12" in text(held)
    assert "refresh" in {span.action_id for span in held}
    place.undo = Undo(Sentence("console_whole_queue"), verbs.RESUME, ResumeArgs(), NOW + 8)
    place.notify("said [b]so[/b]", "ok")
    spans = status_bar(place, "the row", 80, pending_moves=12)
    assert "said [b]so[/b]" in text(spans)
    assert "undo" in {span.action_id for span in spans}
    source.link, source.clock = LinkStatus("lost", NOW, NOW + 5), NOW + 6
    assert "said" not in text(status_bar(place, "the row", 80))
    place.notify("refused", "bad")
    assert "refused" in text(status_bar(place, "the row", 80))


@pytest.mark.parametrize("cells", [60, 80, 120])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_keys_never_lose_help_and_quit(cells: int, language: Any) -> None:
    """However narrow, exactly one line, with help and quit at its end."""
    place = console(language=language)
    for row in (job(1), None):
        spans = key_bar(place, key_bar_entries(place.action_context("jobs", "job" if row else "", row), 11), cells)
        assert cell_len(text(spans)) == cells
        assert [act for act in ("help", "quit") if act not in {span.action_id for span in spans}] == []


@each_of("hostile", HOSTILE)
def test_hostile_names_in_the_lines(hostile: str) -> None:
    """A hub's name, a person's and what was said are words."""
    place = console(FakeSource(person=hostile, hub=hostile, roles=(hostile,)))
    place.notify(hostile, "bad")
    title, status = title_bar(place, "jobs", 80), status_bar(place, "", 80)
    assert is_safe(text(title))
    assert spans_width(title) == 80
    assert all(is_safe(text(line)) and spans_width(line) <= 80 for line in wrap_spans(status, 80, 3))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("state", ["live", "lost"])
def test_where_one_is_never_gives_way(state: Any, language: Any) -> None:
    """On the least screen, with the longest words: the other screens' titles go, then the person, never this one's."""
    place = console(language=language)
    place.source.link.state = state
    place.source.link.retry_at = NOW + 12
    place.source.link.since = NOW - 723
    for index, mode in enumerate(SCREEN_MODES, 1):
        spans = title_bar(place, mode, 60)
        assert spans_width(spans) == 60
        title = translate(language, f"console_tab_short_{mode}")
        assert any(span.text.startswith(f">{index}{title}") for span in spans), text(spans)
        for other in range(1, len(SCREEN_MODES) + 1):
            assert str(other) in text(spans)


@each_of("cells", [60, 80, 160])
def test_a_screen_that_the_hub_has_not_is_no_tab(cells: int) -> None:
    """Models are left out of an older hub's line, and the others keep their digits."""
    for known in (frozenset(), frozenset({"approve"})):
        place = console(FakeSource(verbs=known))
        spans = title_bar(place, "audit", cells)
        assert available_modes(place) == [mode for mode in SCREEN_MODES if mode != "models"]
        assert "go_models" not in {span.action_id for span in spans}
        assert any(span.text.startswith((">5", "5")) and span.action_id == "go_audit" for span in spans)
    source = FakeSource()
    source.who = None
    assert "models" not in available_modes(console(source))


@pytest.mark.parametrize(("cells", "said"), [(80, "RECOVERY"), (140, "RECOVERY: answerback-hub recover")])
def test_a_restored_hub_is_told_on_top(cells: int, said: str) -> None:
    """Beside where one is, which stays."""
    source = FakeSource()
    place = console(source)
    source.overview = Overview(hub=HubView(recovery="restored"))
    line = text(title_bar(place, "jobs", cells))
    assert said in line
    assert ">2" in line
    source.overview = Overview()
    assert "RECOVERY" not in text(title_bar(place, "jobs", cells))


@pytest.mark.parametrize("cells", [80, 140])
def test_a_full_disk_of_the_hub_is_told_on_top(cells: int) -> None:
    """In red; what fills it is on the overview."""
    source = FakeSource()
    place = console(source)
    source.overview = Overview(hub=HubView(storage="the disk is full"))
    (told,) = (span for span in title_bar(place, "jobs", cells) if "FULL" in span.text)
    assert told.tone == "bad"
    source.overview = Overview()
    assert "FULL" not in text(title_bar(place, "jobs", cells))
