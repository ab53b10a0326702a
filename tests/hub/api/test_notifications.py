"""Which subscriptions a commit concerns."""

from __future__ import annotations

from typing import Any, cast

import pytest

from hub.api.live_lists import LiveLists
from hub.api.notifications import Notifications
from hub.api.overview import OverviewReader
from hub.api.subscription import PersonSubscription
from hub.engine.effects import Effects
from tests.hub.api_harness import ANYBODY, caller


class Marked:
    """In the place of the lists and the overview: what was marked."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def store_changed(self) -> None:
        self.calls.append("lists")

    def fleet_changed(self) -> None:
        self.calls.append("agents")

    def on_commit(self, effects: Effects) -> None:
        self.calls.append("overview")

    def mark_dirty(self) -> None:
        self.calls.append("overview")


class Following(PersonSubscription):
    """Counts how often it is notified."""

    def __init__(self) -> None:
        super().__init__(caller("vera"), ANYBODY)
        self.notified = 0

    def notify(self) -> None:
        self.notified += 1

    async def read(self) -> Any: ...

    def close(self) -> None: ...


@pytest.fixture
def marked() -> Marked:
    return Marked()


@pytest.fixture
def notifications(marked: Marked) -> Notifications:
    return Notifications(cast(LiveLists, marked), cast(OverviewReader, marked))


def test_who_follows_what_changed_is_notified(notifications: Notifications) -> None:
    """By the id of the request or job; what is followed later counts from then on."""
    one, other = Following(), Following()
    notifications.add(one, ["j1"])
    notifications.add(other, ["r1"])
    notifications.on_commit(Effects(changed={"j1", "j2"}))
    assert (one.notified, other.notified) == (1, 0)
    notifications.add(other, ["j2", "j2", "r1"])
    notifications.on_commit(Effects(changed={"j2"}))
    assert (one.notified, other.notified) == (1, 1)


def test_the_end_is_told_at_once(notifications: Notifications) -> None:
    """Whoever follows a request that goes on waits for their turn; at its end there is no turn to wait for."""
    one, other = Following(), Following()
    for subscription, request in ((one, "r1"), (other, "r2")):
        subscription.next_poll_at = 7.0
        notifications.add(subscription, [request])
    notifications.on_commit(Effects(changed={"r1", "r2"}))
    assert (one.next_poll_at, other.next_poll_at) == (7.0, 7.0)
    notifications.on_commit(Effects(changed={"r1", "r2"}, ended={"r1"}))
    assert (one.next_poll_at, other.next_poll_at) == (0.0, 7.0)
    assert (one.notified, other.notified) == (2, 2)


def test_the_audit_is_concerned_by_every_commit(notifications: Notifications) -> None:
    """Whatever it changed: each leaves a row there."""
    watching = Following()
    notifications.add_every_commit(watching)
    notifications.on_commit(Effects())
    notifications.on_commit(Effects(changed={"j1"}))
    assert watching.notified == 2


def test_what_has_ended_is_forgotten(notifications: Notifications) -> None:
    """Twice is harmless, and others that follow the same are still notified."""
    one, other, watching = Following(), Following(), Following()
    notifications.add(one, ["j1", "r1"])
    notifications.add(other, ["j1"])
    notifications.add_every_commit(watching)
    for subscription in (one, watching, one):
        notifications.remove(subscription)
    notifications.on_commit(Effects(changed={"j1", "r1"}))
    assert (one.notified, other.notified, watching.notified) == (0, 1, 0)
    notifications.remove(other)
    assert (notifications._by_id, notifications._ids, notifications._every_commit) == ({}, {}, {})


@pytest.mark.parametrize(
    ("effects", "calls"),
    [
        (Effects(), ["overview"]),
        (Effects(replies=True), ["overview"]),
        (Effects(changed={"j"}), ["overview", "lists"]),
        (Effects(wake={"web-1"}), ["overview", "lists"]),
        (Effects(stages=[("queue", 1.0)]), ["overview", "lists"]),
    ],
)
def test_lists_and_overview_are_marked(
    notifications: Notifications, marked: Marked, effects: Effects, calls: list[str]
) -> None:
    """The overview by every commit, lists where something in them may be another."""
    notifications.on_commit(effects)
    assert marked.calls == calls


def test_a_machine_that_comes_or_goes(notifications: Notifications, marked: Marked) -> None:
    """Concerns the lists of machines and jobs, and the overview."""
    notifications.on_agent_changed()
    assert marked.calls == ["agents", "overview"]


def test_a_commit_costs_what_it_concerns(notifications: Notifications) -> None:
    """A thousand consoles that follow other jobs are not asked."""
    many = [Following() for _ in range(1_000)]
    for number, subscription in enumerate(many):
        notifications.add(subscription, [f"j{number}"])
    asked: list[str] = []

    class Counting(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            asked.append(key)
            return super().get(key, default)

    notifications._by_id = Counting(notifications._by_id)
    notifications.on_commit(Effects(changed={"j7"}))
    assert asked == ["j7"]
    assert [subscription.notified for subscription in many] == [int(number == 7) for number in range(1_000)]
