"""Standing approvals in the store: found while they hold, guarded, and only this hub's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.core.records import StandingApproval
from hub.store.errors import Conflict
from hub.store.standing import MAX_FOUND
from hub.store.store import Store
from tests.hub.store.conftest import Make


def test_they_are_found_while_they_hold(store: Store, make: Make) -> None:
    """By plan and person; all of them by their end; a number is never given twice."""
    request = store.write_now(lambda txn: txn.add_request(make.request()))
    assert request is not None
    first = StandingApproval(
        0, request.id, "h", "carol", "bob", "ops", 1.0, 100.0, 2, command="df", targets=("web-1", "web-2")
    )
    added = store.write_now(lambda txn: txn.add_standing(first))
    later = store.write_now(lambda txn: txn.add_standing(replace(first, person="dave", expires_at=50.0)))
    assert (later.number, replace(added, number=0)) == (added.number + 1, first)
    assert store.read_now(lambda txn: txn.standing_for("h", "carol", 99.0)) == [added]
    assert store.read_now(lambda txn: txn.standing_for("h", "carol", 100.0)) == []
    assert store.read_now(lambda txn: txn.standing_for("g", "carol", 99.0)) == []
    assert store.read_now(lambda txn: txn.live_standing(10.0)) == [later, added]
    assert store.read_now(lambda txn: txn.live_standing(10.0, 1)) == [later]
    used = replace(added, uses=1)
    store.write_now(lambda txn: txn.save_standing(added, used))
    with pytest.raises(Conflict):
        store.write_now(lambda txn: txn.save_standing(added, replace(added, uses=1)))
    stored = store.read_now(lambda txn: txn.standing(added.number))
    assert stored == used
    assert stored is not None
    store.write_now(lambda txn: txn.save_standing(stored, replace(stored, uses=2)))
    assert store.read_now(lambda txn: txn.standing_for("h", "carol", 10.0)) == []
    assert store.read_now(lambda txn: (txn.standing(0), txn.standing(2**63), txn.standing(99))) == (None, None, None)


def test_no_more_than_so_many_are_read(store: Store, make: Make) -> None:
    """However many there are for one plan."""
    request = store.write_now(lambda txn: txn.add_request(make.request()))
    assert request is not None
    one = StandingApproval(0, request.id, "h", "carol", "bob", "ops", 1.0, 100.0, 2)
    for _ in range(MAX_FOUND + 2):
        store.write_now(lambda txn: txn.add_standing(one))
    assert len(store.read_now(lambda txn: txn.standing_for("h", "carol", 10.0))) == MAX_FOUND
    assert len(store.read_now(lambda txn: txn.live_standing(10.0))) == MAX_FOUND
