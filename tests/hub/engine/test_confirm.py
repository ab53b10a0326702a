"""The confirm page's part of the engine: who gets a link, what it shows, and what it does."""

from __future__ import annotations

import re

from common.lifecycle import RequestState
from hub.chat.confirm_links import ConfirmLink
from hub.chat.inlets import Inlet
from hub.chat.platforms.generic import GenericPlatform
from hub.core.records import Request
from tests.hub.hub_harness import HubHarness

ALONE = {"conversation": "bob"}
RESTART = "@web-1 systemctl restart nginx.service"


class Direct(GenericPlatform):
    """A platform whose direct conversations are told by what comes with a message."""

    def is_direct(self, conversation: str, thread: str) -> bool:
        return thread == "direct"


async def link_for(harness: HubHarness, words: str = "link r1", user: str = "bob", **more: str) -> ConfirmLink:
    """The link that the answer to these words has."""
    text = await harness.reply_text(words, user, **(more or ALONE))
    found = re.search(r"https://hub\.example/confirm/([\w-]{43})\Z", text)
    assert found is not None, text
    link = harness.engine.confirm_links.find(found[1], harness.clock.now)
    assert link is not None
    return link


async def restart(harness: HubHarness, public_url: str | None) -> None:
    harness.set_http_limits(public_url=public_url)
    await harness.people.refresh()
    await harness.fleet.refresh()
    harness.fleet.set_online("web-1")


async def asking(harness: HubHarness, user: str = "carol") -> Request:
    await restart(harness, "https://hub.example/")
    request = await harness.submit(RESTART, user)
    assert request.state is RequestState.ASKING, harness.final_reply(request)["text"]
    return request


async def test_a_link_given_alone_shows_and_approves(harness: HubHarness) -> None:
    """As its person, with the approver's rights; the audit has the giving and the act, and no token."""
    request = await asking(harness)
    link = await link_for(harness)
    assert (link.person, link.acts, link.until) == ("bob", ("approve", "reject"), harness.clock.now + 600)
    shown = await harness.engine.confirmations.show(link)
    assert shown.open
    assert "systemctl" in shown.text
    done = await harness.engine.confirmations.act(link, "approve", "", "")
    assert done.ok
    assert harness.request(request.id).state is RequestState.WORKING
    (given,) = harness.events("confirm.link_given")
    assert (given.subject, given.actor) == (request.id, "bob")
    (approved,) = harness.events("request.approved")
    assert (approved.actor, approved.data["via"]) == ("bob", "page:ops")
    assert not (await harness.engine.confirmations.show(link)).open
    assert not (await harness.engine.confirmations.act(link, "approve", "", "")).ok


async def test_a_link_rejects_with_a_reason(harness: HubHarness) -> None:
    """In Chinese too."""
    request = await asking(harness)
    link = await link_for(harness, "链接 r1")
    assert link.language == "zh"
    assert (await harness.engine.confirmations.act(link, "reject", "", "太危险")).ok
    assert harness.request(request.id).state is RequestState.REJECTED


async def test_in_a_room_there_is_none_but_for_a_second_factor(harness: HubHarness) -> None:
    """Whoever opens it acts as that person; with a second factor it approves, with the code, and does nothing else."""
    await asking(harness)
    assert "none for r1 in a room" in await harness.reply_text("link r1", "bob")
    code = await harness.enrol_totp("bob")
    harness.add_rule("seal", more="second_factor = true", verdict="ask")
    request = await harness.submit("@web-1 seal it")
    link = await link_for(harness, f"link r{request.number}", conversation="room")
    assert link.acts == ("approve",)
    assert (await harness.engine.confirmations.show(link)).second_factor
    wrong = await harness.engine.confirmations.act(link, "approve", "000000", "")
    assert (wrong.ok, wrong.again) == (False, True)
    none = await harness.engine.confirmations.act(link, "approve", "", "")
    assert (none.ok, none.again) == (False, True)
    assert (await harness.engine.confirmations.act(link, "approve", code(), "")).ok
    assert harness.request(request.id).state is RequestState.WORKING


async def test_nobody_gets_a_link_who_could_not_decide(harness: HubHarness) -> None:
    """Without the right, without the hub's address, for what does not wait, for what is not there."""
    await asking(harness)
    assert "confirm/" not in await harness.reply_text("link r1", "vera", conversation="vera")
    assert "confirm/" not in await harness.reply_text("link r1", "nobody", conversation="nobody")
    assert "confirm/" not in await harness.reply_text("link r77", "bob", **ALONE)
    await restart(harness, None)
    assert "public_url" in await harness.reply_text("link r1", "bob", **ALONE)
    await restart(harness, "https://hub.example")
    await harness.submit("reject r1", "bob")
    assert "confirm/" not in await harness.reply_text("link r1", "bob", **ALONE)
    assert harness.events("confirm.link_given") == []


async def test_the_requester_cannot_approve_their_own_by_a_link(harness: HubHarness) -> None:
    """The checks are those of chat, at the act."""
    request = await asking(harness, "bob")
    link = await link_for(harness)
    done = await harness.engine.confirmations.act(link, "approve", "", "")
    assert (done.ok, done.again) == (False, False)
    assert harness.request(request.id).state is RequestState.ASKING


async def test_where_a_platform_tells_direct_conversations_a_link_rejects_too(harness: HubHarness) -> None:
    """Though their ids are not the users'; in a room of the same platform there is none."""
    harness.inlets["ops"] = Inlet("ops", Direct([b"a secret of some length"]))
    await asking(harness)
    link = await link_for(harness, conversation="D1", thread="direct")
    assert link.acts == ("approve", "reject")
    assert "none for r1 in a room" in await harness.reply_text("link r1", "bob", conversation="D1", thread="group")


async def test_a_click_that_needs_a_code_is_told_of_the_page_first(harness: HubHarness) -> None:
    """Where the hub has pages; else of the words alone. The question says so as well."""
    await harness.enrol_totp("bob")
    harness.add_rule("seal", more="second_factor = true", verdict="ask")
    for url, said in (("https://hub.example", True), (None, False)):
        await restart(harness, url)
        request = await harness.submit("@web-1 seal it")
        words = f"link r{request.number}"
        assert (words in harness.reply_body(request, "question")["text"]) == said
        refusal = await harness.reply_text(f"approve r{request.number}", "bob", button=True)
        assert (words in refusal, f"approve r{request.number} 123456" in refusal) == (said, True)
