"""answerback approve, reject, cancel, settle, pause, resume: stepping in, from the command line."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from tests.tui.live_hub import LiveHub

pytestmark = pytest.mark.xdist_group("live")


def state_of(answerback: LiveHub, number: str) -> str:
    return str(answerback("request", number, "--json").json["state"])


def ran(answerback: LiveHub, script: str) -> int:
    """How often a program that leaves a mark has run."""
    file = Path(answerback.rig.folder) / f"{script}.ran"
    return len(file.read_text().splitlines()) if file.exists() else 0


def test_an_approval_of_exactly_that_plan(answerback: LiveHub) -> None:
    """Said by another person with the plan's hash; it then runs once."""
    before, asking = ran(answerback, "ask-me"), answerback.create_asking_request()
    number = f"r{asking['number']}"
    ended = answerback.run_as("bob", "approve", number, "--plan", asking["plan_hash"], "--reason", "looks fine")
    assert (ended.code, ended.err) == (0, "")
    assert "runs now" in ended.text
    answerback.wait_until(lambda: state_of(answerback, number) == "done")
    assert ran(answerback, "ask-me") == before + 1


def test_an_approval_in_json(answerback: LiveHub) -> None:
    """One document with what chat would be told."""
    number = f"r{answerback.create_asking_request()['number']}"
    assert "runs now" in answerback.run_as("bob", "approve", number, "--json").json["text"]


def test_what_is_critical_is_signed_by_the_person(answerback: LiveHub) -> None:
    """Trust: without the person's own signature there is no yes; with it the machine runs the plan only if it knows the
    key, which it has from the person. A script names the hash of what it signs.
    """
    before, asking = ran(answerback, "ask-signed"), answerback.create_asking_request(script="ask-signed")
    number = f"r{asking['number']}"
    shown = answerback.run_as("bob", "approve", number)
    assert shown.code == 3
    assert f"--plan {asking['plan_hash']}" in shown.err
    assert "ask-signed" in shown.err
    assert state_of(answerback, number) == "asking"
    ended = answerback.run_as("bob", "approve", number, "--plan", asking["plan_hash"])
    assert (ended.code, "runs now" in ended.text) == (0, True)
    answerback.wait_until(lambda: state_of(answerback, number) == "done")
    assert "answerback-agent approvers add" in answerback("request", number).text
    assert ran(answerback, "ask-signed") == before
    name, key = answerback.run_as("bob", "whoami", "--approval-key").text.split()
    state = str(answerback.rig.state_folder("web-1"))
    answerback.run_coroutine(answerback.rig.run("agent", "approvers", "add", name, key, "--state", state))
    again = answerback.create_asking_request(script="ask-signed")
    number = f"r{again['number']}"
    assert answerback.run_as("bob", "approve", number, "--plan", again["plan_hash"]).code == 0
    answerback.wait_until(lambda: state_of(answerback, number) == "done")
    assert ran(answerback, "ask-signed") == before + 1


def test_another_plans_hash_approves_nothing(answerback: LiveHub) -> None:
    """Status 3, and the request goes on waiting."""
    number = f"r{answerback.create_asking_request()['number']}"
    ended = answerback.run_as("bob", "approve", number, "--plan", "0" * 64)
    assert (ended.code, ended.out) == (3, b"")
    assert "another one" in ended.err
    assert state_of(answerback, number) == "asking"
    answerback.run_as("bob", "reject", number)


@pytest.mark.parametrize(("person", "words"), [("carol", "approver"), ("vera", "approver")])
def test_who_may_not_approve(person: str, words: str, answerback: LiveHub) -> None:
    """Without the role: status 3, with the role that may."""
    number = f"r{answerback.create_asking_request()['number']}"
    ended = answerback.run_as(person, "approve", number)
    assert ended.code == 3
    assert words in ended.err
    answerback.run_as("bob", "reject", number)


def test_nobody_approves_their_own(answerback: LiveHub) -> None:
    """Not an approver, not an admin."""
    number = f"r{answerback.create_asking_request('bob')['number']}"
    ended = answerback.run_as("bob", "approve", number)
    assert ended.code == 3
    assert "another person" in ended.err
    assert state_of(answerback, number) == "asking"
    assert answerback("reject", number).code == 0


def test_a_second_factor_from_standard_input(answerback: LiveHub) -> None:
    """Missing and wrong codes are told and approve nothing; the right one, read with `-`, does, once."""
    answerback.profile("bob")
    uri = answerback.hub("operator", "totp", "bob", "--json").json["uri"]
    totp = pyotp.TOTP(parse_qs(urlsplit(uri).query)["secret"][0])
    number = f"r{answerback.create_asking_request(script='ask-code')['number']}"
    missing = answerback.run_as("bob", "approve", number)
    assert missing.code == 3
    assert "code" in missing.err
    code = totp.at(time.time())
    wrong = answerback.run_as("bob", "approve", number, "--code", f"{(int(code) + 1) % 1_000_000:06d}")
    assert wrong.code == 3
    right = answerback.run_as("bob", "approve", number, "--code", "-", stdin=f"{code}\n".encode())
    assert right.code == 0, right.err
    other = f"r{answerback.create_asking_request(script='ask-code')['number']}"
    assert answerback.run_as("bob", "approve", other, "--code", code).code == 3
    answerback.run_as("bob", "reject", other)


def test_a_rejection_with_its_reason(answerback: LiveHub) -> None:
    """The words go back to whoever asked; nothing runs."""
    before, number = ran(answerback, "ask-me"), f"r{answerback.create_asking_request()['number']}"
    ended = answerback.run_as("bob", "reject", number, "not", "before", "the backup")
    assert ended.code == 0
    request = answerback("request", number, "--json").json
    assert request["state"] == "rejected"
    assert "not before the backup" in request["reason"]
    assert ran(answerback, "ask-me") == before


@pytest.mark.parametrize("verb", ["approve", "reject", "cancel"])
@pytest.mark.parametrize(("name", "words"), [("r99999", "no request r99999"), ("what", "what")])
def test_a_request_that_is_not_there(verb: str, name: str, words: str, answerback: LiveHub) -> None:
    """Status 2, with what was not found."""
    ended = answerback(verb, name)
    assert (ended.code, ended.out) == (2, b"")
    assert words in ended.err.lower()


def test_what_has_ended_cannot_be_decided(answerback: LiveHub) -> None:
    """Status 3, and what it is."""
    number = f"r{answerback('run', '--json', 'web-1', '--', 'hello').json['number']}"
    for verb in ("approve", "reject", "cancel"):
        ended = answerback(verb, number)
        assert ended.code == 3
        assert "over" in ended.err


@pytest.mark.parametrize("flags", [(), ("--kill",), ("--json",)])
def test_a_running_command_is_cancelled(flags: tuple[str, ...], answerback: LiveHub) -> None:
    """The answer says that it is asked for; the job then says that it has happened."""
    number = answerback.run_as("carol", "run", "--no-wait", "web-1", "--", "long").text.split()[0]

    def job() -> dict[str, object]:
        return dict(answerback("request", number, "--json").json["jobs"][0])

    answerback.wait_until(lambda: job()["state"] == "running")
    ended = answerback.run_as("carol", "cancel", number, *flags)
    assert ended.code == 0
    assert ended.text
    answerback.wait_until(lambda: job()["state"] == "cancelled")


def test_one_job_of_many_is_cancelled(answerback: LiveHub) -> None:
    """The other machine's goes on."""
    number = answerback("run", "--no-wait", "web-*", "--", "long").text.split()[0]

    def states() -> dict[str, str]:
        return {job["agent"]: job["state"] for job in answerback("request", number, "--json").json["jobs"]}

    answerback.wait_until(lambda: set(states().values()) == {"running"})
    first = answerback("request", number, "--json").json["jobs"][0]
    assert answerback("cancel", first["id"][-10:]).code == 0
    answerback.wait_until(lambda: states()[first["agent"]] == "cancelled")
    assert "running" in states().values()
    assert answerback("cancel", number).code == 0
    answerback.wait_until(lambda: set(states().values()) == {"cancelled"})


def test_others_work_is_not_an_operators_to_cancel(answerback: LiveHub) -> None:
    """Status 3; an approver may."""
    number = answerback("run", "--no-wait", "web-1", "--", "long").text.split()[0]
    assert answerback.run_as("carol", "cancel", number).code == 3
    assert answerback.run_as("bob", "cancel", number).code == 0


def test_only_an_unknown_outcome_is_settled(answerback: LiveHub) -> None:
    """Status 3 for a job whose end is known, 2 for none, 2 for a word that is none."""
    job = answerback("run", "--json", "web-1", "--", "hello").json["jobs"][0]["id"]
    known = answerback("settle", job, "done")
    assert known.code == 3
    assert known.err
    assert answerback("settle", "0000000000", "done").code == 2
    assert "'maybe' is not one of" in answerback("settle", job, "maybe").err
    assert answerback.run_as("carol", "settle", job, "done").code == 3


def test_an_unknown_outcome_is_settled_by_a_persons_word(answerback: LiveHub) -> None:
    """A runner killed in the middle: nobody knows, and that is said with status 1; the word runs nothing again."""
    rig = answerback.rig
    number = answerback("run", "--no-wait", "web-2", "--", "long").text.split()[0]
    with answerback.process("run", "--json", "web-2", "--", "long") as process:
        answerback.wait_until(lambda: len(answerback("jobs", "--state", "running", "--json").json) == 2)
        runner, uplink = rig.runner_pid("web-2"), rig.programs["web-2"]
        assert runner is not None
        for pid in (uplink.pid, runner):
            os.kill(pid, signal.SIGKILL)
        answerback.run_coroutine(uplink.process.wait())
        answerback.run_coroutine(rig.start_agent("web-2"))
        out, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "web-2: unknown" in err.decode()
    (one,), (two,) = json.loads(out)["jobs"], answerback("request", number, "--json").json["jobs"]
    assert (one["state"], two["state"]) == ("unknown", "unknown")
    assert answerback("settle", one["id"][-10:], "done").code == 0
    assert answerback("settle", two["id"].lower(), "failed", "--json").json["code"] == "ok"
    states = [answerback("job", job["id"], "--json").json["state"] for job in (one, two)]
    assert states == ["succeeded", "failed"]
    assert answerback("settle", one["id"], "failed").code == 3


def test_one_machine_is_paused_and_resumed(answerback: LiveHub) -> None:
    """What waits goes out when it is resumed; others are not held up."""
    assert "web-2" in answerback("pause", "web-2", "--reason", "disk").text
    try:
        number = answerback("run", "--no-wait", "web-2", "--", "hello").text.split()[0]
        assert answerback("run", "web-1", "--", "hello").code == 0
        assert answerback("request", number, "--json").json["jobs"][0]["state"] == "queued"
    finally:
        assert answerback("resume", "web-2", "--json").json["text"]
    answerback.wait_until(lambda: state_of(answerback, number) == "done")


def test_the_whole_queue_is_paused_and_resumed(answerback: LiveHub) -> None:
    """Nothing goes out anywhere until it is resumed."""
    assert answerback("pause").code == 0
    try:
        number = answerback("run", "--no-wait", "role=web", "--", "hello").text.split()[0]
        assert answerback("queue", "--json").json["depth"] == 2
    finally:
        assert answerback("resume").code == 0
    answerback.wait_until(lambda: state_of(answerback, number) == "done")


@pytest.mark.parametrize("verb", ["pause", "resume"])
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_machine_that_is_not_there(verb: str, flags: tuple[str, ...], answerback: LiveHub) -> None:
    """Status 2, with its name; in JSON the code for programs too."""
    ended = answerback(verb, "web-9", *flags)
    assert ended.code == 2
    assert "web-9" in ended.err
    if flags:
        assert ended.json["code"] == "unknown"


def test_a_pause_that_ends_by_itself(answerback: LiveHub) -> None:
    """--for: what waited goes out without anyone's doing."""
    assert answerback("pause", "role=web", "--for", "2s").code == 0
    number = answerback("run", "--no-wait", "web-2", "--", "hello").text.split()[0]
    assert state_of(answerback, number) == "working"
    answerback.wait_until(lambda: state_of(answerback, number) == "done")


@pytest.mark.parametrize("time", ["soon", "2 x", "-1h", "999d"])
def test_a_pause_for_no_time_is_refused(time: str, answerback: LiveHub) -> None:
    """What is no duration, or too long a one, pauses nothing."""
    ended = answerback("pause", "web-2", "--for", time)
    assert ended.code in (2, 3)
    assert ended.err
    assert not answerback("agents", "--json").json[1]["paused_by"]


def test_an_operator_pauses_nothing(answerback: LiveHub) -> None:
    """Status 3, with the role that may."""
    ended = answerback.run_as("carol", "pause", "web-1")
    assert ended.code == 3
    assert "approver" in ended.err


def test_a_short_hash_is_not_taken_for_another_plan() -> None:
    """Wrong usage, told before the hub is asked: all 64 characters count."""
    from click.testing import CliRunner

    from common.errors import UserError
    from tui.cli.main import answerback as program

    ended = CliRunner().invoke(program, ["approve", "r42", "--plan", "8f3d1234"])
    assert isinstance(ended.exception, UserError)
    assert "64" in str(ended.exception)
