"""Closes many links, also all of them as the hub stops."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from common.link.handshake import return_spread
from hub.links.agent import CLOSE_GOING_AWAY, AgentLink
from hub.links.console import ConsoleLink

MAX_CONCURRENT_CLOSES: Final = 200  # links that are closed at a time
GOODBYE: Final = "the hub is restarting"


async def close_all(links: Sequence[AgentLink | ConsoleLink], code: int, reason: str, spread: float = 0.0) -> None:
    """Closes them side by side: a peer that does not answer costs the others nothing."""
    for index in range(0, len(links), MAX_CONCURRENT_CLOSES):
        async with asyncio.TaskGroup() as closing:
            for link in links[index : index + MAX_CONCURRENT_CLOSES]:
                closing.create_task(link.close(code, reason, spread))


async def release_held(held: Sequence[AgentLink]) -> None:
    """Has machines come anew, in a session that takes what they report; within a second or what their number asks."""
    for link in held:
        link.end_session()
    await close_all(held, CLOSE_GOING_AWAY, "the hub's disk has room again", return_spread(len(held)))


async def announce_restart(agents: Sequence[AgentLink], consoles: Sequence[ConsoleLink]) -> None:
    """Tells every machine over how many seconds to spread its return, and closes. Ten thousand of them are told in a
    second or two: none is waited for, and one that hears nothing knows the spread from its welcome.
    """
    spread = return_spread(len(agents))
    async with asyncio.TaskGroup() as closing:
        closing.create_task(close_all(consoles, CLOSE_GOING_AWAY, GOODBYE, spread))
        for index in range(0, len(agents), MAX_CONCURRENT_CLOSES):
            for link in agents[index : index + MAX_CONCURRENT_CLOSES]:
                link.leave(GOODBYE, spread)
            await asyncio.sleep(0)  # what the peers answer is read meanwhile
