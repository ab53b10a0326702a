"""Closes many links, also all of them as the hub stops."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from common.link.handshake import return_spread
from hub.links.agent import CLOSE_GOING_AWAY, AgentLink
from hub.links.console import ConsoleLink
from hub.log import logger

MAX_CONCURRENT_CLOSES: Final = 200  # links that are closed at a time
GOODBYE_TIMEOUT: Final = 5.0

log = logger("links")


async def close_all(links: Sequence[AgentLink | ConsoleLink], code: int, reason: str, spread: float = 0.0) -> None:
    """Closes them side by side: a peer that does not answer costs the others nothing."""
    for index in range(0, len(links), MAX_CONCURRENT_CLOSES):
        async with asyncio.TaskGroup() as closing:
            for link in links[index : index + MAX_CONCURRENT_CLOSES]:
                closing.create_task(link.close(code, reason, spread))


async def announce_restart(agents: Sequence[AgentLink], consoles: Sequence[ConsoleLink]) -> None:
    """Tells every machine over how many seconds to spread its return, all of them before any of them is waited for; and
    closes.
    """
    spread = return_spread(len(agents))
    links: list[AgentLink | ConsoleLink] = [*agents, *consoles]
    try:
        async with asyncio.timeout(GOODBYE_TIMEOUT):
            for index in range(0, len(agents), MAX_CONCURRENT_CLOSES):
                async with asyncio.TaskGroup() as telling:
                    for link in agents[index : index + MAX_CONCURRENT_CLOSES]:
                        telling.create_task(link.say_goodbye(spread))
            await close_all(links, CLOSE_GOING_AWAY, "the hub is restarting", spread)
    except TimeoutError:
        log.warning("links.goodbye_cut_short", links=len(links))
