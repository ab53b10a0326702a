"""answerback job, request: one record in full, to people and to scripts."""

from __future__ import annotations

from typing import Any

import pytest

from common.api.plans import PlanView, StepView
from common.api.requests import RequestDetails
from tests.tui.live_hub import LiveHub
from tui.cli.records import request_lines

pytestmark = pytest.mark.xdist_group("live")


@pytest.fixture
def done(answerback: LiveHub) -> dict[str, Any]:
    """A request of carol's that has ended, with its job."""
    request: dict[str, Any] = answerback.run_as("carol", "run", "--json", "web-1", "--", "bytes").json
    return request


def test_a_job_with_its_output(done: dict[str, Any], answerback: LiveHub) -> None:
    """Facts on standard error, the output's bytes on standard output, found by the end of its id in either case."""
    (job,) = done["jobs"]
    for name in (job["id"], job["id"][-10:], job["id"][-6:].lower()):
        ended = answerback("job", name)
        assert (ended.code, ended.out) == (0, b"\x00\xff\x1b[2Jx\r\nlast")
        facts = dict(line.split(maxsplit=1) for line in ended.err.splitlines())
        assert (facts["job"], facts["machine"], facts["state"]) == (job["id"], "web-1", "succeeded")
        assert facts["plan"] == done["plan_hash"]
        assert facts["output"].startswith("13 B")


def test_a_job_in_json(done: dict[str, Any], answerback: LiveHub) -> None:
    """One document, output as text, nothing on standard error."""
    ended = answerback("job", done["jobs"][0]["id"], "--json")
    assert ended.err == ""
    assert ended.json["output"] == "\x00\ufffd\x1b[2Jx\r\nlast"
    assert ended.json["output_is"] == "data"
    assert ended.json["output_bytes"] == 13


def test_a_long_output_comes_whole(answerback: LiveHub) -> None:
    """Over several pages of the hub's answer, in order."""
    rig = answerback.rig
    rig.add_program(
        "megabytes", "i=0; while [ $i -lt 800 ]; do i=$((i+1)); printf '%01000d\\n' $i; done\n", noticed_later=True
    )
    request = answerback.wait_until(lambda: _when_allowed(answerback))
    job = request["jobs"][0]
    ended = answerback("job", job["id"])
    assert [int(line) for line in ended.text.splitlines()] == list(range(1, 801))


def _when_allowed(answerback: LiveHub) -> dict[str, Any] | None:
    """The hub takes up a changed policy within two seconds."""
    request: dict[str, Any] = answerback("run", "--json", "web-1", "--", "megabytes").json
    return request if request["state"] == "done" else None


@pytest.mark.parametrize(
    ("name", "words"), [("0000000000", "no job 0000000000"), ("zz", "no job ZZ"), ("x" * 3000, "2000")]
)
def test_a_job_that_is_not_there(name: str, words: str, answerback: LiveHub) -> None:
    """Status 2 and the name."""
    ended = answerback("job", name)
    assert (ended.code, ended.out) == (2, b"")
    assert words in ended.err


def test_a_request_shows_exactly_what_it_would_run(answerback: LiveHub) -> None:
    """Before an approval: command, machines, limits, hash, what is waited for; after it the jobs."""
    asking = answerback.create_asking_request()
    number = f"r{asking['number']}"
    told = answerback("request", number).text
    script = answerback.rig.folder / "bin" / "ask-me"
    assert f"step 1   {script}\n" in told
    assert "  on     web-1\n" in told
    assert f"plan     {asking['plan_hash']}" in told
    assert "waits    for 1 approval(s) until" in told
    answerback.run_as("bob", "approve", number)
    answerback.wait_until(lambda: answerback("request", number, "--json").json["state"] == "done")
    assert "succeeded" in answerback("request", number).text.splitlines()[-1]


def test_nothing_in_a_plan_is_hidden() -> None:
    """Each step with its folder, environment and machines; hostile text made safe and exact."""
    first = StepView(argv=("a", "\u202e"), targets=("w1", "w2"), cwd="/x\n", env={"A": "b"}, time_limit=5)
    second = StepView(argv=("b",), targets=("w3",), env={}, time_limit=6)
    request = RequestDetails(
        id="R",
        number=1,
        person="eve\x1b",
        inlet="ops",
        text="look\nhere",
        state="asking",
        rule="r",
        plan_hash="ab" * 32,
        approvers=2,
        second_factor=True,
        decide_by=0.0,
        received_at=0.0,
        plan=PlanView(steps=(first, second), ttl=600, tainted=False),
    )
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
def test_a_request_that_is_not_there(name: str, words: str, answerback: LiveHub) -> None:
    """Status 2."""
    ended = answerback("request", name)
    assert (ended.code, ended.out) == (2, b"")
    assert words in ended.err
