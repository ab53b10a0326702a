"""What needs a person, from one read of the store."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.api.codec import encode
from common.catalogue import LANGUAGES
from common.lifecycle import JobState
from hub.api.attention import ANOMALY_WINDOW, MAX_MINOR_ITEMS, AttentionFacts, attention_list, read_facts
from hub.chat.inlet_status import InletStatus
from hub.chat.outbound import OutboundState
from hub.cleanup import OverBudget
from hub.core.records import Agent
from hub.core.recovery import Recovery
from hub.planning.watched_files import FileProblem
from hub.store.overview import JobBacklog
from hub.witness.service import PATIENCE, SIGNING, PlaceState
from tests.hub.hub_harness import NOW, HubHarness, ended_message

RESTART = "@web-1 systemctl restart nginx.service"


async def needs(harness: HubHarness, language: Any = "en") -> list[dict[str, Any]]:
    await harness.fleet.refresh()
    facts = harness.read(lambda txn: read_facts(txn, harness.clock.now))
    found: list[dict[str, Any]] = encode(
        attention_list(facts, harness.fleet.agents(), harness.fleet.online, harness.clock.now, language)
    )
    return found


async def test_nothing_needs_anybody(harness: HubHarness) -> None:
    """A quiet hub says so by an empty list."""
    await harness.leased_job()
    assert await needs(harness) == []


async def test_a_plan_that_waits(harness: HubHarness) -> None:
    """Which, whose, from where, what exactly, how long it has waited, when it expires, and what it still takes."""
    request = await harness.submit(RESTART)
    assert request.plan is not None
    harness.clock.advance(60)
    (need,) = await needs(harness)
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


async def test_what_has_gone_wrong_comes_before_what_waits(harness: HubHarness) -> None:
    """What is stuck, then what nobody knows, then the plans, and of these first what expires first."""
    first = await harness.submit(RESTART)
    harness.clock.advance(5)
    second = await harness.submit(RESTART)
    lost, late = await harness.leased_job(), await harness.leased_job()
    harness.write(
        lambda txn: txn.save_job(lost, replace(lost, state=JobState.UNKNOWN, ended_at=harness.clock.now, reason="gone"))
    )
    harness.clock.advance(31)
    found = await needs(harness)
    assert [need["kind"] for need in found] == ["stuck", "unknown", "approve", "approve"]
    assert (found[0]["job"], found[0]["age"], found[0]["agent"]) == (late.id, 31.0, "web-1")
    assert (found[1]["job"], found[1]["text"]) == (lost.id, lost.command)
    assert [need["number"] for need in found[2:]] == [first.number, second.number]


async def test_a_contradiction_for_an_hour(harness: HubHarness) -> None:
    """A machine that says two things of one job; then it is history."""
    job = await harness.leased_job()
    await harness.handle_agent_events("web-1", ended_message(job.id))
    await harness.handle_agent_events("web-1", ended_message(job.id, "failed", 1))
    (need,) = await needs(harness)
    assert (need["kind"], need["job"]) == ("anomaly", job.id)
    assert "reported again" in need["text"]
    harness.clock.advance(ANOMALY_WINDOW + 1)
    assert await needs(harness) == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_drain_until_somebody_ends_it(harness: HubHarness, language: Any) -> None:
    """How many jobs are left of how many; that it is done is said as well."""
    job = await harness.leased_job()
    await harness.change_machine("web-1", drain_at=harness.clock.now, drain_by="bob", drain_jobs=1)
    (need,) = await needs(harness, language)
    assert (need["kind"], need["who"], need["draining"]["left"], need["draining"]["of"]) == ("drain", "bob", 1, 1)
    before = need["text"]
    await harness.handle_agent_events("web-1", ended_message(job.id))
    (need,) = await needs(harness, language)
    assert need["draining"]["left"] == 0
    assert need["text"] != before


async def test_machines_that_are_away(harness: HubHarness) -> None:
    """Only those that jobs wait for, the most waited for first, and only a few."""
    for number in range(MAX_MINOR_ITEMS + 2):
        await harness.add_machine(f"off-{number}", online=False)
    await harness.add_machine("idle", online=False)
    for number in range(MAX_MINOR_ITEMS + 2):
        await harness.queued_job(f"@off-{number} uptime")
    await harness.queued_job("@off-3 uptime")
    found = await needs(harness)
    assert [need["kind"] for need in found] == ["offline"] * MAX_MINOR_ITEMS
    assert (found[0]["agent"], found[0]["count"]) == ("off-3", 2)
    assert "off-3" in found[0]["text"]


def test_unknown_jobs_are_not_what_a_machine_has_left() -> None:
    """Nobody waits for them; a drain is done without them."""
    agent = Agent("a", {}, "active", 0.0, drain_at=1.0, drain_by="bob", drain_jobs=2)
    opened = [JobBacklog("a", "unknown", 3, 0.0), JobBacklog("a", "running", 1, 0.0)]
    facts = AttentionFacts([], opened, {}, [], {}, [], [], [], None, None, 0)
    (need,) = attention_list(facts, [agent], lambda name: True, 5.0, "en")
    assert need.draining is not None
    assert need.draining.left == 1


async def test_a_restored_hub_comes_first(harness: HubHarness) -> None:
    """It holds everything else back; over, it is not there any more."""
    await harness.submit(RESTART)
    record = Recovery(NOW - 60, "store", "f", "", 1, 2_000, 2_000)
    facts = harness.read(lambda txn: read_facts(txn, NOW))
    for over, kinds in ((None, ["recovery", "approve"]), (NOW, ["approve"])):
        found = attention_list(facts, [], harness.fleet.online, NOW, "zh", recovery=replace(record, ended_at=over))
        assert [need.kind for need in found] == kinds
    first = attention_list(facts, [], harness.fleet.online, NOW, "zh", recovery=record)[0]
    assert (first.age, "answerback-hub recover" in first.text) == (60.0, True)


def test_a_file_that_is_not_in_force_comes_first() -> None:
    """Before everything that waits: whoever denied something has to know; in the reader's language."""
    facts = AttentionFacts([], [], {}, [], {}, [], [], [], None, None, 0)
    problem = FileProblem(
        "policy", Path("/etc/x/policy.toml"), ("policy.toml: line 7: rule x: wrong: mend it",), since=3.0
    )
    for language, word in (("en", "does not read"), ("zh", "无法读取")):
        (need,) = attention_list(facts, [], lambda name: True, 5.0, language, [problem])
        assert (need.kind, need.id, need.since, need.age) == ("file", "policy.toml", 3.0, 2.0)
        assert word in need.text
        assert "line 7" in need.text


def test_a_witness_that_gets_nothing_for_long_is_told() -> None:
    """Trust: A7, and at once that nothing is signed; hostile words stay words; one that failed a moment ago is none."""
    facts = AttentionFacts([], [], {}, [], {}, [], [], [], None, None, 0)
    states = [PlaceState(SIGNING, 0.0), PlaceState("s3", 600.0), PlaceState("file", 60.0)]
    states[0].failed("the log ends at 3\x1b[31m", 100.0)
    states[1].failed("it answers 403", 50.0)
    states[2].failed("x", 50.0 + PATIENCE)
    for language, word in (("en", "is not signed"), ("zh", "未签名")):
        needs = attention_list(facts, [], lambda name: True, 50.0 + PATIENCE, language, witnesses=states)
        assert [(need.kind, need.id, need.since) for need in needs] == [
            ("witness", "audit:checkpoint", 100.0),
            ("witness", "audit:s3", 50.0),
        ]
        assert word in needs[0].text
        assert "\x1b" not in needs[0].text
        assert "it answers 403" in needs[1].text


def test_an_inlet_that_gets_no_news_is_told() -> None:
    """Which, since when, and why; one that works is not, a few are enough, and those that are only quiet come last."""
    facts = AttentionFacts([], [], {}, [], {}, [], [], [], None, None, 0)
    told = {"error": "the token is wrong\x1b[31m", "failed_at": 3.0}
    inlets = [InletStatus("hush", "made-up", quiet=True, quiet_after=60.0, delivered_at=1.0)]
    inlets += [InletStatus("well", "made-up", outbound=OutboundState("well", connected_at=1.0))]
    inlets += [InletStatus(f"far{n}", "made-up", outbound=OutboundState(f"far{n}", **told)) for n in range(20)]  # type: ignore[arg-type]
    (_, last) = attention_list(facts, [], lambda name: True, 5.0, "en", inlets=inlets[:3])
    assert (last.kind, last.inlet) == ("quiet", "hush")
    found = attention_list(facts, [], lambda name: True, 5.0, "en", inlets=inlets)
    assert len(found) == MAX_MINOR_ITEMS
    assert (found[0].kind, found[0].inlet, found[0].id, found[0].age) == ("inlet", "far0", "far0", 2.0)
    assert found[0].text.startswith("the inlet far0 gets no messages: the token is wrong")
    assert "\x1b" not in found[0].text


def test_a_locked_machine_is_told_with_its_cure() -> None:
    """Trust: one holder of a name. Whether jobs wait for it or not; in the reader's language."""
    agent = Agent("web-1", {}, "locked", 0.0)
    for waiting in ([], [JobBacklog("web-1", "queued", 3, 0.0)]):
        facts = AttentionFacts(waiting, [], {}, [], {}, [], [], [], None, None, 0)
        for language, word in (("en", "there may be a copy of it"), ("zh", "可能存在副本")):
            (need,) = attention_list(facts, [agent], lambda name: False, 5.0, language)
            assert (need.kind, need.agent, need.count) == ("offline", "web-1", len(waiting) * 3)
            assert word in need.text
            assert "answerback-hub token --agent web-1" in need.text


def test_a_machine_that_refuses_every_order_is_told() -> None:
    """Which, and what to run there; a few, however many there are."""
    facts = AttentionFacts([], [], {}, [], {}, [], [], [], None, None, 0)
    refusing = [(f"web-{n}", 3.0) for n in range(20)]
    found = attention_list(facts, [], lambda name: True, 5.0, "en", (), refusing)
    assert len(found) == MAX_MINOR_ITEMS
    assert (found[0].kind, found[0].agent, found[0].id, found[0].age) == ("file", "web-0", "web-0:policy.toml", 2.0)
    assert "web-0 refuses every order" in found[0].text


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_clock_of_the_hub_that_was_set(harness: HubHarness, language: Any) -> None:
    """Told until the hub's time has caught up; what a clock drifts by is nobody's business."""
    facts = harness.read(lambda txn: read_facts(txn, harness.clock.now))
    for ahead, told in ((0.0, []), (4.9, []), (3_600.0, ["clock"]), (-70.0, ["clock"])):
        found = attention_list(facts, (), lambda name: False, harness.clock.now, language, hub_ahead=ahead)
        assert [need.kind for need in found] == told
        assert all("1" in need.text for need in found)


def test_a_store_over_its_budget_is_told() -> None:
    """How much of how much, and what to do, in both languages."""
    facts = AttentionFacts([], [], {}, [], {}, [], [], [], None, None, 0)
    over = OverBudget(21 * 2**30, 20 * 2**30, 3.0)
    for language in ("en", "zh"):
        (need,) = attention_list(facts, [], lambda name: True, 5.0, language, over_budget=over)
        assert (need.kind, need.since, need.age) == ("budget", 3.0, 2.0)
        assert "21.0 GiB" in need.text
        assert "20.0 GiB" in need.text
        assert "[store] retention" in need.text
    assert attention_list(facts, [], lambda name: True, 5.0, "en", over_budget=None) == ()


def test_a_full_disk_is_told() -> None:
    """Before everything but a recovery, with what the hub says of it."""
    facts = AttentionFacts([], [], {}, [], {}, [], [], [], None, None, 0)
    (need,) = attention_list(facts, [], lambda name: True, 5.0, "en", full_disk=(3.0, "full of x"))
    assert (need.kind, need.since, need.age, need.text) == ("storage", 3.0, 2.0, "full of x")
