"""What was asked of a hub and what people said to it, as its store has it; and a proposal put into the file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.errors import UserError
from common.policy.check import check
from hub.cli.policy_learn import MAX_MACHINES, apply, propose, read_history, read_policy_file
from hub.core.learning.proposal import Evidence, Terms
from hub.planning.watched_files import load_policy
from tests.hub.hub_harness import HubHarness

RESTART = "@web-1 cat /etc/apt/sources.list"
READS = Terms(2, 2, reads=frozenset({"show-sensitive-file"}))


async def approved(harness: HubHarness, line: str = RESTART, by: str = "bob", user: str = "carol") -> int:
    request = await harness.submit(line, user)
    await harness.submit(f"approve r{request.number}", by)
    return request.number


def outcomes(harness: HubHarness, last: int = 100, *, with_models: bool = False) -> list[tuple[str, tuple[str, ...]]]:
    found = read_history(harness.config, last, with_models=with_models).evidence
    return [(one.outcome, one.approvers) for one in found]


async def test_what_came_of_a_request_is_told_by_its_approvals(harness: HubHarness) -> None:
    """Approved by another, by nobody yet, rejected, refused; the newest first."""
    await approved(harness)
    waiting = await harness.submit(RESTART)
    rejected = await harness.submit(RESTART)
    await harness.submit(f"reject r{rejected.number} no", "bob")
    await harness.submit("@web-1 nosuchprogram x")
    assert outcomes(harness) == [("refused", ()), ("rejected", ()), ("other", ()), ("approved", ("bob",))]
    history = read_history(harness.config, 100, with_models=False)
    assert history.evidence[-1] == Evidence(
        history.evidence[-1].request,
        ("/usr/bin/cat", "--", "/etc/apt/sources.list"),
        "carol",
        "web-1",
        "approved",
        ("bob",),
    )
    assert waiting.number in range(1, history.requests + 1)
    assert outcomes(harness, 1) == [("refused", ())]


async def test_an_approval_that_this_hub_did_not_sign_is_no_evidence(harness: HubHarness) -> None:
    """Trust: whoever can write rows into the store cannot have a rule learned from them."""
    number = await approved(harness)

    def forge(txn) -> None:  # type: ignore[no-untyped-def]
        request = txn.request_by_number(number)
        given = txn.approvals(request.id)[0]
        txn.add_approval(replace(given, person="ann"))

    harness.write(forge)
    assert outcomes(harness) == [("approved", ("bob",))]


async def test_what_models_planned_counts_only_where_that_is_said(harness: HubHarness) -> None:
    """Trust: text that no person wrote makes no rule by itself."""
    number = await approved(harness)

    def taint(txn) -> None:  # type: ignore[no-untyped-def]
        request = txn.request_by_number(number)
        txn.save_request(request, replace(request, plan=replace(request.plan, tainted=True)))

    harness.write(taint)
    assert outcomes(harness) == []
    assert read_history(harness.config, 100, with_models=False).of_models == 1
    assert outcomes(harness, with_models=True) == [("approved", ("bob",))]


async def test_the_machines_of_a_step_are_bounded(harness: HubHarness) -> None:
    """A step for thousands of machines is no thousands of rows."""
    for n in range(2, MAX_MACHINES + 5):
        await harness.add_machine(f"web-{n}")
    await harness.submit("@web-* nosuchprogram")
    assert len(outcomes(harness)) == MAX_MACHINES


async def test_a_proposal_is_written_whole_and_recorded(harness: HubHarness) -> None:
    """The file from before is kept, the rule holds, the audit says who and what."""
    for by in ("bob", "ann"):
        await approved(harness, by=by)
    file = read_policy_file(harness.config.policy.file)
    (one,) = propose(file, read_history(harness.config, 100, with_models=False), READS).proposals
    kept = apply(harness.config, file, one, harness.clock.now)
    assert kept.read_bytes() == file.data
    policy = load_policy(harness.config.policy.file)
    assert check(policy, ("cat", "/etc/apt/sources.list"), roles=("operator",), agent="web-1", labels={}).rule == one.id
    event = harness.read(lambda txn: txn.events(kind_prefix="policy.learned"))[-1]
    assert (event.kind, event.subject, event.actor) == ("policy.learned", one.id, "terminal")
    assert event.data["verdict"] == "allow"
    with pytest.raises(UserError, match="changed meanwhile"):
        apply(harness.config, file, one, harness.clock.now)
    assert len(harness.read(lambda txn: txn.events(kind_prefix="policy.learned"))) == 1


async def test_a_rule_of_which_an_admin_says_that_it_reads_has_to_be_there(harness: HubHarness) -> None:
    """A slip in its id is told."""
    file = read_policy_file(harness.config.policy.file)
    with pytest.raises(UserError, match="there is no such rule"):
        propose(file, read_history(harness.config, 1, with_models=False), Terms(reads=frozenset({"servise"})))
