"""The interface of outbound modes."""

from __future__ import annotations

import pytest

from hub.chat.platforms.base import HttpResponse
from hub.chat.platforms.generic import GenericPlatform
from hub.chat.platforms.outbound import OutboundFailed, TooLong, failure_of_status, outbound_mode


class Asked(GenericPlatform):
    outbound: object = None


def test_a_mode_is_what_a_platform_has() -> None:
    """A platform without the attribute, or with None, takes webhooks."""
    asked = Asked([b"a long enough secret"])
    assert outbound_mode(asked) is None
    assert outbound_mode(GenericPlatform([b"a long enough secret"])) is None
    asked.outbound = mode = object()
    assert outbound_mode(asked) is mode


@pytest.mark.parametrize(
    ("status", "header", "kind", "seconds"),
    [
        (401, "", "token", 0),
        (403, "30", "token", 30),
        (429, "7", "later", 7),
        (500, "soon", "later", 0),
        (502, "9" * 400, "later", 0),
        (503, "³", "later", 0),
    ],
)
def test_failures_by_status(status: int, header: str, kind: str, seconds: float) -> None:
    """401 and 403 are the token; Retry-After in seconds counts, anything else there does not."""
    failed = failure_of_status(HttpResponse(status, {"retry-after": header}))
    assert (failed.kind, failed.retry_after) == (kind, seconds)
    assert str(status) in str(failed)


def test_an_answer_that_is_too_long_is_one_that_is_missing() -> None:
    """A round that goes on without an answer goes on without a long one too."""
    assert isinstance(TooLong("x"), OutboundFailed)
