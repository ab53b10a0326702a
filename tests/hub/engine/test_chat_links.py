"""`link CODE`, said in chat: whom it makes known, and how many wrong codes are heard."""

from __future__ import annotations

from hub.core.records import Person
from tests.hub.api_harness import ApiHarness
from tests.hub.hub_harness import HubHarness


async def test_a_person_links_themselves(harness: HubHarness) -> None:
    """The words of the API, said by a chat user whom nobody knew: known at once, once, and never stored in clear."""
    made = await ApiHarness(harness).call("carol", "link_code")
    words = made["words"]
    assert words in made["text"]
    assert made["expires_at"] == harness.clock.now + 600
    assert "you are carol here" in await harness.reply_text(words, "newcomer")
    assert harness.people.find_by_chat("ops", "newcomer") == "carol"
    assert (await harness.submit("@web-1 uptime", "newcomer")).person == "carol"
    (linked,) = harness.events("person.linked")
    assert (linked.subject, linked.actor, linked.data["chat"]) == ("carol", "chat:ops:newcomer", "ops:newcomer")
    code = words.removeprefix("link ")
    for event in harness.events():
        assert code not in str(event.data)
    assert all(code not in request.text for request in harness.read(lambda txn: txn.requests()))
    assert "no such code" in await harness.reply_text(words, "another")
    assert "carol here already" in await harness.reply_text(words, "newcomer")


async def test_wrong_codes_are_heard_a_few_times(harness: HubHarness) -> None:
    """Of one chat user, and of one conversation whoever says them; then not even the right one, for ten minutes."""
    words = (await ApiHarness(harness).call("carol", "link_code"))["words"]
    for _ in range(5):
        assert "no such code" in await harness.reply_text("link aaaa2-bbbbb", "guesser")
    assert "too many wrong codes" in await harness.reply_text(words, "guesser")
    assert len(harness.events("person.link_refused")) == 5
    for number in range(15):
        await harness.submit("link aaaa2-bbbbb", f"guesser{number}")
    assert "too many wrong codes" in await harness.reply_text(words, "newcomer")
    harness.clock.advance(120)
    assert "no such code" not in await harness.reply_text(words, "newcomer")
    assert harness.people.find_by_chat("ops", "newcomer") == "carol"


async def test_a_code_of_somebody_revoked_links_nobody(harness: HubHarness) -> None:
    """Who lost everything meanwhile is told so, and the code is used up."""
    words = (await ApiHarness(harness).call("carol", "link_code"))["words"]
    await harness.change(lambda uow: uow.txn.add_person(Person("carol", (), 1.0, revoked_at=2.0)))
    assert "carol is revoked" in await harness.reply_text(words, "newcomer")
    assert harness.people.find_by_chat("ops", "newcomer") == ""
