"""Consoles' links over real TLS: calls answered, subscriptions pushed, and nobody slow, greedy or broken in the way.

The verbs are a test's own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest

from common.errors import Denied, UserError
from common.identity.certificates import identity_from_pem, make_request, new_key
from common.link.messages import Answer, Beat, Bye, Call, Heartbeat, Push, Renew, Renewed
from hub.engine.effects import Effects
from hub.links.console import MAX_CALLS, MAX_SUBSCRIPTIONS, Caller, ConsoleLink
from hub.links.subscription import Subscription
from tests.hub.hub_harness import FakeClock, HubHarness
from tests.hub.link_harness import LinkHarness, LinkPeer, serve_links


@pytest.fixture
def fake_clock() -> FakeClock:
    """TLS looks at the real clock: this one starts there."""
    return FakeClock(time.time())


class Verbs:
    """A desk for tests: `value` is what there is to see, `looks` how often it was looked at."""

    def __init__(self, port: LinkHarness) -> None:
        self.gate = asyncio.Event()
        self.entered = 0
        self.value: Any = 0
        self.looks = 0
        self.dropped: list[int] = []
        self.links: list[ConsoleLink] = []
        self.port = port
        verbs = (self.echo, self.wait, self.follow, self.fail, self.refuse, self.usage, self.large, self.stop, self.bad)
        port.desk.verbs.update({verb.__name__: verb for verb in verbs})

    async def echo(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        return {"person": caller.person, **args}

    async def wait(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        self.entered += 1
        await self.gate.wait()
        return caller.call_id

    async def follow(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        """Subscribes; each push is the value as it is then."""
        caller.link.subscribe(Following(self, caller.call_id, args.get("pad", 0), args.get("every", 0.0)))
        self.links.append(caller.link)
        return "following"

    async def stop(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        caller.link.unsubscribe(args["id"])

    async def fail(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        raise RuntimeError("the secret of the hub's inside")

    async def refuse(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        raise Denied("vera may only look", "ask an admin")

    async def usage(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        raise UserError("there is no job 7", "look at the list")

    async def large(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        return [0] * 20_000

    async def bad(self, caller: Caller, args: Mapping[str, Any]) -> Any:
        return object()

    def show(self, value: Any) -> None:
        """There is something new to see, and those that follow it are notified."""
        self.value = value
        for link in self.links:
            for subscription in link.subscriptions.values():
                link.notify(subscription)


class Following(Subscription):
    def __init__(self, verbs: Verbs, call: int, pad: int, every: float) -> None:
        super().__init__(call, every)
        self._verbs = verbs
        self._pad = pad
        self._pushed: list[Any] = []

    async def poll(self) -> Any:
        self._verbs.looks += 1
        value = self._verbs.value
        if value == "broken":
            raise RuntimeError("a bug in a look")
        if self._pushed and self._pushed[-1] == value:
            return None
        self._pushed.append(value)
        return {"value": value, "pad": bytes(self._pad)}

    def close(self) -> None:
        self._verbs.dropped.append(self.id)


async def call(end: LinkPeer, verb: str, number: int = 1, **args: Any) -> Answer:
    await end.send(Call(number, verb, args))
    return await end.expect(Answer)


async def pushed(end: LinkPeer) -> Any:
    return (await end.expect(Push)).data["value"]


# ---- calls


async def test_a_call_is_answered_to_whoever_the_certificate_names(harness: HubHarness) -> None:
    """With the call's own number; what is in the arguments names nobody."""
    async with serve_links(harness) as port:
        Verbs(port)
        alice, bob = await port.connect_console("alice"), await port.connect_console("bob")
        assert await call(alice, "echo", 7, text="hi") == Answer(7, {"person": "alice", "text": "hi"})
        assert (await call(bob, "echo", 7)).data == {"person": "bob"}


async def test_an_unknown_verb_is_answered_and_the_link_goes_on(harness: HubHarness) -> None:
    """The table is closed: nothing is found by name in an object. A long name is not said back whole."""
    async with serve_links(harness) as port:
        Verbs(port)
        end = await port.connect_console()
        for verb in ("nothing", "", "__init__", "verbs", "x" * 5_000):
            answer = await call(end, verb)
            assert answer.code == "usage"
            assert len(answer.reason) < 200
        assert (await call(end, "echo", 2)).code == ""


@pytest.mark.parametrize(
    ("verb", "code", "said"),
    [
        ("fail", "hub", "log"),
        ("refuse", "refused", "admin"),
        ("usage", "usage", "no job 7"),
        ("large", "too_large", ""),
    ],
)
async def test_an_error_in_a_verb_is_its_callers_answer(harness: HubHarness, verb: str, code: str, said: str) -> None:
    """Whatever it is, the link and the other consoles go on; the hub's inside is not told."""
    async with serve_links(harness) as port:
        Verbs(port)
        end, other = await port.connect_console(), await port.connect_console("bob")
        answer = await call(end, verb)
        assert answer.code == code
        assert said in answer.reason
        assert "secret" not in answer.reason
        assert (await call(end, "echo", 2)).code == ""
        assert (await call(other, "echo", 2)).code == ""


async def test_an_answer_that_cannot_be_sent_is_said_to_be_so(harness: HubHarness) -> None:
    """A verb that gives what no frame holds is the hub's mistake, not the end of the link."""
    async with serve_links(harness) as port:
        Verbs(port)
        end = await port.connect_console()
        assert (await call(end, "bad")).code == "too_large"
        assert (await call(end, "echo", 2)).code == ""


async def test_calls_do_not_wait_for_one_another(harness: HubHarness) -> None:
    """A slow one is answered when it is done, the quick ones before."""
    async with serve_links(harness) as port:
        verbs = Verbs(port)
        end = await port.connect_console()
        await end.send(Call(1, "wait", {}))
        assert (await call(end, "echo", 2)).id == 2
        verbs.gate.set()
        assert await end.expect(Answer) == Answer(1, 1)


async def test_too_many_calls_at_once_are_turned_away(harness: HubHarness) -> None:
    """As busy, at once; those under way are answered, and then there is room again."""
    async with serve_links(harness) as port:
        verbs = Verbs(port)
        end = await port.connect_console()
        await end.send(*[Call(number, "wait", {}) for number in range(MAX_CALLS + 3)])
        for number in range(MAX_CALLS, MAX_CALLS + 3):
            answer = await end.expect(Answer)
            assert (answer.id, answer.code) == (number, "busy")
        assert verbs.entered == MAX_CALLS
        verbs.gate.set()
        answers = [await end.expect(Answer) for _ in range(MAX_CALLS)]
        assert sorted(answer.id for answer in answers) == list(range(MAX_CALLS))
        assert (await call(end, "echo", 99)).code == ""


async def test_a_console_that_does_not_read_its_answers_gets_no_more_work_done(harness: HubHarness) -> None:
    """Calls wait until it has taken what it was sent; the others are served meanwhile, and once it reads all is
    answered.
    """
    async with serve_links(harness) as port:
        verbs = Verbs(port)
        counted = 0

        async def megabyte(caller: Caller, args: Mapping[str, Any]) -> Any:
            nonlocal counted
            counted += 1
            return bytes(800_000)

        port.desk.verbs["megabyte"] = megabyte
        slow, other = await port.connect_console(), await port.connect_console("bob")
        await slow.send(*[Call(number, "megabyte", {}) for number in range(MAX_CALLS)])
        for number in range(30):
            assert (await call(other, "echo", number)).code == ""
        link = next(link for link in port.links._consoles if link.identity.name == "alice")
        assert len(link._send_queue._frames) <= MAX_CALLS
        before = counted
        assert before < MAX_CALLS
        seen = {(await slow.expect(Answer)).id for _ in range(MAX_CALLS)}
        assert seen == set(range(MAX_CALLS))
        assert verbs.entered == 0


async def test_a_heartbeat_and_a_renewal_are_answered(harness: HubHarness) -> None:
    """A console's certificate is renewed over its link, like a machine's."""
    async with serve_links(harness) as port:
        end = await port.connect_console()
        await end.send(Heartbeat())
        assert await end.expect(Beat) == Beat(harness.clock.now)
        await end.send(Renew(make_request(new_key(), "operator", "alice"), 1))
        renewed = await end.expect(Renewed)
        assert identity_from_pem(renewed.certificate, harness.clock.now, "operator").name == "alice"
        await end.round_trip()
        assert end.session.unacked == 0


async def test_a_goodbye_ends_the_link(harness: HubHarness) -> None:
    """And calls that are under way end with it, without harm to the hub."""
    async with serve_links(harness) as port:
        verbs = Verbs(port)
        end, other = await port.connect_console(), await port.connect_console("bob")
        await end.send(Call(1, "wait", {}), Bye())
        assert await end.wait_closed() == 1000
        verbs.gate.set()
        assert (await call(other, "echo")).code == ""
        assert port.links.count_links() == (0, 1)


# ---- subscriptions


async def test_a_subscription_pushes_what_is_there_and_what_is_new(harness: HubHarness) -> None:
    """The answer first, then the state of now, then a push for each change that it wants."""
    async with serve_links(harness) as port:
        verbs = Verbs(port)
        end = await port.connect_console()
        assert (await call(end, "follow", 5)).data == "following"
        first = await end.expect(Push)
        assert (first.id, first.data["value"]) == (5, 0)
        verbs.show(1)
        assert await pushed(end) == 1
        verbs.value = 2
        port.links.on_commit(Effects(changed={"something else"}))
        await end.round_trip()
        verbs.show(3)
        assert await pushed(end) == 3


async def test_a_slow_console_holds_no_backlog(harness: HubHarness) -> None:
    """While it does not read, many changes come to a look or two; when it reads again it sees what is true then."""
    async with serve_links(harness) as port:
        verbs = Verbs(port)
        end, other = await port.connect_console(), await port.connect_console("bob")
        await call(end, "follow", pad=900_000)
        assert await pushed(end) == 0
        (link,) = verbs.links
        stuck = False
        for value in range(1, 400):
            looks = verbs.looks
            verbs.show(value)
            await other.round_trip()
            stuck = stuck or verbs.looks == looks
            assert len(link._send_queue._frames) <= 1
        assert stuck
        assert verbs.looks < 100
        seen = [await pushed(end)]
        while seen[-1] != 399:
            seen.append(await pushed(end))
        assert seen == sorted(set(seen))
        assert len(seen) <= verbs.looks


async def test_looks_have_their_distance(harness: HubHarness) -> None:
    """`every` seconds between two; what changed in between is one push."""
    async with serve_links(harness) as port:
        verbs = Verbs(port)
        end = await port.connect_console()
        await call(end, "follow", every=0.05)
        assert await pushed(end) == 0
        began = asyncio.get_running_loop().time()
        for value in (1, 2, 3):
            verbs.show(value)
        assert await pushed(end) == 3
        assert asyncio.get_running_loop().time() - began > 0.03
        assert verbs.looks == 2


async def test_one_that_waits_for_its_turn_holds_up_nothing(harness: HubHarness) -> None:
    """A subscription an hour from its next look: another is pushed at once, and the link's end is not waited for."""
    async with serve_links(harness) as port:
        verbs = Verbs(port)
        end = await port.connect_console()
        await call(end, "follow", 1, every=3600.0)
        assert (await end.expect(Push)).id == 1
        verbs.show(1)
        await call(end, "follow", 2)
        assert (await end.expect(Push)).id == 2
        port.stop.set()
        await end.expect(Bye)
        end.abort()
        async with asyncio.timeout(45):
            await port.ended.wait()


async def test_a_look_that_fails_ends_its_subscription_alone(harness: HubHarness) -> None:
    """Its caller is told; the others on this console, and the console itself, go on."""
    async with serve_links(harness) as port:
        verbs = Verbs(port)
        end, other = await port.connect_console(), await port.connect_console("bob")
        await call(end, "follow", 5)
        assert await pushed(end) == 0
        verbs.show("broken")
        answer = await end.expect(Answer)
        assert (answer.id, answer.code) == (5, "hub")
        assert "bug" not in answer.reason
        assert verbs.dropped == [5]
        verbs.value = 1
        await call(end, "follow", 6)
        assert await pushed(end) == 1
        await other.round_trip()


async def test_a_subscription_that_is_ended_is_heard_of_no_more(harness: HubHarness) -> None:
    """Whoever held something for it lets go; ending it twice is harmless."""
    async with serve_links(harness) as port:
        verbs = Verbs(port)
        end = await port.connect_console()
        await call(end, "follow", 5)
        assert await pushed(end) == 0
        for number in (6, 7):
            assert (await call(end, "stop", number, id=5)).code == ""
        assert verbs.dropped == [5]
        verbs.show(1)
        await end.round_trip()
        assert verbs.looks == 1


async def test_too_many_subscriptions_are_refused(harness: HubHarness) -> None:
    """With what to do; one that is ended makes room."""
    async with serve_links(harness) as port:
        Verbs(port)
        end = await port.connect_console()

        async def follow(number: int) -> Answer:
            await end.send(Call(number, "follow", {}))
            while not isinstance(message := await end.receive(), Answer):
                pass
            return message

        for number in range(MAX_SUBSCRIPTIONS):
            assert (await follow(number)).code == ""
        refused = await follow(100)
        assert refused.code == "usage"
        assert str(MAX_SUBSCRIPTIONS) in refused.reason
        await end.send(Call(101, "stop", {"id": 3}))
        assert (await follow(102)).code == ""


@pytest.mark.parametrize("how", ["cut", "bye"])
async def test_a_console_that_leaves_takes_its_subscriptions_with_it(harness: HubHarness, how: str) -> None:
    """Whatever way it goes: nothing is looked at for it any more."""
    async with serve_links(harness) as port:
        verbs = Verbs(port)
        end, other = await port.connect_console(), await port.connect_console("bob")
        await call(end, "follow", 5)
        await pushed(end)
        if how == "cut":
            end.abort()
        else:
            await end.send(Bye())
            await end.wait_closed()
        async with asyncio.timeout(45):
            while not verbs.dropped:
                await other.round_trip()
        assert verbs.dropped == [5]
        looks = verbs.looks
        verbs.show(1)
        await other.round_trip()
        assert verbs.looks == looks
        assert port.links.count_links() == (0, 1)


async def test_a_console_knows_where_it_is_from(harness: HubHarness) -> None:
    """For the audit: the address, without the port."""
    async with serve_links(harness) as port:

        async def remote(caller: Caller, args: Mapping[str, Any]) -> Any:
            return caller.link.remote

        port.desk.verbs["remote"] = remote
        assert (await call(await port.connect_console(), "remote")).data == "127.0.0.1"


async def test_a_silent_console_is_dropped(harness: HubHarness) -> None:
    """After three heartbeats without a word, as a machine is; one that speaks stays."""
    async with serve_links(harness) as port:
        silent, alive = await port.connect_console("alice"), await port.connect_console("bob")
        harness.clock.advance(3 * silent_after(port) - 0.5)
        await alive.round_trip()
        harness.clock.advance(0.5)
        await port.links.close_lost(harness.clock.now)
        assert await silent.wait_closed() == 1006
        await alive.round_trip()


def silent_after(port: LinkHarness) -> float:
    return next(iter(port.links._consoles)).session.interval
