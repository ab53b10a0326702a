"""hub.engine.wake: asked in chat, asked of neighbours, its end written and told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.link.messages import WAKE_FACT, Wake, Woken
from hub.core.wake import AGAIN_AFTER, DEADLINE
from hub.engine import wake as module
from hub.engine.wake import FIRST_LOOK
from tests.hub.hub_harness import HubHarness

CARD = {"net0": "eth0 52:54:00:00:00:01 10.0.3.9/24"}
NEAR = {"net0": "eth0 52:54:00:00:00:02 10.0.3.1/24", WAKE_FACT: "1"}


class Said:
    """What is sent to machines' links."""

    def __init__(self, harness: HubHarness) -> None:
        self.messages: list[tuple[str, Wake]] = []
        harness.engine.wakes.tell = lambda name, message: self.messages.append((name, message))


@pytest.fixture
async def said(harness: HubHarness) -> Said:
    """The sleeping machine `nas`, and its neighbour web-2."""
    await harness.add_machine("nas", online=False, facts=CARD)
    await harness.add_machine("web-2", facts=NEAR)
    return Said(harness)


def told(harness: HubHarness) -> list[str]:
    return [reply.body for reply in harness.replies()]


async def test_a_machine_is_woken_from_chat(harness: HubHarness, said: Said) -> None:
    """A neighbour is asked at once; that it is online ends it, with a row and a word to who asked."""
    text = await harness.reply_text("wake nas")
    assert "10.0.3.0/24" in text
    ((name, message),) = said.messages
    assert (name, message.mac, message.network) == ("web-2", "52:54:00:00:00:01", "10.0.3.0/24")
    harness.engine.wakes.note("web-2", Woken(message.id))
    await harness.engine.wakes.run_due()
    assert harness.engine.wakes.state("nas").code == "waking"
    harness.clock.advance(14)
    harness.fleet.set_online("nas")
    await harness.engine.wakes.run_due()
    assert any("nas woke after 14 s" in body for body in told(harness))
    (asked,), (ended,) = harness.events("wake.asked"), harness.events("wake.ended")
    assert (asked.subject, asked.actor, asked.data["networks"]) == ("nas", "carol", ["10.0.3.0/24"])
    assert (ended.subject, ended.data["what"], ended.data["count"], ended.data["asked"]) == (
        "nas",
        "woke",
        14,
        ["web-2"],
    )
    await harness.engine.wakes.run_due()
    assert len(harness.events("wake.ended")) == 1
    assert harness.engine.wakes.state("nas").code == "woke"


async def test_a_machine_that_does_not_come(harness: HubHarness, said: Said) -> None:
    """Asked again at its seconds, then given up; what the neighbour said is told, in the language of the message."""
    await harness.submit("唤醒 nas")
    for _ in range(int(DEADLINE)):
        harness.clock.advance(1)
        await harness.engine.wakes.run_due()
    assert len(said.messages) == 4
    assert len({message.id for _, message in said.messages}) == 4
    assert any("120 秒内没有上线" in body for body in told(harness))
    (ended,) = harness.events("wake.ended")
    assert ended.data["what"] == "not_sent"


async def test_only_who_was_asked_is_heard(harness: HubHarness, said: Said) -> None:
    """Trust: an answer of another machine, or to what was not asked, changes nothing."""
    await harness.submit("wake nas")
    ((_, message),) = said.messages
    harness.engine.wakes.note("web-1", Woken(message.id, "lies"))
    harness.engine.wakes.note("web-2", Woken("made up", "lies"))
    harness.engine.wakes.note("web-2", Woken(message.id, "no route"))
    harness.engine.wakes.note("web-2", Woken(message.id, "lies"))
    harness.clock.advance(DEADLINE)
    await harness.engine.wakes.run_due()
    (ended,) = harness.events("wake.ended")
    assert "no route" in ended.data["why"]


async def test_what_cannot_be_woken_is_said_at_once(harness: HubHarness, said: Said) -> None:
    """Nobody near, nothing known, online already: no packet, no row of a wake."""
    await harness.add_machine("far", online=False, facts={"net0": "eth0 52:54:00:00:00:05 10.9.0.1/24"})
    await harness.add_machine("old", online=False)
    assert "no neighbour on 10.9.0.0/24 is online" in await harness.reply_text("wake far")
    assert "not known" in await harness.reply_text("wake old")
    assert "online already" in await harness.reply_text("wake web-2")
    assert said.messages == []
    assert harness.events("wake.asked") == []


async def test_several_are_woken_with_one_message(harness: HubHarness, said: Said) -> None:
    """A line each; one that is being woken is not asked for twice; and no more than a few."""
    await harness.add_machine("nas-2", online=False, facts={"net0": "eth0 52:54:00:00:00:03 10.0.3.10/24"})
    text = await harness.reply_text("wake nas,nas-2")
    assert len(text.splitlines()) >= 2
    assert len(said.messages) == 2
    assert "being woken already" in await harness.reply_text("wake nas")
    assert len(said.messages) == 2
    for number in range(9):
        await harness.add_machine(f"box-{number}", online=False, facts=CARD)
    assert "at most 8 machines" in await harness.reply_text("wake box-*")


async def test_what_is_kept_of_ends_is_bounded(
    harness: HubHarness, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ENDED", 1)
    await harness.add_machine("nas-2", online=False, facts={"net0": "eth0 52:54:00:00:00:03 10.0.3.10/24"})
    await harness.submit("wake nas,nas-2")
    harness.clock.advance(DEADLINE)
    await harness.engine.wakes.run_due()
    states = sorted(harness.engine.wakes.state(name).code for name in ("nas", "nas-2"))
    assert states == ["none", "not_sent"]


# ---- for a job


WOL = "wake = true"


async def ask_for_a_job(harness: HubHarness, name: str = "nas") -> None:
    await harness.submit(f"@{name} /opt/tests/backup", "carol")
    await harness.engine.wakes.run_due()


async def test_a_job_wakes_its_machine_where_the_rule_says_so(harness: HubHarness, said: Said) -> None:
    """By the hub's own hand, and the end is told to whoever asked for the job."""
    harness.add_rule("backup", WOL)
    await ask_for_a_job(harness)
    assert [name for name, _ in said.messages] == ["web-2"]
    (asked,) = harness.events("wake.asked")
    assert (asked.actor, asked.subject, asked.data["via"]) == ("hub", "nas", "rule")
    harness.clock.advance(14)
    harness.fleet.set_online("nas")
    await harness.engine.wakes.run_due()
    assert any("nas woke after 14 s" in body for body in told(harness))


@pytest.mark.parametrize(("rule", "machine"), [("", "nas"), (WOL, "web-2")])
async def test_no_machine_is_woken_without_need(harness: HubHarness, said: Said, rule: str, machine: str) -> None:
    """Where the rule does not say so; where the machine is online."""
    harness.add_rule("backup", rule)
    await ask_for_a_job(harness, machine)
    assert said.messages == []


async def test_a_paused_machine_is_not_woken(harness: HubHarness, said: Said) -> None:
    """It would be handed nothing."""
    harness.add_rule("backup", WOL)
    await harness.change_machine("nas", paused_at=1.0, paused_by="bob")
    await ask_for_a_job(harness)
    assert said.messages == []


async def test_jobs_wake_a_machine_once_in_a_while(harness: HubHarness, said: Said) -> None:
    """One that does not come is not woken for every job; after a time it is tried again."""
    harness.add_rule("backup", WOL)
    await ask_for_a_job(harness)
    harness.clock.advance(DEADLINE)
    await harness.engine.wakes.run_due()
    await ask_for_a_job(harness)
    assert len(harness.events("wake.asked")) == 1
    harness.clock.advance(AGAIN_AFTER)
    await ask_for_a_job(harness)
    assert len(harness.events("wake.asked")) == 2


async def test_a_job_whose_machine_cannot_be_woken_says_so(harness: HubHarness, said: Said) -> None:
    """The job waits all the same."""
    harness.add_rule("backup", WOL)
    harness.fleet.set_offline("web-2")
    await ask_for_a_job(harness)
    assert any("no neighbour on 10.0.3.0/24 is online" in body for body in told(harness))


async def test_what_waits_wakes_its_machine_after_a_restart(harness: HubHarness) -> None:
    """Asked while no neighbour was there and forgotten by a restart: looked at once machines have had their time."""
    harness.add_rule("backup", WOL)
    await harness.add_machine("nas", online=False, facts=CARD)
    await harness.submit("@nas /opt/tests/backup", "carol")
    await harness.restart()
    said = Said(harness)
    await harness.add_machine("web-2", facts=NEAR)
    await harness.engine.wakes.run_due()
    assert said.messages == []
    harness.clock.advance(FIRST_LOOK)
    await harness.engine.wakes.run_due()
    assert [name for name, _ in said.messages] == ["web-2"]


@pytest.mark.parametrize("why", ["", "online", "no rule", "held", "forged"])
async def test_what_waits_for_another_reason_wakes_nobody(harness: HubHarness, said: Said, why: str) -> None:
    """Only the head of the queue of a machine that is away, whose rule says so, and which this hub has written."""
    harness.add_rule("backup", "" if why == "no rule" else WOL)
    harness.add_rule("other", WOL)
    request = await harness.submit("@nas /opt/tests/backup", "carol")
    await harness.engine.wakes.run_due()
    harness.clock.advance(DEADLINE)
    await harness.engine.wakes.run_due()
    said.messages.clear()
    if why == "online":
        harness.fleet.set_online("nas")
    if why == "held":
        (job,) = harness.jobs(request)
        harness.write(lambda txn: txn.save_job(job, replace(job, not_before=harness.clock() + 2 * AGAIN_AFTER)))
    if why == "forged":
        harness.tamper("UPDATE requests SET rule = 'other' WHERE id = ?", request.id)
    harness.clock.advance(AGAIN_AFTER)
    await harness.engine.wakes.run_due()
    assert len(said.messages) == (0 if why else 1)
