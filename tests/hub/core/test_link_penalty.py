"""How long somebody stays away who sends what is no frame."""

from __future__ import annotations

from hub.core.link_penalty import FORGOTTEN_AFTER, MAX_WAIT, LinkPenalties


def test_a_fault_or_two_is_forgiven_and_then_each_doubles_the_time() -> None:
    penalties = LinkPenalties()
    waits = [penalties.note("agent web-1", 1_000.0 + number) for number in range(12)]
    assert waits[:6] == [0.0, 0.0, 10.0, 20.0, 40.0, 80.0]
    assert waits[-1] == MAX_WAIT
    assert penalties.wait("agent web-1", 1_011.0) == MAX_WAIT
    assert penalties.wait("agent web-1", 1_011.0 + MAX_WAIT) == 0.0
    assert penalties.wait("agent web-2", 1_011.0) == 0.0


def test_an_hour_without_one_is_forgotten() -> None:
    penalties = LinkPenalties()
    for number in range(8):
        penalties.note("agent web-1", float(number))
    assert penalties.note("agent web-1", 8.0 + FORGOTTEN_AFTER) == 0.0
    assert penalties.wait("agent web-1", 8.0 + FORGOTTEN_AFTER) == 0.0


def test_a_clock_that_was_set_back_keeps_nobody_out() -> None:
    penalties = LinkPenalties()
    for _ in range(5):
        penalties.note("agent web-1", 1e9)
    assert penalties.wait("agent web-1", 1e9) > 0
    assert penalties.wait("agent web-1", 1e9 - 86_400) == 0.0
