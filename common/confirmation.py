"""The hub's word that an accepted job may start, signed: what is left of the job's life, told to one runner.

It answers the runner's acceptance, so it was signed after that: a runner that counts the life it tells from the
acceptance on, by a clock that nobody sets, starts nothing late, whatever any wall clock says and however long the word
was on its way. `life` is the id of the runner's start (`common.link.lineage`), which is random: a word that was
recorded for another start, or for another job, proves nothing.
"""

from __future__ import annotations

import json


def confirmation(job: str, life: str, left: float) -> bytes:
    """What is signed, with CONFIRM_PURPOSE (`common.identity.signing`). `left` is in seconds, not above 0 where the
    job's time is over.
    """
    body = {"v": 1, "job": job, "life": life, "left": left}
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()
