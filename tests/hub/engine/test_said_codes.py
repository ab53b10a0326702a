"""A second factor's code said in chat: kept nowhere, used up, its message removed where the platform lets us."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from common.catalogue import Sentence
from common.lifecycle import RequestState
from hub.chat.inlets import Inlet
from hub.chat.platforms.base import Delivered, DeliveryFailed, HttpCall, HttpResponse, ReplyContent
from hub.chat.platforms.generic import GenericPlatform
from hub.chat.platforms.privacy import REMOVAL, Sight
from hub.core.outcome import CannotPlan, PlanningContext, PlanningResult
from hub.core.records import Reply, Request
from hub.engine.said_codes import SaidCodes
from tests.hub.hub_harness import HubHarness

SECRET = b"a secret of some length"
WAYS = (
    "approve r1 {code}",
    "approve r1 {code}.",
    "approve r1 {spaced}",
    "approve r1 with my code {code} please do it now",
    "approve r1: {code} on web-1",
    "approve {code}",
    "approve all {code}",
    "aprove r1 {code}",
    "should I approve r1 {code}?",
    "批准 r1 {code}",
    "批准 r1 验证码{wide}",
    "reject r1 {code}",
    "reject r1 because {code} is my code",
    "cancel r1 {code}",
    "retry r1 {code}",
    "status r1 {code}",
    "output r1 {code}",
    "why r1 {code}",
    "link r1 {code}",
    "yes {code}",
    "{code}",
    "my code is {code}.",
    "help {code}",
    "help code {code}",
    "@web-1 approve {code}",
    "pause web-1 code {code}",
    "make this a runbook {code}",
    "it is code:{code}!",
    "({code})",
)


class Platform(GenericPlatform):
    """A platform that deletes what people wrote, but for what nobody else sees."""

    sight: Sight | None = None

    def removal(self, event_id: str, conversation: str, thread: str) -> HttpCall | Sight:
        return self.sight or HttpCall(f"https://chat.example/{event_id}", b"", method="DELETE")

    def read_removal(self, call: HttpCall, response: HttpResponse) -> Delivered | DeliveryFailed:
        return Delivered()

    def is_direct(self, conversation: str, thread: str) -> bool:
        return conversation == "dm"


class Model:
    """Keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[PlanningContext] = []

    async def plan(self, context: PlanningContext) -> PlanningResult:
        self.asked.append(context)
        return PlanningResult(CannotPlan(Sentence("not_understood"), "not_understood"))


async def asking(harness: HubHarness) -> Request:
    harness.add_rule("seal", more="second_factor = true", verdict="ask")
    request = await harness.submit("@web-1 seal it")
    assert request.state is RequestState.ASKING
    return request


def on(harness: HubHarness, platform: GenericPlatform, **more: Any) -> None:
    harness.inlets["ops"] = Inlet("ops", platform, **more)


def removals(harness: HubHarness) -> list[tuple[Reply, ReplyContent]]:
    read = [(reply, ReplyContent.from_json(reply.body)) for reply in harness.replies()]
    return [(reply, content) for reply, content in read if content.kind == REMOVAL]


def kept(harness: HubHarness) -> bytes:
    """All that the hub has on disk."""
    return b"".join(file.read_bytes() for file in harness.database.parent.iterdir() if file.is_file())


def stands_in(seen: bytes, secret: str) -> bool:
    """As a word: ids and digests have six digits in a row now and then."""
    if secret.encode() not in seen:
        return False
    return re.search(rb"(?<![0-9A-Za-z])%b(?![0-9A-Za-z])" % secret.encode(), seen) is not None


async def test_a_code_is_kept_nowhere_and_used_up(harness: HubHarness, capfd: pytest.CaptureFixture[str]) -> None:
    """In whatever words it stands: not in requests, audit, outbox, log, nor in what a model is asked; and it works no
    second time.
    """
    code = await harness.enrol_totp("bob")
    harness.model = model = Model()
    await harness.restart()
    harness.fleet.set_online("web-1")
    on(harness, Platform([SECRET]))
    harness.add_rule("seal", more="second_factor = true", verdict="ask")
    secrets: dict[str, str] = {}
    for way in WAYS:
        harness.clock.advance(400)
        request = await harness.submit("@web-1 seal it")
        digits = code()
        wide = "".join(chr(ord(digit) - ord("0") + ord("０")) for digit in digits)
        spaced = f"{digits[:3]} {digits[3:]}"
        secrets |= dict.fromkeys((digits, wide, spaced), way)
        words = way.format(code=digits, wide=wide, spaced=spaced).replace("r1", f"r{request.number}")
        said = await harness.submit(words, "bob")
        row = harness.read(lambda txn: txn.person("bob"))
        assert row is not None
        assert row.totp_last_step == int(harness.clock.now) // 30, way
        assert removals(harness)[-1][1].in_reply_to == said.event_id, way
        event = harness.events("message.code_said")[-1]
        assert (event.subject, event.actor, event.data["removal"]) == (said.id, "bob", "asked"), way
    assert len(removals(harness)) == len(WAYS)
    assert model.asked
    captured = capfd.readouterr()
    seen = kept(harness) + (captured.out + captured.err).encode() + repr(model.asked).encode()
    assert {secret: way for secret, way in secrets.items() if stands_in(seen, secret)} == {}


async def test_other_numbers_are_no_codes(harness: HubHarness) -> None:
    """A number that the sender's factor does not show counts for nothing, though one of its shape is not kept where
    they have a factor; a longer one is, and so is what stands in a command, another person's code even.
    """
    code, other = await harness.enrol_totp("bob"), await harness.enrol_totp("ann")
    on(harness, Platform([SECRET]))
    digits = code()
    number = f"{(int(digits) + 1) % 1_000_000:06}"
    for text in (f"ticket {number} about @web-1", f"see 1{digits} and {digits}9", f"@web-1 echo {other()}"):
        request = await harness.submit(text, "bob")
        assert request.text == text.replace(number, "******")
    assert removals(harness) == []
    assert harness.events("message.code_said") == []


async def test_a_wrong_code_is_removed_too(harness: HubHarness) -> None:
    """A code of yesterday, or a slip: whoever approves with one has given a code."""
    await harness.enrol_totp("bob")
    on(harness, Platform([SECRET]))
    await asking(harness)
    said = await harness.submit("approve r1 000000", "bob")
    assert "wrong" in harness.final_reply(said)["text"]
    assert [content.in_reply_to for _, content in removals(harness)] == [said.event_id]


async def test_a_code_works_no_second_time_whatever_became_of_it(harness: HubHarness) -> None:
    """Said where nothing waits, it is spent all the same: who has read it in the room cannot use it by a link."""
    code = await harness.enrol_totp("bob")
    assert "approved" not in await harness.reply_text(f"approve r1 {code()}", "bob")
    request = await asking(harness)
    again = await harness.reply_text(f"approve r{request.number} {code()}", "bob")
    assert "used already" in again
    harness.clock.advance(30)
    assert "approved by bob" in await harness.reply_text(f"approve r{request.number} {code()}", "bob")


async def test_where_it_stays_the_answer_says_so(harness: HubHarness) -> None:
    """Once, in the message's language; not where nobody else is there, or nobody else sees it."""
    code = await harness.enrol_totp("bob")
    request = await asking(harness)

    async def answer(text: str = "approve r{} {}", **more: Any) -> str:
        harness.clock.advance(60)
        return await harness.reply_text(text.format(request.number, code()), "bob", **more)

    assert "Others here can read that code" in await answer()
    assert "能看到该验证码" in await answer("批准 r{} {}")
    assert "Others" not in await answer(conversation="bob")
    platform = Platform([SECRET])
    on(harness, platform)
    platform.sight = "unseen"
    assert "Others" not in await answer()
    platform.sight = "seen"
    assert "Others" in await answer()
    assert "Others" not in await answer(conversation="dm")
    assert removals(harness) == []


async def test_a_removal_carries_what_is_said_where_it_fails(harness: HubHarness) -> None:
    """Beside the answer, which says nothing of it; without words where nobody else is there. It waits for no reply of
    the request, and the answer is not put below a message that goes.
    """
    code = await harness.enrol_totp("bob")
    on(harness, Platform([SECRET]), id_scope="conversation")
    harness.set_http_limits(public_url="https://hub.example")
    await harness.people.refresh()
    await harness.fleet.refresh()
    harness.fleet.set_online("web-1")
    request = await asking(harness)
    words = f"approve r{request.number} {code()}"
    said = await harness.submit(words, "bob", event_id="room/e7", thread="e7")
    assert "Others" not in harness.final_reply(said)["text"]
    ((reply, content),) = removals(harness)
    assert (content.in_reply_to, content.conversation, content.thread) == ("e7", "room", "e7")
    assert "link rN" in content.text
    assert reply.request_id == ""
    assert harness.final_reply(said).get("thread", "") == ""
    harness.clock.advance(60)
    await harness.submit(f"approve r{request.number} {code()}", "bob", conversation="dm")
    assert removals(harness)[-1][1].text == ""


async def test_a_code_in_an_edit_is_taken_away(harness: HubHarness) -> None:
    """An edit is never run; what it gave away is used up and removed under the message's own id."""
    code = await harness.enrol_totp("bob")
    on(harness, Platform([SECRET]))
    await asking(harness)
    await harness.submit("hello", "bob", event_id="m1")
    receipt = await harness.accept(f"approve r1 {code()}", "bob", event_id="m1", edited=True)
    assert receipt.status == "changed"
    assert [content.in_reply_to for _, content in removals(harness)] == ["m1"]
    assert not stands_in(kept(harness), code())
    assert "used already" in await harness.reply_text(f"approve r1 {code()}", "bob")


async def test_what_the_log_of_a_removal_has(harness: HubHarness) -> None:
    """The outbox's entry is JSON of no code, no command, no plan."""
    code = await harness.enrol_totp("bob")
    on(harness, Platform([SECRET]))
    await asking(harness)
    await harness.submit(f"approve r1 {code()}", "bob")
    ((reply, _),) = removals(harness)
    body = json.loads(reply.body)
    assert body["kind"] == REMOVAL
    assert (body["request"], body["jobs"], body["actions"]) == (None, [], [])


def test_codes_are_found_within_bounds(harness: HubHarness) -> None:
    """A long message of digits is searched once through; a person without a factor has no codes."""
    codes = SaidCodes(harness.keys.sealer, {}.get, lambda: None)
    text = "1 2 " * 10_000
    assert codes.find(text, None, 0.0) == (text, ())


async def test_a_factor_that_cannot_be_read_has_no_codes(harness: HubHarness) -> None:
    """A sealing key that is gone stops no message."""
    await harness.enrol_totp("bob")
    row = harness.people.row("bob")
    assert row is not None
    codes = SaidCodes(harness.keys.sealer, {}.get, lambda: None)
    assert codes.find("123456", replace(row, totp_secret=b"x" * 60), harness.clock.now) == ("123456", ())
