"""One thing in full, in tabs."""

from __future__ import annotations

from tests.tui.fake_source import HOSTILE, ConsoleDriver, FakeSource, console_driver, event_row, job_row, request_row
from tests.tui.rows import agent, event, job, listed_request
from tui.client.errors import CallRefused
from tui.model.actions import Kind
from tui.model.window import Row
from tui.terminal.sanitize import is_safe
from tui.widgets.detail import TABS, DetailPane


async def detail_of(stage: ConsoleDriver) -> DetailPane:
    await stage.open_mode("jobs")
    found: DetailPane = stage.app.screen.query_one(DetailPane)
    return found


async def test_every_tab_of_every_kind() -> None:
    """Each shows something safe, by its own words or the hub's; a tab that a kind has not is not gone to."""
    source = FakeSource()
    rows: dict[Kind, Row] = {
        "job": job(1, argv=[HOSTILE[3]]),
        "request": listed_request(41, text=HOSTILE[1]),
        "agent": agent("web-1"),
        "event": event(1, data={"x": HOSTILE[0]}),
    }
    source.rows["jobs"], source.rows["requests"] = [job_row(1)], [request_row(41)]
    source.answers["audit"] = [event_row(1, kind=HOSTILE[2], actor=HOSTILE[0])]
    async with console_driver(source) as stage:
        detail = await detail_of(stage)
        for kind, row in rows.items():
            detail.show_row(kind, row, immediate=True)
            await stage.flush()
            for tab in TABS[kind]:
                assert detail.show_tab(tab)
                await stage.flush()
                assert all(is_safe(line) for line in stage.text.split("\n"))
                assert f"[{tab}" in stage.text.lower() or detail.tab == tab
            assert not detail.show_tab("nowhere")
        detail.show_row("", None)
        await stage.flush()
        assert detail.shown_id == ""


async def test_another_thing_never_shows_the_last_ones_answer() -> None:
    """What the hub says late of one thing does not stand in another's detail."""
    source = FakeSource()
    source.rows["jobs"] = [job_row(1), job_row(2)]
    source.output = [{"seq": 1, "stream": 1, "data": b"of the first\n"}]
    async with console_driver(source) as stage:
        detail = await detail_of(stage)
        detail.show_row("job", job(1), immediate=True, tab="output")
        await stage.wait_until(lambda: "of the first" in stage.text)
        source.output = []
        source.answers["job"] = lambda args: job_row(1, reason="of the first")
        detail.show_row("job", job(2), immediate=True)
        await stage.wait_until(
            lambda: len([call for call in source.calls_of("job") if call["id"] == job_row(2)["id"]]) == 1
        )
        await stage.flush()
        assert "of the first" not in stage.text
        assert (detail.shown_id, detail.row.reason) == (job_row(2)["id"], "")


async def test_what_may_not_be_seen_says_why() -> None:
    """The audit without the right, and a refusal of the hub."""
    source = FakeSource(roles=("operator",))
    source.rows["jobs"] = [job_row(1)]
    source.answers["job"] = CallRefused("no_right", "not yours to see")
    async with console_driver(source) as stage:
        detail = await detail_of(stage)
        await stage.wait_until(lambda: "not yours to see" in stage.text or detail.tab == "output")
        detail.show_tab("audit")
        await stage.wait_until(lambda: "approver" in stage.text)
        assert source.calls_of("audit") == []
