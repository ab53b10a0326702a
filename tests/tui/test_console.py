"""What every screen shares."""

from __future__ import annotations

from pathlib import Path

from common.catalogue import Sentence
from tests.tui.scripted_source import HOSTILE, NOW, ScriptedSource, agent_row, job_row
from tui.commands import Undo
from tui.console import MAX_SAID, SAID_FOR, Console, Settings
from tui.safety import is_safe
from tui.source import Link


def test_what_is_said_goes_after_a_while() -> None:
    """A line stays for some seconds, a lasting one until something is done; there is a bound to what is kept."""
    source = ScriptedSource()
    console = Console(source, Settings())
    assert console.last_said() is None
    console.tell("one")
    source.clock = NOW + SAID_FOR - 0.1
    assert console.last_said() is not None
    source.clock = NOW + SAID_FOR
    assert console.last_said() is None
    console.tell("two", "bad", lasting=True)
    source.clock += 3_600
    last = console.last_said()
    assert last is not None
    assert last.text == "two"
    console.hush()
    assert console.last_said() is None
    for index in range(2 * MAX_SAID):
        console.tell(str(index))
    assert len(console.said) == MAX_SAID


def test_what_is_said_is_safe_and_in_the_language() -> None:
    """Whatever the hub said."""
    console = Console(ScriptedSource(), Settings(language="zh"))
    for text in HOSTILE:
        console.tell(text)
        console.tell(Sentence("console_paused", {"what": text}))
        assert all(is_safe(said.text) and len(said.text) <= 600 for said in console.said)
    console.tell(Sentence("console_whole_queue"))
    assert not console.said[-1].text.isascii()


def test_a_way_back_is_open_until_its_time() -> None:
    """Then it is gone for good."""
    source = ScriptedSource()
    console = Console(source, Settings())
    console.undo = Undo(Sentence("console_whole_queue"), "resume", {}, NOW + 8)
    assert console.scene("jobs").has_undo
    source.clock = NOW + 8
    assert not console.scene("jobs").has_undo
    source.clock = NOW
    assert not console.scene("jobs").has_undo


def test_the_scene_is_what_is_known() -> None:
    """The row and its kind together or neither; who I am, the link and for how long it is lost."""
    source = ScriptedSource(roles=("operator",), verbs=frozenset({"cancel"}))
    console = Console(source, Settings(read_only=True))
    scene = console.scene("jobs", "job", job_row(1), ("agent", [agent_row("a"), agent_row("b")]), held=3)
    assert (scene.kind, scene.person, scene.roles, scene.verbs) == (
        "job",
        "alice",
        ("operator",),
        frozenset({"cancel"}),
    )
    assert (scene.read_only, scene.live, scene.marked, scene.held) == (True, True, 2, 3)
    assert (scene.kind, scene.marked_kind, (scene.marked_row or {})["id"]) == ("job", "agent", "a")
    assert console.scene("jobs", "job", None).kind == ""
    assert (console.scene("jobs").marked, console.scene("jobs").marked_row) == (0, None)
    source.link, source.clock = Link("lost", NOW), NOW + 90
    assert (console.scene("jobs").live, console.scene("jobs").lost_for) == (False, "1m30s")
    source.who = None
    assert console.scene("jobs").roles == ()


def test_settings_change_and_the_look_follows() -> None:
    """Language, glyphs and the hub's time."""
    console = Console(ScriptedSource(), Settings())
    console.set(language="zh", ascii=True)
    look = console.look()
    assert (look.language, look.ascii, look.now, console.language) == ("zh", True, NOW, "zh")


def test_a_fault_is_told_once_and_logged(tmp_path: Path) -> None:
    """By the name of what failed; the same one again says nothing new, another one does."""
    console = Console(ScriptedSource(), Settings(log=tmp_path / "log"))
    words = [console.fault(Sentence("console_settled"), ValueError("a")) for _ in range(3)]
    assert len(set(words)) == 1
    assert "ValueError: a" in words[0]
    assert [said.text for said in console.said] == [words[0]]
    assert console.said[-1].lasting
    console.fault("approve", KeyError("b"))
    assert len(console.said) == 2
    assert (tmp_path / "log").read_text().count("Error") == 2
