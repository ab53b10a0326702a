"""tui.client.client: calls and subscriptions over one link, with a hub that the test plays by hand."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from common.api import verbs
from common.api.arguments import NoArgs, RequestArgs
from common.api.lists import Delta, Snapshot
from common.api.queries import JobArgs, JobsArgs, SearchOutputArgs
from common.api.subscriptions import ViewArgs, WatchArgs
from common.api.versions import VIEW_VERSIONS, BadAnswer, TooNew
from common.api.whoami import WhoAmI
from common.api.work import FollowPush
from common.errors import EXIT_FAILED, EXIT_REFUSED, EXIT_USAGE, Denied, UserError
from common.link.messages import LOGIN_ENDED, Answer, Bye, Call, Push, Refuse
from tests.common.fake_hub import FakeHub, HubPeer
from tests.tui.profiles import create_profile
from tui.client.client import PUSH_QUEUE_SIZE, Client, connect
from tui.client.errors import CallFailed, CallRefused, InvalidCall, LinkLost, LoginEnded
from tui.client.profile import Profile

ME: dict[str, Any] = {"person": "alice", "roles": ["viewer"], "hub": "h1", "version": "1"}
REQUEST: dict[str, Any] = {
    "id": "R4", "number": 4, "state": "done", "person": "bob", "plan": None, "plan_hash": "", "second_factor": False,
    "received_at": 1.0,
}  # fmt: skip
Play = Callable[[HubPeer], Coroutine[Any, Any, None]]


def event(seq: int) -> dict[str, Any]:
    """An event as a hub sends it."""
    return {"seq": seq, "at": 1.0, "kind": "job.ended", "data": {}}


def seqs(pushes: list[Any]) -> list[int]:
    """The events of pushes, by number."""
    return [one.seq for push in pushes for one in push]


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[FakeHub]:
    """A hub that serves."""
    async with FakeHub(tmp_path / "hub").serving() as hub:
        yield hub


@pytest.fixture
def alice(hub: FakeHub, tmp_path: Path) -> Profile:
    """A profile at that hub."""
    return create_profile(hub, tmp_path / "alice")


async def played(hub: FakeHub, profile: Profile, play: Play, act: Callable[[Client], Coroutine[Any, Any, Any]]) -> Any:
    """What `act` comes to while the hub's end is played by `play`."""

    async def there() -> None:
        await play(await hub.next_link())

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


def whoami(client: Client) -> Coroutine[Any, Any, WhoAmI]:
    """A call that any hub answers."""
    return client.call(verbs.WHOAMI, NoArgs())


def answering(*answers: tuple[Any, str, str]) -> Play:
    """Answers each call with the next of these: data, code, reason."""

    async def play(end: HubPeer) -> None:
        for data, code, reason in answers:
            call = await end.expect(Call)
            await end.send(Answer(call.id, data, code, reason))

    return play


async def test_a_call_is_answered(hub: FakeHub, alice: Profile) -> None:
    """Verb and arguments arrive as they were given, without those that have their default; the answer is typed."""
    asked: list[Call] = []
    chunk = {"seq": 1, "stream": 1, "data": b"\x00\xff", "at": 1.0}
    job = {"id": "J1", "request": "R1", "agent": "web-1", "person": "bob", "state": "running", "queued_at": 1.0}

    async def play(end: HubPeer) -> None:
        asked.append(call := await end.expect(Call))
        await end.send(Answer(call.id, {**job, "output": [chunk]}))

    found = await played(hub, alice, play, lambda client: client.call(verbs.JOB, JobArgs(id="J1")))
    assert (found.agent, found.output[0].data) == ("web-1", b"\x00\xff")
    assert (asked[0].verb, asked[0].args) == ("job", {"id": "J1"})


async def test_several_calls_at_once(hub: FakeHub, alice: Profile) -> None:
    """Answers find their calls in whatever order they come."""

    async def play(end: HubPeer) -> None:
        calls = [await end.expect(Call) for _ in range(3)]
        for call in reversed(calls):
            await end.send(Answer(call.id, {"job": call.args["text"]}))

    async def act(client: Client) -> list[str]:
        args = [SearchOutputArgs(text=text) for text in "012"]
        return [found.job for found in await asyncio.gather(*(client.call(verbs.SEARCH_OUTPUT, a) for a in args))]

    assert await played(hub, alice, play, act) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("code", "kind", "status"),
    [
        ("usage", InvalidCall, EXIT_USAGE),
        ("refused", CallRefused, EXIT_REFUSED),
        ("code_wrong", CallRefused, EXIT_REFUSED),
        ("hub", CallFailed, EXIT_FAILED),
        ("busy", CallFailed, EXIT_FAILED),
    ],
)
async def test_what_the_hub_says_no_with(
    code: str, kind: type[UserError], status: int, hub: FakeHub, alice: Profile
) -> None:
    """Wrong usage, refusal and failure are three errors with three exit statuses, in the hub's words."""
    with pytest.raises(kind, match="the hub's words") as raised:
        await played(hub, alice, answering((None, code, "the hub's words")), whoami)
    assert raised.value.exit_code == status


async def test_a_subscription_pushes_until_it_is_left(hub: FakeHub, alice: Profile) -> None:
    """Pushes come in order; after the caller stops, what still comes for it is nobody's."""

    async def play(end: HubPeer) -> None:
        call = await end.expect(Call)
        await end.send(Answer(call.id, None))
        for number in range(5):
            await end.send(Push(call.id, [event(number)]))
        again = await end.expect(Call)
        await end.send(Push(call.id, [event(99)]))
        await end.send(Answer(again.id, ME))

    async def act(client: Client) -> list[Any]:
        got = []
        async for push in client.subscribe(verbs.WATCH, WatchArgs(after=1)):
            got.append(push)
            if len(got) == 5:
                break
        return [*seqs(got), (await whoami(client)).person]

    assert await played(hub, alice, play, act) == [0, 1, 2, 3, 4, "alice"]


async def test_a_quiet_subscription_says_that_it_is_quiet(hub: FakeHub, alice: Profile) -> None:
    """With `idle`, None comes whenever nothing else did, and nothing is lost by that."""

    async def play(end: HubPeer) -> None:
        call = await end.expect(Call)
        await end.send(Answer(call.id, None))
        await end.expect(Call)  # sent once the client has seen a None
        await end.send(Push(call.id, [event(7)]))

    async def act(client: Client) -> list[Any]:
        got: list[Any] = []
        async with asyncio.TaskGroup() as tasks:
            async for push in client.subscribe(verbs.WATCH, WatchArgs(), idle_timeout=0.02):
                if push is None and not got:
                    calling = tasks.create_task(whoami(client))
                    got.append(push)
                elif push is not None:
                    calling.cancel()
                    return [*got, *seqs([push])]
        raise AssertionError("the subscription ended")

    assert await played(hub, alice, play, act) == [None, 7]


async def test_a_slow_reader_holds_up_the_link_not_the_memory(hub: FakeHub, alice: Profile) -> None:
    """Pushes that nobody takes wait at the hub's end once the queue is full; all arrive in the end."""
    count = PUSH_QUEUE_SIZE * 3

    async def play(end: HubPeer) -> None:
        call = await end.expect(Call)
        await end.send(Answer(call.id, None))
        for number in range(count):
            await end.send(Push(call.id, [event(number)]))

    async def act(client: Client) -> list[Any]:
        got = []
        async for push in client.subscribe(verbs.WATCH, WatchArgs()):
            assert all(queue.qsize() <= PUSH_QUEUE_SIZE for queue in client._subscriptions.values())
            got.append(push)
            if len(got) == count:
                return seqs(got)
        raise AssertionError("the subscription ended")

    assert await played(hub, alice, play, act) == list(range(count))


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (Bye("the hub is restarting", 1.0), "closed the link: the hub is restarting: try again"),
        (Refuse("revoked", "re\x1bvoked"), r"closed the link: re\\x1bvoked: ask an admin"),
        (Refuse(LOGIN_ENDED, "re\x1bvoked"), r"closed the link: re\\x1bvoked: try again, to be told why"),
        (None, "closed the link: try again"),
    ],
)
async def test_the_end_of_the_link_reaches_whoever_waits(
    last: Bye | Refuse | None, words: str, hub: FakeHub, alice: Profile
) -> None:
    """Calls under way and subscriptions end with the reason that the hub gave, and later calls with the same."""

    async def play(end: HubPeer) -> None:
        call = await end.expect(Call)
        await end.send(Answer(call.id, None))
        await end.expect(Call)
        if last is not None:
            await end.send(last)
        await end.connection.close()

    async def act(client: Client) -> None:
        async def follow() -> None:
            async for _ in client.subscribe(verbs.WATCH, WatchArgs()):
                pass

        results = await asyncio.gather(follow(), whoami(client), return_exceptions=True)
        for result in [*results, *await asyncio.gather(whoami(client), return_exceptions=True)]:
            assert isinstance(result, LinkLost)
            assert not isinstance(result, LoginEnded)  # one was answered before
            assert str(result).startswith("the hub closed the link")
        raise results[0]  # type: ignore[misc]

    with pytest.raises(LinkLost, match=words):
        await played(hub, alice, play, act)


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("how", ["answer", "goodbye"])
async def test_a_login_that_ends_before_anything_was_begun(
    how: str, answered: bool, hub: FakeHub, alice: Profile
) -> None:
    """It is told apart from every other end: the same may be asked again. Not where something had an answer, which may
    be read after the goodbye that came behind it.
    """

    async def play(end: HubPeer) -> None:
        if answered:
            await end.send(Answer((await end.expect(Call)).id, ME))
        if how == "answer":
            await end.send(Answer((await end.expect(Call)).id, None, LOGIN_ENDED, "this login ended: revoked"))
        await end.send(Refuse(LOGIN_ENDED, "revoked"))
        await end.connection.close()

    async def act(client: Client) -> None:
        await whoami(client)
        await whoami(client)

    with pytest.raises(LinkLost, match="revoked: try again, to be told why") as raised:
        await played(hub, alice, play, act)
    assert isinstance(raised.value, LoginEnded) is not answered


async def test_no_answer_in_time(hub: FakeHub, alice: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call does not wait for ever."""
    monkeypatch.setattr("tui.client.client.CALL_TIMEOUT", 0.05)

    async def play(end: HubPeer) -> None:
        await end.receive()

    with pytest.raises(LinkLost, match="did not answer within"):
        await played(hub, alice, play, whoami)


async def test_nonsense_from_the_hub_ends_the_link(hub: FakeHub, alice: Profile) -> None:
    """A frame that is none is told as what it most likely is: another version."""

    async def play(end: HubPeer) -> None:
        await end.expect(Call)
        await end.connection.send(b"\xc1")

    with pytest.raises(LinkLost, match=r"does not understand .*: upgrade the older"):
        await played(hub, alice, play, whoami)


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (Refuse("revoked", "the certificate of alice has been revoked"), "refused alice: the certificate.*revoked"),
        (Refuse("protocol", "protocol 0 is too old", 300.0), "protocol 0 is too old"),
        (Refuse("odd", "a\x1b[2J\nb"), r"a\\x1b\[2J\\nb"),
    ],
)
async def test_a_hub_that_refuses(refusal: Refuse, words: str, hub: FakeHub, alice: Profile) -> None:
    """Status 3, in the hub's words, made safe to show, with the way back."""
    hub.refusals.append(refusal)
    with pytest.raises(Denied, match=words) as raised:
        async with connect(alice):
            pass
    assert raised.value.exit_code == EXIT_REFUSED
    assert ("operator add" in raised.value.cure) == (refusal.code != "revoked")  # whose reason has the cure itself


async def test_a_login_that_ends_in_the_moment_of_the_welcome(hub: FakeHub, alice: Profile) -> None:
    """The hub is asked again, which says then how it ended."""
    hub.refusals += [Refuse(LOGIN_ENDED, "revoked"), Refuse("revoked", "this login of alice was replaced")]
    with pytest.raises(Denied, match="this login of alice was replaced"):
        async with connect(alice):
            pass


async def test_a_login_that_was_replaced_while_it_dialled(hub: FakeHub, alice: Profile, tmp_path: Path) -> None:
    """The old one is refused, another is on disk by then: that is dialled with, and nobody is told anything."""
    other = create_profile(hub, tmp_path / "new")

    class Replaced(list[Refuse]):
        def pop(self, *at: Any) -> Refuse:
            theirs = other.credential
            alice.credential.replace(theirs.key.read_bytes(), theirs.certificate.read_bytes(), theirs.validity())
            return super().pop(*at)

    hub.refusals = Replaced([Refuse("revoked", "this login of alice was replaced")])
    async with connect(alice) as client:
        assert client.welcome.session


async def test_a_hub_that_is_away(hub: FakeHub, alice: Profile, tmp_path: Path) -> None:
    """Status 1, with the address and what to look at."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        hub.port = unused.getsockname()[1]
        profile = create_profile(hub, tmp_path / "away")
        with pytest.raises(LinkLost, match=f"nobody listens at 127.0.0.1:{hub.port}: is the hub up") as raised:
            async with connect(profile):
                pass
    assert raised.value.exit_code == EXIT_FAILED


async def test_another_hub_is_not_talked_to(hub: FakeHub, tmp_path: Path) -> None:
    """Of the right authority with another id, as after a mix-up of addresses: nothing is said to it."""
    other = FakeHub(tmp_path / "other")
    other.use_certificate(other.authority, "h2")
    async with other.serving():
        profile = create_profile(other, tmp_path / "profile")
        with pytest.raises(UserError, match="is not the hub h1"):
            async with connect(profile):
                pass
    assert other.hellos == []


async def test_the_difference_of_the_clocks_is_known(hub: FakeHub, alice: Profile) -> None:
    """So that ages are told by the hub's clock."""
    hub.now = lambda: time.time() + 3_600
    async with connect(alice) as client:
        assert client.clock_offset == pytest.approx(3_600, abs=5)


async def test_an_error_of_the_caller_comes_out_as_it_is(hub: FakeHub, alice: Profile) -> None:
    """Not wrapped into a group by the tasks beside it."""
    with pytest.raises(ZeroDivisionError):
        async with connect(alice):
            raise ZeroDivisionError


async def test_a_silent_hub_is_left(hub: FakeHub, alice: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three heartbeats without a word end the link, whatever TCP believes."""
    hub.heartbeat = 0.05

    async def act(client: Client) -> None:
        await whoami(client)

    async def silent(end: HubPeer) -> None:
        await asyncio.Event().wait()

    with pytest.raises(LinkLost, match="closed the link"):
        await played(hub, alice, silent, act)


async def test_heartbeats_measure_the_round_trip(hub: FakeHub, alice: Profile) -> None:
    """They go out by themselves; the answer's delay is kept for the console to show."""
    hub.heartbeat = 0.05

    async def play(end: HubPeer) -> None:
        while True:
            await end.receive()  # answers heartbeats itself

    async def act(client: Client) -> float:
        async with asyncio.timeout(45):
            while client.round_trip is None:
                await asyncio.sleep(0.01)
        return client.round_trip

    assert 0 <= await played(hub, alice, play, act) < 5


async def test_a_subscription_may_be_known_before_it_begins(hub: FakeHub, alice: Profile) -> None:
    """An id from `next_call_id` is the one that the hub sees; none is given out twice."""
    asked: list[Call] = []

    async def play(end: HubPeer) -> None:
        for _ in range(3):
            asked.append(call := await end.expect(Call))
            await end.send(Answer(call.id, {"whoami": ME, "jobs": [], "follow": {}}[call.verb]))
            if call.verb == "follow":
                await end.send(Push(call.id, {"request": REQUEST, "ended": True}))

    async def act(client: Client) -> int:
        await whoami(client)
        identity = client.next_call_id()
        await client.call(verbs.JOBS, JobsArgs())
        async for push in client.subscribe(verbs.FOLLOW, RequestArgs(number=4), call_id=identity):
            assert isinstance(push, FollowPush)
            assert (push.request.state, push.ended) == ("done", True)
            break
        return identity

    identity = await played(hub, alice, play, act)
    assert [call.verb for call in asked] == ["whoami", "jobs", "follow"]
    assert asked[2].id == identity
    assert len({call.id for call in asked}) == 3


def list_of(view: str, *rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A window of a list as a hub sends it."""
    return {"seq": 1, "total": len(rows), "all": len(rows), "lo": 0, "rows": list(rows), **more}


JOB_ROW: dict[str, Any] = {
    "id": "J1", "request": "R1", "agent": "web-1", "person": "bob", "state": "running", "queued_at": 1.0,
}  # fmt: skip


async def following(client: Client) -> list[Any]:
    """What comes of the list of jobs until it ends in an error, and that."""
    found: list[Any] = []
    try:
        async for push in client.subscribe(verbs.VIEW, ViewArgs(view="jobs")):
            found += [push]
    except UserError as error:
        found.append(error)
    return found


def pushing(*pushes: Any, me: dict[str, Any] = ME) -> Play:
    """Answers `whoami`, then a subscription, and pushes these."""

    async def play(end: HubPeer) -> None:
        for data in (me, {"id": 2}):
            call = await end.expect(Call)
            await end.send(Answer(call.id, data))
        for push in pushes:
            await end.send(Push(call.id, push))

    return play


async def acquainted(client: Client) -> list[Any]:
    """As `following`, by a client that knows the hub's versions."""
    await whoami(client)
    return await following(client)


async def test_a_list_comes_in_types_until_the_right_is_taken_away(hub: FakeHub, alice: Profile) -> None:
    """A snapshot, a delta, and a refusal in the hub's words."""
    delta = {"seq": 2, "total": 1, "all": 1, "lo": 0, "upsert": [{**JOB_ROW, "state": "succeeded"}]}
    play = pushing(list_of("jobs", JOB_ROW), delta, {"error": "not any more"})
    snapshot, change, error = await played(hub, alice, play, acquainted)
    assert isinstance(snapshot, Snapshot)
    assert snapshot.rows[0].agent == "web-1"
    assert isinstance(change, Delta)
    assert change.upsert[0].is_ended
    assert isinstance(error, CallRefused)
    assert str(error) == "not any more"


@pytest.mark.parametrize("where", ["snapshot", "delta", "whoami"])
async def test_a_newer_hub_whose_rows_cannot_be_read(where: str, hub: FakeHub, alice: Profile) -> None:
    """Said as that, whether the version stands in the push, in the snapshot before it, or in `whoami`; the link and
    other calls go on.
    """
    newer, odd = VIEW_VERSIONS["jobs"] + 1, {"id": "J1", "phase": "now called otherwise"}
    pushes: dict[str, list[Any]] = {
        "snapshot": [list_of("jobs", odd, version=newer)],
        "delta": [list_of("jobs", JOB_ROW, version=newer), {"seq": 2, "total": 1, "all": 1, "lo": 0, "upsert": [odd]}],
        "whoami": [list_of("jobs", odd)],
    }
    me = {**ME, "views": {"jobs": newer}} if where == "whoami" else ME

    async def play(end: HubPeer) -> None:
        await pushing(*pushes[where], me=me)(end)
        await answering((ME, "", ""))(end)

    async def act(client: Client) -> tuple[Any, Any]:
        return (await acquainted(client))[-1], await whoami(client)

    error, me_again = await played(hub, alice, play, act)
    assert isinstance(error, TooNew)
    assert str(error) == "this hub's list of jobs is newer than this console: upgrade it"
    assert me_again.person == "alice"


async def test_a_hub_of_this_version_whose_rows_are_none(hub: FakeHub, alice: Profile) -> None:
    """It is no newer hub then, and that is not said."""
    (error,) = await played(hub, alice, pushing(list_of("jobs", {"id": "J1"})), acquainted)
    assert isinstance(error, BadAnswer)
    assert "rows.0" in str(error)
