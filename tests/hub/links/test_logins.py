"""hub.links.logins: over real links, a new login's first use ends the old one's, and no answer is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from common.link.dial import HubRefused
from common.link.messages import LOGIN_ENDED, Answer, Call, Refuse
from hub.core.records import Person
from hub.identity import logins
from hub.links.console import Caller
from hub.links.logins import NOTE_EVERY, LoginUses
from hub.store.errors import StoreFull
from tests.hub.hub_harness import FakeClock, HubHarness, hub_harness
from tests.hub.link_harness import LinkHarness, serve_links


@pytest.fixture
async def awake(tmp_path: Path) -> AsyncIterator[HubHarness]:
    """A hub at the real time, which TLS looks at."""
    with hub_harness(tmp_path, FakeClock(time.time())) as made:
        await made.people.refresh()
        yield made


def rotated(harness: HubHarness, port: LinkHarness) -> None:
    """bob's login is replaced; the next console that dials as bob has a new one."""
    now = harness.clock.now
    harness.write(lambda txn: logins.rotate(txn, "bob", ttl=600.0, keep=3600.0, by="terminal", now=now))
    del port._contexts["operator", "bob"]


def commits(harness: HubHarness) -> int:
    return harness.store.commits


async def test_the_first_use_of_the_new_one_ends_links_of_the_old(
    awake: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trust: the old one's link goes on until then; what it had asked is answered, then it is closed for good."""
    monkeypatch.setattr("hub.links.console.LAST_ANSWERS", 30.0)
    async with serve_links(awake) as port:
        asked, free = asyncio.Event(), asyncio.Event()

        async def slow(caller: Caller, args: Mapping[str, Any]) -> str:
            asked.set()
            await free.wait()
            return "done"

        port.desk.verbs["slow"] = slow
        old = await port.connect_console("bob")
        again = port.tls_context("operator", "bob")
        rotated(awake, port)
        await old.round_trip()
        await old.send(Call(7, "slow", {}))
        await asked.wait()
        await port.connect_console("bob")
        assert [row.subject for row in awake.events("login.ended")] == ["bob"]
        await old.send(Call(8, "slow", {}))
        assert (await old.expect(Answer)).code == LOGIN_ENDED  # what comes now is told so, and not begun
        free.set()
        last = await old.expect(Answer)
        assert (last.id, last.data) == (7, "done")
        assert (await old.expect(Refuse)).code == LOGIN_ENDED
        assert await old.wait_closed() == 1008
        port._contexts["operator", "bob"] = again
        with pytest.raises(HubRefused, match="was replaced"):
            await port.connect_console("bob")


async def test_what_has_no_answer_in_time_may_have_been_done(
    awake: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last word is another one then: whoever hears it does not ask for the same again."""
    monkeypatch.setattr("hub.links.console.LAST_ANSWERS", 0.01)
    async with serve_links(awake) as port:
        asked, free = asyncio.Event(), asyncio.Event()

        async def slow(caller: Caller, args: Mapping[str, Any]) -> str:
            asked.set()
            await free.wait()
            return "done"

        port.desk.verbs["slow"] = slow
        old = await port.connect_console("bob")
        rotated(awake, port)
        await old.send(Call(7, "slow", {}))
        await asked.wait()
        await port.connect_console("bob")
        assert (await old.expect(Refuse)).code == "revoked"
        free.set()


async def test_uses_are_written_once_a_minute(awake: HubHarness) -> None:
    """The first at once; then none until the minute is over."""
    async with serve_links(awake) as port:
        await port.connect_console("bob")
        mark = port.identities["bob"].fingerprint
        first = awake.clock.now
        before = commits(awake)
        for _ in range(3):
            await (await port.connect_console("bob")).round_trip()
        assert commits(awake) == before + 3  # the harness's own look at the person, each time
        awake.clock.advance(NOTE_EVERY)
        row = awake.read(lambda txn: txn.credential(mark))
        assert row is not None
        assert row.used_at == first
        await port.connect_console("bob")
        row = awake.read(lambda txn: txn.credential(mark))
        assert row is not None
        assert row.used_at == awake.clock.now


async def test_a_store_that_takes_nothing_keeps_nobody_out(awake: HubHarness) -> None:
    """Whoever comes is let in, and the use is noted the next time."""
    async with serve_links(awake) as port:
        await port.connect_console("bob")
        identity = port.identities["bob"]
    uses = LoginUses(awake.store, awake.clock)
    awake.clock.advance(NOTE_EVERY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(awake.store, "write", refuse)
        assert await uses.note(identity) == []
    assert await uses.note(identity) == []
    row = awake.read(lambda txn: txn.credential(identity.fingerprint))
    assert row is not None
    assert row.used_at == awake.clock.now
    assert isinstance(awake.read(lambda txn: txn.person("bob")), Person)


async def refuse(unit: Any) -> Any:
    """The disk is full."""
    raise StoreFull("store: the disk is full", "make room")
