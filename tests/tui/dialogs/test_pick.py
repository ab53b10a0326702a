"""One of a list: the help that runs the act, and what is off says why."""

from __future__ import annotations

from common.catalogue import Sentence
from tests.tui.scripted_source import HOSTILE, ScriptedSource, job_row, request_row, staged
from tui.dialogs.approve import ApproveDialog
from tui.dialogs.dialog import Field
from tui.dialogs.pick import PickDialog
from tui.safety import is_safe
from tui.widgets.choices import Choice, Choices

TITLE = Sentence("console_copy_title")


async def test_typing_narrows_and_enter_takes() -> None:
    """Every word typed must be in it; arrows move while the focus stays in the field; nothing found takes nothing."""
    choices = [Choice(name, f"{name} one", note="note") for name in ("apple", "banana", "cherry")]
    async with staged() as stage:
        dialog = PickDialog(stage.console, TITLE, choices, search=True)
        came_to = await stage.show(dialog)
        found = dialog.query_one("#choices", Choices)
        dialog.query_one("#search", Field).value = "ONE an"
        await stage.settle()
        assert [choice.id for choice in found.choices] == ["banana"]
        dialog.query_one("#search", Field).value = "zzz"
        await stage.settle()
        await stage.press("down", "pagedown", "enter")
        assert (found.choices, came_to) == ([], [])
        dialog.query_one("#search", Field).value = ""
        await stage.settle()
        await stage.press("up", "up", "enter")
        await stage.closed()
        assert came_to == ["banana"]


async def test_what_is_off_says_why_and_stays() -> None:
    """It can be stood on, so that the reason can be read, but not taken."""
    async with staged() as stage:
        dialog = PickDialog(stage.console, TITLE, [Choice("on", "on"), Choice("off", "off")])
        dialog.why = {"off": "because of [red]that[/]"}
        came_to = await stage.show(dialog)
        await stage.press("down")
        assert dialog.noted == "because of [red]that[/]"
        await stage.press("enter")
        assert came_to == []
        await stage.press("up", "enter")
        await stage.closed()
        assert came_to == ["on"]


async def test_help_runs_the_act_on_the_row_under_the_cursor() -> None:
    """`?`, the act by name, enter: its dialog opens for that row, as its key would do; off, it says why."""
    source = ScriptedSource()
    source.rows["requests"] = [request_row(41)]
    async with staged(source, "approve") as stage:
        dialog = await stage.open("question_mark", PickDialog)
        assert "answerback approve r41" in stage.text
        dialog.query_one("#search", Field).value = "approve r"
        await stage.settle()
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, ApproveDialog))
        assert stage.dialog.request["number"] == 41
        await stage.press("escape")
        await stage.closed()
        dialog = await stage.open("question_mark", PickDialog)
        dialog.query_one("#search", Field).value = "kill at once"
        await stage.settle()
        await stage.press("enter")
        assert (stage.in_dialog, bool(dialog.noted)) == (True, True)


async def test_a_list_longer_than_the_screen() -> None:
    """It scrolls with the cursor, at any size, and a click takes what it is on."""
    choices = [Choice(str(index), f"汉字 number {index}") for index in range(60)]
    async with staged(size=(60, 16)) as stage:
        dialog = PickDialog(stage.console, TITLE, choices)
        came_to = await stage.show(dialog)
        found = dialog.query_one("#choices", Choices)
        await stage.press("pagedown", "pagedown", "down")
        assert "> 汉字 number 21" in stage.text
        for width, height in ((80, 24), (40, 8), (60, 16)):
            await stage.pilot.resize_terminal(width, height)
            await stage.settle()
            assert found.top <= found.at < found.top + max(1, found.page)
        await stage.press("enter")
        await stage.closed()
        assert came_to == ["21"]


async def test_copying_hostile_text() -> None:
    """What is offered is safe to show, and what is copied has no control characters."""
    source = ScriptedSource()
    source.rows["jobs"] = [job_row(1, agent=HOSTILE[0], argv=["echo", HOSTILE[1], HOSTILE[6]], person=HOSTILE[3])]
    async with staged(source, "jobs") as stage:
        dialog = await stage.open("y", PickDialog)
        assert all(is_safe(line) for line in stage.text.split("\n"))
        ids = [choice.id for choice in dialog.choices]
        await stage.press("escape")
        await stage.closed()
        for index in range(len(ids)):
            await stage.open("y", PickDialog)
            await stage.press(*["down"] * index, "enter")
            await stage.closed()
            assert is_safe(stage.app.clipboard), ids[index]
            assert stage.app.clipboard
