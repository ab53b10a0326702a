"""What chat is told when somebody looks around."""

from __future__ import annotations

from common.link.messages import Accepted, Output, Started
from tests.hub.hub_harness import NOW, HubHarness, ended_message


async def test_a_request_is_shown_in_all_its_forms(harness: HubHarness) -> None:
    """By its number alone, with its plan, with its output; jobs and history name it."""
    job = await harness.leased_job("@web-1 uptime")
    number = harness.request(job.request_id).number
    assert f"r{number} by carol is running" in await harness.reply_text(f"r{number}", "vera")
    shown = await harness.reply_text(f"show r{number}", "vera")
    assert "@web-1 uptime" in shown
    assert "/usr/bin/uptime" in shown
    assert harness.request(job.request_id).plan_hash[:8] in shown
    jobs = await harness.reply_text("jobs", "vera")
    assert f"r{number} web-1" in jobs
    assert "uptime" in jobs
    await harness.handle_agent_events("web-1", ended_message(job.id))
    assert "done in" in await harness.reply_text(f"output r{number}", "vera")
    assert "No job is waiting" in await harness.reply_text("jobs", "vera")
    history = await harness.reply_text("history")
    assert f"r{number}" in history
    assert "uptime" in history
    assert "输出" in await harness.reply_text("历史")


async def test_a_job_that_runs_shows_its_output_so_far(harness: HubHarness) -> None:
    """Its end, of each machine its own, bounded; what is shown of ended ones stays as it is."""
    await harness.add_machine("db-1")
    request = await harness.submit("@web-1,db-1 uptime")
    jobs = {job.agent: job for job in harness.jobs(request)}
    for agent, said in (("web-1", b"first\nsecond\n"), ("db-1", b"a line\n" * 3_000 + b"the <last> line\n")):
        await harness.claim(agent)
        job = jobs[agent]
        await harness.handle_agent_events(
            agent, Accepted(job.id, job.plan_hash), Started(job.id, 7, NOW), Output(job.id, 1, 1, said, NOW)
        )
    told = await harness.reply_text(f"output r{request.number}")
    assert "web-1: running\nIts output so far:\n```\nfirst\nsecond\n```" in told
    assert "The end of its output so far (20.5 KiB):\n```\na line\n" in told
    assert told.count("a line") < 200
    assert "the <last> line\n```" in told
    assert len(told) < 3_600
    assert "目前输出的结尾" in await harness.reply_text(f"输出 r{request.number}")
    await harness.handle_agent_events("web-1", ended_message(jobs["web-1"].id, output_bytes=13, chunks=1))
    told = await harness.reply_text(f"status r{request.number}")
    assert "first\nsecond" in told
    assert "the <last> line" in told
    assert "Its output so far" not in told


async def test_what_ran_nothing_has_no_output(harness: HubHarness) -> None:
    """And what is not there is said not to be there."""
    asked = await harness.submit("@web-1 systemctl restart nginx.service")
    assert "has no output yet" in await harness.reply_text(f"output r{asked.number}")
    assert f"approve r{asked.number}" in await harness.reply_text(f"show r{asked.number}", "bob")
    refused = await harness.submit("@web-1 nonsense")
    assert "ran nothing" in await harness.reply_text(f"output r{refused.number}")
    assert "no request r999" in await harness.reply_text("show r999")
    assert "Nothing was asked" in await harness.reply_text("history", conversation="elsewhere")
