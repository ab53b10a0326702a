"""When a store is a restored backup, and what follows. Pure.

A store keeps the starts of its hub: epoch, a random id, and the last row of the audit before it. Outside the database
two others remember how far the hub had come (`common.link.marks`): a small file in the hub's folder
(`hub.store.watermark`) and every machine. A position that this store's history does not have proves that the store was
put back: `in_history`. It does so whatever was counted since, also with as many restarts as there were before.

Then the hub is in recovery until an admin has looked (`answerback-hub recover`): messages are taken, nothing is handed
out, no approval counts. What is counted goes on beyond anything that may have been told (`beyond`). What was open in
the backup is from before: questions are void, jobs are unknown until their machine has reported; nothing of it runs by
itself, for it may have run already.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal, NamedTuple

from common.link.marks import Mark

MAX_STARTS: Final = 1_000
"""Starts that a store remembers; a position of an older one counts as known."""
ROUND: Final = 1_000
MAX_NAMED: Final = 200
"""Machines that are named in the record."""
REASON: Final = "restored"
"""The code of what ended because of a restore; `hub.chat.reply_text` has its sentence."""
INLET: Final = "before-restore"
"""The inlet of requests that stand for jobs which only their machine knows."""
JOB_REASON: Final = "the hub was restored from a backup: whether this ran since then is not known"

Cause = Literal["store", "machine", "restore", "admin"]


class Start(NamedTuple):
    """One start of the hub on this store."""

    epoch: int
    id: str
    seq: int  # the last row of the audit before it


@dataclass(frozen=True, slots=True)
class Recovery:
    """The store's record of its last recovery; it stays when that is over."""

    since: float
    cause: Cause  # what told: the file beside the store, a machine, the command `restore`, an admin
    witness: str  # the file or machine
    heard: str  # the position that this store does not know, "" where none was told
    seq: int  # the last row of the audit before it
    number: int  # requests below this one are from before
    epoch: int
    voided: bool = False  # what was open has been ended
    counts: dict[str, int] = field(default_factory=dict)  # of what was ended: questions, messages, jobs, tokens
    ended_at: float | None = None
    ended_by: str = ""

    @property
    def active(self) -> bool:
        return self.ended_at is None

    def counted(self, **more: int) -> Recovery:
        """With so many more of each that were ended."""
        kinds = {*self.counts, *more}
        return replace(self, counts={kind: self.counts.get(kind, 0) + more.get(kind, 0) for kind in sorted(kinds)})

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def parse_recovery(text: str | None) -> Recovery | None:
    """The record as `to_json` wrote it; keys that a newer version has added are left out."""
    if text is None:
        return None
    values: dict[str, Any] = json.loads(text)
    return Recovery(**{key: value for key, value in values.items() if key in Recovery.__dataclass_fields__})


def in_history(mark: Mark, starts: Sequence[Start], seq: int) -> bool:
    """Whether a store with these starts, whose audit is at `seq` now, has been at `mark`. `starts` are in their order.

    Without any start it has no history yet, so every mark is of another.
    """
    if starts and mark.epoch < starts[0].epoch and len(starts) >= MAX_STARTS:
        return True  # older than what is remembered
    for index, start in enumerate(starts):
        if (start.epoch, start.id) == (mark.epoch, mark.start):
            last = starts[index + 1].seq if index + 1 < len(starts) else seq
            return mark.seq <= last
    return False


def beyond(highest: int) -> int:
    """A round number that is more than ROUND above `highest`: whoever was told one below it, was told another."""
    return (highest // ROUND + 2) * ROUND


def next_record(
    before: Recovery | None,
    *,
    now: float,
    cause: Cause,
    witness: str,
    heard: Mark | None,
    told: Iterable[int],
    epochs: Iterable[int],
    seq: int,
) -> Recovery:
    """The record of a recovery that begins, or of one under way that has to go further. `told` and `epochs` are the
    highest request numbers and epochs that anybody knows of.
    """
    number, epoch = beyond(max(told, default=0)), beyond(max(epochs, default=0))
    if before is not None and before.active:
        return replace(before, number=max(number, before.number), epoch=max(epoch, before.epoch), voided=False)
    return Recovery(now, cause, witness, "" if heard is None else str(heard), seq, number, epoch)
