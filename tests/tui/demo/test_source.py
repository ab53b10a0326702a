"""The demo world as a source: the console cannot tell it from a hub, not when the link goes either."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import pytest

from common.api import verbs
from common.api.actions import CancelArgs, RejectArgs
from common.api.arguments import NoArgs
from common.api.lists import Snapshot
from common.api.queries import TargetsArgs
from common.api.subscriptions import OutputArgs, OutputPush, ViewArgs, WatchArgs
from tui.client.errors import InvalidCall, LinkLost
from tui.client.source import Source
from tui.demo.cast import CODE, DEMO_USER
from tui.demo.source import DemoSource

NOW = 1_790_000_000.0


@asynccontextmanager
async def kept(**more: Any) -> AsyncIterator[DemoSource]:
    """A source with its link up, whose time stands still."""
    source = DemoSource(7, start=NOW, real_time=False, **more)
    came = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        keeper = tasks.create_task(source.maintain_link(came.set))
        await came.wait()
        yield source
        keeper.cancel()


DB1 = TargetsArgs(selector="db-1")
JOBS = ViewArgs(view="jobs")


def counts(source: DemoSource) -> Mapping[str, int]:
    assert source.overview is not None
    return source.overview.counts


async def first(stream: Any) -> Any:
    async with aclosing(stream) as opened:
        async for push in opened:
            return push
    return None


async def test_it_comes_up() -> None:
    """First no link, then one, with who I am, all verbs, the code of the demo and an overview."""
    source: Source = DemoSource(7, start=NOW, real_time=False)
    assert (source.link.live, source.who) == (False, None)
    with pytest.raises(LinkLost):
        await source.call(verbs.TARGETS, DB1)
    async with kept(roles=("viewer",)) as up:
        assert up.link.live
        assert up.who is not None
        assert (up.who.person, up.who.roles, up.demo_code) == (DEMO_USER, ("viewer",), CODE)
        assert up.who.verbs.keys() >= {"approve", "cancel", "run", "pause", "audit"}
        assert up.overview is not None
        assert up.overview.lanes
        assert up.now() == NOW


async def test_its_time_stands_still_but_for_steps() -> None:
    """Nothing happens by itself where it does not live; a step is exactly that long; the same steps end the same."""
    ends = []
    for _ in range(2):
        async with kept() as source:
            before = source.now()
            for _ in range(5):
                await asyncio.sleep(0)
            assert source.now() == before
            source.advance(30)
            source.advance(30)
            assert source.now() == before + 60
            ends.append((source.overview, [event.hash for event in source.world.events]))
    assert ends[0] == ends[1]


async def test_a_call_answers_and_the_overview_follows() -> None:
    """An act is done when its answer is here; a verb that is none is refused in words."""
    async with kept() as source:
        waiting = counts(source)["asking"]
        request = next(one for one in source.world.requests.values() if one.is_asking)
        answer = await source.call(verbs.REJECT, RejectArgs(number=request.number, why="no"))
        assert answer.is_ok
        assert counts(source)["asking"] == waiting - 1
        with pytest.raises(InvalidCall):
            await source.call(verbs.DRAFTS, NoArgs())
        with pytest.raises(InvalidCall):
            await first(source.subscribe(verbs.WATCH, "watch", WatchArgs()))


async def test_rights_are_those_of_the_registry() -> None:
    """Who one is says for each verb whether one may use it, and the role that it takes."""
    async with kept(roles=("operator",)) as source:
        assert source.who is not None
        assert source.who.denied == {
            name: verbs.VERBS[name].right.role
            for name in source.who.verbs
            if not verbs.VERBS[name].right.held_by(("operator",))
        }
        assert {"approve", "audit"} <= source.who.denied.keys()
        assert source.who.has("run")
        assert not source.who.has("drafts")


async def test_a_view_is_pushed_as_time_goes_by() -> None:
    """A snapshot, then deltas numbered without a gap; a view that is closed is listened to no more."""
    async with kept() as source:
        stream = cast(Any, source.subscribe(verbs.VIEW, "jobs", ViewArgs(view="jobs", n=30)))
        snapshot = await anext(stream)
        assert isinstance(snapshot, Snapshot)
        assert (snapshot.seq, len(snapshot.rows)) == (1, 30)
        seqs = []
        for _ in range(4):
            coming = asyncio.ensure_future(anext(stream))  # noqa: TID251 - awaited on the next lines
            await asyncio.sleep(0)
            source.advance(5)
            seqs.append((await coming).seq)
        assert seqs == [2, 3, 4, 5]
        assert len(source.world.listeners) == 1
        await stream.aclose()
        assert source.world.listeners == []


async def test_output_is_given_whole_then_as_it_comes() -> None:
    """From the chunk asked for on, none twice, none missing, until the job has ended."""
    async with kept() as source:
        job = next(job for job in source.world.jobs.values() if (job.argv or ("",))[0].endswith("tail"))
        stream = cast(Any, source.subscribe(verbs.OUTPUT, "output", OutputArgs(job=job.id, after=2)))
        push = await anext(stream)
        seqs = [chunk.seq for chunk in push.chunks]
        assert not push.ended
        await source.call(verbs.CANCEL, CancelArgs(job=job.id))
        while not push.ended:
            coming = asyncio.ensure_future(anext(stream))  # noqa: TID251 - awaited on the next lines
            await asyncio.sleep(0)
            source.advance(1)
            push = await coming
            seqs += [chunk.seq for chunk in push.chunks]
        assert seqs == list(range(3, len(source.world.outputs[job.id].chunks) + 1))
        await stream.aclose()
        assert await first(source.subscribe(verbs.OUTPUT, "output", OutputArgs(job="NONE"))) == OutputPush(ended=True)


async def test_losing_the_link_and_getting_it_back() -> None:
    """Calls and followers hear of it at once, what was known stays; a retry brings it back."""
    async with kept() as source:
        stream = cast(Any, source.subscribe(verbs.VIEW, "jobs", JOBS))
        await anext(stream)
        coming = asyncio.ensure_future(anext(stream))  # noqa: TID251 - awaited on the next lines
        await asyncio.sleep(0)
        source.lose_link("cable out")
        assert (source.link.state, source.link.reason) == ("lost", "cable out")
        assert source.overview is not None
        assert source.overview.lanes
        for attempt in (
            coming,
            source.call(verbs.TARGETS, DB1),
            first(source.subscribe(verbs.VIEW, "v", JOBS)),
        ):
            with pytest.raises(LinkLost):
                await attempt
        assert source.world.listeners == []
        source.retry()
        assert source.link.live
        assert (await source.call(verbs.TARGETS, DB1)).count == 1


async def test_lanes_in_the_language_asked() -> None:
    """The hub's sentences come in the console's language, from the next look on."""
    async with kept() as source:

        def notes() -> str:
            assert source.overview is not None
            return "".join(lane.note for lane in source.overview.lanes)

        assert notes().isascii()
        source.language = "zh"
        source.advance(1)
        assert not notes().isascii()
