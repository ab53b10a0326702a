"""The confirm page's part of the engine: who gets a link, what it shows, and what it does."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from common.identity.passkey import approval_challenge, check_assertion, decode_base64, encode_base64
from common.lifecycle import JobState, RequestState
from hub.chat.confirm_links import ConfirmLink
from hub.chat.confirm_page import Shown
from hub.chat.inlets import Inlet
from hub.chat.platforms.generic import GenericPlatform
from hub.core.passkeys import PasskeyAnswer
from hub.core.records import PersonPasskey, Request
from tests.hub.hub_harness import HubHarness
from tests.software_authenticator import ORIGIN, UP, UV, SoftwareAuthenticator

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


# ---- what a passkey signs


async def asking_critical(harness: HubHarness, *devices: SoftwareAuthenticator, more: str = "") -> Request:
    """A critical request of carol's; bob has the passkeys."""
    harness.add_rule("mark", more=f"approvers = 1\ncritical = true\n{more}", verdict="ask")
    await restart(harness, ORIGIN)
    for number, device in enumerate(devices):
        key, at = device.passkey, harness.clock.now + number
        row = PersonPasskey(key.id, "bob", key.line, encode_base64(device.credential_id), "", at)
        assert harness.write(lambda txn, row=row: txn.add_passkey(row))  # type: ignore[misc]
    return await harness.submit("@web-1 mark this")


def answer(device: SoftwareAuthenticator, shown: Shown, **says: Any) -> PasskeyAnswer:
    assert shown.ask is not None
    challenge = decode_base64(shown.ask["challenge"])
    assert challenge is not None
    made = device.get(challenge, **says)
    return PasskeyAnswer(encode_base64(device.credential_id), made.client_data, made.authenticator_data, made.signature)


async def test_what_is_critical_is_signed_on_the_page(harness: HubHarness) -> None:
    """Trust: the page shows the whole plan, its whole hash and who asked, and says whose word that is; what the passkey
    signs goes with the order, so that the machine can see it for itself.
    """
    phone, laptop = SoftwareAuthenticator("es256"), SoftwareAuthenticator("eddsa")
    request = await asking_critical(harness, phone, laptop)
    assert f"link r{request.number}" in await harness.reply_text(f"approve r{request.number}", "bob")
    link = await link_for(harness, f"link r{request.number}")
    shown = await harness.engine.confirmations.show(link)
    assert shown == await harness.engine.confirmations.show(link)
    assert shown.ask is not None
    assert [one["id"] for one in shown.ask["allowCredentials"]] == [
        encode_base64(one.credential_id) for one in (phone, laptop)
    ]
    assert (shown.ask["rpId"], shown.ask["userVerification"]) == ("hub.example", "required")
    for words in ("/opt/tests/mark this", request.plan_hash, "asked for by carol", "this hub's word"):
        assert words in shown.text
    done = await harness.engine.confirmations.act(link, "approve", "", "", answer(laptop, shown))
    assert done.ok, done.text
    (order,) = await harness.orders()
    hubs, own = order.proofs
    assert (hubs.by_hub, own.by, own.person) == (True, f"passkey:{laptop.passkey.id}", "bob")
    challenge = approval_challenge(own, order.request, order.plan_hash)
    assert check_assertion(laptop.passkey, challenge, own.client_data, own.authenticator_data, own.signature) == ""
    (approved,) = harness.events("request.approved")
    assert (approved.data["own_key"], approved.data["via"]) == (laptop.passkey.id, "page:ops")


async def test_an_older_machine_is_not_sent_what_it_would_not_read(harness: HubHarness) -> None:
    """It is handed no critical job at all, and the request says so."""
    device = SoftwareAuthenticator()
    request = await asking_critical(harness, device)
    link = await link_for(harness, f"link r{request.number}")
    shown = await harness.engine.confirmations.show(link)
    assert (await harness.engine.confirmations.act(link, "approve", "", "", answer(device, shown))).ok
    assert await harness.claim(protocol=4) == []
    (job,) = harness.jobs(request)
    assert job.state is JobState.NOT_STARTED


async def test_what_is_no_signature_of_this_approves_nothing(harness: HubHarness) -> None:
    """Trust: by its name, so that the person knows; the page comes again. Nobody else's passkey, nor one for another
    page, nor an answer for another request, plan or person.
    """
    device = SoftwareAuthenticator()
    request = await asking_critical(harness, device)
    other = await harness.submit("@web-1 mark that")
    link = await link_for(harness, f"link r{request.number}")
    shown = await harness.engine.confirmations.show(link)
    of_other = await harness.engine.confirmations.show(await link_for(harness, f"link r{other.number}"))
    good = answer(device, shown)
    for given, said in (
        (answer(device, of_other), "another question"),
        (answer(device, shown, flags=UP), "did not check that it was you"),
        (answer(device, shown, flags=UV), "nobody confirmed"),
        (answer(device, shown, site="hub.evil"), "for another site"),
        (answer(device, shown, origin="https://hub.evil"), "on another page"),
        (answer(device, shown, crossOrigin=True), "within another site"),
        (answer(device, shown, type="webauthn.create"), "something else"),
        (answer(SoftwareAuthenticator(), shown), "not one of yours"),
        (replace(answer(SoftwareAuthenticator(), shown), credential=good.credential), "not by your passkey"),
        (replace(good, signature=b""), "not by your passkey"),
        (replace(good, client_data=b""), "not of the form"),
        (replace(good, authenticator_data=good.authenticator_data + b"0"), "not of the form"),
    ):
        done = await harness.engine.confirmations.act(link, "approve", "", "", given)
        assert (done.ok, done.again, said in done.text) == (False, True, True), (said, done.text)
    assert harness.request(request.id).state is RequestState.ASKING
    refused = [row for row in harness.events("act.refused") if row.data["code"] == "bad_signature"]
    assert len(refused) == 12
    unsigned = await harness.engine.confirmations.act(link, "approve", "", "")
    assert (unsigned.ok, "wants your own signature" in unsigned.text) == (False, True)
    anns = replace(link, person="ann")
    assert "not one of yours" in (await harness.engine.confirmations.act(anns, "approve", "", "", good)).text
    harness.tamper("UPDATE passkeys SET line = 'passkey:es256:x:https://hub.example'")
    assert "not one of yours" in (await harness.engine.confirmations.act(link, "approve", "", "", good)).text


async def test_who_has_no_passkey_for_the_page_is_told_how_to_sign(harness: HubHarness) -> None:
    """And may reject there. One that was made for the page of before is none for this one."""
    request = await asking_critical(harness, SoftwareAuthenticator(origin="https://old.example"))
    shown = await harness.engine.confirmations.show(await link_for(harness, f"link r{request.number}"))
    assert (shown.ask, shown.approvable, shown.open) == (None, False, True)
    assert "answerback passkey add" in shown.text
    await restart(harness, "http://hub.example")
    harness.set_http_limits(public_url="http://hub.example")
    link = ConfirmLink(request.id, 1, "bob", request.plan_hash, ("approve",), "ops", "en", harness.clock.now + 600)
    await harness.people.refresh()
    assert "https:// with a host name" in (await harness.engine.confirmations.show(link)).text


async def test_in_a_room_a_link_that_a_passkey_answers_approves_and_does_not_reject(harness: HubHarness) -> None:
    """Whoever opens it cannot sign; who has no passkey gets none there."""
    device = SoftwareAuthenticator()
    request = await asking_critical(harness, device)
    words = f"link r{request.number}"
    assert "none for" in await harness.reply_text(words, "ann")
    link = await link_for(harness, words, conversation="room")
    assert link.acts == ("approve",)
    assert not (await harness.engine.confirmations.act(link, "approve", "", "")).ok
    assert harness.request(request.id).state is RequestState.ASKING
    shown = await harness.engine.confirmations.show(link)
    assert (await harness.engine.confirmations.act(link, "approve", "", "", answer(device, shown))).ok
    assert harness.request(request.id).state is RequestState.WORKING


async def test_a_second_factor_is_asked_for_beside_the_signature(harness: HubHarness) -> None:
    """Trust: and is in what is signed; a wrong code leaves the page, where one signs again."""
    device = SoftwareAuthenticator()
    request = await asking_critical(harness, device, more="second_factor = true")
    code = await harness.enrol_totp("bob")
    link = await link_for(harness, f"link r{request.number}")
    shown = await harness.engine.confirmations.show(link)
    assert shown.second_factor
    for given in ("", "000000"):
        wrong = await harness.engine.confirmations.act(link, "approve", given, "", answer(device, shown))
        assert (wrong.ok, wrong.again) == (False, True)
    assert (await harness.engine.confirmations.act(link, "approve", code(), "", answer(device, shown))).ok
    (approval,) = harness.read(lambda txn: txn.approvals(request.id))
    assert [proof.second_factor for proof in approval.proofs] == [True, True]
