"""What operators follow: arguments, the answer that begins it, and the pushes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from common.api.arguments import Arguments, JobPart
from common.api.constraints import OMIT, Bytes, Chars, StateName, Whole
from common.api.jobs import OutputChunk
from common.filter.fields import ViewName

MAX_LO = 10_000_000
MAX_ROWS = 500
Replace = Annotated[int | None, "id of the subscription whose place this one takes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed:
    """Of a list, the overview: `id` is that of the call, as pushes have it."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewArgs(Arguments):
    """A window of a list: `n` rows from the position `lo` on."""

    view: ViewName
    filter: str = ""
    sort: Annotated[str, Chars(40), "a column; - before it for the other way round"] = ""
    lo: Annotated[int, Whole(0, MAX_LO)] = 0
    n: Annotated[int | None, Whole(1, MAX_ROWS), "null is 100"] = None
    replace: Replace = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewArgs(Arguments):
    replace: Replace = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputArgs(Arguments):
    job: JobPart = ""
    after: Annotated[int | None, "the seq of the last chunk that is known"] = None
    replace: Replace = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSubscribed:
    id: int
    job: Annotated[str, "the whole id"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPush:
    """The chunks behind those that were sent, at most 12 a push; `ended` is true with the last."""

    chunks: tuple[OutputChunk, ...] = ()
    ended: bool
    state: StateName = ""
    total_bytes: Bytes = 0
    truncated: bool = False
    version: Annotated[int | None, OMIT] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchArgs(Arguments):
    after: Annotated[int | None, "a seq of the audit, which takes the right to it; null begins now"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSubscribed:
    """Pushes are lists of events behind the seq `after`."""

    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsubscribeArgs(Arguments):
    id: Annotated[int, Whole(expected="a subscription's is expected")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribed:
    id: int
