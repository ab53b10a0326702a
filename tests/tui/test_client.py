"""tui.client: calls and subscriptions over one link, with a hub that the test plays by hand."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from common.errors import EXIT_FAILED, EXIT_REFUSED, EXIT_USAGE, Refused, UserError
from common.messages import Answer, Bye, Call, Push, Refuse
from tests.common.scripted import HubEnd, ScriptedHub
from tests.tui.scripted import profile_at
from tui.client import PUSHES, BadCall, CallFailed, CallRefused, Client, LinkLost, connect
from tui.profile import Profile

Play = Callable[[HubEnd], Coroutine[Any, Any, None]]


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[ScriptedHub]:
    """A hub that serves."""
    async with ScriptedHub(tmp_path / "hub").serving() as hub:
        yield hub


@pytest.fixture
def alice(hub: ScriptedHub, tmp_path: Path) -> Profile:
    """A profile at that hub."""
    return profile_at(hub, tmp_path / "alice")


async def played(
    hub: ScriptedHub, profile: Profile, play: Play, act: Callable[[Client], Coroutine[Any, Any, Any]]
) -> Any:
    """What `act` comes to while the hub's end is played by `play`."""

    async def there() -> None:
        await play(await hub.arrival())

    come: list[Any] = []
    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(there())
        try:
            async with connect(profile) as client:
                come.append(await act(client))
        except UserError as error:
            come.append(error)
        playing.cancel()
    if isinstance(come[0], UserError):
        raise come[0]
    return come[0]


def answering(*answers: tuple[Any, str, str]) -> Play:
    """Answers each call with the next of these: data, code, reason."""

    async def play(end: HubEnd) -> None:
        for data, code, reason in answers:
            call = await end.expect(Call)
            await end.send(Answer(call.id, data, code, reason))

    return play


async def test_a_call_is_answered(hub: ScriptedHub, alice: Profile) -> None:
    """Verb and arguments arrive as they were given, the answer's data comes back."""
    asked: list[Call] = []

    async def play(end: HubEnd) -> None:
        asked.append(call := await end.expect(Call))
        await end.send(Answer(call.id, {"name": "alice", "bytes": b"\x00\xff"}))

    found = await played(hub, alice, play, lambda client: client.call("whoami", limit=3, words=["a", "b"]))
    assert found == {"name": "alice", "bytes": b"\x00\xff"}
    assert (asked[0].verb, asked[0].args) == ("whoami", {"limit": 3, "words": ["a", "b"]})


async def test_several_calls_at_once(hub: ScriptedHub, alice: Profile) -> None:
    """Answers find their calls in whatever order they come."""

    async def play(end: HubEnd) -> None:
        calls = [await end.expect(Call) for _ in range(3)]
        for call in reversed(calls):
            await end.send(Answer(call.id, call.args["n"]))

    async def act(client: Client) -> list[int]:
        return await asyncio.gather(*(client.call("echo", n=n) for n in range(3)))

    assert await played(hub, alice, play, act) == [0, 1, 2]


@pytest.mark.parametrize(
    ("code", "kind", "status"),
    [
        ("usage", BadCall, EXIT_USAGE),
        ("refused", CallRefused, EXIT_REFUSED),
        ("code_wrong", CallRefused, EXIT_REFUSED),
        ("hub", CallFailed, EXIT_FAILED),
        ("busy", CallFailed, EXIT_FAILED),
    ],
)
async def test_what_the_hub_says_no_with(
    code: str, kind: type[UserError], status: int, hub: ScriptedHub, alice: Profile
) -> None:
    """Wrong usage, refusal and failure are three errors with three exit statuses, in the hub's words."""
    with pytest.raises(kind, match="the hub's words") as raised:
        await played(hub, alice, answering((None, code, "the hub's words")), lambda client: client.call("x"))
    assert raised.value.exit_code == status


async def test_a_subscription_pushes_until_it_is_left(hub: ScriptedHub, alice: Profile) -> None:
    """Pushes come in order; after the caller stops, what still comes for it is nobody's."""

    async def play(end: HubEnd) -> None:
        call = await end.expect(Call)
        await end.send(Answer(call.id, None))
        for number in range(5):
            await end.send(Push(call.id, number))
        again = await end.expect(Call)
        await end.send(Push(call.id, 99))
        await end.send(Answer(again.id, "still here"))

    async def act(client: Client) -> list[Any]:
        got = []
        async for push in client.subscribe("watch", after=1):
            got.append(push)
            if len(got) == 5:
                break
        return [*got, await client.call("whoami")]

    assert await played(hub, alice, play, act) == [0, 1, 2, 3, 4, "still here"]


async def test_a_quiet_subscription_says_that_it_is_quiet(hub: ScriptedHub, alice: Profile) -> None:
    """With `idle`, None comes whenever nothing else did, and nothing is lost by that."""

    async def play(end: HubEnd) -> None:
        call = await end.expect(Call)
        await end.send(Answer(call.id, None))
        await end.expect(Call)  # sent once the client has seen a None
        await end.send(Push(call.id, "news"))

    async def act(client: Client) -> list[Any]:
        got: list[Any] = []
        async with asyncio.TaskGroup() as tasks:
            async for push in client.subscribe("follow", idle=0.02):
                if push is None and not got:
                    calling = tasks.create_task(client.call("go"))
                    got.append(push)
                elif push is not None:
                    calling.cancel()
                    return [*got, push]
        raise AssertionError("the subscription ended")

    assert await played(hub, alice, play, act) == [None, "news"]


async def test_a_slow_reader_holds_up_the_link_not_the_memory(hub: ScriptedHub, alice: Profile) -> None:
    """Pushes that nobody takes wait at the hub's end once the queue is full; all arrive in the end."""
    count = PUSHES * 3

    async def play(end: HubEnd) -> None:
        call = await end.expect(Call)
        await end.send(Answer(call.id, None))
        for number in range(count):
            await end.send(Push(call.id, number))

    async def act(client: Client) -> list[Any]:
        got = []
        async for push in client.subscribe("watch"):
            assert all(queue.qsize() <= PUSHES for queue in client._pushes.values())
            got.append(push)
            if len(got) == count:
                return got
        raise AssertionError("the subscription ended")

    assert await played(hub, alice, play, act) == list(range(count))


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (Bye("the hub is restarting", 1.0), "closed the link: the hub is restarting: try again"),
        (Refuse("revoked", "re\x1bvoked"), r"closed the link: re\\x1bvoked: ask an admin"),
        (None, "closed the link: try again"),
    ],
)
async def test_the_end_of_the_link_reaches_whoever_waits(
    last: Bye | Refuse | None, words: str, hub: ScriptedHub, alice: Profile
) -> None:
    """Calls under way and subscriptions end with the reason that the hub gave, and later calls with the same."""

    async def play(end: HubEnd) -> None:
        call = await end.expect(Call)
        await end.send(Answer(call.id, None))
        await end.expect(Call)
        if last is not None:
            await end.send(last)
        await end.connection.close()

    async def act(client: Client) -> None:
        async def follow() -> None:
            async for _ in client.subscribe("watch"):
                pass

        results = await asyncio.gather(follow(), client.call("whoami"), return_exceptions=True)
        for result in [*results, *await asyncio.gather(client.call("again"), return_exceptions=True)]:
            assert isinstance(result, LinkLost)
            assert str(result).startswith("the hub closed the link")
        raise results[0]  # type: ignore[misc]

    with pytest.raises(LinkLost, match=words):
        await played(hub, alice, play, act)


async def test_no_answer_in_time(hub: ScriptedHub, alice: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call does not wait for ever."""
    monkeypatch.setattr("tui.client.ANSWER_WITHIN", 0.05)

    async def play(end: HubEnd) -> None:
        await end.receive()

    with pytest.raises(LinkLost, match="did not answer within"):
        await played(hub, alice, play, lambda client: client.call("whoami"))


async def test_nonsense_from_the_hub_ends_the_link(hub: ScriptedHub, alice: Profile) -> None:
    """A frame that is none is told as what it most likely is: another version."""

    async def play(end: HubEnd) -> None:
        await end.expect(Call)
        await end.connection.send(b"\xc1")

    with pytest.raises(LinkLost, match=r"does not understand .*: upgrade the older"):
        await played(hub, alice, play, lambda client: client.call("whoami"))


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (Refuse("revoked", "the certificate of alice has been revoked"), "refused alice: the certificate.*revoked"),
        (Refuse("protocol", "protocol 0 is too old", 300.0), "protocol 0 is too old"),
        (Refuse("odd", "a\x1b[2J\nb"), r"a\\x1b\[2J\\nb"),
    ],
)
async def test_a_hub_that_refuses(refusal: Refuse, words: str, hub: ScriptedHub, alice: Profile) -> None:
    """Status 3, in the hub's words, made safe to show, with the way back."""
    hub.refusals.append(refusal)
    with pytest.raises(Refused, match=words) as raised:
        async with connect(alice):
            pass
    assert raised.value.exit_code == EXIT_REFUSED
    assert "operator add" in raised.value.cure


async def test_a_hub_that_is_away(hub: ScriptedHub, alice: Profile, tmp_path: Path) -> None:
    """Status 1, with the address and what to look at."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        hub.port = unused.getsockname()[1]
        profile = profile_at(hub, tmp_path / "away")
        with pytest.raises(LinkLost, match=f"nobody listens at 127.0.0.1:{hub.port}: is the hub up") as raised:
            async with connect(profile):
                pass
    assert raised.value.exit_code == EXIT_FAILED


async def test_another_hub_is_not_talked_to(hub: ScriptedHub, tmp_path: Path) -> None:
    """Of the right authority with another id, as after a mix-up of addresses: nothing is said to it."""
    other = ScriptedHub(tmp_path / "other")
    other.show(other.authority, "h2")
    async with other.serving():
        profile = profile_at(other, tmp_path / "profile")
        with pytest.raises(UserError, match="is not the hub h1"):
            async with connect(profile):
                pass
    assert other.hellos == []


async def test_the_difference_of_the_clocks_is_known(hub: ScriptedHub, alice: Profile) -> None:
    """So that ages are told by the hub's clock."""
    hub.now = lambda: time.time() + 3_600
    async with connect(alice) as client:
        assert client.clock_offset == pytest.approx(3_600, abs=5)


async def test_an_error_of_the_caller_comes_out_as_it_is(hub: ScriptedHub, alice: Profile) -> None:
    """Not wrapped into a group by the tasks beside it."""
    with pytest.raises(ZeroDivisionError):
        async with connect(alice):
            raise ZeroDivisionError


async def test_a_silent_hub_is_left(hub: ScriptedHub, alice: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three heartbeats without a word end the link, whatever TCP believes."""
    hub.heartbeat = 0.05

    async def act(client: Client) -> None:
        await client.call("whoami")

    async def silent(end: HubEnd) -> None:
        await asyncio.Event().wait()

    with pytest.raises(LinkLost, match="closed the link"):
        await played(hub, alice, silent, act)


async def test_heartbeats_measure_the_round_trip(hub: ScriptedHub, alice: Profile) -> None:
    """They go out by themselves; the answer's delay is kept for the console to show."""
    hub.heartbeat = 0.05

    async def play(end: HubEnd) -> None:
        while True:
            await end.receive()  # answers heartbeats itself

    async def act(client: Client) -> float:
        async with asyncio.timeout(5):
            while client.round_trip is None:
                await asyncio.sleep(0.01)
        return client.round_trip

    assert 0 <= await played(hub, alice, play, act) < 5


async def test_a_subscription_may_be_known_before_it_begins(hub: ScriptedHub, alice: Profile) -> None:
    """An id from `new_id` is the one that the hub sees; none is given out twice."""
    asked: list[Call] = []

    async def play(end: HubEnd) -> None:
        for _ in range(3):
            asked.append(call := await end.expect(Call))
            await end.send(Answer(call.id, {}))
            if call.verb == "follow":
                await end.send(Push(call.id, {"state": "done"}))

    async def act(client: Client) -> int:
        await client.call("whoami")
        identity = client.new_id()
        await client.call("jobs")
        async for push in client.subscribe("follow", known_as=identity, number=4):
            assert push == {"state": "done"}
            break
        return identity

    identity = await played(hub, alice, play, act)
    assert [call.verb for call in asked] == ["whoami", "jobs", "follow"]
    assert asked[2].id == identity
    assert len({call.id for call in asked}) == 3
