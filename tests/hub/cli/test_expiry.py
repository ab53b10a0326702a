"""Until when a certificate counts, in words."""

from __future__ import annotations

import pytest

from hub.cli.expiry import Expiry

END = 1_800_000_000.0
DAY = 86_400.0


@pytest.mark.parametrize(
    ("until", "grace", "now", "said"),
    [
        (None, DAY, END, "-"),
        (END, DAY, END - 60, "08:00 UTC"),
        (END, DAY, END, "expired since 08:00 UTC, renewable until 2027-01-16 08:00 UTC"),
        (END, DAY, END + DAY, "expired since 2027-01-15 08:00 UTC, not renewable: do that"),
        (END, 0.0, END, "expired since 08:00 UTC, not renewable: do that"),
    ],
)
def test_what_is_true_is_said(until: float | None, grace: float, now: float, said: str) -> None:
    expiry = Expiry.of(until, grace)
    assert expiry.text(now, lambda at: (0, "UTC"), "do that") == said
    assert expiry.has_run_out(now) == ("expired" in said)
