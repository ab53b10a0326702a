"""The hub's word that a job may start, signed: what is left of the job's life, told to one runner.

`left` counts from a moment that this runner knows, and that was not later than the hub's reckoning of it. A runner that
counts it on a clock that nobody sets starts nothing late, whatever any wall clock says and however long the word was on
its way:

    with a stamp      from the moment at which the runner made that stamp; the hub reckons from its arrival. Such a word
                      is in the dispatch itself
    without           from the acceptance, which the hub had committed when it signed: `confirm`, on its own

A stamp is random, made by one start of a runner and kept in its memory alone; `life` is that start's id
(`common.link.lineage`). So a word that was recorded for another start, or for another job, proves nothing.
"""

from __future__ import annotations

import json
from typing import Final

MAX_STAMP: Final = 32
"""Characters of a stamp."""
MAX_ENDED: Final = 16
"""Stamps by which nothing starts any more, that a runner tells."""
NO_STAMP: Final = "-"
"""What is told in the place of a stamp where no word may be given ahead any more."""


def confirmation(job: str, life: str, left: float, stamp: str = "") -> bytes:
    """What is signed, with CONFIRM_PURPOSE (`common.identity.signing`). `left` is in seconds, not above 0 where the
    job's time is over.
    """
    body = {"v": 1, "job": job, "life": life, "left": left, **({"stamp": stamp} if stamp else {})}
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()
