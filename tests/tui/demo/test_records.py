"""What there is in the demo world: counts follow the jobs, changes are told, what was handed out stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.api.agents import AgentView, DrainView
from common.api.jobs import JobView
from tui.demo.records import Records

NOW = 1_790_000_000.0


@pytest.fixture
def records() -> Records:
    made = Records(1, "small", NOW)
    made.store_agent(AgentView(name="web-1", state="active", online=True))
    return made


def job(identity: str = "J1", state: str = "queued") -> JobView:
    return JobView(id=identity, request="R1", agent="web-1", person="bob", state=state, queued_at=NOW)


def test_a_machine_counts_its_jobs(records: Records) -> None:
    """By their state, as it changes; what ended or was discarded is counted no more, and a drain counts down."""
    drain = DrainView(by="alice", at=NOW, left=0, of=1)
    records.store_agent(replace(records.agents["web-1"], draining=drain))
    records.store_job(job())
    assert (records.agents["web-1"].queued, records.agents["web-1"].running) == (1, 0)
    records.store_job(job(state="running"))
    agent = records.agents["web-1"]
    assert agent.draining is not None
    assert (agent.queued, agent.running, agent.draining.left) == (0, 1, 1)
    records.store_job(job("J2"))
    records.store_job(job(state="succeeded"))
    records.discard_jobs("R1")
    agent = records.agents["web-1"]
    assert (agent.queued, agent.running, records.jobs, records.jobs_of("R1")) == (0, 0, {}, [])


def test_changes_are_told_and_old_rows_stay(records: Records) -> None:
    """Each with the store and the id; a row that somebody holds is not touched."""
    told: list[tuple[str, str]] = []
    records.listeners.append(lambda store, identity: told.append((store, identity)))
    records.store_job(job())
    before = records.jobs["J1"]
    records.store_job(replace(before, output_bytes=5), notify=False)
    assert (before.output_bytes, records.jobs["J1"].output_bytes) == (0, 5)
    records.append_event("job.started", "J1", "web-1", {"agent": "web-1"}, 7)
    assert told == [("agents", "web-1"), ("jobs", "J1"), ("events", "1")]
    assert (records.events[0].number, len(records.events[0].hash)) == (7, 64)
