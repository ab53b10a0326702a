"""The place of waiting jobs in the queue."""

from __future__ import annotations

from typing import Any

from tests.tui.fake_source import NOW, FakeSource, console_driver, job_row
from tests.tui.rows import job
from tui.client.errors import CallRefused
from tui.dialogs.priority import PriorityDialog
from tui.widgets.choices import ChoiceList


def sent(source: FakeSource) -> list[dict[str, Any]]:
    """The calls that change something; the others only look ahead."""
    return [args for args in source.calls_of("priority") if not args.get("dry_run")]


async def test_a_digit_chooses_and_enter_sends_with_a_way_back() -> None:
    """By keys on the job under the cursor; for some seconds `u` puts the old place back."""
    source = FakeSource()
    source.rows["jobs"] = [job_row(1), job_row(2, "queued", priority=4)]
    async with console_driver(source, "jobs") as stage:
        await stage.press("p")
        assert not stage.in_dialog
        assert stage.status_line
        await stage.press("down")
        dialog = await stage.open_dialog("p", PriorityDialog)
        choice = dialog.query_one("#choices", ChoiceList).highlighted
        assert choice is not None
        assert choice.id == "4"
        await stage.press("9", "enter")
        await stage.wait_closed()
        assert sent(source) == [{"jobs": [job_row(2)["id"]], "priority": 9}]
        await stage.press("u")
        await stage.wait_until(lambda: len(sent(source)) == 2)
        assert sent(source)[1] == {"jobs": [job_row(2)["id"]], "priority": 4}
        source.clock = NOW + 60
        await stage.press("u")
        await stage.flush()
        assert len(sent(source)) == 2


async def test_what_the_hub_refuses_is_told() -> None:
    """A job that has begun meanwhile keeps its place, and it says so."""
    async with console_driver() as stage:
        stage.source.answers["priority"] = CallRefused("state", "it runs already")
        dialog = PriorityDialog(stage.console, [job(1, "queued")])
        await stage.push_dialog(dialog)
        await stage.press("enter")
        await stage.wait_answered("priority")
        assert "it runs already" in stage.text
        assert stage.console.undo is None
        stage.source.disconnect()
        await stage.press("5", "enter")
        assert len(sent(stage.source)) == 1


async def test_the_new_order_is_shown_before_anything_is_sent() -> None:
    """When the choice has stood for a moment: the place in its machine's line, before and after."""
    source = FakeSource()
    row = job_row(2, "queued", priority=4)
    source.rows["jobs"] = [row]
    source.answers["priority"] = {
        "text": "",
        "order": [{"job": row["id"], "agent": "db-1", "was": 7, "now": 1, "of": 9}],
    }
    async with console_driver(source, "jobs") as stage:
        dialog = PriorityDialog(stage.console, [job(2, "queued", priority=4)])
        await stage.push_dialog(dialog)
        await stage.press("up")
        await stage.wait_until(lambda: "place 7 -> 1 of 9" in stage.text)
        assert [args["dry_run"] for args in source.calls_of("priority")] == [True]
        await stage.press("escape")
        await stage.wait_closed()
        assert not sent(source)


async def test_an_order_that_does_not_come_is_no_error() -> None:
    """An older hub, or one that says no: nothing is shown ahead, and it can be sent."""
    async with console_driver() as stage:
        stage.source.answers["priority"] = CallRefused("no_right", "not now")
        await stage.push_dialog(PriorityDialog(stage.console, [job(1, "queued", priority=4)]))
        await stage.press("8")
        await stage.wait_until(lambda: stage.source.calls_of("priority"))
        await stage.flush()
        assert "place" not in stage.text
