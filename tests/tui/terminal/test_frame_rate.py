"""How often the screen is brought up to date."""

from __future__ import annotations

from tui.terminal.frame_rate import INTERVALS, FrameRate


def ticks(pace: FrameRate, start: float, seconds: float, behind: bool = False) -> int:
    """How many updates there are in that time, looked at a hundred times a second."""
    return sum(pace.is_due(start + step / 100, behind) for step in range(int(seconds * 100)))


def test_ten_times_a_second_at_most() -> None:
    """A terminal that takes everything gets ten updates a second."""
    assert 9 <= ticks(FrameRate(), 0.0, 1.0) <= 11


def test_a_terminal_that_is_behind_is_left_alone() -> None:
    """No update while a frame waits, and slower ones after that, down to one a second."""
    pace = FrameRate()
    assert ticks(pace, 0.0, 2.0, True) == 0
    assert pace.interval == INTERVALS[-1]
    assert ticks(pace, 2.0, 1.0) <= 2


def test_it_comes_back_when_it_is_calm() -> None:
    """After some calm seconds it is as fast as before."""
    pace = FrameRate()
    ticks(pace, 0.0, 2.0, True)
    ticks(pace, 2.0, 12.0)
    assert pace.interval == INTERVALS[0]


def test_slow_is_once_a_second() -> None:
    """--slow does not look at the terminal at all."""
    assert ticks(FrameRate(slow=True), 0.0, 5.0) in (5, 6)
