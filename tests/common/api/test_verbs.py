"""Every verb declared once, and as the hub has it."""

from __future__ import annotations

from typing import Any

from common.api import rights
from common.api.errors import CALL_CODES, OUTCOME_CODES
from common.api.lists import ROWS
from common.api.verbs import VERBS, matrix
from common.api.versions import VIEW_VERSIONS
from common.roles import ROLES
from hub.core.authorization import may
from tests.common.api.checked import Checked
from tests.each import each_of
from tests.hub.api.test_models import models
from tests.hub.api_harness import ApiHarness
from tests.hub.hub_harness import HubHarness, ended_message

RESTART = "@web-1 systemctl restart nginx.service"


async def test_the_hub_has_these_verbs_and_no_others(harness: HubHarness) -> None:
    """One without models lacks that verb, and it is the only one that a hub may lack."""
    assert ApiHarness(harness, models=models(harness)).api.table.keys() == VERBS.keys()
    without = VERBS.keys() - ApiHarness(harness).api.table.keys()
    assert without == {name for name, verb in VERBS.items() if verb.optional}


@each_of("name", list(VERBS))
def test_a_declaration_is_whole(name: str) -> None:
    """A right and codes that there are, a summary that is a sentence, pushes for what is followed."""
    verb = VERBS[name]
    assert verb.right.name in rights.RIGHTS
    assert set(verb.errors) <= OUTCOME_CODES.keys() | CALL_CODES.keys()
    assert verb.summary.endswith(".")
    assert bool(verb.pushes) == (verb.kind == "subscription")
    if verb.pushes and name != "view":
        assert name in VIEW_VERSIONS


def test_the_matrix_is_what_the_hub_decides() -> None:
    """Each verb by the right that it takes, for each role."""
    for name, row in matrix().items():
        assert row == {role: may((role,), VERBS[name].right.name) for role in ROLES}


def test_a_right_that_depends_on_the_arguments() -> None:
    """Lists have rights of their own, and the past takes more than what happens now."""
    for view, right in rights.VIEW_RIGHTS.items():
        for name in ("view", "complete"):
            assert VERBS[name].needs(VERBS[name].decode_args({"view": view})) is right
    watch = VERBS["watch"]
    assert watch.needs(watch.decode_args({})) is rights.WATCH
    assert watch.needs(watch.decode_args({"after": 0})) is rights.AUDIT
    assert ROWS.keys() == rights.VIEW_RIGHTS.keys()


async def test_what_is_looked_up(harness: HubHarness) -> None:
    """Each query of a hub with a bit of everything."""
    rooms = Checked(harness, models=models(harness))
    await harness.add_machine("web-2", online=False, labels={"env": "prod"}, paused_at=1.0, paused_by="bob")
    await harness.add_machine("db-1", drain_at=1.0, drain_by="bob", drain_jobs=3)
    harness.fleet.vitals["web-1"] = {"load1": 3.0, "at": harness.clock.now - 1, "rtt": 0.5}
    job, asking = await harness.leased_job(), await harness.submit(RESTART)
    await harness.handle_agent_events("web-1", ended_message(job.id, "failed", 3))
    await rooms.call("carol", "run", target="web-1,web-2", argv=["uptime"])
    for verb in ("requests", "jobs", "audit", "agents"):
        assert len(await rooms.call("bob", verb)) >= 2
        assert await rooms.call("bob", verb, filter="", lo=0)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("whoami", {}),
        ("request", {"number": asking.number}),
        ("request", {"id": job.request_id}),
        ("requests", {"states": ["asking"], "limit": 3}),
        ("jobs", {"states": ["failed"], "agent": "web-1", "person": "carol"}),
        ("job", {"id": job.id}),
        ("search_output", {"job": job.id, "text": "x"}),
        ("queue", {}),
        ("targets", {"selector": "web-*"}),
        ("complete", {"view": "jobs", "text": "sta"}),
        ("models", {}),
        ("drafts", {}),
        ("draft", {"number": 1}),
    ]
    for verb, args in calls:
        await rooms.call("bob", verb, **args)
    (agent,) = [one for one in await rooms.call("vera", "agents") if one.name == "db-1"]
    assert (agent.draining.of, agent.is_draining, agent.takes_jobs) == (3, True, False)
    me = await rooms.call("vera", "whoami")
    assert me.denied["approve"] == "approver"
    assert me.has("models")


async def test_what_is_done(harness: HubHarness) -> None:
    """Each act, done and not done."""
    rooms = Checked(harness)
    code = await harness.enrol_totp("bob")
    asking = await harness.submit(RESTART)
    number = asking.number
    assert (await rooms.call("bob", "approve", number=number, plan_hash="0" * 64)).code == "plan_changed"
    base = (await rooms.call("bob", "request", number=number)).plan_hash
    steps = [{"argv": ["systemctl", "restart", "sshd.service"]}]
    dry = await rooms.call("bob", "edit", number=number, base_hash=base, steps=steps, dry_run=True)
    assert (dry.verdict, dry.new.steps[0].argv[-1]) == ("ask", "sshd.service")
    stale = await rooms.call("bob", "edit", number=number, base_hash="0" * 64, steps=steps)
    assert (stale.code, stale.plan) == ("plan_changed", dry.old)
    assert (await rooms.call("bob", "edit", number=number, base_hash=base, steps=[{}])).code == "same_plan"
    assert (await rooms.call("bob", "edit", number=number, base_hash=base, steps=[])).code == "bad_plan"
    edited = await rooms.call("bob", "edit", number=number, base_hash=base, steps=steps)
    assert edited.is_ok
    assert (await rooms.call("ann", "reject", number=edited.number, why="no")).is_ok
    late = await rooms.call("bob", "reject", number=edited.number)
    assert (late.code, late.by, late.state) == ("already_decided", "ann", "rejected")
    again = (await harness.submit("@web-1 reboot")).number
    assert (await rooms.call("ann", "approve", number=again)).code == "not_enrolled"
    assert (await rooms.call("bob", "approve", number=again)).code == "code_needed"
    assert (await rooms.call("bob", "approve", number=again, code="000000")).left is not None
    yes = await rooms.call("bob", "approve", number=again, code=code(), nonce="n")
    assert (yes.code, yes.given, yes.needed) == ("ok", 1, 1)
    assert (await rooms.call("bob", "approve", number=again, nonce="n")).again is True
    run = await rooms.call("carol", "run", target="web-1", argv=["uptime"], hold=5)
    assert (run.request.state, len(run.request.jobs), run.text) == ("working", 1, run.request.text)
    assert (await rooms.call("carol", "run", target="web-1", argv=["uptime"], expect=2)).request is None
    assert (await rooms.call("carol", "run", target="web-1", argv=["rm", "-rf", "/"])).code == "denied"
    assert (await rooms.call("vera", "run", target="web-1", argv=["uptime"])).code == "no_right"
    place = (await rooms.call("bob", "priority", jobs=[run.request.jobs[0].id], priority=9, dry_run=True)).order[0]
    assert (place.agent, place.of) == ("web-1", 2)
    assert (await rooms.call("carol", "take_back", number=run.request.number)).count == 1
    assert (await rooms.call("carol", "take_back", number=again)).handed_out == 0
    job = await harness.queued_job()
    assert (await rooms.call("carol", "cancel", job=job.id, kill=True)).is_ok
    assert (await rooms.call("carol", "cancel", number=number)).code == "too_late"
    assert (await rooms.call("carol", "retry", job=job.id)).is_ok
    assert (await rooms.call("bob", "settle", job=job.id, done=True)).code == "too_late"


async def test_what_is_done_to_machines_and_drafts(harness: HubHarness) -> None:
    """Each act, done and not done."""
    rooms = Checked(harness)
    for verb in ("pause", "resume"):
        assert (await rooms.call("bob", verb)).count is None
        assert (await rooms.call("bob", verb, selector="web-*")).count == 1
        assert (await rooms.call("bob", verb, agent="web-1", expect=2)).code == "selection_changed"
        assert (await rooms.call("bob", verb, agent="none")).code == "unknown"
    assert (await rooms.call("bob", "drain", agent="web-1", cancel_after=60)).left == 0
    assert (await rooms.call("bob", "drain", agent="none")).code == "unknown"
    assert (await rooms.call("bob", "undrain", agent="web-1")).is_ok
    assert (await rooms.call("bob", "undrain", agent="web-1")).code == "too_late"
    job = await harness.leased_job()
    await harness.handle_agent_events("web-1", ended_message(job.id))
    wanted = {"number": harness.request(job.request_id).number, "name": "breathing"}
    assert (await rooms.call("carol", "propose", **wanted)).code == "phrase"
    draft = await rooms.call("carol", "propose", **wanted, say="is web-1 still breathing")
    assert (draft.draft.name, "[runbooks.breathing]" in draft.body) == ("breathing", True)
    assert (await rooms.call("bob", "draft", number=1)).body == draft.body
    assert [one.number for one in await rooms.call("bob", "drafts")] == [1]
    assert (await rooms.call("bob", "accept_draft", number=1)).code == "no_right"
    assert (await rooms.call("alice", "accept_draft", number=1)).draft.state == "accepted"
    assert (await rooms.call("alice", "reject_draft", number=1)).code == "already_decided"
