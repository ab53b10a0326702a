"""Who holds a name, at the door: before anybody is welcomed."""

from __future__ import annotations

import time

import pytest

from common.confirmation import confirmation
from common.errors import WorkFailed
from common.identity.signing import CONFIRM_PURPOSE, verify
from common.link.dial import tell_copy
from common.link.handshake import make_hello
from common.link.lineage import Lineage, begin
from common.link.messages import Accepted, Confirm, Dispatch, Hello, KeyChange, Report, Resync
from common.plan import Order
from hub.links.holders import TOLD_AGAIN
from tests.hub.hub_harness import FakeClock, HubHarness
from tests.hub.link_harness import serve_links

JOURNAL = "a" * 32


@pytest.fixture
def fake_clock() -> FakeClock:
    """TLS looks at the real clock: this one starts there."""
    return FakeClock(time.time())


def hello(lineage: Lineage, **more: str) -> Hello:
    return make_hello("agent", "web-1", None, facts={"os": "x", "lineage": str(lineage), **more})


async def test_two_that_take_the_link_from_each_other_are_found_with_the_first_return(harness: HubHarness) -> None:
    """Trust: one holder of a name (security lesson A2). Clones of one machine while it ran: the same process, session
    and life; the second that comes back is refused, both links end, and it stays so over a restart of the hub.
    """
    trunk = begin("b" * 16, b"")
    own, copy = trunk.advance(b"own"), trunk.advance(b"copy")
    async with serve_links(harness) as port:
        first = await port.connect_agent(hello=hello(trunk, process="p"))
        second = await port.connect_agent(hello=hello(copy, process="p"))
        await first.wait_closed()
        refused = await port.expect_refusal(hello=hello(own, process="p"))
        assert refused.code == "locked"
        assert "answerback-hub token --agent web-1" in refused.reason
        await second.wait_closed()
        await port.wait_until(lambda: port.links.count_links() == (0, 0))
        assert (await port.expect_refusal(hello=hello(copy.advance(b"1")))).code == "locked"
        agent = harness.fleet.agent("web-1")
        assert agent is not None
        assert (agent.state, agent.facts) == ("locked", {"os": "x"})


async def test_a_hub_that_was_killed_between_knows_what_it_saw(harness: HubHarness) -> None:
    """Trust: one holder of a name. The copy was welcomed, the hub is another process when the first comes back."""
    trunk = begin("b" * 16, b"")
    async with serve_links(harness) as port:
        await port.connect_agent(hello=hello(trunk))
        await port.connect_agent(hello=hello(trunk.advance(b"copy")))
    await harness.restart()
    async with serve_links(harness) as port:
        assert (await port.expect_refusal(hello=hello(trunk.advance(b"own")))).code == "locked"


async def test_one_holder_is_let_in_however_often_its_links_break(harness: HubHarness) -> None:
    """Each step once, twice, or with its answer lost; an old link that comes late is to take its next step."""
    lineage = begin("b" * 16, b"")
    async with serve_links(harness) as port:
        for number in range(12):
            for _ in range(number % 3 + 1):
                await port.connect_agent(hello=hello(lineage, process=str(number)))
            before, lineage = lineage, lineage.advance(str(number).encode())
        await port.connect_agent(hello=hello(lineage))
        assert (await port.expect_refusal(hello=hello(before))).code == "superseded"
        assert harness.events("agent.locked") == []


async def test_a_job_is_confirmed_on_the_link(harness: HubHarness) -> None:
    """Trust: one holder of a name. The order asks for it where the report told a life, and the word comes once the
    acceptance is committed; to an older runner the order is as it was.
    """
    life = begin(JOURNAL, b"")
    async with serve_links(harness) as port:
        for text in ("", str(life)):
            end = await port.connect_agent()
            await end.send(Report(JOURNAL, "boot", {}, text))
            await end.expect(Resync)
            job = await harness.queued_job()
            port.links.wake(["web-1"])
            order = Order.from_bytes((await end.expect(Dispatch)).order)
            assert (order.job, order.confirm) == (job.id, bool(text))
            await end.send(Accepted(job.id, job.plan_hash))
            if text:
                assert await end.expect(Confirm) == Confirm(job.id)
            else:
                await end.wait_acknowledged()


async def test_a_confirmation_is_signed_and_tells_what_is_left(harness: HubHarness) -> None:
    """Trust: no late start. For the very start of the runner that accepted; its order says when it was made."""
    life = begin(JOURNAL, b"")
    async with serve_links(harness) as port:
        end = await port.connect_agent(hello=hello(life, orders="5"))
        await end.send(Report(JOURNAL, "boot", {}, str(life)))
        await end.expect(Resync)
        await end.expect(KeyChange)
        job = await harness.queued_job()
        port.links.wake(["web-1"])
        order = Order.from_bytes((await end.expect(Dispatch)).order)
        assert order.issued_at == harness.clock()
        harness.clock.advance(40)
        await end.send(Accepted(job.id, job.plan_hash))
        word = await end.expect(Confirm)
    assert (word.job, word.left) == (job.id, job.not_after - order.issued_at - 40)
    key = harness.keys.job_keys[word.key]
    assert verify(key, confirmation(job.id, life.id, word.left), word.signature, CONFIRM_PURPOSE)
    assert not verify(key, confirmation(job.id, begin(JOURNAL, b"2").id, word.left), word.signature, CONFIRM_PURPOSE)


async def test_a_copy_that_refuses_itself_disturbs_nobody(harness: HubHarness) -> None:
    """Trust: one holder of a name. Told once in a while, by who has the machine's certificate; its link goes on."""
    async with serve_links(harness) as port:
        end = await port.connect_agent(hello=hello(begin("b" * 16, b"")))
        context = port.tls_context("agent", "web-1")
        greeting = make_hello("agent", "web-1", None, facts={"hostname": "db-7", "moved": "because"})
        for _ in range(3):
            await tell_copy(port.url, harness.keys.hub_id, context, greeting)
        assert [row.data["host"] for row in harness.events("agent.moved")] == ["db-7"]
        harness.clock.advance(TOLD_AGAIN + 1)
        await tell_copy(port.url, harness.keys.hub_id, context, greeting)
        assert len(harness.events("agent.moved")) == 2
        with pytest.raises(WorkFailed, match="did not note it"):
            await tell_copy(port.url, harness.keys.hub_id, port.tls_context("operator", "alice"), greeting)
        assert len(harness.events("agent.moved")) == 2
        await end.round_trip()
