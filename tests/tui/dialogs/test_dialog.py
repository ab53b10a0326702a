"""What all dialogs have: the guard, the link, the line for what went wrong, the room."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from common.catalogue import Sentence
from common.errors import WorkFailed
from tests.tui.scripted_source import HOSTILE, staged
from tui.dialogs.dialog import Dialog, Field
from tui.format import Line
from tui.safety import is_safe
from tui.widgets.text import TextPane


class Plain(Dialog):
    """A dialog with facts and one field."""

    def body(self) -> Iterable[Widget]:
        yield TextPane(self.console.look, id="facts", classes="facts")
        yield self.labelled("console_field_why", Field(id="why"))

    def opened(self) -> None:
        self.query_one("#why").focus()


async def test_keys_typed_ahead_do_not_count_and_the_next_ones_do() -> None:
    """Within the first moment a key is dropped; after it the field takes keys; escape is always heard."""
    async with staged(guard=3_600.0) as stage:
        dialog = Plain(stage.console, Sentence("console_settled"))
        came_to = await stage.show(dialog)
        await stage.press("a", "enter", "b")
        assert dialog.query_one("#why", Field).value == ""
        dialog._opened -= 7_200
        await stage.press("c")
        assert dialog.query_one("#why", Field).value == "c"
        dialog.guard_again()
        await stage.press("d")
        assert dialog.query_one("#why", Field).value == "c"
        await stage.press("escape")
        await stage.closed()
        assert came_to == [None]


async def test_it_tells_of_the_link() -> None:
    """Lost, it says so once and sends nothing; back, it says so, and what was noted meanwhile is not written over."""
    async with staged() as stage:
        dialog = Plain(stage.console, Sentence("console_settled"))
        await stage.show(dialog)
        assert dialog.may_send()
        stage.source.lose()
        await stage.settle()
        lost = dialog.noted
        assert lost
        dialog.note("something else")
        await stage.settle()
        assert dialog.noted == "something else"
        assert not dialog.may_send()
        assert dialog.noted == lost
        stage.source.come_back()
        await stage.settle()
        assert dialog.noted not in (lost, "")
        assert dialog.may_send()


async def test_an_error_of_a_call_is_an_answer() -> None:
    """Whatever a call raises for people, asking gives an answer and the dialog can send again."""
    async with staged() as stage:
        dialog = Plain(stage.console, Sentence("console_settled"))
        await stage.show(dialog)
        stage.source.answers["x"] = WorkFailed("the store is full", "make room")
        answer = await dialog.ask("x", a=1)
        assert (answer.next, "the store is full" in answer.text) == ("again", True)
        assert not dialog.sending
        assert stage.source.asked("x") == [{"a": 1}]


async def test_facts_get_the_room_that_the_fields_leave() -> None:
    """At any size the field, the note and the keys are on the screen, and the facts scroll."""
    async with staged(size=(60, 16)) as stage:
        dialog = Plain(stage.console, Sentence("console_settled"))
        await stage.show(dialog)
        dialog.set_facts([Line(f"汉字 line {index}") for index in range(100)])
        for width, height in ((60, 16), (80, 24), (200, 60), (60, 16)):
            await stage.pilot.resize_terminal(width, height)
            await stage.settle()
            for name in ("#why", "#note", "#dialog-keys"):
                region = dialog.query_one(name).region
                assert (region.height, 0 <= region.y < height) == (1, True), (name, width, height)


async def test_hostile_words_of_the_hub_stay_words() -> None:
    """A note, a title and facts are shown as they are; nothing in them is parsed or sent to the terminal."""
    async with staged() as stage:
        dialog = Plain(stage.console, Sentence("console_settled"))
        await stage.show(dialog)
        for text in HOSTILE:
            dialog.note(text)
            dialog.retitle(Sentence("console_pause_title", {"what": text}))
            dialog.set_facts([Line(text)])
            await stage.settle()
            assert all(is_safe(line) for line in stage.text.split("\n")), text
        dialog.note("[@click=app.quit]press[/]")
        await stage.settle()
        assert "[@click=app.quit]press[/]" in stage.text
        await stage.pilot.click("#note")
        assert stage.app.is_running
