"""The place of waiting jobs in the queue."""

from __future__ import annotations

from tests.tui.scripted_source import NOW, ScriptedSource, job_row, staged
from tui.client import CallRefused
from tui.dialogs.priority import PriorityDialog
from tui.widgets.choices import Choices


async def test_a_digit_chooses_and_enter_sends_with_a_way_back() -> None:
    """By keys on the job under the cursor; for some seconds `u` puts the old place back."""
    source = ScriptedSource()
    source.rows["jobs"] = [job_row(1), job_row(2, "queued", priority=4)]
    async with staged(source, "jobs") as stage:
        await stage.press("p")
        assert not stage.in_dialog
        assert stage.said
        await stage.press("down")
        dialog = await stage.open("p", PriorityDialog)
        choice = dialog.query_one("#choices", Choices).choice
        assert choice is not None
        assert choice.id == "4"
        await stage.press("9", "enter")
        await stage.closed()
        job = job_row(2)["id"]
        assert source.asked("priority") == [{"jobs": [job], "priority": 9}]
        await stage.press("u")
        await stage.until(lambda: len(source.asked("priority")) == 2)
        assert source.asked("priority")[1] == {"jobs": [job], "priority": 4}
        source.clock = NOW + 60
        await stage.press("u")
        await stage.settle()
        assert len(source.asked("priority")) == 2


async def test_what_the_hub_refuses_is_told() -> None:
    """A job that has begun meanwhile keeps its place, and it says so."""
    async with staged() as stage:
        stage.source.answers["priority"] = CallRefused("state", "it runs already")
        dialog = PriorityDialog(stage.console, [job_row(1, "queued", priority="?")])
        await stage.show(dialog)
        await stage.press("enter")
        await stage.answered("priority")
        assert "it runs already" in stage.text
        assert stage.console.undo is None
        stage.source.lose()
        await stage.press("5", "enter")
        assert len(stage.source.asked("priority")) == 1
