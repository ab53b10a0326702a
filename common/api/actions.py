"""The acts of operators: arguments and results. Asking for work is in `common.api.work`, drafts are in
`common.api.drafts`.

Every result has `code` and `text`; what else one has is there only where it applies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from common.api.arguments import Arguments, Expect, JobPart, RequestArgs, Selector
from common.api.constraints import MAX_WORDS, OMIT, Chars, Constraint, Items, Range, Whole, Words
from common.api.outcome import Outcome
from common.api.plans import PlanView
from common.command.output_filters import MAX_FILTERS

MAX_ALLOW = 7 * 86_400.0
MAX_JOBS = 500
MAX_STEPS = 64
MAX_NONCE = 64
MAX_PATH = 8_192
MAX_TIME = 2.0**53
MAX_CANCEL_AFTER = 7 * 86_400.0
Hash = Annotated[str, Chars(64)]
Count = Annotated[int | None, OMIT]

# ---- decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSignature:
    """A yes that the person has signed with a key of their own, which machines know: `common.approval_proof`."""

    ARGUMENTS: ClassVar[bool] = True

    at: Annotated[float, Range(0, MAX_TIME), "seconds since the epoch"]
    expires: Annotated[float, Range(0, MAX_TIME), "no start later than this counts it"]
    second_factor: bool = False
    public: Annotated[str, Chars(64), "the key, raw Ed25519 in hex"]
    signature: Annotated[str, Chars(128), "of the statement, in hex"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveArgs(RequestArgs):
    code: Annotated[str, Chars(40), "of the second factor, where it is needed"] = ""
    plan_hash: Annotated[str, Chars(64), "approve only this plan"] = ""
    reason: str = ""
    nonce: Annotated[str, Chars(MAX_NONCE), "the caller's name for this one yes: sent again it is the same yes"] = ""
    allow_for: Annotated[float | None, Range(1, MAX_ALLOW), "seconds for which the same may be done again"] = None
    signed: Annotated[OwnSignature | None, OMIT, "where the rule is critical"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Outcome):
    """What a decision says where it came too late, or the plan has become another."""

    by: Annotated[str | None, OMIT, "whose word stands"] = None
    state: Annotated[str | None, OMIT, "of the request"] = None
    plan_hash: Annotated[str | None, OMIT, "the plan's now"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveResult(Decision):
    given: Annotated[int | None, OMIT, "approvals so far, this one included"] = None
    needed: Count = None
    left: Annotated[int | None, OMIT, "tries of a code that are left"] = None
    again: Annotated[bool | None, OMIT, "this yes was counted before"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectArgs(RequestArgs):
    why: Annotated[str, "goes back to whoever asked"] = ""
    plan_hash: Hash = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectResult(Decision):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEdit:
    """A step of the new plan; what it does not say is as in the step at its place."""

    ARGUMENTS: ClassVar[bool] = True

    argv: Annotated[tuple[str, ...] | None, Items(MAX_WORDS, "words")] = None
    targets: Annotated[str | tuple[str, ...] | None, Constraint("a selection, or a list of names, is expected")] = None
    cwd: Annotated[str | None, Chars(MAX_PATH)] = None
    env: Annotated[Mapping[str, str] | None, Constraint("a map of texts is expected")] = None
    time_limit: Annotated[int | None, "seconds"] = None
    output_cap: Annotated[int | None, "bytes"] = None
    filters: Annotated[tuple[tuple[str, ...], ...] | None, Items(MAX_FILTERS, "filters"), OMIT] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EditArgs(RequestArgs):
    steps: Annotated[tuple[StepEdit, ...], Items(MAX_STEPS, "steps")]
    base_hash: Annotated[str, Chars(64), "of the plan that was edited"] = ""
    why: str = ""
    dry_run: Annotated[bool, "tells what policy says and who would have to approve, and changes nothing"] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EditResult(Decision):
    """Done: number, id, plan_hash, approvers. A dry run: verdict to base_hash. plan_changed: plan, plan_hash."""

    verdict: Annotated[str | None, OMIT, "allow, ask, deny"] = None
    rule: Annotated[str | None, OMIT] = None
    reason: Annotated[str | None, OMIT] = None
    approvers: Count = None
    second_factor: Annotated[bool | None, OMIT] = None
    own_approval: Annotated[bool | None, OMIT] = None
    who: Annotated[tuple[str, ...] | None, OMIT, "who could approve, at most 20"] = None
    old: Annotated[PlanView | None, OMIT] = None
    new: Annotated[PlanView | None, OMIT] = None
    base_hash: Annotated[str | None, OMIT] = None
    number: Annotated[int | None, OMIT, "of the new request"] = None
    id: Annotated[str | None, OMIT, "of the new request"] = None
    plan: Annotated[PlanView | None, OMIT, "the plan as it is now"] = None


# ---- jobs under way or in the queue


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelArgs(RequestArgs):
    """A request, or one job of it."""

    job: JobPart = ""
    kill: Annotated[bool, "KILL at once, without TERM and grace"] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelResult(Outcome):
    """Says that it was asked for; the job tells when it has happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBackResult(Outcome):
    count: Annotated[int | None, OMIT, "jobs that were taken back"] = None
    handed_out: Annotated[int | None, OMIT, "jobs for which it is too late"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleArgs(Arguments):
    job: JobPart = ""
    done: Annotated[bool, "whether it was done, as a person found out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleResult(Outcome):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityArgs(Arguments):
    jobs: Annotated[tuple[str, ...], Words(MAX_JOBS), "ids, or parts of them"]
    priority: Annotated[int, Whole(0, 9), "9 first"]
    dry_run: Annotated[bool, "tells the new order and changes nothing"] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlace:
    """A job's place in its machine's line, from 1, before and after."""

    job: str
    agent: str
    was: int
    now: int
    of: Annotated[int, "jobs in the line"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityResult(Outcome):
    count: Annotated[int | None, OMIT, "jobs that wait and so have it"] = None
    skipped: Annotated[int | None, OMIT, "jobs that do not wait any more"] = None
    order: Annotated[tuple[QueuePlace, ...] | None, OMIT, "on the first 5 machines"] = None


# ---- machines and the queue


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeArgs(Arguments):
    """Neither `agent` nor `selector` is the whole queue."""

    agent: str = ""
    selector: Selector = ""
    expect: Expect = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseArgs(ResumeArgs):
    reason: str = ""
    until: Annotated[float | None, Range(0, MAX_TIME), "when it goes on by itself, within 30 days"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseResult(Outcome):
    count: Annotated[int | None, OMIT, "machines that were meant"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeResult(Outcome):
    count: Annotated[int | None, OMIT, "machines that were meant"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UndrainArgs(Arguments):
    agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainArgs(Arguments):
    agent: Annotated[str, Chars(least=1, expected="the machine to drain is expected")]
    cancel_after: Annotated[float | None, Range(0, MAX_CANCEL_AFTER), "seconds; null: all of it may finish"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainResult(Outcome):
    left: Annotated[int | None, OMIT, "jobs that it still has"] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UndrainResult(Outcome):
    pass
