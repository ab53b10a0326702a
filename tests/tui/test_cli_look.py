"""answerback agents, jobs, job, requests, request, queue: what they show, to people and to scripts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.tui.live import Live
from tui.cli_look import request_lines, state_of

pytestmark = pytest.mark.xdist_group("live")


@pytest.fixture
def done(answerback: Live) -> dict[str, Any]:
    """A request of carol's that has ended, with its job."""
    request: dict[str, Any] = answerback.as_("carol", "run", "--json", "web-1", "--", "bytes").json
    return request


def test_agents(answerback: Live) -> None:
    """A line each: name, whether it is online, labels."""
    lines = answerback("agents").text.splitlines()
    assert lines[0].split() == ["NAME", "STATE", "SEEN", "QUEUED", "LOAD", "VERSION", "LABELS"]
    assert [line.split()[:3] for line in lines[1:]] == [["web-1", "online", "now"], ["web-2", "online", "now"]]
    assert all(line.endswith("role=web") for line in lines[1:])


def test_agents_in_json(answerback: Live) -> None:
    """For scripts: every field, no table."""
    found = answerback("agents", "--json").json
    assert [(agent["name"], agent["online"], agent["labels"]) for agent in found] == [
        ("web-1", True, {"role": "web"}),
        ("web-2", True, {"role": "web"}),
    ]


def test_a_paused_machine_is_shown_as_such(answerback: Live) -> None:
    """With who paused it."""
    answerback("pause", "web-2", "--reason", "disk")
    try:
        assert "PAUSED by alice" in answerback("agents").text
    finally:
        answerback("resume", "web-2")
    assert "PAUSED" not in answerback("agents").text


def test_jobs(done: dict[str, Any], answerback: Live) -> None:
    """Newest first: the end of its id, request, state, machine, person, the exact command."""
    head, first, *_ = answerback("jobs").text.splitlines()
    assert head.split() == ["JOB", "REQUEST", "STATE", "AGE", "AGENT", "WHO", "COMMAND"]
    (job,) = done["jobs"]
    words = first.split()
    assert words[:3] == [job["id"][-10:], f"r{done['number']}", "succeeded"]
    assert words[4:6] == ["web-1", "carol"]
    assert words[6] == json.dumps(job["argv"])


@pytest.mark.parametrize(
    ("flags", "field", "value"),
    [
        (("--agent", "web-2"), "agent", "web-2"),
        (("--person", "carol"), "person", "carol"),
        (("--state", "failed"), "state", "failed"),
    ],
)
def test_jobs_can_be_narrowed(flags: tuple[str, ...], field: str, value: str, answerback: Live) -> None:
    """By machine, by person, by state."""
    for script, name in (("hello", "web-2"), ("seven", "web-1")):
        answerback.as_("carol", "run", name, "--", script)
    found = answerback("jobs", *flags, "--json").json
    assert found
    assert {job[field] for job in found} == {value}
    assert len(answerback("jobs", *flags, "--limit", "1", "--json").json) == 1


@pytest.mark.parametrize("command", ["jobs", "requests"])
def test_a_state_that_is_none(command: str, answerback: Live) -> None:
    """Status 2, with the states there are."""
    ended = answerback(command, "--state", "sleeping")
    assert ended.code == 2
    assert "working" in ended.err or "running" in ended.err


def test_nothing_to_show_is_said(answerback: Live) -> None:
    """Not an empty screen; in JSON an empty list."""
    assert answerback("jobs", "--person", "nobody").text == "no job matches\n"
    assert answerback("jobs", "--person", "nobody", "--json").json == []
    assert answerback("requests", "--state", "expired").text == "no request matches\n"


def test_a_job_with_its_output(done: dict[str, Any], answerback: Live) -> None:
    """Facts on standard error, the output's bytes on standard output, found by the end of its id in either case."""
    (job,) = done["jobs"]
    for name in (job["id"], job["id"][-10:], job["id"][-6:].lower()):
        ended = answerback("job", name)
        assert (ended.code, ended.out) == (0, b"\x00\xff\x1b[2Jx\r\nlast")
        facts = dict(line.split(maxsplit=1) for line in ended.err.splitlines())
        assert (facts["job"], facts["machine"], facts["state"]) == (job["id"], "web-1", "succeeded")
        assert facts["plan"] == done["plan_hash"]
        assert facts["output"].startswith("13 B")


def test_a_job_in_json(done: dict[str, Any], answerback: Live) -> None:
    """One document, output as text, nothing on standard error."""
    ended = answerback("job", done["jobs"][0]["id"], "--json")
    assert ended.err == ""
    assert ended.json["output"] == "\x00\ufffd\x1b[2Jx\r\nlast"
    assert ended.json["output_bytes"] == 13


def test_a_long_output_comes_whole(answerback: Live) -> None:
    """Over several pages of the hub's answer, in order."""
    rig = answerback.rig
    rig.allow("megabytes", "i=0; while [ $i -lt 800 ]; do i=$((i+1)); printf '%01000d\\n' $i; done\n")
    request = answerback.until(lambda: _when_allowed(answerback))
    job = request["jobs"][0]
    ended = answerback("job", job["id"])
    assert [int(line) for line in ended.text.splitlines()] == list(range(1, 801))


def _when_allowed(answerback: Live) -> dict[str, Any] | None:
    """The hub takes up a changed policy within two seconds."""
    request: dict[str, Any] = answerback("run", "--json", "web-1", "--", "megabytes").json
    return request if request["state"] == "done" else None


@pytest.mark.parametrize(
    ("name", "words"), [("0000000000", "no job 0000000000"), ("zz", "no job ZZ"), ("x" * 3000, "2000")]
)
def test_a_job_that_is_not_there(name: str, words: str, answerback: Live) -> None:
    """Status 2 and the name."""
    ended = answerback("job", name)
    assert (ended.code, ended.out) == (2, b"")
    assert words in ended.err


def test_requests(done: dict[str, Any], answerback: Live) -> None:
    """Newest first: number, state, person, where from, the plan's hash, what was said."""
    head, first, *_ = answerback("requests").text.splitlines()
    assert head.split() == ["REQUEST", "STATE", "AGE", "WHO", "FROM", "PLAN", "TEXT"]
    words = first.split()
    assert words[:2] == [f"r{done['number']}", "done"]
    assert words[3:6] == ["carol", "console", done["plan_hash"][:8]]
    assert first.endswith("@web-1 bytes")
    (only,) = answerback("requests", "--limit", "1", "--json").json
    assert only["id"] == done["id"]


def test_a_request_shows_exactly_what_it_would_run(answerback: Live) -> None:
    """Before an approval: command, machines, limits, hash, what is waited for; after it the jobs."""
    asking = answerback.asking()
    number = f"r{asking['number']}"
    told = answerback("request", number).text
    script = answerback.rig.folder / "bin" / "ask-me"
    assert f'step 1   ["{script}"]' in told
    assert "  on     web-1\n" in told
    assert f"plan     {asking['plan_hash']}" in told
    assert "waits    for 1 approval(s) until" in told
    answerback.as_("bob", "approve", number)
    answerback.until(lambda: answerback("request", number, "--json").json["state"] == "done")
    assert "succeeded" in answerback("request", number).text.splitlines()[-1]


def test_nothing_in_a_plan_is_hidden() -> None:
    """Each step with its folder, environment and machines; hostile text made safe and exact."""
    request = {
        "number": 1,
        "person": "eve\x1b",
        "inlet": "ops",
        "text": "look\nhere",
        "state": "asking",
        "reason": "",
        "rule": "r",
        "plan_hash": "ab" * 32,
        "approvers": 2,
        "second_factor": True,
        "decide_by": 0.0,
        "plan": {
            "steps": [
                {"argv": ["a", "\u202e"], "targets": ["w1", "w2"], "cwd": "/x\n", "env": {"A": "b"}, "time_limit": 5},
                {"argv": ["b"], "targets": ["w3"], "cwd": "", "env": {}, "time_limit": 6},
            ]
        },
        "jobs": [],
    }
    told = "\n".join(request_lines(request))
    for words in (
        '["a", "\\u202e"]',
        "w1, w2",
        '["/x\\n"]',
        '["A=b"]',
        "step 2",
        "w3",
        "2 approval(s) with a second factor",
    ):
        assert words in told
    assert "eve\\x1b" in told
    assert "look\\nhere" in told


@pytest.mark.parametrize(("name", "words"), [("r99999", "no request r99999"), ("x", "write r42")])
def test_a_request_that_is_not_there(name: str, words: str, answerback: Live) -> None:
    """Status 2."""
    ended = answerback("request", name)
    assert (ended.code, ended.out) == (2, b"")
    assert words in ended.err


def test_the_queue(answerback: Live) -> None:
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


def test_a_viewer_may_look(answerback: Live) -> None:
    """At all of it; nothing asks for more than the role viewer."""
    for command in ("agents", "jobs", "requests", "queue"):
        assert answerback.as_("vera", command).code == 0


def test_a_job_that_is_stuck_says_so() -> None:
    """Far past its time limit, or handed out and not taken up; not while a cancel is under way."""
    job = {"state": "running", "started_at": 0.0, "time_limit": 60, "cancel_asked_at": None, "ended_at": None}
    assert state_of(job, 70.0) == "running"
    assert state_of(job, 7_000.0) == "running, STUCK"
    assert state_of({**job, "cancel_asked_at": 1.0}, 7_000.0) == "running (cancel asked)"


def test_a_drained_machine_is_shown_as_such(answerback: Live) -> None:
    """Beside that it is online."""
    answerback("drain", "web-2")
    try:
        assert "online, DRAINING" in answerback("agents", "state:draining").text
    finally:
        answerback("undrain", "web-2")
