"""Rows of lists: whole views, with long texts cut."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from common.api.codec import encode as encode_view
from common.lifecycle import JobState, RequestState
from common.link.codec import LINK_LIMITS, encode
from common.link.messages import Push
from common.plan import Plan, Step, plan_hash
from hub.api.rows import (
    MAX_TARGETS,
    MAX_TEXT,
    MachineStatus,
    agent_row,
    event_row,
    is_job_stuck,
    job_row,
    request_row,
    truncate,
)
from hub.api.views import agent_view, job_view, request_view
from hub.core.records import Agent, AuditEvent, Job, Request

NOW = 1_800_000_000.0
HERE = MachineStatus(online=True, paused=False)
LONG = "长" * 5_000
ID = "01JDZZZZZZZZZZZZZZZZZZZZZY"


def a_job(**more: Any) -> Job:
    values: dict[str, Any] = {"state": JobState.QUEUED, "command": "/usr/bin/df -h '/srv/my data'", **more}
    return Job(ID, "R", "bob", "web-1", step=0, plan_hash="ab", not_after=NOW + 600, queued_at=NOW, **values)


def a_request(plan: Plan | None, **more: Any) -> Request:
    values: dict[str, Any] = {
        "state": RequestState.ASKING,
        "inlet": "ops",
        "event_id": "e",
        "conversation": "room",
        "chat_user": "bob",
        "person": "bob",
        "text": "do it",
        "language": "en",
        "reply_url": "",
        **more,
    }
    return Request("R", 42, received_at=NOW, plan=plan, plan_hash=plan_hash(plan) if plan else "", **values)


def test_a_jobs_row_is_its_view_and_what_stands_around_it() -> None:
    """The command as its words, whether its machine is there, whether it is stuck."""
    told = job_row(a_job(number=42, inlet="ops"), HERE, NOW).payload
    view = encode_view(job_view(a_job()))
    assert {key: told[key] for key in view} == {**view, "number": 42, "inlet": "ops"}
    assert told["argv"] == ["/usr/bin/df", "-h", "/srv/my data"]
    assert "argv_cut" not in told
    assert (told["agent_online"], told["agent_paused"], told["stuck"]) == (True, False, False)
    assert job_row(a_job(command=""), HERE, NOW, ("ls", "x")).payload["argv"] == ["ls", "x"]
    assert "argv" not in job_row(a_job(command=""), HERE, NOW).payload


def test_a_cut_vector_says_so() -> None:
    """A long word, many words: the row shows the beginning and says that it is no more."""
    for argv in (["echo", LONG], ["echo", *map(str, range(500))]):
        told = job_row(a_job(command=""), HERE, NOW, argv).payload
        assert told["argv_cut"] is True
        assert told["argv"][0] == "echo"
        assert sum(map(len, told["argv"])) <= MAX_TEXT


def test_stuck_is_asked_of_the_record() -> None:
    """As the filter asks it of a row."""
    assert is_job_stuck(a_job(state=JobState.RUNNING, started_at=NOW - 100, time_limit=60), NOW)
    assert not is_job_stuck(a_job(state=JobState.RUNNING, started_at=NOW - 80, time_limit=60), NOW)


def test_a_requests_row_has_little_of_its_plan() -> None:
    """A few steps and machines, and how many there are; how many have said yes."""
    names = tuple(f"web-{number:04}" for number in range(1_000))
    plan = Plan(tuple(Step(("/usr/bin/df", str(number)), names) for number in range(5)))
    told = request_row(a_request(plan, approvers=2, behalf="carol dave"), 1).payload
    assert (told["given"], told["machines"], told["behalf"]) == (1, 1_000, ["carol", "dave"])
    assert told["plan"]["step_count"] == 5
    step = told["plan"]["steps"][0]
    assert (len(step["targets"]), step["target_count"], step["argv"]) == (MAX_TARGETS, 1_000, ["/usr/bin/df", "0"])
    assert set(encode_view(request_view(a_request(plan)))) <= set(told)
    assert request_row(a_request(None), 0).payload["plan"] is None


def test_a_machines_row_is_its_view() -> None:
    """Under its name; how far a drain is."""
    agent = Agent("web-1", {"env": "prod"}, "active", NOW, drain_at=NOW, drain_by="bob", drain_jobs=4)
    facts: dict[str, Any] = {
        "online": True,
        "vitals": {"load1": 1.0, "at": NOW, "rtt": 0.02},
        "queued": 2,
        "running": 3,
    }
    row = agent_row(agent_view(agent, **facts))
    assert row.id == "web-1"
    assert row.payload == {"id": "web-1", **encode_view(agent_view(agent, **facts))}
    assert row.payload["draining"] == {"by": "bob", "at": NOW, "cancel_at": None, "left": 3, "of": 4}
    assert (row.payload["rtt"], row.payload["last_seen"]) == (0.02, NOW)


def test_an_events_row_tells_of_its_job() -> None:
    """Whose, where and what, so that activity reads by itself."""
    event = AuditEvent(7, NOW, "job.ended", ID, "web-1", {"outcome": "failed"}, "p", "h")
    told = event_row(event, a_job(number=42)).payload
    assert (told["id"], told["seq"], told["number"], told["agent"], told["person"]) == ("7", 7, 42, "web-1", "bob")
    assert told["argv"][0] == "/usr/bin/df"
    assert "number" not in event_row(event).payload


def test_hostile_rows_fit_into_a_frame() -> None:
    """Whatever people and machines put into every field, a row is small, its weight is no less than the truth, and a
    window of them is encoded.
    """
    texts = {field.name: LONG for field in fields(Job) if field.type == "str" and field.name not in ("id", "command")}
    job = Job(
        **{**{f.name: getattr(a_job(), f.name) for f in fields(Job)}, **texts, "command": "x '" + LONG[:900] + "'"}
    )
    event = AuditEvent(
        1,
        NOW,
        LONG,
        LONG,
        LONG,
        {f"{LONG}{n}"[-200:]: {LONG: [LONG] * 99, "b": {"c": {"d": 1}}} for n in range(99)},
        "p",
        "h",
    )
    agent = Agent("web-1", {f"k{n}": LONG for n in range(99)}, "active", NOW, version=LONG, facts={LONG: LONG})
    step = Step(("/x", *["长" * 100] * 200), tuple(f"m{n:02}" for n in range(99)))
    for row in (
        job_row(job, HERE, NOW),
        event_row(event),
        agent_row(agent_view(agent, online=True, vitals={f"v{n}": 1.0 for n in range(99)})),
        request_row(a_request(Plan((step,) * 9, explanation="长" * 4_000), text=LONG, conversation=LONG), 0),
    ):
        assert row.size < 120_000
        size = len(encode(Push(1, [row.payload]))) - len(encode(Push(1, [])))
        assert size <= row.size
        assert row.nodes < 1_000
    assert LINK_LIMITS.size > 8 * 100_000


def test_short() -> None:
    """An ellipsis where something was cut off."""
    assert truncate("x" * MAX_TEXT) == "x" * MAX_TEXT
    assert truncate("x" * (MAX_TEXT + 1)) == "x" * (MAX_TEXT - 1) + "…"
