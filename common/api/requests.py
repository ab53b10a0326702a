"""A request as operators see it: one message, from receipt to the last reply."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Annotated

from common.api.constraints import OMIT, MaybeMoment, Moment, PlanHash, Seconds, StateName
from common.api.jobs import RUNBOOK, JobView
from common.api.plans import AnyPlan, AnyStep, PlanRow, PlanView
from common.lifecycle import REQUEST_TERMINAL, RequestState


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFields:
    """What all forms of a request have; `plan` is None before one is made, or where none was."""

    id: Annotated[str, "ULID"]
    number: Annotated[int, "r42 is 42"]
    state: StateName
    person: Annotated[str, "empty where the chat user is nobody known"]
    inlet: str = ""
    conversation: str = ""
    text: str = ""
    plan: AnyPlan | None
    plan_hash: PlanHash
    rule: Annotated[str, "the policy's rule that decided"] = ""
    reason: Annotated[str, "why it was refused, asked or rejected"] = ""
    approvers: Annotated[int, "how many approvals the policy asks for"] = 0
    second_factor: Annotated[bool, "an approval takes a code"]
    own_approval: Annotated[bool, "the requester may be one of the approvers"] = False
    decide_by: MaybeMoment = None
    received_at: Moment
    planned_at: MaybeMoment = None
    decided_at: MaybeMoment = None
    ended_at: MaybeMoment = None
    parent: Annotated[str, "the request or job that this one retries or edits"] = ""
    behalf: Annotated[tuple[str, ...], "who asked what this one is an edit of, and who edited before"] = ()
    hold: Annotated[Seconds, "for which its first jobs are held back"] = 0.0
    outcome: Annotated[str, OMIT, "of its jobs, once done: succeeded, partly, failed, cancelled, unknown"] = ""

    @property
    def outcome_or_state(self) -> str:
        """For people: a request whose jobs did not all succeed is never just "done"."""
        words = {"partly": "done in part", "unknown": "outcome unknown"}
        if self.state != RequestState.DONE or self.outcome in ("", "succeeded"):
            return self.state
        return words.get(self.outcome, self.outcome)

    @property
    def is_ended(self) -> bool:
        return self.state in REQUEST_TERMINAL

    @property
    def is_open(self) -> bool:
        return self.state not in REQUEST_TERMINAL

    @property
    def is_asking(self) -> bool:
        """Waits for approvals."""
        return self.state == RequestState.ASKING

    @property
    def is_refused(self) -> bool:
        return self.state == RequestState.REFUSED

    @property
    def is_working(self) -> bool:
        return self.state == RequestState.WORKING

    @property
    def is_edited(self) -> bool:
        """Stands in place of a request whose plan a person edited."""
        return bool(self.behalf)

    @property
    def steps(self) -> tuple[AnyStep, ...]:
        return self.plan.steps if self.plan is not None else ()

    @property
    def targets(self) -> tuple[str, ...]:
        """Machines by name; in a row not always all of them."""
        return self.plan.targets if self.plan is not None else ()

    @property
    def machine_count(self) -> int:
        return len(self.targets)

    @property
    def is_cut(self) -> bool:
        """Whether the plan shows less than there is."""
        return self.plan is not None and self.plan.is_cut

    @property
    def runbook(self) -> str:
        """The runbook that planned it; empty where none did."""
        source = self.plan.source if self.plan is not None else ""
        return source.removeprefix(RUNBOOK) if source.startswith(RUNBOOK) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestView(RequestFields):
    """A request with its plan in full."""

    plan: PlanView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow(RequestFields):
    """A request in the followed list: texts and plan cut."""

    plan: PlanRow | None
    given: Annotated[int, "approvals so far"] = 0
    machines: Annotated[int, "how many it is for"] = 0

    @property
    def machine_count(self) -> int:
        return self.machines


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalView:
    """A person's yes, or no, to the request's plan."""

    person: str
    granted: bool
    via: Annotated[str, "the inlet's name, or console"]
    at: Moment
    reason: str = ""
    second_factor: bool = False


_CUT = frozenset({"text", "reason", "plan", "plan_hash"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDetails(RequestView):
    """A request with its jobs, as many as fit one frame; `job_count` is how many there are. Only `request` tells the
    approvals.
    """

    jobs: tuple[JobView, ...] = ()
    job_count: int = 0
    approvals: Annotated[tuple[ApprovalView, ...] | None, OMIT] = None
    critical: Annotated[bool, OMIT, "it waits for approvals that people sign with keys of their own"] = False
    allow_for: Annotated[Seconds, OMIT, "for which at most an approval may let the same run again; 0: not at all"] = 0.0
    allow_uses: Annotated[int, OMIT, "how often, then"] = 0

    def updated(self, row: RequestFields) -> RequestDetails:
        """With what a later row of the list says, but for the texts and the plan, which are cut there."""
        later = {field.name: getattr(row, field.name) for field in fields(RequestFields) if field.name not in _CUT}
        return replace(self, **later)

    @property
    def given(self) -> int:
        """Approvals so far."""
        return sum(one.granted for one in self.approvals or ())
