"""Who may wait at a port before anybody knows them (lesson A6: what comes in from outside)."""

from __future__ import annotations

import random

from hub.core.arrivals import Arrival, ArrivalLimits, ArrivalQueue

LIMITS = ArrivalLimits(total=10, address=4, failing=2, wait=8.0, failures=3.0, failure_rate=0.1, failing_rate=1.0)


def filled(*addresses: str, limits: ArrivalLimits = LIMITS) -> ArrivalQueue[str]:
    queue: ArrivalQueue[str] = ArrivalQueue(limits)
    for number, address in enumerate(addresses):
        assert queue.arrive(address, f"{address}{number}", 0.0)[0] is not None
    return queue


def turns(queue: ArrivalQueue[str], now: float = 0.0) -> list[str]:
    found = []
    while (arrival := queue.pop(now)) is not None:
        found.append(arrival.item)
    return found


def test_addresses_take_turns() -> None:
    """Who comes with many does not hold up who comes with one; of one address the first is first."""
    queue = filled("a", "a", "a", "b", "c", "b")
    assert turns(queue) == ["a0", "b3", "c4", "a1", "b5", "a2"]
    assert (queue.waiting, len(queue)) == (0, 6)


def test_one_address_has_a_share() -> None:
    """Trust (A6): also while what it has is being opened; whoever leaves makes room."""
    queue = filled("a", "a", "a", "a")
    assert queue.arrive("a", "more", 0.0) == (None, None)
    first = queue.pop(0.0)
    assert first is not None
    assert queue.arrive("a", "more", 0.0) == (None, None)
    queue.leave(first)
    queue.leave(first)  # as often as anyone likes
    assert queue.arrive("a", "more", 0.0)[0] is not None


def test_where_room_is_short_the_address_with_the_most_gives_one_up() -> None:
    """The one that is open longest and has proved nothing; or else the last in line, which loses least by it."""
    queue = filled(*"aaaabbbbcc")
    arrival, going = queue.arrive("d", "d", 0.0)
    assert arrival is not None
    assert going is not None
    assert going.item == "a3"
    opened = queue.pop(0.0)
    assert opened is not None
    arrival, going = queue.arrive("e", "e", 0.0)
    assert going is not None
    assert going.address == "b" if opened.address != "b" else going is opened
    assert len(queue) == 10
    assert filled(*"abcdefghij").arrive("k", "k", 0.0) == (None, None)  # nobody has more than this one would


def test_an_address_that_proves_nothing_has_few_turns_and_is_not_shut_out() -> None:
    """Honest machines may sit behind it; and time heals."""
    queue = filled("a", "a", "b")
    for _ in range(4):
        queue.fail("a", 1.0)
    assert queue.is_failing("a", 1.0)
    assert queue.arrive("a", "more", 1.0) == (None, None)
    assert turns(queue, 1.0) == ["a0", "b2"]
    assert turns(queue, 1.5) == []
    assert turns(queue, 2.1) == ["a1"]
    assert not queue.is_failing("a", 1.0 + 10.1)
    assert queue.is_late(next(iter(filled("a")._addresses["a"].present)), 8.1)


def test_a_closing_port_finds_all() -> None:
    queue = filled("a", "b", "a")
    queue.pop(0.0)
    gone = []
    while (arrival := queue.pop_any()) is not None:
        queue.leave(arrival)
        gone.append(arrival.item)
    assert sorted(gone) == ["a0", "a2", "b1"]
    assert (len(queue), queue.waiting, len(queue._addresses)) == (0, 0, 0)


def test_the_counts_hold_whatever_comes() -> None:
    chance = random.Random(7)
    queue: ArrivalQueue[int] = ArrivalQueue(LIMITS)
    here: list[Arrival[int]] = []
    for number in range(5_000):
        now = number / 10
        match chance.randrange(4):
            case 0 | 1:
                arrival, going = queue.arrive(chance.choice("abcde"), number, now)
                here = [each for each in here if each is not going]
                here += [arrival] if arrival is not None else []
            case 2:
                queue.pop(now)
            case 3 if here:
                queue.leave(here.pop(chance.randrange(len(here))))
                queue.fail("a", now)
        assert len(queue) == len(here) <= LIMITS.total
        assert queue.waiting == sum(len(one.line) for one in queue._addresses.values())
        assert all(0 < len(one.present) <= LIMITS.address for one in queue._addresses.values())
