"""Approvals that hold for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from common.api.arguments import MAX_NUMBER, Arguments
from common.api.constraints import OMIT, Moment, Whole
from common.api.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class DisallowArgs(Arguments):
    number: Annotated[int, Whole(1, MAX_NUMBER), "a3 is 3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DisallowResult(Outcome):
    number: Annotated[int | None, OMIT, "of what was taken back"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingView:
    """A yes that holds for a while: the same plan again, by the same person, needs no other of whoever gave it."""

    number: Annotated[int, "a3 is 3"]
    person: Annotated[str, "for whom"]
    granted_by: str
    command: Annotated[str, "the plan's first; empty where it is too long"] = ""
    targets: Annotated[tuple[str, ...], "the first 20 machines"] = ()
    target_count: int
    granted_at: Moment
    expires_at: Moment
    uses: int
    max_uses: int
    plan_hash: str
