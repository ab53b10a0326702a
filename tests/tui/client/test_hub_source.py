"""The hub as the console's source, with a hub that the test plays by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.api import verbs
from common.api.overview import Overview
from common.api.queries import JobsArgs
from common.api.subscriptions import ViewArgs
from common.api.versions import VIEW_VERSIONS, BadAnswer, read_result
from common.link.messages import Answer, Call, Push
from tests.common.fake_hub import FakeHub, HubPeer
from tests.tui.profiles import create_profile
from tui.client.hub_source import (
    INITIAL_DELAY,
    MAX_DELAY,
    STABLE_AFTER,
    HubSource,
    LinkLost,
    ReconnectBackoff,
    delay_before,
)

ME = {
    "person": "alice",
    "roles": ["operator"],
    "hub": "h1",
    "version": "1",
    "verbs": {"jobs": {"may": True}, "pause": {"may": False, "role": "approver"}},
}


JOB_ROW = {"id": "J1", "request": "R1", "agent": "web-1", "person": "bob", "state": "running", "queued_at": 1.0}


class Kept:
    """A source whose link is kept, and what it told."""

    def __init__(self, hub: FakeHub, source: HubSource) -> None:
        self.hub = hub
        self.source = source
        self.changed = asyncio.Event()

    async def until(self, state: str) -> None:
        async with asyncio.timeout(45):
            while self.source.link.state != state:
                await self.changed.wait()
                self.changed.clear()

    async def welcomed(self, me: Any = ME, overview: Any = None) -> HubPeer:
        """The hub's end of a console that has asked who it is and for the overview."""
        end = await self.hub.next_link()
        call = await end.expect(Call)
        assert call.verb == "whoami"
        await end.send(Answer(call.id, me))
        if me is ME:
            call = await end.expect(Call)
            assert call.verb == "overview"
            await end.send(Answer(call.id, {}))
            await end.send(Push(call.id, overview or {"counts": {"asking": 3}}))
        return end


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    """A source at a hub that serves."""
    async with FakeHub(tmp_path / "hub").serving() as hub:
        source = HubSource(create_profile(hub, tmp_path / "alice"), random_source=lambda: 0.0)
        kept = Kept(hub, source)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(source.maintain_link(kept.changed.set))
            yield kept
            task.cancel()


@given(st.integers(1, 100_000), st.floats(0, 1))
def test_pauses_grow_and_are_bounded(attempt: int, chance: float) -> None:
    """Never under a tenth of a second, never over the longest, twice as long at most each time."""
    pause = delay_before(attempt, chance)
    assert 0.1 <= pause <= MAX_DELAY
    assert delay_before(attempt, 1.0) == min(MAX_DELAY, INITIAL_DELAY * 2.0 ** min(attempt - 1, 99))


def test_a_link_that_does_not_hold_makes_the_pauses_longer() -> None:
    """A hub that lets in and drops at once is left alone more and more; only a link that held begins anew."""
    backoff = ReconnectBackoff()
    flapping = [backoff.next_delay(held, 1.0) for held in (0.2, 0.2, 1.0, STABLE_AFTER - 0.1, 0.0, 0.2, 0.2)]
    assert flapping == [0.5, 1.0, 2.0, 4.0, 8.0, MAX_DELAY, MAX_DELAY]
    assert backoff.next_delay(STABLE_AFTER, 1.0) == INITIAL_DELAY
    assert backoff.next_delay(0.0, 1.0) == 2 * INITIAL_DELAY


def test_who_one_is() -> None:
    """What one may not and who may; an older hub says nothing of verbs; another form is an error."""
    who = read_result(verbs.WHOAMI, ME)
    assert (who.person, who.roles, set(who.verbs), who.denied) == (
        "alice",
        ("operator",),
        {"jobs", "pause"},
        {"pause": "approver"},
    )
    assert read_result(verbs.WHOAMI, {key: value for key, value in ME.items() if key != "verbs"}).verbs == {}
    for odd in (None, [], {}, {**ME, "roles": 3}, {**ME, "verbs": ["jobs"]}):
        with pytest.raises(BadAnswer):
            read_result(verbs.WHOAMI, odd)


async def test_connected_lost_and_connected_again(kept: Kept) -> None:
    """Live it calls and knows the overview; lost it says since when and refuses calls; then it connects by itself."""
    assert kept.source.link.state == "connecting"
    with pytest.raises(LinkLost):
        await kept.source.call(verbs.JOBS, JobsArgs())
    end = await kept.welcomed()
    await kept.until("live")
    assert kept.source.who == read_result(verbs.WHOAMI, ME)
    kept.source.language = "zh"
    async with asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(kept.source.call(verbs.JOBS, JobsArgs(limit=2)))
        call = await end.expect(Call)
        assert call.args == {"language": "zh", "limit": 2}
        await end.send(Answer(call.id, [JOB_ROW]))
    assert [job.id for job in answer.result()] == ["J1"]
    assert kept.source.overview == Overview(counts={"asking": 3})
    end.abort()
    await kept.until("lost")
    assert kept.source.link.reason
    assert (kept.source.link.retry_at or 0) >= kept.source.link.since
    assert kept.source.overview == Overview(counts={"asking": 3})
    with pytest.raises(LinkLost):
        await kept.source.call(verbs.JOBS, JobsArgs())
    kept.source.retry()
    await kept.welcomed()
    await kept.until("live")


async def test_a_hub_of_another_version(kept: Kept) -> None:
    """A whoami that is none is told as the reason, and it is tried again."""
    await kept.welcomed({"nobody": 1})
    await kept.until("lost")
    assert "version" in kept.source.link.reason
    await kept.welcomed()
    await kept.until("live")


async def test_a_hub_that_drops_every_link_at_once_is_asked_ever_more_rarely(kept: Kept) -> None:
    """Let in, told who one is, and dropped: each pause may be twice the one before, though each link was live."""
    chances: list[float] = []
    pauses: list[float] = []

    def chance() -> float:
        chances.append(1.0)
        return 1.0

    kept.source._random = chance
    for attempt in range(4):
        (await kept.welcomed()).abort()
        async with asyncio.timeout(45):
            while len(chances) <= attempt or kept.source.link.state != "lost":
                await kept.changed.wait()
                kept.changed.clear()
        pauses.append((kept.source.link.retry_at or 0) - kept.source.now())
        kept.source.retry()
    assert [round(pause * 2) / 2 for pause in pauses] == [0.5, 1.0, 2.0, 4.0]


async def test_words_of_no_known_form_do_not_end_the_keeping(kept: Kept) -> None:
    """An older hub whose queue is no table: the link is lost with the reason, and is made again."""
    end = await kept.hub.next_link()
    call = await end.expect(Call)
    await end.send(Answer(call.id, ME))
    call = await end.expect(Call)
    await end.send(Answer(call.id, None, "usage", "no such verb"))
    call = await end.expect(Call)
    assert call.verb == "queue"
    await end.send(Answer(call.id, 7))
    await kept.until("lost")
    assert "the hub's queue is not of its form" in kept.source.link.reason
    await kept.welcomed()
    await kept.until("live")


async def test_a_slot_is_replaced_and_ended_by_the_id_that_the_hub_knows(kept: Kept) -> None:
    """The next subscription in a slot names the one before; ending it names the last; others do not disturb it."""
    end = await kept.welcomed()
    await kept.until("live")
    ids: list[int] = []

    async def watch() -> None:
        async for _ in kept.source.subscribe(verbs.VIEW, "jobs", ViewArgs(view="jobs")):
            break

    for _ in range(2):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch())
            call = await end.expect(Call)
            assert call.args.get("replace") == (ids[-1] if ids else None)
            ids.append(call.id)
            await end.send(Answer(call.id, {}))
            await end.send(Push(call.id, {"seq": 1, "total": 0, "all": 0, "lo": 0, "rows": []}))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(kept.source.call(verbs.JOBS, JobsArgs()))
            call = await end.expect(Call)
            await end.send(Answer(call.id, []))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(kept.source.unsubscribe("jobs"))
        call = await end.expect(Call)
        assert (call.verb, call.args) == ("unsubscribe", {"id": ids[-1]})
        await end.send(Answer(call.id, {}))


@pytest.mark.parametrize("version", [VIEW_VERSIONS["overview"], VIEW_VERSIONS["overview"] + 1])
async def test_an_overview_that_cannot_be_read_leaves_the_rest_working(kept: Kept, version: int) -> None:
    """The link stays, a warning says what is wrong, and the queue is polled in its place."""
    end = await kept.welcomed(overview={"lanes": [{"phase": 1}], "version": version})
    call = await end.expect(Call)
    assert call.verb == "queue"
    await end.send(Answer(call.id, {"depth": 2, "states": {"queued": 2}, "now": 1.0}))
    await kept.until("live")
    async with asyncio.timeout(45):
        while kept.source.overview is None:
            await asyncio.sleep(0.01)
    assert kept.source.overview.counts == {"queued": 2}
    newer = "this hub's overview is newer than this console: upgrade it"
    assert (kept.source.link.warning == newer) == (version > VIEW_VERSIONS["overview"])
    assert "overview" in kept.source.link.warning
