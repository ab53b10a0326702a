"""What needs a person, from one read of the store."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest

from common.catalogue import LANGUAGES
from common.lifecycle import JobState
from hub.needs import FEW, ODD_FOR, Facts, needs_you, read_facts
from hub.records import Agent
from hub.store.boards import Waiting
from tests.hub.house import House, ended

RESTART = "@web-1 systemctl restart nginx.service"


async def needs(inside: House, language: Any = "en") -> list[dict[str, Any]]:
    await inside.fleet.refresh()
    facts = inside.read(lambda txn: read_facts(txn, inside.clock.now))
    return needs_you(facts, inside.fleet.agents(), inside.fleet.online, inside.clock.now, language)


async def test_nothing_needs_anybody(inside: House) -> None:
    """A quiet hub says so by an empty list."""
    await inside.leased()
    assert await needs(inside) == []


async def test_a_plan_that_waits(inside: House) -> None:
    """Which, whose, from where, what exactly, how long it has waited, when it expires, and what it still takes."""
    request = await inside.ask(RESTART)
    assert request.plan is not None
    inside.clock.pass_(60)
    (need,) = await needs(inside)
    assert need == {
        "kind": "approve",
        "number": request.number,
        "since": request.planned_at,
        "age": 60.0,
        "who": "carol",
        "inlet": "ops",
        "text": shlex.join(request.plan.steps[0].argv),
        "agent": "web-1",
        "count": 1,
        "given": 0,
        "approvers": request.approvers,
        "second_factor": request.second_factor,
        "expires": request.decide_by,
    }


async def test_what_expires_first_comes_first(inside: House) -> None:
    """Then what is stuck, then what nobody knows."""
    first = await inside.ask(RESTART)
    inside.clock.pass_(5)
    second = await inside.ask(RESTART)
    lost, late = await inside.leased(), await inside.leased()
    inside.write(
        lambda txn: txn.save_job(lost, replace(lost, state=JobState.UNKNOWN, ended_at=inside.clock.now, reason="gone"))
    )
    inside.clock.pass_(31)
    found = await needs(inside)
    assert [need["kind"] for need in found] == ["approve", "approve", "stuck", "unknown"]
    assert [need["number"] for need in found[:2]] == [first.number, second.number]
    assert (found[2]["job"], found[2]["age"], found[2]["agent"]) == (late.id, 31.0, "web-1")
    assert (found[3]["job"], found[3]["text"]) == (lost.id, lost.command)


async def test_a_contradiction_for_an_hour(inside: House) -> None:
    """A machine that says two things of one job; then it is history."""
    job = await inside.leased()
    await inside.heard("web-1", ended(job.id))
    await inside.heard("web-1", ended(job.id, "failed", 1))
    (need,) = await needs(inside)
    assert (need["kind"], need["job"]) == ("anomaly", job.id)
    assert "reported again" in need["text"]
    inside.clock.pass_(ODD_FOR + 1)
    assert await needs(inside) == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_drain_until_somebody_ends_it(inside: House, language: Any) -> None:
    """How many jobs are left of how many; that it is done is said as well."""
    job = await inside.leased()
    await inside.change_machine("web-1", drain_at=inside.clock.now, drain_by="bob", drain_jobs=1)
    (need,) = await needs(inside, language)
    assert (need["kind"], need["who"], need["draining"]["left"], need["draining"]["of"]) == ("drain", "bob", 1, 1)
    before = need["text"]
    await inside.heard("web-1", ended(job.id))
    (need,) = await needs(inside, language)
    assert need["draining"]["left"] == 0
    assert need["text"] != before


async def test_machines_that_are_away(inside: House) -> None:
    """Only those that jobs wait for, the most waited for first, and only a few."""
    for number in range(FEW + 2):
        await inside.machine(f"off-{number}", online=False)
    await inside.machine("idle", online=False)
    for number in range(FEW + 2):
        await inside.working(f"@off-{number} uptime")
    await inside.working("@off-3 uptime")
    found = await needs(inside)
    assert [need["kind"] for need in found] == ["offline"] * FEW
    assert (found[0]["agent"], found[0]["count"]) == ("off-3", 2)
    assert "off-3" in found[0]["text"]


def test_unknown_jobs_are_not_what_a_machine_has_left() -> None:
    """Nobody waits for them; a drain is done without them."""
    agent = Agent("a", {}, "active", 0.0, drain_at=1.0, drain_by="bob", drain_jobs=2)
    opened = [Waiting("a", "unknown", 3, 0.0), Waiting("a", "running", 1, 0.0)]
    facts = Facts([], opened, {}, [], {}, [], [], [], None, None, 0)
    (need,) = needs_you(facts, [agent], lambda name: True, 5.0, "en")
    assert need["draining"]["left"] == 1
