"""answerback agents, jobs, requests, queue: what they show, to people and to scripts."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest

from common.api.jobs import JobView
from common.api.overview import QueueView
from common.version import VERSION
from tests.tui.live_hub import LiveHub
from tui.cli.lists import describe_state, queue_facts

pytestmark = pytest.mark.xdist_group("live")


MACHINES = ("web-1", "web-2")
"""Those that are there; other tests of this hub invite more."""


def of_machines(rows: list[str]) -> list[str]:
    return [row for row in rows if row.split()[0] in MACHINES]


@pytest.fixture
def done(answerback: LiveHub) -> dict[str, Any]:
    """A request of carol's that has ended, with its job."""
    request: dict[str, Any] = answerback.run_as("carol", "run", "--json", "web-1", "--", "bytes").json
    return request


def test_agents(answerback: LiveHub) -> None:
    """A line each: name, whether it is online, labels."""
    lines = answerback("agents").text.splitlines()
    assert lines[0].split() == ["NAME", "STATE", "SEEN", "QUEUED", "LOAD", "VERSION", "LABELS"]
    rows = of_machines(lines[1:])
    assert [line.split()[:3] for line in rows] == [["web-1", "online", "now"], ["web-2", "online", "now"]]
    assert all(line.endswith("role=web") for line in rows)


def test_all_of_the_machines(answerback: LiveHub) -> None:
    """Until when each certificate lasts, and the versions of uplink and runner."""
    head, *rows = answerback("agents", "--all").text.splitlines()
    assert head.split() == ["NAME", "STATE", "CERTIFICATE", "UNTIL", "UPLINK", "RUNNER", "LABELS"]
    for row in of_machines(rows):
        words = row.split()
        assert words[1] == "online"
        assert words[-3:-1] == [VERSION, VERSION]
    found = [agent for agent in answerback("agents", "--json").json if agent["name"] in MACHINES]
    assert [agent["certificate_until"] > 0 for agent in found] == [True, True]


def test_agents_in_json(answerback: LiveHub) -> None:
    """For scripts: every field, no table."""
    found = answerback("agents", "--json").json
    assert [(agent["name"], agent["online"], agent["labels"]) for agent in found if agent["name"] in MACHINES] == [
        ("web-1", True, {"role": "web"}),
        ("web-2", True, {"role": "web"}),
    ]


def test_a_paused_machine_is_shown_as_such(answerback: LiveHub) -> None:
    """With who paused it."""
    answerback("pause", "web-2", "--reason", "disk")
    try:
        assert "PAUSED by alice" in answerback("agents").text
    finally:
        answerback("resume", "web-2")
    assert "PAUSED" not in answerback("agents").text


def test_jobs(done: dict[str, Any], answerback: LiveHub) -> None:
    """Newest first: the end of its id, request, state, machine, person, the exact command."""
    head, first, *_ = answerback("jobs").text.splitlines()
    assert head.split() == ["JOB", "REQUEST", "STATE", "AGE", "TOOK", "AGENT", "WHO", "COMMAND"]
    (job,) = done["jobs"]
    words = first.split()
    assert words[:3] == [job["id"][-10:], f"r{done['number']}", "succeeded"]
    assert words[4].endswith("s")
    assert words[5:7] == ["web-1", "carol"]
    assert " ".join(words[7:]) == shlex.join(job["argv"])


@pytest.mark.parametrize(
    ("flags", "field", "value"),
    [
        (("--agent", "web-2"), "agent", "web-2"),
        (("--person", "carol"), "person", "carol"),
        (("--state", "failed"), "state", "failed"),
    ],
)
def test_jobs_can_be_narrowed(flags: tuple[str, ...], field: str, value: str, answerback: LiveHub) -> None:
    """By machine, by person, by state."""
    for script, name in (("hello", "web-2"), ("seven", "web-1")):
        answerback.run_as("carol", "run", name, "--", script)
    found = answerback("jobs", *flags, "--json").json
    assert found
    assert {job[field] for job in found} == {value}
    assert len(answerback("jobs", *flags, "--limit", "1", "--json").json) == 1


@pytest.mark.parametrize("command", ["jobs", "requests"])
def test_a_state_that_is_none(command: str, answerback: LiveHub) -> None:
    """Status 2, with the states there are."""
    ended = answerback(command, "--state", "sleeping")
    assert ended.code == 2
    assert "working" in ended.err or "running" in ended.err


def test_nothing_to_show_is_said(answerback: LiveHub) -> None:
    """Not an empty screen; in JSON an empty list."""
    assert answerback("jobs", "--person", "nobody").text == "no job matches\n"
    assert answerback("jobs", "--person", "nobody", "--json").json == []
    assert answerback("requests", "--state", "expired").text == "no request matches\n"


def test_requests(done: dict[str, Any], answerback: LiveHub) -> None:
    """Newest first: number, state, person, where from, the plan's hash, what was said."""
    head, first, *_ = answerback("requests").text.splitlines()
    assert head.split() == ["REQUEST", "STATE", "AGE", "WHO", "FROM", "PLAN", "TEXT"]
    words = first.split()
    assert words[:2] == [f"r{done['number']}", "done"]
    assert words[3:6] == ["carol", "console", done["plan_hash"][:8]]
    assert first.endswith("@web-1 bytes")
    (only,) = answerback("requests", "--limit", "1", "--json").json
    assert only["id"] == done["id"]


def test_the_queue(answerback: LiveHub) -> None:
    """How much waits, and who paused it all."""
    assert answerback("queue", "--json").json["paused"] is None
    answerback("pause", "--reason", "a test")
    try:
        told = answerback("queue").text
        assert "paused       by alice" in told
        assert "reason       a test" in told
    finally:
        answerback("resume")
    assert "paused       no" in answerback("queue").text


def test_a_viewer_may_look(answerback: LiveHub) -> None:
    """At all of it; nothing asks for more than the role viewer."""
    for command in ("agents", "jobs", "requests", "queue"):
        assert answerback.run_as("vera", command).code == 0


def test_a_job_that_is_stuck_says_so() -> None:
    """Far past its time limit, or handed out and not taken up; not while a cancel is under way."""
    job = JobView(id="J", request="R", agent="a", person="p", queued_at=0.0, state="running", started_at=0.0)
    job = replace(job, time_limit=60)
    assert describe_state(job, 70.0) == "running"
    assert describe_state(job, 7_000.0) == "running, STUCK"
    assert describe_state(replace(job, cancel_asked_at=1.0), 7_000.0) == "running (cancel asked)"


def test_a_drained_machine_is_shown_as_such(answerback: LiveHub) -> None:
    """Beside that it is online."""
    answerback("drain", "web-2")
    try:
        assert "online, DRAINING" in answerback("agents", "state:draining").text
    finally:
        answerback("undrain", "web-2")


def test_a_full_disk_is_a_fact_of_the_queue() -> None:
    """As the hub says it, on one line."""
    queue = QueueView(depth=0, now=1.0, storage="the disk is full\x1b[2J")
    (told,) = (value for name, value in queue_facts(queue) if name == "storage")
    assert told.startswith("the disk is full")
    assert "\x1b" not in told
    assert "storage" not in dict(queue_facts(QueueView(depth=0, now=1.0)))
