"""Who may say what in chat: every command for every role, and what decides in every state of a request."""

from __future__ import annotations

from typing import get_args

import pytest

from common.api.rights import RIGHTS
from common.lifecycle import RequestState
from hub.core.outcome import ChatVerb
from hub.core.records import Request
from hub.engine.chat_actions import CHAT_RIGHTS
from tests.hub.hub_harness import HubHarness

RANKS = ("viewer", "operator", "approver", "admin")
BY_RANK = dict(zip(RANKS, ("vera", "carol", "bob", "alice"), strict=True))
RESTART = "@web-1 systemctl restart nginx.service"  # one yes of somebody else

LOOKING: dict[ChatVerb, tuple[str, str]] = {
    # verb: what is said (of a request of dave's), the lowest role that may
    "help": ("help", "viewer"),
    "hello": ("hi", "viewer"),
    "thanks": ("thanks", "viewer"),
    "whoami": ("whoami", "viewer"),
    "machines": ("machines", "viewer"),
    "status": ("status r{n}", "viewer"),
    "show": ("show r{n}", "viewer"),
    "output": ("output r{n}", "viewer"),
    "more": ("more r{n}", "viewer"),
    "file": ("file r{n}", "viewer"),
    "jobs": ("jobs", "viewer"),
    "allowed": ("allowed", "viewer"),
    "disallow": ("disallow a1", "viewer"),  # for whom it is; others' are an approver's
    "history": ("history", "viewer"),
    "pause": ("pause web-1", "approver"),
    "resume": ("resume web-1", "approver"),
    "wake": ("wake web-1", "operator"),
    "drafts": ("drafts", "operator"),
    "draft": ("show d1", "operator"),
    "propose": ("make r{n} a runbook named x", "approver"),  # of their own: an operator
    "accept": ("accept d1", "admin"),
    "decline": ("reject d1", "operator"),  # their own; others' are an admin's
}
DECIDING: dict[ChatVerb, tuple[str, str]] = {
    # of another person's request
    "approve": ("approve r{n}", "approver"),
    "reject": ("reject r{n}", "approver"),
    "cancel": ("cancel r{n}", "approver"),
    "allow": ("allow r{n} for 1h", "approver"),  # which this hub does not let anybody
    "retry": ("retry r{n}", "operator"),
    "page": ("link r{n}", "approver"),
}
ELSEWHERE: frozenset[str] = frozenset({"yes", "no", "link"})
"""Verbs without a right of their own: yes and no are approve and reject with their rights, a link says who one is."""


def refusals(harness: HubHarness, person: str) -> int:
    return sum(row.actor == person and row.data.get("code") == "no_right" for row in harness.events("act.refused"))


async def a_request(harness: HubHarness, state: RequestState) -> Request:
    """Of dave's, in this state."""
    request = await harness.submit(RESTART, "dave")
    number = request.number
    if state is RequestState.WORKING:
        await harness.submit(f"approve r{number}", "bob")
    elif state is RequestState.REJECTED:
        await harness.submit(f"reject r{number}", "bob")
    elif state is RequestState.CANCELLED:
        await harness.submit(f"cancel r{number}", "dave")
    assert harness.request(request.id).state is state
    return request


def test_every_command_of_chat_has_its_line_here_and_its_right() -> None:
    """A command that nobody has put into these tables fails the test; each names a right that is declared."""
    told = LOOKING.keys() | DECIDING.keys()
    assert set(get_args(ChatVerb)) == told | (ELSEWHERE & set(get_args(ChatVerb)))
    for verb in told - {"draft", "accept", "decline"}:
        assert CHAT_RIGHTS.get(verb, verb) in RIGHTS, verb


async def test_every_command_for_every_role(harness: HubHarness) -> None:
    """Trust (A1, one client path skipped its check; B13, who may approve): refused below the role with an audit row,
    and not refused for want of a right from it on.
    """
    request = await a_request(harness, RequestState.WORKING)
    for verb, (said, role) in LOOKING.items():
        for rank, person in BY_RANK.items():
            before = refusals(harness, person)
            await harness.submit(said.format(n=request.number), person)
            refused = refusals(harness, person) > before
            assert refused is (RANKS.index(rank) < RANKS.index(role)), (verb, rank)


@pytest.mark.parametrize(
    "state",
    [RequestState.ASKING, RequestState.WORKING, RequestState.REJECTED, RequestState.CANCELLED],
    ids=lambda state: state.value,
)
async def test_who_decides_on_anothers_request(state: RequestState, harness: HubHarness) -> None:
    """In every state: who may not changes nothing, and is refused for want of the right (or, where nothing can be
    rejected any more, told so); who may changes what the state allows.
    """
    for verb, (said, role) in DECIDING.items():
        for rank, person in BY_RANK.items():
            request, before = await a_request(harness, state), refusals(harness, person)
            answer = await harness.submit(said.format(n=request.number), person)
            after, may = harness.request(request.id).state, RANKS.index(rank) >= RANKS.index(role)
            if not may:
                assert after is state, (verb, rank)
                told_the_state = (verb, rank) == ("reject", "operator") and state is not RequestState.ASKING
                assert refusals(harness, person) > before or told_the_state, (verb, rank)
                assert answer.plan is None, (verb, rank)
            else:
                assert refusals(harness, person) == before, (verb, rank)
                moves = {
                    ("approve", RequestState.ASKING): RequestState.WORKING,
                    ("reject", RequestState.ASKING): RequestState.REJECTED,
                    ("cancel", RequestState.ASKING): RequestState.CANCELLED,
                    ("cancel", RequestState.WORKING): after,  # its jobs are asked to stop
                }
                assert after is moves.get((verb, state), state), (verb, rank)
            if harness.request(request.id).state in (RequestState.ASKING, RequestState.WORKING):
                await harness.submit(f"cancel r{request.number}", "dave")
