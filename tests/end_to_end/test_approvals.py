"""Approval by chat and by command line, bound to the plan, with a second factor where the rule asks for it."""

from __future__ import annotations

import json
import time
from urllib.parse import parse_qs, urlsplit

import pyotp

from tests.end_to_end.system import SystemHarness


async def test_approval_by_command_line_of_exactly_that_plan(rig: SystemHarness) -> None:
    """The admin approves by hash; another hash is refused with status 3 and runs nothing."""
    rig.add_program("touch-it", f"echo x >> {rig.folder}/touched\n", verdict="ask")
    await rig.start_hub()
    await rig.add_agent("web-1")
    event, _, answer = await rig.post("carol", "@web-1 touch-it")
    question = await rig.receiver.wait_question(event)
    assert question["actions"] == ["approve", "reject"]
    number = f"r{answer['number']}"
    code, _, error = await rig.operator("approve", number, "--plan", "0" * 64, check=False)
    assert code == 3
    assert "another one" in error
    _, out, _ = await rig.operator("requests", "--json", "--state", "asking")
    (waiting,) = json.loads(out)
    assert question["request"]["code"] in question["text"]
    await rig.operator("approve", number, "--plan", waiting["plan_hash"])
    reply = await rig.receiver.wait_final(event)
    assert reply["jobs"][0]["state"] == "succeeded"
    assert (rig.folder / "touched").read_text() == "x\n"
    chain = [e["kind"] for e in rig.events() if e["subject"] in (answer["request"], reply["jobs"][0]["id"])]
    assert chain.count("act.refused") == 1  # the approval of another hash
    assert [kind for kind in chain if not kind.startswith("act.")] == [
        "message.accepted",
        "plan.judged",
        "request.approved",
        "jobs.queued",
        "job.dispatched",
        "job.accepted",
        "job.started",
        "job.ended",
        "request.ended",
    ]


async def test_the_requester_is_not_the_approver(rig: SystemHarness) -> None:
    """An approver's own request waits for somebody else."""
    rig.add_program("touch-it", "true\n", verdict="ask")
    await rig.start_hub()
    await rig.join("web-1")
    event, _, answer = await rig.post("bob", "@web-1 touch-it")
    await rig.receiver.wait_question(event)
    said = await rig.ask("bob", f"approve r{answer['number']}")
    assert "another person" in said["text"]
    rejected = await rig.ask("alice", f"reject r{answer['number']} not today")
    assert "rejected" in rejected["text"]
    reply = await rig.receiver.wait_final(event)
    assert reply["request"]["state"] == "rejected"
    assert "not today" in reply["text"]


async def test_a_second_factor_is_used_once(rig: SystemHarness) -> None:
    """Asked for by the rule, enrolled at the terminal, wrong code refused, right one taken once, never stored."""
    rig.add_program("danger", f"echo x >> {rig.folder}/touched\n", verdict="ask", more="second_factor = true")
    await rig.start_hub()
    await rig.add_agent("web-1")
    first, _, one = await rig.post("carol", "@web-1 danger")
    second, _, two = await rig.post("carol", "@web-1 danger")
    await rig.receiver.wait_question(first)
    await rig.receiver.wait_question(second)
    unenrolled = await rig.ask("bob", f"approve r{one['number']} 123456")
    assert "operator totp" in unenrolled["text"]
    _, out, _ = await rig.hub("operator", "totp", "bob", "--json")
    uri = json.loads(out)["uri"]
    totp = pyotp.TOTP(parse_qs(urlsplit(uri).query)["secret"][0])
    missing = await rig.ask("bob", f"approve r{one['number']}")
    assert "code" in missing["text"]
    code = totp.at(time.time())
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    refused = await rig.ask("bob", f"approve r{one['number']} {wrong}")
    assert "runs now" not in refused["text"]
    approved = await rig.ask("bob", f"approve r{one['number']} {code}")
    assert "runs now" in approved["text"]
    await rig.receiver.wait_final(first)
    again = await rig.ask("bob", f"approve r{two['number']} {code}")
    assert "runs now" not in again["text"]
    assert (rig.folder / "touched").read_text() == "x\n"
    kept = (rig.hub_dir / "data" / "answerback.sqlite").read_bytes()
    wal = rig.hub_dir / "data" / "answerback.sqlite-wal"
    kept += wal.read_bytes() if wal.exists() else b""
    assert f"{one['number']} {code}".encode() not in kept
    assert parse_qs(urlsplit(uri).query)["secret"][0].encode() not in kept
    assert code not in rig.programs["hub"].log.read_text()
