"""A subscription of a person: its right is checked at each push."""

from __future__ import annotations

from typing import Any

import pytest

from common.api.rights import AUDIT, JOBS
from common.errors import Denied
from hub.api.subscription import Access, PersonSubscription
from tests.hub.api_harness import FakeConsoleLink, caller


class Reading(PersonSubscription):
    async def read(self) -> Any:
        return {"read": True}

    def close(self) -> None: ...


async def test_a_right_that_is_taken_away_ends_it() -> None:
    """The last push says so and nothing else."""
    roles: dict[str, tuple[str, ...]] = {"vera": ("viewer",)}
    subscription = Reading(caller("vera", call=3), Access(JOBS, roles.__getitem__), 0.5)
    assert (subscription.id, subscription.min_interval) == (3, 0.5)
    assert (await subscription.poll(), subscription.ended) == ({"read": True}, False)
    roles["vera"] = ()
    assert await subscription.poll() == {"error": "vera may not jobs: needs the role viewer or higher"}
    assert subscription.ended


def test_it_is_notified_over_its_link() -> None:
    """Which polls it when the console has taken what it was sent before."""
    link = FakeConsoleLink()
    subscription = Reading(caller("vera", link), Access(JOBS, lambda person: ("viewer",)))
    subscription.dirty = False
    subscription.notify()
    assert subscription.dirty


def test_access_is_the_right_of_now() -> None:
    """Not that of when it began."""
    with pytest.raises(Denied, match="may not audit"):
        Access(AUDIT, lambda person: ("operator",)).check("carol")
    Access(AUDIT, lambda person: ("approver",)).check("bob")
