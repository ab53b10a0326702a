"""Cancel and kill: asked is not done; one job by a choice, many by their number."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.tui.fake_source import HOSTILE, FakeSource, console_driver, job_row
from tests.tui.rows import job, request
from tui.client.errors import CallRefused, LinkLost
from tui.dialogs.stop import StopDialog
from tui.terminal.sanitize import is_safe
from tui.widgets.digits import NumberInput


async def test_enter_alone_keeps_the_job() -> None:
    """By keys: the focus is on keeping it, killing takes a move, and the dialog tells how it really ended."""
    source = FakeSource()
    source.rows["jobs"] = [job_row(1), job_row(2)]
    async with console_driver(source, "jobs") as stage:
        await stage.press("down")
        await stage.open_dialog("K", StopDialog)
        await stage.press("enter")
        await stage.wait_closed()
        assert source.calls_of("cancel") == []
        source.answers["job"] = lambda args: job_row(2, "cancelled", signal=9, duration=61.0)
        dialog = await stage.open_dialog("K", StopDialog)
        await stage.press("right", "enter")
        await stage.wait_until(lambda: "CANCEL" in dialog.note_text.upper() and "9" in stage.text)
        assert source.calls_of("cancel") == [{"kill": True, "job": job_row(2)["id"]}]
        await stage.press("enter")
        await stage.wait_closed()


async def test_asked_is_not_ended() -> None:
    """While the machine has said nothing the dialog waits and does not say cancelled; it can be closed at any time."""
    async with console_driver() as stage:
        dialog = StopDialog(stage.console, "job", [job(1)], kill=False)
        stage.source.rows["jobs"] = [job_row(1, cancel_asked_at=stage.source.clock - 2, cancel_asked_by="alice")]
        came_to = await stage.push_dialog(dialog)
        await stage.press("right", "enter")
        await stage.wait_until(lambda: stage.source.calls_of("job"))
        await stage.flush()
        assert "cancelled" not in stage.text
        assert "alice" in stage.text
        dialog.send()
        await stage.flush()
        assert len(stage.source.calls_of("cancel")) == 1
        await stage.press("escape")
        await stage.wait_closed()
        assert came_to == [None]


async def test_many_need_their_number() -> None:
    """A wrong number sends nothing; the right one asks for each, some at once, and tells how many were taken."""
    rows = [job(index) for index in range(1, 13)]

    def answer(args: dict[str, Any]) -> Any:
        return CallRefused("state", "it has ended") if args["job"] == rows[3].id else {}

    async with console_driver() as stage:
        stage.source.answers["cancel"] = answer
        dialog = StopDialog(stage.console, "job", rows, kill=False)
        came_to = await stage.push_dialog(dialog)
        await stage.press("enter")
        dialog.query_one("#count", NumberInput).value = "11"
        await stage.press("enter")
        assert stage.source.calls_of("cancel") == []
        dialog.query_one("#count", NumberInput).value = "12"
        await stage.press("enter")
        await stage.wait_closed()
        assert sorted(told["job"] for told in stage.source.calls_of("cancel")) == [row.id for row in rows]
        assert came_to == ["asked"]
        assert "11" in stage.status_line
        assert "it has ended" in stage.status_line


async def test_the_marked_jobs_are_those_that_were_marked() -> None:
    """Rows that leave the list behind the dialog are still the ones it is about."""
    source = FakeSource()
    jobs = [job_row(index) for index in range(1, 5)]
    source.rows["jobs"] = list(jobs)
    async with console_driver(source, "jobs") as stage:
        await stage.press("space", "space")
        dialog = await stage.open_dialog("c", StopDialog)
        source.reorder("jobs", [jobs[3], jobs[2]])
        await stage.flush()
        dialog.query_one("#count", NumberInput).value = "2"
        await stage.press("enter")
        await stage.wait_closed()
        assert {told["job"] for told in source.calls_of("cancel")} == {jobs[0]["id"], jobs[1]["id"]}


async def test_refused_lost_and_offline() -> None:
    """A refusal ends it, no answer is told as no answer, and without a link nothing is sent."""
    async with console_driver() as stage:
        stage.source.answers["cancel"] = CallRefused("state", "it has ended by itself")
        await stage.push_dialog(dialog := StopDialog(stage.console, "job", [job(1)], kill=True))
        await stage.press("right", "enter")
        await stage.wait_answered("cancel")
        assert "it has ended by itself" in stage.text
        assert dialog.finished
        await stage.press("escape")
        await stage.wait_closed()
        stage.source.answers["cancel"] = LinkLost("the hub did not answer", "try again")
        await stage.push_dialog(dialog := StopDialog(stage.console, "job", [job(1)], kill=True))
        await stage.press("right", "enter")
        await stage.wait_answered("cancel", 2)
        assert "the hub did not answer" in stage.text
        stage.source.disconnect()
        await stage.press("enter")
        await stage.flush()
        assert len(stage.source.calls_of("cancel")) == 2


async def test_a_request_is_cancelled_by_its_number() -> None:
    """All its jobs at once, and the hub's words are told."""
    async with console_driver() as stage:
        stage.source.answers["cancel"] = {"text": "r41: 3 jobs are being stopped"}
        came_to = await stage.push_dialog(StopDialog(stage.console, "request", [request(41)], kill=False))
        await stage.press("right", "enter")
        await stage.wait_closed()
        assert stage.source.calls_of("cancel") == [{"number": 41}]
        assert (came_to, stage.status_line) == (["asked"], "r41: 3 jobs are being stopped")


async def test_leaving_while_many_are_sent_is_told() -> None:
    """Who closes it half-way is not left to believe that nothing was done."""
    async with console_driver() as stage:
        waits: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        stage.source.answers["cancel"] = lambda args: waits
        dialog = StopDialog(stage.console, "job", [job(1), job(2)], kill=False)
        await stage.push_dialog(dialog)
        dialog.query_one("#count", NumberInput).value = "2"
        await stage.press("enter")
        await stage.wait_until(lambda: dialog.sending)
        await stage.press("escape")
        await stage.wait_closed()
        assert stage.status_line


async def test_hostile_rows() -> None:
    """A job with hostile text in every field is shown as words."""
    async with console_driver(size=(60, 16)) as stage:
        for text in HOSTILE:
            row = job(1, agent=text, argv=[text, text], person=text, reason=text, cancel_asked_by=text, state=text)
            dialog = StopDialog(stage.console, "job", [row], kill=True)
            await stage.push_dialog(dialog)
            assert all(is_safe(line) for line in stage.text.split("\n"))
            dialog.dismiss(None)
            await stage.wait_closed()
