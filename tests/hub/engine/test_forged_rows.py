"""Whoever writes into the database beside the hub starts nothing; and each thing that was written is named."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from common.identity.certificates import make_request, new_key
from common.lifecycle import JobState, RequestState
from common.link.messages import Join, Joined
from common.plan import plan_from_json, plan_hash, plan_to_json
from hub.api.attention import attention_list, read_facts
from hub.core.approval_proofs import ApprovalProver
from hub.core.records import Job, Person, Request
from hub.core.row_mac import AnyRow, RowAuthenticator
from hub.core.unreadable import is_unreadable
from hub.identity import certificates
from tests.hub.api_harness import ApiHarness
from tests.hub.hub_harness import HubHarness, ended_message

RESTART = "@web-1 systemctl restart nginx.service"
TWO = "@web-1 twice now"


async def approved(harness: HubHarness) -> tuple[Request, Job]:
    request = await harness.submit(RESTART)
    await harness.submit(f"approve r{request.number}", "bob")
    (job,) = harness.jobs(request)
    return harness.request(request.id), job


def named(harness: HubHarness, *subjects: str) -> list[str]:
    """What the audit and the attention list say was forged."""
    rows = harness.events("row.forged")
    assert {row.subject for row in rows} >= set(subjects)
    facts = harness.read(lambda txn: read_facts(txn, harness.clock.now))
    needs = attention_list(facts, harness.fleet.agents(), harness.fleet.online, harness.clock.now, "en")
    listed = [need.text or "" for need in needs if need.kind == "anomaly"]
    assert len(listed) >= 1
    assert all("somebody else than this hub" in text for text in listed)
    return [str(row.data["what"]) for row in rows]


async def starts(harness: HubHarness) -> int:
    """How many orders leave the hub, to whatever machine."""
    return sum([len(await harness.claim(agent)) for agent in ("web-1", "web-2")])


async def test_an_approval_that_nobody_gave(harness: HubHarness) -> None:
    """Trust: a row in `approvals`, by itself, signed with another key, or copied from another request, is no yes: the
    next real one does not complete it, and a request moved on by hand starts nothing.
    """
    harness.add_rule("twice", verdict="ask", more="approvers = 2")
    first = await harness.submit(TWO)
    await harness.submit(f"approve r{first.number}", "ann")
    (real,) = harness.read(lambda txn: txn.approvals(first.id))
    stranger = ApprovalProver(type(harness.keys.job_key).generate())
    proofs = [
        "[]",
        "nonsense",
        json.dumps([{**_proof(real), "person": "ann"}]),
        json.dumps([_proof(stranger.sign(real, harness.clock.now + 600))]),
    ]
    for proof in proofs:
        request = await harness.submit(TWO)
        harness.tamper(
            "INSERT INTO approvals (request_id, plan_hash, person, granted, via, at, reason, second_factor, proofs)"
            " VALUES (?, ?, 'ann', 1, 'ops', ?, '', 0, ?)",
            *(request.id, request.plan_hash, real.at, proof),
        )
        said = await harness.reply_text(f"approve r{request.number}", "bob")
        assert "by ann was written into the database" in said
        assert harness.request(request.id).state is RequestState.ASKING
        named(harness, request.id)
    assert await starts(harness) == 0


def _proof(approval: Any) -> dict[str, Any]:
    (proof,) = approval.proofs
    values = {name: getattr(proof, name) for name in ("person", "at", "second_factor", "expires", "via", "by")}
    return {**values, "signature": proof.signature.hex()}


def _other_argv(request: Request) -> tuple[str, str]:
    """The plan with another argument vector, and its hash."""
    assert request.plan is not None
    body = json.loads(json.dumps(_json(request)))
    body["steps"][0]["argv"] = ["/usr/bin/systemctl", "restart", "sshd.service"]
    return json.dumps(body), plan_hash(plan_from_json(body))


def _json(request: Request) -> dict[str, Any]:
    assert request.plan is not None
    return plan_to_json(request.plan)


CHANGES: list[tuple[str, Callable[[Request, Job], tuple[Any, ...]]]] = [
    ("UPDATE requests SET approvers = 0 WHERE id = ?", lambda request, job: (request.id,)),
    ("UPDATE requests SET second_factor = 0, own_approval = 1 WHERE id = ?", lambda request, job: (request.id,)),
    ("UPDATE requests SET person = 'alice' WHERE id = ?", lambda request, job: (request.id,)),
    ("UPDATE requests SET plan = ? WHERE id = ?", lambda request, job: (_other_argv(request)[0], request.id)),
    (
        "UPDATE requests SET plan = ?, plan_hash = ? WHERE id = ?",
        lambda request, job: (*_other_argv(request), request.id),
    ),
    ("UPDATE requests SET mac = '' WHERE id = ?", lambda request, job: (request.id,)),
    ("UPDATE jobs SET mac = '' WHERE id = ?", lambda request, job: (job.id,)),
    ("UPDATE jobs SET plan_hash = ? WHERE id = ?", lambda request, job: ("0" * 64, job.id)),
    ("UPDATE jobs SET agent = 'web-2' WHERE id = ?", lambda request, job: (job.id,)),
    ("UPDATE jobs SET person = 'alice' WHERE id = ?", lambda request, job: (job.id,)),
    ("UPDATE jobs SET not_after = not_after + 86400 WHERE id = ?", lambda request, job: (job.id,)),
    ("UPDATE jobs SET queued_at = queued_at + 60 WHERE id = ?", lambda request, job: (job.id,)),
]


async def test_a_row_that_was_changed_starts_nothing(harness: HubHarness) -> None:
    """Trust: terms lowered, person, plan, machine or time changed in the rows of an approved request: withheld, with
    the reason, audited and told.
    """
    await harness.add_machine("web-2")
    for statement, values in CHANGES:
        request, job = await approved(harness)
        if "second_factor" in statement:
            harness.tamper("UPDATE requests SET second_factor = 1 WHERE id = ?", request.id)
        assert harness.tamper(statement, *values(request, job)) == 1
        assert await starts(harness) == 0, statement
        kept = harness.job(job.id)
        assert kept.state is JobState.NOT_STARTED, statement
        assert "somebody else than this hub" in kept.reason, statement
        named(harness, request.id if "requests" in statement else job.id)


async def test_a_request_that_was_moved_on_by_hand(harness: HubHarness) -> None:
    """Trust: asking, flipped to approved; its job written beside it, or moved back from its end: 0 starts."""
    asking = await harness.submit(RESTART)
    request, job = await approved(harness)
    assert len(await harness.claim()) == 1
    harness.tamper("UPDATE requests SET state = 'working', approvers = 0 WHERE id = ?", asking.id)
    columns = "person, agent, step, plan_hash, not_after, queued_at, priority, epoch, journal, reason, output_bytes,"
    columns += "output_digest, truncated, chunks, cpu_user, cpu_system, max_rss, cancel_asked_by, mac"
    for number, (of, parent) in enumerate(((asking, ""), (request, "X"))):
        harness.tamper(
            f"INSERT INTO jobs (id, request_id, state, parent, {columns}) SELECT ?, ?, 'queued', ?, {columns}"  # noqa: S608
            " FROM jobs WHERE id = ?",
            *(f"01M8R8ZZZZ00000000000000{number:02}", of.id, parent, job.id),
        )
    assert harness.tamper("UPDATE jobs SET state = 'queued', leased_at = NULL WHERE id = ?", job.id) == 1
    assert await starts(harness) == 0
    named(harness, asking.id, job.id, "01M8R8ZZZZ0000000000000000", "01M8R8ZZZZ0000000000000001")


async def test_a_message_that_nobody_sent(harness: HubHarness) -> None:
    """Trust: a received request written by hand, in the name of an admin: a command or a yes, it is refused."""
    waits = await harness.submit(RESTART)
    columns = "inlet, conversation, language, reply_url, received_at, plan_hash, approvers, second_factor,"
    columns += "own_approval, rule, step, parent, mac"
    for number, text in enumerate(("@web-1 uptime", f"approve r{waits.number}")):
        harness.tamper(
            f"INSERT INTO requests (id, state, event_id, chat_user, person, reason, text, {columns})"  # noqa: S608
            f" SELECT ?, 'received', ?, 'alice', 'alice', '', ?, {columns} FROM requests WHERE id = ?",
            *(f"01M8R8ZZZZ00000000000000{number:02}", f"forged-{number}", text, waits.id),
        )
        request = harness.request(f"01M8R8ZZZZ00000000000000{number:02}")
        await harness.engine.intake.plan(request, request.text)
        after = harness.request(request.id)
        assert (after.state, after.rule) == (RequestState.REFUSED, "forged")
        named(harness, request.id)
    assert harness.request(waits.id).state is RequestState.ASKING
    assert await starts(harness) == 0


async def test_a_sealed_value_from_elsewhere_decides_nothing_and_stops_nothing(harness: HubHarness) -> None:
    """Trust (A7): a plan or text that does not open is no yes, no start and no message; what stands beside it goes on,
    and lists show where something is missing.
    """
    asking = await harness.submit(RESTART)
    request, job = await approved(harness)
    other = await harness.submit("@web-1 uptime")
    for one in (asking, request):
        assert (
            harness.tamper(
                "UPDATE requests SET plan = (SELECT text FROM requests WHERE id = ?) WHERE id = ?", other.id, one.id
            )
            == 1
        )
    said = await harness.reply_text(f"approve r{asking.number}", "bob")
    assert "by somebody else than this hub" in said
    after = harness.request(asking.id)
    assert (after.state, after.plan) == (RequestState.ASKING, None)
    assert [order.request for order in await harness.orders()] == [other.id]
    named(harness, asking.id, request.id)
    assert harness.tamper("UPDATE requests SET text = plan, state = 'received' WHERE id = ?", asking.id) == 1
    received = harness.request(asking.id)
    assert is_unreadable(received.text)
    await harness.engine.intake.plan(received, received.text)
    assert (harness.request(asking.id).state, harness.request(asking.id).rule) == (RequestState.REFUSED, "forged")
    assert {request.id, asking.id} <= {one.id for one in harness.read(lambda txn: txn.requests())}
    assert harness.job(job.id).state is not JobState.RUNNING


async def test_a_save_makes_no_row_authentic(harness: HubHarness) -> None:
    """Trust: the hub's own moves of a forged row (a cancel asked, a priority) do not make it this hub's."""
    _, job = await approved(harness)
    harness.tamper("UPDATE jobs SET agent = 'web-2' WHERE id = ?", job.id)
    await harness.add_machine("web-2")
    rooms = ApiHarness(harness)
    assert (await rooms.call("alice", "priority", jobs=[job.id], priority=9))["code"] == "ok"
    assert harness.job(job.id).priority == 9
    assert not harness.read(lambda txn: txn.rows.is_authentic(harness.job(job.id)))
    assert await starts(harness) == 0


async def test_a_plan_that_was_changed_is_not_done_again(harness: HubHarness) -> None:
    """Trust: retry, edit and "again" copy a plan: not one that somebody wrote into the row of an old request."""
    rooms = ApiHarness(harness)
    done, waits = await harness.submit("@web-1 uptime"), await harness.submit(RESTART)
    await harness.submit(f"cancel r{done.number}")
    for request in (done, waits):
        plan = json.dumps({**_json(request), "source": "runbook:load"})
        harness.tamper("UPDATE requests SET plan = ? WHERE id = ?", plan, request.id)
    assert "somebody else than this hub" in (await harness.submit(f"retry r{done.number}")).reason
    assert (await rooms.call("carol", "retry", number=done.number))["code"] == "forged"
    (job,) = harness.jobs(done)
    assert (await rooms.call("carol", "retry", job=job.id))["code"] == "forged"
    edit = {"base_hash": waits.plan_hash, "steps": [{"argv": ["uptime"]}]}
    assert (await rooms.call("ann", "edit", number=waits.number, **edit))["code"] == "forged"
    again = await harness.submit("again")
    assert again.state is RequestState.REFUSED
    assert await starts(harness) == 0


async def test_a_later_step_of_a_changed_request_is_not_queued(harness: HubHarness) -> None:
    """Trust: a plan of two steps, changed while the first one ran, ends with that one."""
    plan = {"argv": ["uptime"], "targets": ["web-1"], "cwd": "", "env": {}, "time_limit": 60, "output_cap": 1000}
    request = await harness.submit(RESTART)
    edit = {"base_hash": request.plan_hash, "steps": [{"argv": ["uptime"]}, {"argv": ["uptime"]}]}
    told = await ApiHarness(harness).call("ann", "edit", number=request.number, **edit)
    await harness.submit(f"approve r{told['number']}", "bob")
    edited = harness.request(told["id"])
    (job,) = harness.jobs(edited)
    await harness.claim()
    changed = json.dumps({**_json(edited), "steps": [plan, {**plan, "argv": ["id"]}]})
    harness.tamper("UPDATE requests SET plan = ? WHERE id = ?", changed, edited.id)
    await harness.handle_agent_events("web-1", ended_message(job.id))
    assert len(harness.jobs(edited)) == 1
    assert harness.request(edited.id).state is RequestState.DONE
    assert await starts(harness) == 0
    named(harness, edited.id)


@pytest.mark.parametrize("table", ["requests", "jobs"])
async def test_what_is_as_it_was_starts(harness: HubHarness, table: str) -> None:
    """The other side of all this: a write that changes nothing of what counts withholds nothing."""
    request, job = await approved(harness)
    harness.tamper(f"UPDATE {table} SET reason = 'x' WHERE id = ?", request.id if table == "requests" else job.id)  # noqa: S608
    assert await starts(harness) == 1
    assert harness.events("row.forged") == []


async def test_what_it_costs(harness: HubHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured as a share of one run: the MACs of a message, from its receipt to its job's end, are a small part of
    what it takes (two in a hundred; ten at most here, where others work beside).
    """
    spent = 0.0
    real = RowAuthenticator.mac

    def timed(self: RowAuthenticator, row: AnyRow) -> str:
        nonlocal spent
        begun = time.perf_counter()
        made = real(self, row)
        spent += time.perf_counter() - begun
        return made

    monkeypatch.setattr(RowAuthenticator, "mac", timed)
    begun = time.perf_counter()
    for _ in range(20):
        await harness.submit("@web-1 uptime")
        ((_, job),) = await harness.claim()
        await harness.handle_agent_events("web-1", ended_message(job))
    assert 0 < spent < 0.1 * (time.perf_counter() - begun)


# ---- people and invitations


async def refused_in_chat(harness: HubHarness, user: str) -> None:
    """A message of this chat user starts nothing and approves nothing."""
    waits = await harness.submit(RESTART)
    for text in (f"approve r{waits.number}", "@web-1 uptime"):
        said = await harness.submit(text, user)
        assert said.state in (RequestState.REFUSED, RequestState.DONE), said
        assert harness.jobs(said) == []
    assert harness.request(waits.id).state is RequestState.ASKING
    await harness.submit(f"cancel r{waits.number}")
    assert await starts(harness) == 0


PERSON = "roles, created_at, totp_secret, totp_last_step, totp_failures, totp_locked_until, totp_pending,"
PERSON += " totp_pending_until, mac"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE people SET chat = '[\"ops:eve\"]' WHERE name = 'alice'",
        f"INSERT INTO people (name, chat, {PERSON}) SELECT 'eve', '[\"ops:eve\"]', {PERSON} FROM people"  # noqa: S608
        " WHERE name = 'alice'",
        "UPDATE people SET roles = '[\"admin\"]' WHERE name = 'eve'",
    ],
)
async def test_nobody_makes_himself_an_admin(harness: HubHarness, statement: str) -> None:
    """Trust: a chat name given to an admin's row, an admin's row copied, a role raised: the message that follows is
    nobody's; the people of hub.toml go on.
    """
    harness.write(lambda txn: txn.add_person(Person("alice", ("admin",), 1.0)))
    if statement.startswith("UPDATE people SET roles"):
        harness.write(lambda txn: txn.add_person(Person("eve", ("viewer",), 1.0, chat=("ops:eve",))))
    await harness.people.refresh()
    assert harness.tamper(statement) == 1
    await harness.people.refresh()
    assert harness.people.find_by_chat("ops", "eve") == ""
    assert harness.people.roles("eve") == ()
    await refused_in_chat(harness, "eve")
    await approved(harness)
    assert await starts(harness) == 1


@pytest.mark.parametrize("change", ["revoked_at = NULL", "mac = ''", "roles = 'x'", "revoked_at = NULL, mac = ''"])
async def test_who_was_revoked_stays_so(harness: HubHarness, change: str) -> None:
    """Trust: hub.toml gives bob his role; a broken row of his does not give it back, at once or after a restart."""
    harness.write(lambda txn: txn.add_person(Person("bob", (), 1.0, revoked_at=2.0)))
    assert harness.tamper(f"UPDATE people SET {change} WHERE name = 'bob'") == 1  # noqa: S608
    for again in (harness.people.refresh, harness.restart):
        await again()
        assert harness.people.roles("bob") == ()
        assert "bob" in harness.people.revoked()
        await refused_in_chat(harness, "bob")


async def test_a_role_is_not_raised_between_two_refreshes(harness: HubHarness) -> None:
    """Trust: a decision reads the row again, in its own transaction."""
    harness.write(lambda txn: txn.add_person(Person("eve", ("operator",), 1.0, chat=("ops:eve",))))
    await harness.people.refresh()
    waits = await harness.submit(RESTART)
    assert harness.tamper("UPDATE people SET roles = '[\"admin\"]' WHERE name = 'eve'") == 1
    await harness.submit(f"approve r{waits.number}", "eve")
    assert harness.request(waits.id).state is RequestState.ASKING


async def test_an_invitation_that_nobody_made(harness: HubHarness) -> None:
    """Trust: nobody joins with a token whose hash was written beside the hub, or whose labels were changed."""
    now = harness.clock.now
    secret = "db-1.of-nobody"
    digest = hashlib.sha256(secret.encode()).hexdigest()
    harness.tamper(
        "INSERT INTO tokens VALUES (?, 'agent', 'db-1', '{\"env\":\"prod\"}', ?, ?, 'alice', NULL, '')",
        *(digest, now, now + 600),
    )
    good = harness.write(lambda txn: certificates.create_token(txn, "agent", "db-2", {}, 600, "alice", now))
    other = harness.write(lambda txn: certificates.create_token(txn, "agent", "db-3", {}, 600, "alice", now))
    assert harness.tamper("UPDATE tokens SET labels = '{\"env\":\"prod\"}' WHERE name = 'db-2'") == 1

    def join(token: str, name: str) -> Joined:
        message = Join(token, name, make_request(new_key(), "agent", name), "1.0")
        return harness.write(
            lambda txn: certificates.join(txn, harness.authorities.now, message, {}, harness.keys.hub_id, now)
        )

    for token, name in ((secret, "db-1"), (good, "db-2")):
        with pytest.raises(certificates.JoinRefused) as caught:
            join(token, name)
        assert caught.value.code == "token_unknown"
        assert harness.read(lambda txn, n=name: txn.agent(n)) is None
    assert join(other, "db-3").name == "db-3"
