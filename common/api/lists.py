"""A list that is followed: a window of it as it is, then what of it is another.

The first push is a `Snapshot`, the others are `Delta`s. A push says what is true now and was not told yet, never what
happened in between; `seq` grows by one, and where one is missing the list is asked for again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar

from common.api.agents import AgentView
from common.api.codec import decode
from common.api.constraints import OMIT
from common.api.events import EventView
from common.api.jobs import JobView
from common.api.requests import RequestRow
from common.filter.fields import ViewName

R = TypeVar("R")
ROWS: Final[Mapping[ViewName, type[Any]]] = {
    "jobs": JobView,
    "requests": RequestRow,
    "agents": AgentView,
    "audit": EventView,
    "activity": EventView,
}
"""What a row of each list is. All have `id`."""

Row = JobView | RequestRow | AgentView | EventView


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Generic[R]):
    """The window as it is: rows from the position `lo` on."""

    seq: int
    total: Annotated[int, "rows that fit the filter"]
    all: Annotated[int, "rows that there are"]
    lo: int
    rows: tuple[R, ...]
    version: Annotated[int | None, OMIT, "of the form of the rows; 1 where it is not there"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta(Generic[R]):
    """What of the window is another: rows that are new or changed, ids that are in it no more, and where ids or their
    places are others, all ids in their order.
    """

    seq: int
    total: int
    all: int
    lo: int
    upsert: tuple[R, ...] = ()
    gone: tuple[str, ...] = ()
    order: Annotated[tuple[str, ...] | None, OMIT] = None
    version: Annotated[int | None, OMIT] = None


ListPush = Snapshot[Any] | Delta[Any]


def decode_list_push(view: ViewName, data: Mapping[str, Any]) -> ListPush:
    """Raises BadValue."""
    form: Any = Snapshot if "rows" in data else Delta
    found: ListPush = decode(form[ROWS[view]], data)
    return found
