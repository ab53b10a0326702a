"""The place of waiting jobs in the queue."""

from __future__ import annotations

from typing import Any

from tests.tui.scripted_source import NOW, ScriptedSource, job_row, staged
from tui.client import CallRefused
from tui.dialogs.priority import PriorityDialog
from tui.widgets.choices import Choices


def sent(source: ScriptedSource) -> list[dict[str, Any]]:
    """The calls that change something; the others only look ahead."""
    return [args for args in source.asked("priority") if not args.get("dry_run")]


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
        assert sent(source) == [{"jobs": [job], "priority": 9}]
        await stage.press("u")
        await stage.until(lambda: len(sent(source)) == 2)
        assert sent(source)[1] == {"jobs": [job], "priority": 4}
        source.clock = NOW + 60
        await stage.press("u")
        await stage.settle()
        assert len(sent(source)) == 2


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
        assert len(sent(stage.source)) == 1


async def test_the_new_order_is_shown_before_anything_is_sent() -> None:
    """When the choice has stood for a moment: the place in its machine's line, before and after."""
    source = ScriptedSource()
    job = job_row(2, "queued", priority=4)
    source.rows["jobs"] = [job]
    source.answers["priority"] = {
        "text": "",
        "order": [{"job": job["id"], "agent": "db-1", "was": 7, "now": 1, "of": 9}],
    }
    async with staged(source, "jobs") as stage:
        dialog = PriorityDialog(stage.console, [job])
        await stage.show(dialog)
        await stage.press("up")
        await stage.until(lambda: "place 7 -> 1 of 9" in stage.text)
        assert [args["dry_run"] for args in source.asked("priority")] == [True]
        await stage.press("escape")
        await stage.closed()
        assert not sent(source)


async def test_an_order_that_does_not_come_is_no_error() -> None:
    """An older hub, or one that says no: nothing is shown ahead, and it can be sent."""
    async with staged() as stage:
        stage.source.answers["priority"] = CallRefused("no_right", "not now")
        await stage.show(PriorityDialog(stage.console, [job_row(1, "queued", priority=4)]))
        await stage.press("8")
        await stage.until(lambda: stage.source.asked("priority"))
        await stage.settle()
        assert "place" not in stage.text
