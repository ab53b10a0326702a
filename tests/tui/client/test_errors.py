"""tui.client.errors: exit statuses, and what may be caught as what."""

from __future__ import annotations

import pytest

from common.errors import EXIT_FAILED, EXIT_REFUSED, EXIT_USAGE, UserError
from tui.client.errors import CallFailed, CallRefused, InvalidCall, LinkLost, LoginEnded


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (LinkLost("x"), EXIT_FAILED),
        (LoginEnded("x"), EXIT_FAILED),
        (CallFailed("hub", "x"), EXIT_FAILED),
        (CallRefused("refused", "x"), EXIT_REFUSED),
        (InvalidCall("x"), EXIT_USAGE),
    ],
)
def test_each_has_its_exit_status(error: UserError, status: int) -> None:
    assert (error.exit_code, str(error)) == (status, "x")


def test_whoever_waits_for_the_hub_waits_for_a_login_that_ended_too() -> None:
    """Where something was begun before: it is followed again with the new login."""
    assert issubclass(LoginEnded, LinkLost)
