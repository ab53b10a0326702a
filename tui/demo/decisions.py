"""Approving, rejecting and editing plans in the demo world, with the answers a hub would give, refusals included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from common.api.actions import ApproveArgs, ApproveResult, EditArgs, EditResult, RejectArgs, RejectResult, StepEdit
from common.api.outcome import OK
from common.api.plans import PlanView, StepView
from common.api.requests import ApprovalView, RequestDetails
from common.command.output_filters import DEFAULT_OUTPUT_CAP
from common.plan import DEFAULT_TIME_LIMIT, BadPlan, Plan, Step, plan_hash
from tui.client.errors import InvalidCall
from tui.demo.cast import CODE, DEMO_USER
from tui.demo.queries import Finder
from tui.demo.world import DemoWorld, replace_plan

MAX_CODE_TRIES: Final = 5
APPROVERS: Final = ("dave", "erin")
"""Who could approve what the demo's person has edited."""
NEVER_ALLOWED: Final = frozenset({"shutdown", "reboot", "mkfs"})


class Decisions:
    """One method a verb."""

    def __init__(self, world: DemoWorld, find: Finder) -> None:
        self._world = world
        self._find = find
        self.tries_left = MAX_CODE_TRIES
        self._nonces: set[str] = set()  # of approvals that counted

    # ---- approve

    def approve(self, args: ApproveArgs) -> ApproveResult:
        request = self._find.request(args)
        if args.nonce and args.nonce in self._nonces:
            return ApproveResult(code=OK, text=f"r{request.number} is approved", again=True)
        late = too_late(request, args.plan_hash)
        if late is not None:
            return ApproveResult(code=late[0], text=late[1])
        if request.person == DEMO_USER:
            own = f"you asked for r{request.number} yourself: another person must approve it"
            return ApproveResult(code="needs_second_person", text=own)
        if request.second_factor and args.code != CODE:
            return self._wrong_code()
        self.tries_left = MAX_CODE_TRIES
        self._nonces.add(args.nonce)
        given = self._record_approval(request, args.reason)
        text = f"r{request.number} is approved: exactly plan {request.plan_hash[:8]} runs now"
        return ApproveResult(code=OK, text=text, given=given, needed=request.approvers)

    def _wrong_code(self) -> ApproveResult:
        self.tries_left -= 1
        if self.tries_left <= 0:
            self.tries_left = MAX_CODE_TRIES
            return ApproveResult(code="locked", text=f"too many wrong codes: {DEMO_USER} is locked for 5 minutes")
        text = f"the code is wrong; {self.tries_left} more wrong codes and {DEMO_USER} is locked for 5 minutes"
        return ApproveResult(code="bad_code", text=text, left=self.tries_left)

    def _record_approval(self, request: RequestDetails, reason: str) -> int:
        """Counts the approval and queues the jobs; how many approvals there are."""
        world = self._world
        given = ApprovalView(
            person=DEMO_USER, granted=True, via="console", at=world.now, second_factor=request.second_factor
        )
        approved = replace(request, approvals=(*(request.approvals or ()), given))
        data = {"plan_hash": request.plan_hash, "second_factor": request.second_factor, "reason": reason}
        world.append_event("request.approved", request.id, DEMO_USER, data, request.number)
        world.queue_jobs(approved, None)
        return approved.given

    # ---- reject

    def reject(self, args: RejectArgs) -> RejectResult:
        request = self._find.request(args)
        late = too_late(request)
        if late is not None:
            return RejectResult(code=late[0], text=late[1])
        self._world.end_request(request, "rejected", args.why, DEMO_USER)
        return RejectResult(code=OK, text=f"r{request.number} is rejected; {request.person} has been told why")

    # ---- edit

    def edit(self, args: EditArgs) -> EditResult:
        request = self._find.request(args)
        late = too_late(request, args.base_hash)
        if late is not None:
            return EditResult(code=late[0], text=late[1])
        plan = self._edited(request, args.steps)
        verdict = _judge(request, plan)
        if args.dry_run:
            return verdict
        if verdict.verdict == "deny":
            return EditResult(code="policy", text=verdict.reason or "")
        new = replace_plan(self._world, request, plan, DEMO_USER, args.why, verdict.reason or "")
        text = f"the new plan is r{new.number}"
        return EditResult(code=OK, text=text, number=new.number, id=new.id, state=new.state)

    def _edited(self, request: RequestDetails, edits: Sequence[StepEdit]) -> Plan:
        """The plan with these steps; raises InvalidCall where it is none, or for a machine that there is not."""
        base = request.plan.steps if request.plan is not None else ()
        try:
            steps = [_edited_step(edit, base[at] if at < len(base) else None) for at, edit in enumerate(edits)]
            plan = Plan(tuple(steps), "operator")
        except BadPlan as error:
            raise InvalidCall(f"this is no plan: {error}") from None
        unknown = [name for name in plan.targets if name not in self._world.agents]
        if unknown:
            raise InvalidCall(f"there is no machine {unknown[0]}")
        return plan


def too_late(request: RequestDetails, wanted_hash: str = "") -> tuple[str, str] | None:
    """Code and text where a request does not wait for a decision on that plan any more."""
    if request.state == "expired":
        return "expired", f"nobody decided r{request.number} in time"
    if not request.is_asking:
        by = request.approvals[-1].person if request.approvals else request.reason or "nobody"
        return "already_decided", f"r{request.number} has been decided already: {request.state}, {by}"
    if wanted_hash and wanted_hash != request.plan_hash:
        text = f"the plan of r{request.number} is another one now ({request.plan_hash[:8]}); look at it again"
        return "plan_changed", text
    return None


def _edited_step(edit: StepEdit, base: StepView | None) -> Step:
    """What the edit does not give is the base's; raises BadPlan."""
    targets = edit.targets if edit.targets is not None else base.targets if base is not None else ()
    env = edit.env if edit.env is not None else base.env if base is not None else {}
    return Step(
        argv=edit.argv if edit.argv is not None else base.argv if base is not None else (),
        targets=(targets,) if isinstance(targets, str) else tuple(targets),
        cwd=edit.cwd if edit.cwd is not None else base.cwd if base is not None else "",
        env=tuple(sorted(env.items())),
        time_limit=_first_of(edit.time_limit, base.time_limit if base is not None else None, DEFAULT_TIME_LIMIT),
        output_cap=_first_of(edit.output_cap, base.output_cap if base is not None else None, DEFAULT_OUTPUT_CAP),
        filters=edit.filters if edit.filters is not None else base.filters if base is not None else (),
    )


def _first_of(edited: int | None, base: int | None, default: int) -> int:
    return edited if edited is not None else base if base is not None else default


def _judge(request: RequestDetails, plan: Plan) -> EditResult:
    """What policy says to the new plan."""
    program = plan.steps[0].argv[0].rpartition("/")[2]
    verdict = EditResult(
        code=OK,
        text="",
        verdict="ask",
        reason=f"{program} changes machines",
        approvers=1,
        who=APPROVERS,
        plan_hash=plan_hash(plan),
        old=request.plan,
        new=PlanView.of(plan),
        base_hash=request.plan_hash,
    )
    if program in NEVER_ALLOWED:
        return replace(verdict, verdict="deny", reason=f"{program} is never allowed here")
    return verdict
