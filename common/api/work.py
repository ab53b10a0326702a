"""Asking for work and following it: three verbs with their arguments, answers and pushes.

They stand apart from `common.api.verbs`, which has them too, since `answerback run` needs no others: to load every form
of the API takes longer than the whole of its work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from common.api import rights
from common.api.arguments import Arguments, Expect, JobPart, RequestArgs, Selector
from common.api.codec import one
from common.api.constraints import FLAT, OMIT, Items, Range, Words
from common.api.outcome import Outcome
from common.api.requests import RequestDetails
from common.api.verb import Verb
from common.command.output_filters import MAX_FILTERS

MAX_HOLD = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunArgs(Arguments):
    target: Selector = ""
    argv: Annotated[tuple[str, ...], Words(), "there is no shell: words are passed as they are"]
    timeout: Annotated[int | None, "seconds; null is 60"] = None
    cwd: Annotated[str, "empty is the runner's own folder"] = ""
    expect: Expect = None
    hold: Annotated[float | None, Range(0, MAX_HOLD), "seconds in which `take_back` undoes it"] = None
    filters: Annotated[
        tuple[tuple[str, ...], ...], Items(MAX_FILTERS, "filters"), OMIT, 'of its output: [["head", "-n", "5"]]'
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryArgs(RequestArgs):
    """A whole request, or one job of it."""

    job: JobPart = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult(Outcome):
    """The request that was made, its keys among those of the outcome, so its `text` is the outcome's sentence; None
    where none was made.
    """

    request: Annotated[RequestDetails | None, FLAT] = None
    count: Annotated[int | None, OMIT, "machines that the selection means now"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowSubscribed:
    id: Annotated[str, "the request's"]
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobChunk:
    """A piece of what one of a request's jobs wrote."""

    job: str
    agent: str
    seq: int
    stream: Annotated[int, "1 standard output, 2 standard error"]
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowPush:
    """The request, its jobs (of many, those that have changed), and the next of their output."""

    request: RequestDetails
    output: tuple[JobChunk, ...] = ()
    ended: bool
    version: Annotated[int | None, OMIT] = None


RUN: Final = Verb(
    name="run", kind="action", right=rights.RUN, args=RunArgs, result=one(RunResult),
    summary="A new request with exactly this command; policy decides on it.",
    errors=("no_right", "selection_changed", "denied", "queue_full"),
)  # fmt: skip
RETRY: Final = Verb(
    name="retry", kind="action", right=rights.RETRY, args=RetryArgs, result=one(RunResult),
    summary="The same again, as a new request whose parent is the old one; policy decides anew.",
    errors=("no_right", "no_plan", "not_ended", "forged", "denied", "queue_full"),
)  # fmt: skip
FOLLOW: Final = Verb(
    name="follow", kind="subscription", right=rights.JOBS, args=RequestArgs, result=one(FollowSubscribed),
    pushes=(FollowPush,), summary="A request with its jobs and their output, until it ends.",
)  # fmt: skip
