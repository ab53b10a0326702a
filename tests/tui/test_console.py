"""What every screen shares."""

from __future__ import annotations

from common.catalogue import Sentence
from tests.tui.scripted_source import HOSTILE, NOW, ScriptedSource, job_row
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
    scene = console.scene("jobs", "job", job_row(1), marked=2, held=3)
    assert (scene.kind, scene.person, scene.roles, scene.verbs) == (
        "job",
        "alice",
        ("operator",),
        frozenset({"cancel"}),
    )
    assert (scene.read_only, scene.live, scene.marked, scene.held) == (True, True, 2, 3)
    assert console.scene("jobs", "job", None).kind == ""
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
