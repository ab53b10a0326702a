"""Requests and approvals in the store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from common.lifecycle import RequestState
from common.plan import plan_hash
from hub.core.records import Approval
from hub.store.errors import Conflict
from hub.store.store import Store


def test_a_request_comes_back_as_it_was(store: Store, make: Any) -> None:
    """Every field survives, the number is the store's, and nothing is lost in another language."""
    request = make.request(text="磁盘 on wéb-1\n", language="zh", number=99)
    added = store.write_now(lambda txn: txn.add_request(request))
    assert added == replace(request, number=1)
    full = replace(
        added,
        state=RequestState.ASKING,
        plan=make.plan,
        plan_hash=plan_hash(make.plan),
        approvers=2,
        second_factor=True,
        own_approval=True,
        rule="restart",
        reason="asks",
        decide_by=make.now + 60.125,
        planned_at=make.now + 0.1,
    )
    store.write_now(lambda txn: txn.save_request(added, full))
    assert store.read_now(lambda txn: txn.request(request.id)) == full
    assert store.read_now(lambda txn: txn.request_by_number(1)) == full


def test_the_same_delivery_again_is_none(store: Store, make: Any) -> None:
    """A delivery seen before is told by None and leaves the first as it was; another inlet may use the same id."""
    first = make.request(event_id="e1")
    again = make.request(event_id="e1", text="other")
    assert store.write_now(lambda txn: txn.add_request(first)) is not None
    assert store.write_now(lambda txn: txn.add_request(again)) is None
    assert store.write_now(lambda txn: txn.add_request(replace(again, inlet="dev"))) is not None
    assert [request.text for request in store.read_now(lambda txn: txn.requests())] == ["other", first.text]
    with pytest.raises(Conflict):
        store.write_now(lambda txn: txn.add_request(replace(first, event_id="e2")))


def test_what_is_not_there_is_none(store: Store) -> None:
    """Unknown ids and numbers, also numbers no database has, are None."""
    for number in (0, -1, 7, 2**63, 10**30):
        assert store.read_now(lambda txn, n=number: txn.request_by_number(n)) is None
    assert store.read_now(lambda txn: txn.request("nothing")) is None


def test_numbers_count_up(store: Store, make: Any) -> None:
    """Numbers go up in the order of arrival."""
    numbers = [store.write_now(lambda txn: txn.add_request(make.request())).number for _ in range(3)]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("moved_on", [{"state": RequestState.WORKING}, {"step": 1}])
def test_a_save_on_an_old_view_conflicts(store: Store, make: Any, moved_on: dict[str, Any]) -> None:
    """Who decided on a row that has moved on changes nothing and hears so."""
    seen = store.write_now(lambda txn: txn.add_request(make.request(state=RequestState.ASKING)))
    store.write_now(lambda txn: txn.save_request(seen, replace(seen, **moved_on)))
    with pytest.raises(Conflict, match=seen.id):
        store.write_now(lambda txn: txn.save_request(seen, replace(seen, reason="late")))
    now = store.read_now(lambda txn: txn.request(seen.id))
    assert now == replace(seen, **moved_on)


def test_saving_nothing_new_and_saving_another_row(store: Store, make: Any) -> None:
    """No difference is no write; two different rows are a mistake of the caller's."""
    one = store.write_now(lambda txn: txn.add_request(make.request()))
    two = store.write_now(lambda txn: txn.add_request(make.request()))
    store.write_now(lambda txn: txn.save_request(one, one))
    with pytest.raises(ValueError, match="two different rows"):
        store.write_now(lambda txn: txn.save_request(one, two))


def test_an_end_is_final(store: Store, make: Any) -> None:
    """The database itself refuses to take a request out of its end, and an end without its time."""
    request = store.write_now(lambda txn: txn.add_request(make.request()))
    with pytest.raises(Exception, match="ck_requests_ended"):
        store.write_now(lambda txn: txn.save_request(request, replace(request, state=RequestState.REFUSED)))
    refused = replace(request, state=RequestState.REFUSED, ended_at=make.now)
    store.write_now(lambda txn: txn.save_request(request, refused))
    with pytest.raises(Exception, match="an end is final"):
        store.write_now(lambda txn: txn.save_request(refused, replace(refused, state=RequestState.WORKING)))


def test_lists_are_newest_first_and_bounded(store: Store, make: Any) -> None:
    """Requests can be had by state and person, page by page, newest first."""
    for number in range(6):
        person = "bob" if number % 2 else "alice"
        state = RequestState.ASKING if number < 4 else RequestState.WORKING
        store.write_now(lambda txn, p=person, s=state: txn.add_request(make.request(person=p, state=s)))

    def numbers(**asked: Any) -> list[int]:
        return [request.number for request in store.read_now(lambda txn: txn.requests(**asked))]

    assert numbers() == [6, 5, 4, 3, 2, 1]
    assert numbers(limit=2) == [6, 5]
    assert numbers(limit=2, before_number=5) == [4, 3]
    assert numbers(person="bob") == [6, 4, 2]
    assert numbers(states=[RequestState.ASKING], person="bob") == [4, 2]
    assert numbers(states=[RequestState.ASKING, RequestState.WORKING], before_number=2) == [1]
    assert numbers(states=[]) == []


def test_what_is_due_waits_and_is_open(store: Store, make: Any) -> None:
    """Requests past their time to decide, not planned yet, and open ones of a person are found."""
    asking = [make.request(state=RequestState.ASKING, decide_by=make.now + n) for n in (5, 1, 3)]
    received = [make.request(person="bob") for _ in range(2)]
    done = make.request(state=RequestState.DONE, ended_at=make.now, decide_by=make.now)
    for request in (*asking, *received, done):
        store.write_now(lambda txn, r=request: txn.add_request(r))
    due = store.read_now(lambda txn: txn.due_requests(make.now + 3))
    assert [request.id for request in due] == [asking[1].id, asking[2].id]
    assert [request.id for request in store.read_now(lambda txn: txn.received_requests())] == [r.id for r in received]
    assert store.read_now(lambda txn: txn.count_open_requests()) == 5
    assert store.read_now(lambda txn: txn.count_open_requests("bob")) == 2
    assert store.read_now(lambda txn: txn.count_open_requests("nobody")) == 0


def test_a_person_decides_once(store: Store, make: Any) -> None:
    """The second word of the same person on the same request is a conflict; others' words are kept in order."""
    request = store.write_now(lambda txn: txn.add_request(make.request()))
    first = Approval(request.id, "h", "bob", True, "ops", make.now + 2)
    second = Approval(request.id, "h", "carol", False, "console", make.now + 1, "not now", True)
    for approval in (first, second):
        store.write_now(lambda txn, a=approval: txn.add_approval(a))
    with pytest.raises(Conflict, match="bob"):
        store.write_now(lambda txn: txn.add_approval(replace(first, granted=False)))
    assert store.read_now(lambda txn: txn.approvals(request.id)) == [second, first]
