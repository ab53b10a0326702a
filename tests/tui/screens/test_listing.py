"""A mode that is one table."""

from __future__ import annotations

from typing import Any

from tests.tui.fake_source import (
    HOSTILE,
    ConsoleDriver,
    FakeSource,
    agent_row,
    console_driver,
    event_row,
    job_row,
    request_row,
)
from tui.client.errors import CallRefused
from tui.dialogs.approve import ApproveDialog
from tui.screens.listing import ListScreen
from tui.terminal.sanitize import is_safe
from tui.widgets.table import IDLE_AFTER


def screen_of(stage: ConsoleDriver) -> ListScreen:
    assert isinstance(stage.app.screen, ListScreen)
    return stage.app.screen


def source_of(**rows: list[dict[str, Any]]) -> FakeSource:
    source = FakeSource()
    source.rows.update(rows)
    return source


async def test_the_row_that_a_key_was_pressed_on() -> None:
    """The list turns round right after a key: the act is about the row that stood under the cursor then."""
    jobs = [job_row(1), job_row(2), job_row(3)]
    async with console_driver(source_of(jobs=jobs), "jobs") as stage:
        await stage.press("down")
        stage.source.reorder("jobs", [jobs[2], jobs[0], jobs[1]])
        dialog = await stage.open_dialog("c")
        assert [row.id for row in dialog.rows] == [jobs[1]["id"]]


async def test_rows_wait_while_the_operator_is_busy() -> None:
    """After a key a new order waits and is counted; `R` lets it in; the cursor is on the same row before and after."""
    jobs = [job_row(1), job_row(2), job_row(3)]
    async with console_driver(source_of(jobs=jobs), "jobs") as stage:
        table = screen_of(stage).table()
        await stage.press("down")
        table._last_activity += 3_600
        stage.source.reorder("jobs", [jobs[2], jobs[1], jobs[0]])
        await stage.wait_until(lambda: table.window.pending_moves)
        assert (table.cursor_id, table.cursor_index) == (jobs[1]["id"], 1)
        assert table.window.id_at(0) == jobs[0]["id"]
        await stage.press("R")
        await stage.flush()
        assert (table.window.id_at(0), table.cursor_id) == (jobs[2]["id"], jobs[1]["id"])
        table._last_activity = -IDLE_AFTER
        stage.source.reorder("jobs", [jobs[1], jobs[2], jobs[0]])
        await stage.wait_until(lambda: table.cursor_index == 0)
        assert table.cursor_id == jobs[1]["id"]


async def test_while_it_follows_a_key_is_for_a_row_that_stands_still() -> None:
    """The newest job takes the cursor's place by itself, so the first press only ends the following."""
    async with console_driver(source_of(jobs=[job_row(1)]), "jobs") as stage:
        table = screen_of(stage).table()
        table.follow(True)
        table._last_activity = -IDLE_AFTER
        await stage.press("c")
        await stage.flush()
        assert not stage.in_dialog
        assert not table.following
        assert stage.status_line
        await stage.open_dialog("c")


async def test_filter_as_it_is_typed() -> None:
    """The hub filters; a wrong one is told where it is wrong and the rows stay; escape brings back what was."""
    source = source_of(jobs=[job_row(1), job_row(2)])
    async with console_driver(source, "jobs") as stage:
        live = screen_of(stage).live_view
        await stage.press("slash")
        await stage.type("state:failed")
        await stage.wait_until(lambda: source.subscriptions["jobs"]["filter"] == "state:failed")
        await stage.press("enter")
        await stage.press("slash")
        await stage.type(" nope:")
        await stage.press("enter")
        await stage.wait_until(lambda: live.problem is not None)
        await stage.flush()
        assert live.problem is not None
        assert live.problem.text[:20] in stage.text
        assert "sleep 1" in stage.text
        await stage.press("escape")
        await stage.wait_until(lambda: source.subscriptions["jobs"]["filter"] == "")


async def test_back_goes_one_step_at_a_time() -> None:
    """From the detail to the table, then marks, then the filter."""
    source = source_of(jobs=[job_row(1), job_row(2)])
    async with console_driver(source, "jobs") as stage:
        screen = screen_of(stage)
        screen.set_filter("state:running")
        await stage.wait_until(lambda: source.subscriptions["jobs"]["filter"] == "state:running")
        await stage.press("space", "enter")
        await stage.flush()
        assert not screen.table().has_focus
        await stage.press("escape")
        assert (screen.table().has_focus, len(screen.table().marks)) == (True, 1)
        await stage.press("escape")
        assert screen.table().marks == {}
        await stage.press("escape")
        await stage.wait_until(lambda: source.subscriptions["jobs"]["filter"] == "")


async def test_tabs_of_the_detail_by_key() -> None:
    """`[` and `]` go through what there is of a thing; `l` to its output."""
    async with console_driver(source_of(jobs=[job_row(1)]), "jobs") as stage:
        detail = screen_of(stage).detail
        first = detail.tab
        await stage.press("right_square_bracket")
        second = detail.tab
        assert second != first
        await stage.press("left_square_bracket", "left_square_bracket")
        assert detail.tab not in (first, second)
        await stage.press("l")
        assert detail.tab == "output"


async def test_all_that_match_are_marked_not_only_what_is_seen() -> None:
    """It asks the hub, says how many, and where there are more than it marks."""
    async with console_driver(source_of(jobs=[job_row(index) for index in range(600)]), "jobs", size=(80, 24)) as stage:
        await stage.press("asterisk")
        await stage.wait_until(lambda: screen_of(stage).table().marks)
        assert len(screen_of(stage).table().marks) == 500
        assert "600" in stage.status_line
        assert stage.source.unsubscribed == ["mark"]


async def test_order_by_key_and_by_title() -> None:
    """`o` goes through the columns, `O` turns it, a click on a title takes it."""
    async with console_driver(source_of(agents=[agent_row("web-1")]), "agents") as stage:
        await stage.press("o")
        await stage.wait_until(lambda: stage.source.subscriptions["agents"]["sort"] not in ("name",))
        sort = stage.source.subscriptions["agents"]["sort"]
        await stage.press("O")
        await stage.wait_until(lambda: stage.source.subscriptions["agents"]["sort"] == f"-{sort}")
        await stage.pilot.click("#list", offset=(3, 0))
        await stage.wait_until(lambda: stage.source.subscriptions["agents"]["sort"] in ("state", "-state"))


async def test_lost_and_back() -> None:
    """The rows stay, greyed; a dialog that was open stays open; back, the rows are brought up to date."""
    source = source_of(requests=[request_row(41)])
    async with console_driver(source, "approve") as stage:
        dialog = await stage.open_dialog("a", ApproveDialog)
        source.disconnect()
        await stage.flush()
        await stage.flush()
        assert stage.app.screen is dialog
        await stage.press("escape")
        await stage.wait_closed()
        await stage.flush()
        assert "systemctl reload" in stage.text
        assert screen_of(stage).table().has_class("-stale")
        source.rows["requests"] = [request_row(43)]
        source.reconnect()
        await stage.wait_until(lambda: "web-43" in stage.text)
        assert not screen_of(stage).table().has_class("-stale")


async def test_refused_and_empty() -> None:
    """A view that the hub does not give says why; an empty one says what would be here."""
    async with console_driver(source_of(), "jobs") as stage:
        empty = stage.text
        assert "loading" not in empty
        stage.source.answers["view"] = CallRefused("no_right", "alice may not see jobs")
        screen_of(stage).live_view.start()
        await stage.wait_until(lambda: "alice may not see jobs" in stage.text)


async def test_hostile_rows_in_every_list() -> None:
    """Whatever machines and chats say, what is on the screen is safe and a click on it runs nothing."""
    many = range(len(HOSTILE))
    source = source_of(
        jobs=[
            job_row(i, agent=HOSTILE[i], argv=[HOSTILE[i]] * 2, person=HOSTILE[i], state=HOSTILE[i][:20]) for i in many
        ],
        requests=[request_row(i, text=HOSTILE[i], person=HOSTILE[i], reason=HOSTILE[i]) for i in many],
        agents=[agent_row(HOSTILE[i], id=str(i), labels={HOSTILE[i]: HOSTILE[i]}, version=HOSTILE[i]) for i in many],
        audit=[event_row(i, kind=HOSTILE[i], actor=HOSTILE[i], data={HOSTILE[i]: HOSTILE[i]}) for i in many],
    )
    async with console_driver(source) as stage:
        for mode in ("jobs", "approve", "agents", "audit"):
            await stage.open_mode(mode)
            for y in (1, HOSTILE.index("[@click=app.perform('quit')]press me[/]") + 1):
                await stage.pilot.click("#list", offset=(40, y))
                await stage.flush()
                assert all(is_safe(line) for line in stage.text.split("\n")), (mode, y)
            assert stage.app.is_running
        assert [verb for verb, _ in source.calls if verb not in ("job", "request", "audit", "jobs")] == []
