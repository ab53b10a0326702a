"""Decisions on requests, and actions on jobs that are under way or in the queue."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from common.api import verbs
from common.api.actions import (
    ApproveArgs,
    ApproveResult,
    CancelArgs,
    CancelResult,
    EditArgs,
    EditResult,
    PriorityArgs,
    PriorityResult,
    RejectArgs,
    RejectResult,
    SettleArgs,
    SettleResult,
    TakeBackResult,
)
from common.api.arguments import RequestArgs
from common.api.codec import encode
from common.catalogue import Sentence
from common.lifecycle import RequestState
from hub.api.context import ApiContext
from hub.api.lookup import find_job, find_request
from hub.core.approval_proofs import OwnSignature
from hub.core.records import Request
from hub.core.request import rejected_by
from hub.engine.actor import ActionResult, Actor
from hub.engine.edit_plan import PlanEditor
from hub.engine.queue_actions import set_priority, take_back
from hub.engine.unit_of_work import UnitOfWork
from hub.links.console import Caller
from hub.store.transaction import Txn

_API_CODES: Final = {"own_request": "needs_second_person", "already": "already_decided", "late": "expired"}
"""Codes of `hub.core.approval` that have another name in the API."""


class DecisionHandlers:
    def __init__(self, context: ApiContext, editor: PlanEditor) -> None:
        self._context = context
        self._actions = context.actions
        self._editor = editor

    # ---- decisions

    async def approve(self, caller: Caller, args: ApproveArgs) -> ApproveResult:
        return await self._context.run_action(caller, verbs.APPROVE, args, self._approve)

    def _approve(self, uow: UnitOfWork, actor: Actor, args: ApproveArgs) -> ActionResult:
        request = find_request(uow.txn, args)
        done = self._actions.approve(
            uow,
            actor,
            request,
            code=args.code,
            plan_hash=args.plan_hash,
            reason=args.reason,
            nonce=args.nonce,
            allow_for=args.allow_for,
            signed=_own_signature(args),
        )
        return decision_result(uow.txn, request, done, actor)

    async def reject(self, caller: Caller, args: RejectArgs) -> RejectResult:
        """The right that the verb declares is that of a requester; `RequestActions.reject` checks who may reject the
        requests of others.
        """
        return await self._context.run_action(caller, verbs.REJECT, args, self._reject)

    def _reject(self, uow: UnitOfWork, actor: Actor, args: RejectArgs) -> ActionResult:
        request = find_request(uow.txn, args)
        done = self._actions.reject(uow, actor, request, why=args.why, plan_hash=args.plan_hash)
        return decision_result(uow.txn, request, done, actor)

    async def edit(self, caller: Caller, args: EditArgs) -> EditResult:
        """Another plan in place of one that waits; see `hub.engine.edit_plan`."""
        return await self._context.run_action(caller, verbs.EDIT, args, self._edit, dry_run=args.dry_run)

    def _edit(self, uow: UnitOfWork, actor: Actor, args: EditArgs) -> ActionResult:
        request = find_request(uow.txn, args)
        done = self._editor.edit(
            uow,
            actor,
            request,
            base_hash=args.base_hash,
            steps=[encode(step) for step in args.steps],
            why=args.why,
            dry_run=args.dry_run,
        )
        return decision_result(uow.txn, request, done, actor)

    # ---- jobs

    async def cancel(self, caller: Caller, args: CancelArgs) -> CancelResult:
        """Asks a request, or one job, to stop. The result says that it was asked for; the job says when it stopped."""
        return await self._context.run_action(caller, verbs.CANCEL, args, self._cancel)

    def _cancel(self, uow: UnitOfWork, actor: Actor, args: CancelArgs) -> ActionResult:
        if args.job:
            job = find_job(uow.txn, args.job)
            return replace(self._actions.cancel_job(uow, actor, job, kill=args.kill), subject=job.id)
        request = find_request(uow.txn, args)
        return replace(self._actions.cancel(uow, actor, request, kill=args.kill), subject=request.id)

    async def settle(self, caller: Caller, args: SettleArgs) -> SettleResult:
        """A person's decision on an unknown outcome."""
        return await self._context.run_action(caller, verbs.SETTLE, args, self._settle)

    def _settle(self, uow: UnitOfWork, actor: Actor, args: SettleArgs) -> ActionResult:
        job = find_job(uow.txn, args.job)
        return replace(self._actions.resolve_unknown(uow, actor, job, done=args.done), subject=job.id)

    async def priority(self, caller: Caller, args: PriorityArgs) -> PriorityResult:
        """Another place in the line for jobs that wait; a dry run shows the new order and changes nothing."""
        return await self._context.run_action(caller, verbs.PRIORITY, args, _set_priority, dry_run=args.dry_run)

    async def take_back(self, caller: Caller, args: RequestArgs) -> TakeBackResult:
        """Takes back what is held; too late once a job has been handed out."""
        return await self._context.run_action(caller, verbs.TAKE_BACK, args, self._take_back)

    def _take_back(self, uow: UnitOfWork, actor: Actor, args: RequestArgs) -> ActionResult:
        return take_back(uow, actor, find_request(uow.txn, args))


def _own_signature(args: ApproveArgs) -> OwnSignature | None:
    """None where there is none; hex that is none is no signature of anything."""
    given = args.signed
    if given is None:
        return None
    try:
        public, signature = bytes.fromhex(given.public), bytes.fromhex(given.signature)
    except ValueError:
        public, signature = b"", b""
    return OwnSignature(given.at, given.expires, given.second_factor, public, signature)


def _set_priority(uow: UnitOfWork, actor: Actor, args: PriorityArgs) -> ActionResult:
    jobs = {job.id: job for job in (find_job(uow.txn, name) for name in args.jobs)}
    return set_priority(uow, actor, list(jobs.values()), args.priority, dry_run=args.dry_run)


def decision_result(txn: Txn, request: Request, result: ActionResult, actor: Actor) -> ActionResult:
    """The result of a decision in the codes of the API: where it is too late, whose decision stands."""
    code = _API_CODES.get(result.code, result.code)
    more = dict(result.data)
    sentence = result.sentence
    if result.code == "not_asking":
        code = "expired" if request.state is RequestState.EXPIRED else "already_decided"
    if code == "already_decided":
        more["by"] = actor.person if result.code == "already" else decided_by(txn, request)
        more["state"] = request.state.value
        if result.code == "not_asking" and more["by"]:
            values = {"number": request.number, "state": request.state.value, "person": more["by"]}
            sentence = Sentence("decided_by", values)
    if code == "plan_changed":
        more.setdefault("plan_hash", request.plan_hash)
    return replace(result, sentence=sentence, code=code, data=more, subject=result.subject or request.id)


def decided_by(txn: Txn, request: Request) -> str:
    """Whose decision ended the waiting; "" where it was nobody's."""
    given = txn.approvals(request.id)
    if request.state is RequestState.REJECTED:
        return rejected_by(request)
    if request.state is RequestState.CANCELLED:
        return request.reason[:64]
    approvers = [approval.person for approval in given if approval.granted]
    return approvers[-1] if approvers else ""
