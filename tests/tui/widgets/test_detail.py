"""One thing in full, in tabs."""

from __future__ import annotations

from tests.tui.scripted_source import HOSTILE, ScriptedSource, Stage, agent_row, event_row, job_row, request_row, staged
from tui.client import CallRefused
from tui.commands import Kind
from tui.safety import is_safe
from tui.widgets.detail import TABS, Detail


async def detail_of(stage: Stage) -> Detail:
    await stage.go("jobs")
    found: Detail = stage.app.screen.query_one(Detail)
    return found


async def test_every_tab_of_every_kind() -> None:
    """Each shows something safe, by its own words or the hub's; a tab that a kind has not is not gone to."""
    source = ScriptedSource()
    rows: dict[Kind, dict[str, object]] = {
        "job": job_row(1, argv=[HOSTILE[3]]),
        "request": request_row(41, text=HOSTILE[1]),
        "agent": agent_row("web-1"),
        "event": event_row(1, data={"x": HOSTILE[0]}),
    }
    source.rows["jobs"], source.rows["requests"] = [job_row(1)], [request_row(41)]
    source.answers["audit"] = [event_row(1, kind=HOSTILE[2], actor=HOSTILE[0])]
    async with staged(source) as stage:
        detail = await detail_of(stage)
        for kind, row in rows.items():
            detail.show(kind, row, at_once=True)
            await stage.settle()
            for tab in TABS[kind]:
                assert detail.go_tab(tab)
                await stage.settle()
                assert all(is_safe(line) for line in stage.text.split("\n"))
                assert f"[{tab}" in stage.text.lower() or detail.tab == tab
            assert not detail.go_tab("nowhere")
        detail.show("", None)
        await stage.settle()
        assert detail.shown_id == ""


async def test_another_thing_never_shows_the_last_ones_answer() -> None:
    """What the hub says late of one thing does not stand in another's detail."""
    source = ScriptedSource()
    source.rows["jobs"] = [job_row(1), job_row(2)]
    source.output = [{"seq": 1, "stream": 1, "data": b"of the first\n"}]
    async with staged(source) as stage:
        detail = await detail_of(stage)
        detail.show("job", job_row(1), at_once=True, tab="output")
        await stage.until(lambda: "of the first" in stage.text)
        source.output = []
        source.answers["job"] = lambda args: job_row(1, reason="of the first")
        detail.show("job", job_row(2), at_once=True)
        await stage.until(lambda: len([call for call in source.asked("job") if call["id"] == job_row(2)["id"]]) == 1)
        await stage.settle()
        assert "of the first" not in stage.text
        assert (detail.shown_id, detail.row.get("reason")) == (job_row(2)["id"], None)


async def test_what_may_not_be_seen_says_why() -> None:
    """The audit without the right, and a refusal of the hub."""
    source = ScriptedSource(roles=("operator",))
    source.rows["jobs"] = [job_row(1)]
    source.answers["job"] = CallRefused("no_right", "not yours to see")
    async with staged(source) as stage:
        detail = await detail_of(stage)
        await stage.until(lambda: "not yours to see" in stage.text or detail.tab == "output")
        detail.go_tab("audit")
        await stage.until(lambda: "approver" in stage.text)
        assert source.asked("audit") == []
