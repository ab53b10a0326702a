"""People's passkeys in the engine: who gets a link, what the page makes of it, what is kept."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from common.catalogue import Language
from common.identity.passkey import parse_passkey
from hub.chat.passkey_links import PasskeyLink
from hub.core.passkeys import MAX_PASSKEYS, PasskeyAnswer
from hub.core.records import Person
from hub.engine.actor import ActionResult, Actor
from hub.identity.certificates import revoke
from tests.hub.hub_harness import HubHarness
from tests.software_authenticator import AT, ORIGIN, UP, SoftwareAuthenticator

BOB = Actor("bob", "console")


async def give(harness: HubHarness, actor: Actor = BOB, language: Language = "en") -> ActionResult:
    return await harness.units.write(lambda uow: harness.engine.passkeys.give(uow, actor, "phone", language))


async def link_for(harness: HubHarness, actor: Actor = BOB) -> PasskeyLink:
    found = re.fullmatch(rf"{ORIGIN}/passkey/([\w-]{{43}})", (await give(harness, actor)).data["url"])
    assert found is not None
    link = harness.engine.passkey_links.find(found[1], harness.clock.now)
    assert link is not None
    return link


def answer(device: SoftwareAuthenticator, link: PasskeyLink, **says: Any) -> PasskeyAnswer:
    made = device.create(link.challenge, **says)
    return PasskeyAnswer("", made.client_data, made.authenticator_data)


async def make(harness: HubHarness, device: SoftwareAuthenticator, actor: Actor = BOB) -> None:
    link = await link_for(harness, actor)
    assert (await harness.engine.passkeys.add(link, answer(device, link))).ok


async def test_a_passkey_is_made_for_whoever_asked(harness: HubHarness) -> None:
    """Kept with its line; told to the person in chat too, in the audit without the token, and shown for machines."""
    harness.set_http_limits(public_url=f"{ORIGIN}/")
    await harness.people.refresh()
    await harness.submit("help", "bob")
    device = SoftwareAuthenticator("eddsa")
    link = await link_for(harness)
    assert (link.person, link.label, link.until) == ("bob", "phone", harness.clock.now + 600)
    asked = await harness.engine.passkeys.ask(link)
    assert asked is not None
    assert (asked["rp"]["id"], asked["user"]["name"], asked["excludeCredentials"]) == ("hub.example", "bob", [])
    done = await harness.engine.passkeys.add(link, answer(device, link))
    assert (done.ok, f"approvers add bob {device.passkey.line}" in done.text) == (True, True)
    (kept,) = harness.read(lambda txn: txn.passkeys("bob"))
    assert (parse_passkey(kept.line), kept.id, kept.label) == (device.passkey, device.passkey.id, "phone")
    (given,), (added,) = harness.events("passkey.link_given"), harness.events("passkey.added")
    assert (given.subject, added.subject, added.data) == ("bob", "bob", {"key": kept.id, "label": "phone"})
    notices = [reply for reply in harness.replies() if "A passkey was made in your name" in reply.body]
    assert len(notices) == 1
    again = await harness.engine.passkeys.ask(await link_for(harness))
    assert again is not None
    assert [one["id"] for one in again["excludeCredentials"]] == [kept.credential_id]


async def test_what_is_no_answer_makes_none(harness: HubHarness) -> None:
    """Trust: another link's answer, another page's, one without its person: refused by its name."""
    harness.set_http_limits(public_url=ORIGIN)
    await harness.people.refresh()
    device, link = SoftwareAuthenticator(), await link_for(harness)
    other = await link_for(harness, Actor("ann", "console"))
    for given, said in (
        (answer(device, other), "another question"),
        (answer(device, link, site="hub.evil"), "for another site"),
        (answer(device, link, origin="https://hub.evil"), "on another page"),
        (answer(device, link, flags=UP | AT), "did not check that it was you"),
        (answer(device, link, type="webauthn.get"), "something else"),
        (answer(device, link, cose_key=b"\xa0"), "neither ES256 nor EdDSA"),
        (PasskeyAnswer("", b"", b""), "not of the form"),
    ):
        done = await harness.engine.passkeys.add(link, given)
        assert (done.ok, said in done.text) == (False, True), done.text
    assert harness.read(lambda txn: txn.passkeys("bob") + txn.passkeys("ann")) == []


async def test_there_are_none_where_pages_can_have_none(harness: HubHarness) -> None:
    """No address, no HTTPS, no name: the cure is said, also by a page whose address went meanwhile."""
    for url in (None, "http://hub.example", "https://192.0.2.1"):
        harness.set_http_limits(public_url=url)
        await harness.people.refresh()
        refused = await give(harness)
        assert (refused.code, "public_url" in str(refused.sentence)) == ("no_page", True)
    harness.set_http_limits(public_url=ORIGIN)
    await harness.people.refresh()
    link = await link_for(harness)
    harness.set_http_limits(public_url=None)
    await harness.people.refresh()
    assert await harness.engine.passkeys.ask(link) is None
    assert not (await harness.engine.passkeys.add(link, answer(SoftwareAuthenticator(), link))).ok


async def test_there_are_no_more_than_a_machine_takes(harness: HubHarness) -> None:
    """Neither a link nor a page makes one more; a removed one makes room. Nobody removes another's."""
    harness.set_http_limits(public_url=ORIGIN)
    await harness.people.refresh()
    device = SoftwareAuthenticator()
    await make(harness, device)
    open_link = await link_for(harness)
    for number in range(MAX_PASSKEYS - 1):
        row = harness.read(lambda txn: txn.passkeys("bob"))[0]
        more = replace(row, id=f"{number:016x}")
        assert harness.write(lambda txn, more=more: txn.add_passkey(more))  # type: ignore[misc]
    assert (await give(harness)).code == "full"
    assert not (await harness.engine.passkeys.add(open_link, answer(SoftwareAuthenticator(), open_link))).ok

    async def remove(actor: Actor, key: str) -> str:
        done = await harness.units.write(lambda uow: harness.engine.passkeys.remove(uow, actor, key))
        return done.code

    assert await remove(Actor("ann", "console"), device.passkey.id) == "unknown"
    assert await remove(BOB, "f" * 16) == "unknown"
    assert await remove(BOB, device.passkey.id) == ""
    (removed,) = harness.events("passkey.removed")
    assert (removed.subject, removed.data["key"]) == ("bob", device.passkey.id)
    assert (await give(harness)).code == ""


async def test_who_is_revoked_has_none_any_more(harness: HubHarness) -> None:
    """Trust: nor makes one with a link from before; whoever gets the name later begins without."""
    harness.set_http_limits(public_url=ORIGIN)
    await harness.people.refresh()
    await make(harness, SoftwareAuthenticator())
    link = await link_for(harness)
    harness.write(lambda txn: txn.add_person(Person("bob", (), harness.clock.now)))
    harness.write(lambda txn: revoke(txn, "operator", "bob", "alice", harness.clock.now))
    await harness.people.refresh()
    assert harness.read(lambda txn: txn.passkeys("bob")) == []
    done = await harness.engine.passkeys.add(link, answer(SoftwareAuthenticator(), link))
    assert (done.ok, "no role" in done.text) == (False, True)
    assert harness.read(lambda txn: txn.passkeys("bob")) == []
