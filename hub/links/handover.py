"""The places that links hold for units that may lease jobs, and what those have leased, handed to the link."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from hub.engine.effects import Effects, Leased, Place
from hub.engine.engine import Engine
from hub.links.agent import AgentLink


class Handover:
    def __init__(
        self, engine: Engine, linked: Mapping[str, AgentLink], link_of: Callable[[str], AgentLink | None]
    ) -> None:
        """`linked` are the machines that have a connection now; `link_of` gives one that is away for a moment too."""
        self._engine = engine
        self._linked = linked
        self._link_of = link_of

    def hold_place(self, name: str) -> Place | None:
        """A place for a job of the machine, while a unit runs that may lease one; None where there is none."""
        link = self._linked.get(name)
        return None if link is None else link.hold_place()

    def free_place(self, place: Place) -> None:
        """The unit is over, and what it leased is handed over."""
        link = self._link_of(place.agent)
        if link is not None and link.session.id == place.session:
            link.free_place()

    def on_commit(self, effects: Effects, tasks: asyncio.TaskGroup | None) -> None:
        """Sends what a unit has leased; what can be sent no more goes back into the queue."""
        for leased in effects.leased:
            if not self.hand_over(leased) and tasks is not None:
                tasks.create_task(self._engine.take_back(leased), name=f"take back {leased.place.agent}")

    def hand_over(self, leased: Leased) -> bool:
        """False where the link's session is another one now."""
        link = self._link_of(leased.place.agent)
        return link is not None and link.hand_over(leased)
