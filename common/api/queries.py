"""What operators look up once: arguments, and the results that are no view of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from common.api.arguments import Arguments, JobPart, Selector
from common.api.constraints import Chars, Clamp
from common.filter.fields import ViewName
from common.lifecycle import JobState, RequestState

MAX_LIMIT = 500
MAX_NEEDLE = 200
MAX_AGENT = 64
Limit = Annotated[int, Clamp(1, MAX_LIMIT, 100), "at most 500"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtered(Arguments):
    """With `filter`, an empty one too, the list is that of the filter language, from the position `lo` on in the order
    `sort` (a column, `-` before it for the other way round); the arguments of the list without one do not count then.
    """

    filter: Annotated[str | None, Chars()] = None
    sort: str = ""
    lo: Annotated[int, "from 0"] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestsArgs(Filtered):
    states: tuple[RequestState, ...] | None = None
    limit: Limit = 100
    before: Annotated[int | None, "a number: only older ones"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsArgs(Filtered):
    states: tuple[JobState, ...] | None = None
    agent: str = ""
    person: str = ""
    limit: Limit = 100
    before: Annotated[str, "an id: only older ones"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobArgs(Arguments):
    id: JobPart = ""
    after: Annotated[int | None, "the seq of the last chunk that is known"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOutputArgs(Arguments):
    job: JobPart = ""
    text: Annotated[str, Chars(MAX_NEEDLE, 1, "what to search for is expected"), "upper and lower case are alike"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentsArgs(Filtered):
    after: Annotated[str, "a name: only those behind it"] = ""
    limit: Annotated[int, Clamp(1, MAX_LIMIT, 100), "at most 500; counts with a filter only"] = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class VitalsArgs(Arguments):
    agent: Annotated[str, Chars(MAX_AGENT, 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditArgs(Filtered):
    after: Annotated[int | None, "a seq: only later ones; refused where the next one is archived"] = None
    limit: Limit = 100
    subject: str = ""
    kind: Annotated[str, "or the beginning of one"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetsArgs(Arguments):
    selector: Selector = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Which machines a selection means now."""

    count: int
    online: int = 0
    offline: int = 0
    paused: int = 0
    sample: Annotated[tuple[str, ...], "the first 10 names"] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteArgs(Arguments):
    view: ViewName
    text: str = ""
    cursor: Annotated[int | None, "in characters; null is the end"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completions:
    """What may stand in place of the characters from `start` to `end`."""

    start: int
    end: int
    candidates: tuple[str, ...] = ()
