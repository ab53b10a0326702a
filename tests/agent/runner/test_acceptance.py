"""agent.runner.acceptance: the bounds that an order meets before it is accepted; the rest is in test_job_manager"""

from __future__ import annotations

from typing import Any

from agent.runner.limits import RunnerLimits
from common.link.messages import Accepted, Confirm, Ended, Refused


async def test_a_full_machine_takes_the_order_once_there_is_room(home: Any, kit: Any) -> None:
    """Busy is for now: the same order, dispatched again, is accepted, and runs once the hub has said so."""
    async with kit.serving(home, RunnerLimits(max_accepted=1)):
        uplink = await kit.Uplink.known(home)
        first = uplink.order("/bin/true", confirm=True)
        await uplink.next(Accepted, first)
        order = home.order("/bin/echo", "later", confirm=True)
        uplink.send(home.dispatch(order))
        assert (await uplink.next(Refused, order.job)).code == "busy"
        uplink.send(Confirm(first))
        await uplink.next(Ended, first)
        uplink.send(home.dispatch(order))
        await uplink.next(Accepted, order.job)
        uplink.send(Confirm(order.job))
        assert (await uplink.next(Ended, order.job)).outcome == "succeeded"
        assert uplink.output(order.job) == b"later\n"


async def test_what_does_not_wait_for_the_hubs_word_is_not_taken_again(home: Any, kit: Any) -> None:
    """Trust: a job starts once. A replay of an order that was refused as busy would start it unseen by the hub."""
    async with kit.serving(home, RunnerLimits(max_accepted=1)):
        uplink = await kit.Uplink.known(home)
        first = uplink.order("/bin/true", confirm=True)
        await uplink.next(Accepted, first)
        order = home.order("/bin/true")
        uplink.send(home.dispatch(order))
        await uplink.next(Refused, order.job)
        uplink.send(Confirm(first))
        await uplink.next(Ended, first)
        before = len(uplink.heard)
        uplink.send(home.dispatch(order))
        assert (await uplink.next(Refused, order.job, before)).code == "busy"
