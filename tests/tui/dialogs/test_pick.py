"""One of a list: the help that runs the act, and what is off says why."""

from __future__ import annotations

from common.catalogue import Sentence
from tests.tui.fake_source import HOSTILE, FakeSource, console_driver, job_row, request_row
from tui.dialogs.approve import ApproveDialog
from tui.dialogs.dialog import TextField
from tui.dialogs.pick import PickDialog
from tui.terminal.sanitize import is_safe
from tui.widgets.choices import ChoiceItem, ChoiceList

TITLE = Sentence("console_copy_title")


async def test_typing_narrows_and_enter_takes() -> None:
    """Every word typed must be in it; arrows move while the focus stays in the field; nothing found takes nothing."""
    choices = [ChoiceItem(name, f"{name} one", note="note") for name in ("apple", "banana", "cherry")]
    async with console_driver() as stage:
        dialog = PickDialog(stage.console, TITLE, choices, search=True)
        came_to = await stage.push_dialog(dialog)
        found = dialog.query_one("#choices", ChoiceList)
        dialog.query_one("#search", TextField).value = "ONE an"
        await stage.flush()
        assert [choice.id for choice in found.items] == ["banana"]
        dialog.query_one("#search", TextField).value = "zzz"
        await stage.flush()
        await stage.press("down", "pagedown", "enter")
        assert (found.items, came_to) == ([], [])
        dialog.query_one("#search", TextField).value = ""
        await stage.flush()
        await stage.press("up", "up", "enter")
        await stage.wait_closed()
        assert came_to == ["banana"]


async def test_what_is_off_says_why_and_stays() -> None:
    """It can be stood on, so that the reason can be read, but not taken."""
    async with console_driver() as stage:
        dialog = PickDialog(stage.console, TITLE, [ChoiceItem("on", "on"), ChoiceItem("off", "off")])
        dialog.disabled_reasons = {"off": "because of [red]that[/]"}
        came_to = await stage.push_dialog(dialog)
        await stage.press("down")
        assert dialog.note_text == "because of [red]that[/]"
        await stage.press("enter")
        assert came_to == []
        await stage.press("up", "enter")
        await stage.wait_closed()
        assert came_to == ["on"]


async def test_help_runs_the_act_on_the_row_under_the_cursor() -> None:
    """`?`, the act by name, enter: its dialog opens for that row, as its key would do; off, it says why."""
    source = FakeSource()
    source.rows["requests"] = [request_row(41)]
    async with console_driver(source, "approve") as stage:
        dialog = await stage.open_dialog("question_mark", PickDialog)
        assert "answerback approve r41" in stage.text
        dialog.query_one("#search", TextField).value = "approve r"
        await stage.flush()
        await stage.press("enter")
        await stage.wait_until(lambda: isinstance(stage.app.screen, ApproveDialog))
        assert stage.dialog.request.number == 41
        await stage.press("escape")
        await stage.wait_closed()
        dialog = await stage.open_dialog("question_mark", PickDialog)
        dialog.query_one("#search", TextField).value = "kill at once"
        await stage.flush()
        await stage.press("enter")
        assert (stage.in_dialog, bool(dialog.note_text)) == (True, True)


async def test_a_list_longer_than_the_screen() -> None:
    """It scrolls with the cursor, at any size, and a click takes what it is on."""
    choices = [ChoiceItem(str(index), f"汉字 number {index}") for index in range(60)]
    async with console_driver(size=(60, 16)) as stage:
        dialog = PickDialog(stage.console, TITLE, choices)
        came_to = await stage.push_dialog(dialog)
        found = dialog.query_one("#choices", ChoiceList)
        await stage.press("pagedown", "pagedown", "down")
        assert "> 汉字 number 21" in stage.text
        for width, height in ((80, 24), (40, 8), (60, 16)):
            await stage.pilot.resize_terminal(width, height)
            await stage.flush()
            assert found.top <= found.index < found.top + max(1, found.page_height)
        await stage.press("enter")
        await stage.wait_closed()
        assert came_to == ["21"]


async def test_copying_hostile_text() -> None:
    """What is offered is safe to show, and what is copied has no control characters."""
    source = FakeSource()
    source.rows["jobs"] = [job_row(1, agent=HOSTILE[0], argv=["echo", HOSTILE[1], HOSTILE[6]], person=HOSTILE[3])]
    async with console_driver(source, "jobs") as stage:
        dialog = await stage.open_dialog("y", PickDialog)
        assert all(is_safe(line) for line in stage.text.split("\n"))
        ids = [choice.id for choice in dialog.choices]
        await stage.press("escape")
        await stage.wait_closed()
        for index in range(len(ids)):
            await stage.open_dialog("y", PickDialog)
            await stage.press(*["down"] * index, "enter")
            await stage.wait_closed()
            assert is_safe(stage.app.clipboard), ids[index]
            assert stage.app.clipboard
