"""The line in which nobody stands behind somebody else's pile."""

from __future__ import annotations

import itertools
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.fair_queue import NEVER, DrainRate, FairQueue, Key, Turn, Turns

FLOOR = 3
ENTRIES = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from("XY"), st.sampled_from("abcd"), st.integers(1, 40)), max_size=60
)


def queue(total: int = 1_000, **bounds: int) -> FairQueue[str]:
    return FairQueue((NEVER, FLOOR), total=total, **bounds)


def served(line: FairQueue[str]) -> list[str]:
    found = []
    while (item := line.pop()) is not None:
        found.append(item)
    return found


def test_a_newcomer_does_not_wait_for_a_pile() -> None:
    """One sender has put in a thousand; whoever comes then is served after one turn of theirs."""
    line = queue(2_000)
    for number in range(1_000):
        line.put(1, Key("ops", "flood"), f"f{number}")
    line.pop()
    for name in "abc":
        line.put(1, Key("ops", name), name)
    assert [line.pop() for _ in range(5)] == ["f1", "a", "b", "c", "f2"]


def test_inlets_take_turns_above_people() -> None:
    """Who has many names in one inlet has no more turns than another inlet's one person."""
    line = queue()
    for name in "abcdef":
        line.put(1, Key("crowd", name), name)
    for number in range(3):
        line.put(1, Key("ops", "carol"), f"c{number}")
    assert served(line) == ["a", "c0", "b", "c1", "c", "c2", "d", "e", "f"]


def test_acts_go_before_messages_and_messages_go_on() -> None:
    """A flood of acts leaves each message a turn after FLOOR of them."""
    line = queue()
    for number in range(10):
        line.put(1, Key("ops", "carol"), f"m{number}")
    for number in range(10):
        line.put(0, Key("ops", "bob"), f"a{number}")
    order = served(line)
    assert order[:FLOOR] == ["a0", "a1", "a2"]
    assert order.index("m0") == FLOOR
    assert order.index("a9") < order.index("m4")


def test_a_turn_is_as_many_bytes_for_everybody() -> None:
    """Of output: who prints in large pieces gets no more than who prints in small ones."""
    line: FairQueue[str] = FairQueue((NEVER,), total=100, quantum=100)
    for number in range(4):
        line.put(0, Key("", "large"), f"L{number}", 100)
    for number in range(8):
        line.put(0, Key("", "small"), f"s{number}", 50)
    assert served(line) == ["L0", "s0", "s1", "L1", "s2", "s3", "L2", "s4", "s5", "L3", "s6", "s7"]


def test_it_is_bounded_in_total_an_inlet_and_a_key() -> None:
    """What is beyond is not taken, and the room of others is not used up by it."""
    line = queue(5, per_group=3, per_key=2)
    key = Key("ops", "flood")
    assert [line.put(1, key, "x") for _ in range(3)] == [True, True, False]
    assert [line.put(1, Key("ops", name), "x") for name in "ab"] == [True, False]
    assert [line.put(1, Key("other", name), "x") for name in "abc"] == [True, True, False]
    assert len(line) == 5
    line.pop()
    assert line.has_room(1, Key("other", "c"))


@given(ENTRIES)
@settings(deadline=None)
def test_nothing_is_lost_and_nobody_waits_longer_than_told(entries: list[tuple[int, str, str, int]]) -> None:
    """All come out, each key's in its order; and of a newcomer `ahead` says how many are served before it at most, as
    long as nothing comes into a class above.
    """
    line: FairQueue[int] = FairQueue((NEVER, FLOOR), total=1_000, quantum=40)
    put: dict[tuple[int, Key], list[int]] = defaultdict(list)
    for number, (kind, group, name, cost) in enumerate(entries):
        key = Key(group, name)
        told = line.ahead(kind, key)
        assert line.put(kind, key, number, 40 if cost > 20 else cost)
        put[kind, key].append(number)
        assert told <= len(line) - 1
    assert len(line) == len(entries)
    out = []
    while (item := line.pop()) is not None:
        out.append(item)
    assert sorted(out) == list(range(len(entries)))
    for numbers in put.values():
        assert [one for one in out if one in numbers] == numbers


@given(ENTRIES, st.integers(0, 1), st.sampled_from("XYZ"), st.sampled_from("abcde"))
@settings(deadline=None)
def test_ahead_is_never_too_few(entries: list[tuple[int, str, str, int]], kind: int, group: str, name: str) -> None:
    """The bound of a newcomer, whatever is in the line and has been served of it before."""
    line: FairQueue[int] = FairQueue((NEVER, FLOOR), total=1_000)
    for number, (each, where, who, some) in enumerate(entries):
        line.put(each, Key(where, who), number)
        if some % 3 == 0:
            line.pop()
    told = line.ahead(kind, Key(group, name))
    line.put(kind, Key(group, name), -1)
    before = 0
    while line.pop() != -1:
        before += 1
    assert before <= told


@given(st.lists(st.tuples(st.sampled_from(["put", "pop", "done"]), st.integers(0, 1), st.sampled_from("abc"))))
@settings(deadline=None)
def test_of_one_key_one_has_a_turn_and_the_order_holds(steps: list[tuple[str, int, str]]) -> None:
    """Whatever comes and goes: never two of a key at once, each key's in its order, all of them in the end."""
    turns: Turns[int] = Turns((NEVER, FLOOR), total=1_000, per_key=1_000)
    put: dict[Turn, list[int]] = defaultdict(list)
    out: dict[Turn, list[int]] = defaultdict(list)
    served: list[Turn] = []

    def pop() -> bool:
        if (popped := turns.pop()) is None:
            return False
        turn, item = popped
        assert turn not in served
        served.append(turn)
        out[turn].append(item)
        return True

    for number, (step, kind, name) in enumerate(steps):
        if step == "put":
            turn = Turn(kind, Key("ops", name))
            assert turns.put(turn, number)
            put[turn].append(number)
        elif step == "pop":
            pop()
        elif served:
            turns.done(served.pop(0))
    while served or pop():
        if served:
            turns.done(served.pop(0))
    assert (len(turns), out) == (0, put)


def test_a_pile_is_told_how_long_it_is() -> None:
    """Behind their own a sender waits for all of them; a newcomer for one."""
    turns: Turns[str] = Turns((NEVER, FLOOR), total=50, per_key=40)
    flood, carol = Turn(1, Key("ops", "flood")), Turn(1, Key("ops", "carol"))
    turns.begin(flood)
    for _ in range(40):
        assert turns.put(flood, "x")
    assert not turns.put(flood, "x")
    assert (turns.ahead(flood), turns.ahead(carol)) == (40, 0)
    assert (len(turns), turns.ready) == (40, False)
    turns.done(flood)
    assert turns.ahead(carol) == 1


def test_how_fast_it_moves_is_measured() -> None:
    """The mean of lately; and while nothing moves at all, that too is part of the wait."""
    rate = DrainRate(0.005)
    rate.begin(0.0)
    for number in range(1, 201):
        rate.served(number * 0.02, 10)
    assert 0.018 < rate.seconds < 0.021
    assert abs(rate.wait(9, 4.0) - 0.19) < 0.01
    assert rate.wait(9, 7.0) > 3.0
    rate.served(7.0, 0)
    assert rate.wait(0, 100.0) < 0.3  # the line was empty since: nothing stood still


def burst(rate: DrainRate, size: int, took: list[float], now: float = 0.0) -> tuple[float, float]:
    """One sender's messages at once, which are served in so many seconds each; the longest wait that one who came
    behind all of them would have been told, and when the line was empty.
    """
    rate.begin(now)
    longest = rate.wait(size, now)
    for left, seconds in zip(range(size - 1, -1, -1), itertools.cycle(took), strict=False):
        now += seconds
        rate.served(now, left)
        longest = max(longest, rate.wait(size, now) if left else 0.0)
    return longest, now


@pytest.mark.parametrize(
    "took",
    [
        pytest.param([0.04], id="evenly"),
        pytest.param([0.5, 0.5, *[0.015] * 38], id="slow at first"),
        pytest.param([0.005] * 10 + [0.7] + [0.02] * 29, id="a hiccup"),
        pytest.param([0.19, 0.001, 0.001, 0.001], id="in batches"),
    ],
)
def test_a_burst_that_is_done_within_two_seconds_is_not_refused(took: list[float]) -> None:
    """Whatever the first of them took: of a sender's forty messages at once none is told to come again, at the start
    or after a pause.
    """
    rate = DrainRate()
    longest, ended = burst(rate, 40, took)
    assert ended <= 2.0
    assert longest <= 2.0
    burst(rate, 100, [0.2], now=ended + 1.0)  # it was slow for long,
    longest, _ = burst(rate, 40, took, now=1_000.0)  # and long ago
    assert longest <= 2.0


def test_what_is_slow_for_long_is_known_to_be() -> None:
    """The hope of the start is gone after some seconds: who comes then is told."""
    rate = DrainRate()
    burst(rate, 60, [0.1])
    rate.begin(6.5)
    assert rate.wait(40, 6.5) > 2.0
