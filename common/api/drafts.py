"""Drafts of runbooks, proposed from plans that were done well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from common.api.arguments import MAX_NUMBER, Arguments
from common.api.constraints import FLAT, OMIT, Chars, Matches, Moment, StateName, Whole
from common.api.outcome import Outcome

DraftNumber = Annotated[int, Whole(1, MAX_NUMBER), "d3 is 3"]
NAME = r"[A-Za-z][A-Za-z0-9_-]{0,47}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftArgs(Arguments):
    number: DraftNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeArgs(Arguments):
    number: Annotated[int, Whole(1, MAX_NUMBER), "of the request whose plan is meant"]
    name: Annotated[str, Matches(NAME, "letters, digits, - and _, a letter first, at most 48, are expected")]
    say: Annotated[str, Chars(400), "how people ask for it, where the request's message does not tell"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectDraftArgs(DraftArgs):
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftView:
    number: Annotated[int, "d3 is 3"]
    name: str
    state: Annotated[StateName, "proposed, accepted, rejected"]
    by: str
    at: Moment
    decided_by: str = ""
    reason: str = ""
    request: Annotated[str, "id of the request that it was made of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftResult(Outcome):
    """What became of an act on a draft, or the draft that was asked for; `body` is the TOML as it would be written."""

    draft: Annotated[DraftView | None, FLAT] = None
    body: Annotated[str | None, OMIT] = None
    rule: Annotated[str | None, OMIT, "the policy's that would not let it run"] = None
