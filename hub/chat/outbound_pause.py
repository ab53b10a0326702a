"""How long an outbound mode waits after a failure. Pure.

The pause is drawn from 0 to a second at first, twice that after each further failure, a minute at most ("full jitter":
a thousand hubs do not come back in one moment). Where the platform refuses the token, it is asked again after five to
ten minutes.
"""

from __future__ import annotations

import math
from typing import Final

from hub.chat.platforms.outbound import OutboundFailed

MIN_PAUSE: Final = 0.05  # seconds
FIRST_PAUSE: Final = 1.0  # seconds, the most before the second try
MAX_PAUSE: Final = 60.0
TOKEN_PAUSE: Final = 300.0  # at least, and twice that at most
MAX_RETRY_AFTER: Final = 3_600.0


def retry_pause(error: OutboundFailed, failures: int, draw: float) -> float:
    """Seconds to wait after the failure with this number in a row (from 1); `draw` is a random number in [0, 1)."""
    if error.kind == "token":
        wait = TOKEN_PAUSE * (1 + draw)
    else:
        spread = error.spread if math.isfinite(error.spread) else 0.0
        wait = draw * min(MAX_PAUSE, max(FIRST_PAUSE, spread) * 2.0 ** min(failures - 1, 30))
    asked = error.retry_after if math.isfinite(error.retry_after) else 0.0
    return max(MIN_PAUSE, wait, min(asked, MAX_RETRY_AFTER))
