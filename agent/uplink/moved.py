"""A state folder that is a copy, or was moved (agent/place.py): the hub is told, so that somebody looks, and nothing is
served. The machine whose name this is stays linked: it has done nothing wrong.
"""

from __future__ import annotations

import asyncio
from typing import Final

from agent import log
from agent.place import Moved
from agent.state import AgentSettings, StateFolder
from agent.uplink.vitals import facts
from common.errors import UserError
from common.identity.tls import client_context
from common.link.codec import BadFrame
from common.link.dial import tell_copy
from common.link.handshake import make_hello

TIMEOUT: Final = 10.0


async def tell_moved(state: StateFolder, settings: AgentSettings, moved: Moved) -> None:
    """Best effort: where the hub cannot be told, this machine's own word is all there is."""
    try:
        credential = state.credential
        context = client_context(
            credential.authority.read_bytes(), credential.certificate, credential.key, check_time=False
        )
        told = {**facts(), "moved": moved.problem.rpartition(": ")[2]}
        async with asyncio.timeout(TIMEOUT):
            await tell_copy(settings.url, settings.hub, context, make_hello("agent", settings.name, None, facts=told))
    except (UserError, OSError, TimeoutError, BadFrame) as error:
        log.warning("moved.not_told", hub=settings.hub, reason=str(error))
    else:
        log.info("moved.told", hub=settings.hub)
