"""What every screen shares."""

from __future__ import annotations

from pathlib import Path

from common.api import verbs
from common.api.actions import ResumeArgs
from common.catalogue import Sentence
from common.times import local_zone, utc
from tests.tui.fake_source import HOSTILE, NOW, FakeSource
from tests.tui.rows import agent, job
from tui.client.source import LinkStatus
from tui.model.actions import Undo
from tui.model.context import MAX_MESSAGES, MESSAGE_SECONDS, ConsoleContext
from tui.model.settings import ConsoleSettings
from tui.terminal.sanitize import is_safe


def test_what_is_said_goes_after_a_while() -> None:
    """A line stays for some seconds, a lasting one until something is done; there is a bound to what is kept."""
    source = FakeSource()
    console = ConsoleContext(source, ConsoleSettings())
    assert console.current_message() is None
    console.notify("one")
    source.clock = NOW + MESSAGE_SECONDS - 0.1
    assert console.current_message() is not None
    source.clock = NOW + MESSAGE_SECONDS
    assert console.current_message() is None
    console.notify("two", "bad", sticky=True)
    source.clock += 3_600
    last = console.current_message()
    assert last is not None
    assert last.text == "two"
    console.dismiss_message()
    assert console.current_message() is None
    for index in range(2 * MAX_MESSAGES):
        console.notify(str(index))
    assert len(console.messages) == MAX_MESSAGES


def test_the_readers_zone_reaches_every_text() -> None:
    """UTC unless the command line sets the reader's own."""
    assert ConsoleContext(FakeSource(), ConsoleSettings()).render_context().zone is utc
    assert ConsoleContext(FakeSource(), ConsoleSettings(zone=local_zone)).render_context().zone is local_zone


def test_what_is_said_is_safe_and_in_the_language() -> None:
    """Whatever the hub said."""
    console = ConsoleContext(FakeSource(), ConsoleSettings(language="zh"))
    for text in HOSTILE:
        console.notify(text)
        console.notify(Sentence("console_paused", {"what": text}))
        assert all(is_safe(said.text) and len(said.text) <= 600 for said in console.messages)
    console.notify(Sentence("console_whole_queue"))
    assert not console.messages[-1].text.isascii()


def test_a_way_back_is_open_until_its_time() -> None:
    """Then it is gone for good."""
    source = FakeSource()
    console = ConsoleContext(source, ConsoleSettings())
    console.undo = Undo(Sentence("console_whole_queue"), verbs.RESUME, ResumeArgs(), NOW + 8)
    assert console.action_context("jobs").has_undo
    source.clock = NOW + 8
    assert not console.action_context("jobs").has_undo
    source.clock = NOW
    assert not console.action_context("jobs").has_undo


def test_the_scene_is_what_is_known() -> None:
    """The row and its kind together or neither; who I am, the link and for how long it is lost."""
    source = FakeSource(roles=("operator",), verbs=frozenset({"cancel"}))
    console = ConsoleContext(source, ConsoleSettings(read_only=True))
    scene = console.action_context("jobs", "job", job(1), ("agent", [agent("a"), agent("b")]), pending_moves=3)
    assert (scene.kind, scene.person, scene.roles, set(scene.verbs)) == (
        "job",
        "alice",
        ("operator",),
        {"cancel"},
    )
    assert (scene.read_only, scene.linked, scene.marked, scene.pending_moves) == (True, True, 2, 3)
    assert (scene.kind, scene.marked_kind, scene.marked_row and scene.marked_row.id) == ("job", "agent", "a")
    assert console.action_context("jobs", "job", None).kind == ""
    assert (console.action_context("jobs").marked, console.action_context("jobs").marked_row) == (0, None)
    source.link, source.clock = LinkStatus("lost", NOW), NOW + 90
    assert (console.action_context("jobs").linked, console.action_context("jobs").lost_duration) == (False, "1m30s")
    source.who = None
    assert console.action_context("jobs").roles == ()


def test_settings_change_and_the_look_follows() -> None:
    """Language, glyphs and the hub's time."""
    console = ConsoleContext(FakeSource(), ConsoleSettings())
    console.update_settings(language="zh", ascii=True)
    look = console.render_context()
    assert (look.language, look.ascii, look.now, console.language) == ("zh", True, NOW, "zh")


def test_a_fault_is_told_once_and_logged(tmp_path: Path) -> None:
    """By the name of what failed; the same one again says nothing new, another one does."""
    console = ConsoleContext(FakeSource(), ConsoleSettings(log=tmp_path / "log"))
    words = [console.report_fault(Sentence("console_settled"), ValueError("a")) for _ in range(3)]
    assert len(set(words)) == 1
    assert "ValueError: a" in words[0]
    assert [said.text for said in console.messages] == [words[0]]
    assert console.messages[-1].sticky
    console.report_fault("approve", KeyError("b"))
    assert len(console.messages) == 2
    assert (tmp_path / "log").read_text().count("Error") == 2
