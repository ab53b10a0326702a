"""What all dialogs have: the guard, the link, the line for what went wrong, the room."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from common.api import verbs
from common.api.actions import SettleArgs
from common.catalogue import Sentence
from common.errors import WorkFailed
from tests.tui.fake_source import HOSTILE, console_driver
from tui.dialogs.dialog import Dialog, TextField
from tui.terminal.sanitize import is_safe
from tui.text.format import PaneLine
from tui.widgets.text import TextPane


class Plain(Dialog):
    """A dialog with facts and one field."""

    def body(self) -> Iterable[Widget]:
        yield TextPane(self.console.render_context, id="facts", classes="facts")
        yield self.labeled_field("console_field_why", TextField(id="why"))

    def fill(self) -> None:
        self.query_one("#why").focus()


async def test_keys_typed_ahead_do_not_count_and_the_next_ones_do() -> None:
    """Within the first moment a key is dropped; after it the field takes keys; escape is always heard."""
    async with console_driver(guard=3_600.0) as stage:
        dialog = Plain(stage.console, Sentence("console_settled"))
        came_to = await stage.push_dialog(dialog)
        await stage.press("a", "enter", "b")
        assert dialog.query_one("#why", TextField).value == ""
        dialog._opened_at -= 7_200
        await stage.press("c")
        assert dialog.query_one("#why", TextField).value == "c"
        dialog.restart_guard()
        await stage.press("d")
        assert dialog.query_one("#why", TextField).value == "c"
        await stage.press("escape")
        await stage.wait_closed()
        assert came_to == [None]


async def test_it_tells_of_the_link() -> None:
    """Lost, it says so once and sends nothing; back, it says so, and what was noted meanwhile is not written over."""
    async with console_driver() as stage:
        dialog = Plain(stage.console, Sentence("console_settled"))
        await stage.push_dialog(dialog)
        assert dialog.can_send()
        stage.source.disconnect()
        await stage.flush()
        lost = dialog.note_text
        assert lost
        dialog.show_note("something else")
        await stage.flush()
        assert dialog.note_text == "something else"
        assert not dialog.can_send()
        assert dialog.note_text == lost
        stage.source.reconnect()
        await stage.flush()
        assert dialog.note_text not in (lost, "")
        assert dialog.can_send()


async def test_an_error_of_a_call_is_an_answer() -> None:
    """Whatever a call raises for people, asking gives an answer and the dialog can send again."""
    async with console_driver() as stage:
        dialog = Plain(stage.console, Sentence("console_settled"))
        await stage.push_dialog(dialog)
        stage.source.answers["settle"] = WorkFailed("the store is full", "make room")
        answer = await dialog.call_hub(verbs.SETTLE, SettleArgs(job="J1", done=True))
        assert (answer.disposition, "the store is full" in answer.text) == ("again", True)
        assert not dialog.sending
        assert stage.source.calls_of("settle") == [{"job": "J1", "done": True}]


async def test_facts_get_the_room_that_the_fields_leave() -> None:
    """At any size the field, the note and the keys are on the screen, and the facts scroll."""
    async with console_driver(size=(60, 16)) as stage:
        dialog = Plain(stage.console, Sentence("console_settled"))
        await stage.push_dialog(dialog)
        dialog.set_facts([PaneLine(f"汉字 line {index}") for index in range(100)])
        for width, height in ((60, 16), (80, 24), (200, 60), (60, 16)):
            await stage.pilot.resize_terminal(width, height)
            await stage.flush()
            for name in ("#why", "#note", "#dialog-keys"):
                region = dialog.query_one(name).region
                assert (region.height, 0 <= region.y < height) == (1, True), (name, width, height)


async def test_hostile_words_of_the_hub_stay_words() -> None:
    """A note, a title and facts are shown as they are; nothing in them is parsed or sent to the terminal."""
    async with console_driver() as stage:
        dialog = Plain(stage.console, Sentence("console_settled"))
        await stage.push_dialog(dialog)
        for text in HOSTILE:
            dialog.show_note(text)
            dialog.set_title(Sentence("console_pause_title", {"what": text}))
            dialog.set_facts([PaneLine(text)])
            await stage.flush()
            assert all(is_safe(line) for line in stage.text.split("\n")), text
        dialog.show_note("[@click=app.quit]press[/]")
        await stage.flush()
        assert "[@click=app.quit]press[/]" in stage.text
        await stage.pilot.click("#note")
        assert stage.app.is_running
