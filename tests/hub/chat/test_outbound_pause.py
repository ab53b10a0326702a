"""The pause of an outbound mode after a failure: drawn from a span with two ends."""

from __future__ import annotations

import pytest

from hub.chat.outbound_pause import MAX_RETRY_AFTER, MIN_PAUSE, retry_pause
from hub.chat.platforms.outbound import OutboundFailed


def test_a_pause_has_two_ends() -> None:
    """Whatever the platform asks for; minutes where it does not take the token."""
    later, token = OutboundFailed("x"), OutboundFailed("x", "token")
    assert [retry_pause(later, 50, draw) for draw in (0.0, 0.999)] == [MIN_PAUSE, pytest.approx(59.94)]
    assert retry_pause(token, 1, 0.0) == 300
    assert retry_pause(OutboundFailed("x", retry_after=1e9), 1, 0.0) == MAX_RETRY_AFTER
    assert retry_pause(OutboundFailed("x", retry_after=float("nan")), 1, 0.0) == MIN_PAUSE
