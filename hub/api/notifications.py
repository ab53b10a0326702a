"""Which subscriptions a commit concerns. The one place from which consoles are notified.

Subscriptions to a job or a request are found by its id, those to the audit are concerned by every commit, and lists and
the overview are marked and read again when their turn comes. So a commit costs what it concerns, however many consoles
follow something else.
"""

from __future__ import annotations

from collections.abc import Iterable

from hub.api.live_lists import LiveLists
from hub.api.overview import OverviewReader
from hub.api.subscription import PersonSubscription
from hub.engine.effects import Effects


class Notifications:
    def __init__(self, live_lists: LiveLists, overview: OverviewReader) -> None:
        self._live_lists = live_lists
        self._overview = overview
        self._by_id: dict[str, dict[PersonSubscription, None]] = {}  # request or job -> who follows it
        self._ids: dict[PersonSubscription, set[str]] = {}
        self._every_commit: dict[PersonSubscription, None] = {}

    def add(self, subscription: PersonSubscription, ids: Iterable[str]) -> None:
        """Notifies it of every change of these requests and jobs, beside those that it follows already."""
        followed = self._ids.setdefault(subscription, set())
        for identity in ids:
            if identity not in followed:
                followed.add(identity)
                self._by_id.setdefault(identity, {})[subscription] = None

    def add_every_commit(self, subscription: PersonSubscription) -> None:
        self._every_commit[subscription] = None

    def remove(self, subscription: PersonSubscription) -> None:
        self._every_commit.pop(subscription, None)
        for identity in self._ids.pop(subscription, ()):
            followers = self._by_id[identity]
            del followers[subscription]
            if not followers:
                del self._by_id[identity]

    def on_commit(self, effects: Effects) -> None:
        self._overview.on_commit(effects)
        if effects.changed or effects.wake or effects.stages:
            self._live_lists.store_changed()
        if self._by_id:
            for identity in effects.changed:
                for subscription in list(self._by_id.get(identity, ())):
                    if identity in effects.ended:
                        subscription.next_poll_at = 0.0  # the end is told at once, whenever the last push was
                    subscription.notify()
        for subscription in list(self._every_commit):
            subscription.notify()

    def on_agent_changed(self) -> None:
        """A machine came, left, or has another row."""
        self._live_lists.fleet_changed()
        self._overview.mark_dirty()
