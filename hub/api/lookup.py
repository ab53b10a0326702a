"""What the arguments of a call name: requests, jobs, filters. What is not there is answered to the caller."""

from __future__ import annotations

from common.api.arguments import RequestArgs
from common.catalogue import Language, Sentence
from common.filter.fields import ViewName
from common.filter.parser import BadFilter, Filter, parse, resolve_me
from hub.api.rows import truncate
from hub.core.records import Job, Request
from hub.links.console import InvalidArguments
from hub.store.lists import UnknownSort
from hub.store.transaction import Txn

MIN_JOB_PART = 4
"""Characters of a job's id that name it, where no other job has them."""


class InvalidFilterArgument(InvalidArguments):
    """A filter that cannot be parsed; the reason begins with the position."""

    code = "filter"


def find_request(txn: Txn, args: RequestArgs) -> Request:
    found = txn.request_by_number(args.number) if args.number is not None else txn.request(args.id)
    if found is None:
        what = f"r{args.number}" if args.number is not None else args.id or "?"
        raise InvalidArguments(str(Sentence("no_request", {"what": what})))
    return found


def find_job(txn: Txn, part: str) -> Job:
    found = txn.find_jobs(part) if len(part) >= MIN_JOB_PART else []
    if not found:
        raise InvalidArguments(str(Sentence("no_job", {"what": part})))
    if len(found) > 1:
        raise InvalidArguments(str(Sentence("job_ambiguous", {"what": part})))
    return found[0]


def parse_filter(view: ViewName, text: str, person: str, language: Language) -> Filter:
    """The filter as `person` means it: `me` is who calls."""
    try:
        return resolve_me(parse(view, text), person)
    except BadFilter as error:
        raise InvalidFilterArgument(f"{error.position}: {error.sentence.render(language)}") from None


def unknown_sort(error: UnknownSort) -> InvalidArguments:
    return InvalidArguments(f"sort: there is no {truncate(str(error))!r} to sort by here")
