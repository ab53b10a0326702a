"""The room for stepping in: decisions on requests, and what is done to jobs under way or in the queue.

An act answers {"code", "text"} and more; "code" is "ok", or why it was not done:

    approve    bad_code (`left` tries), plan_changed (`plan`, `plan_hash`), already_decided (`by`), expired,
               needs_second_person, no_right, code_needed, not_enrolled
    edit       the same where they fit, and bad_plan, same_plan, denied (`rule`)
    others     too_late (it has ended, or is not what the act is for), no_right, unknown, selection_changed (`count`)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from common.catalogue import Sentence
from common.lifecycle import RequestState
from hub.acts import By, Done
from hub.acts_edit import Edits
from hub.acts_queue import MAX_JOBS, set_priority, take_back
from hub.change import Change
from hub.consoles import BadCall, Caller
from hub.desk_args import Args, Office, flag, integer, job_of, request_of, text, words
from hub.records import Request
from hub.request import rejected_by
from hub.store.verbs import Txn

MAX_NONCE: Final = 64
MAX_STEPS: Final = 64
_CODES: Final = {"own_request": "needs_second_person", "already": "already_decided", "late": "expired"}
"""Codes of `hub.approval` that have another name here."""


class ActRoom:
    def __init__(self, office: Office, edits: Edits) -> None:
        self._office = office
        self._edits = edits

    # ---- decisions

    async def approve(self, caller: Caller, args: Args) -> Any:
        """One yes to exactly the plan with `plan_hash`. `nonce` makes it safe to be sent again."""
        code, plan_hash, reason = text(args, "code", 40), text(args, "plan_hash", 64), text(args, "reason")
        nonce = text(args, "nonce", MAX_NONCE)

        def unit(change: Change, by: By) -> Done:
            request = request_of(change.txn, args)
            done = self._office.acts.approve(
                change, by, request, code=code, plan_hash=plan_hash, reason=reason, nonce=nonce
            )
            return decided(change.txn, request, done, by)

        return await self._office.act(caller, args, "approve", unit)

    async def reject(self, caller: Caller, args: Args) -> Any:
        why = text(args, "why")

        def unit(change: Change, by: By) -> Done:
            request = request_of(change.txn, args)
            done = self._office.acts.reject(change, by, request, why=why, plan_hash=text(args, "plan_hash", 64))
            return decided(change.txn, request, done, by)

        # The requester may take back their own; others are asked for their right to reject then.
        return await self._office.act(caller, args, "reject", unit, right="run")

    async def edit(self, caller: Caller, args: Args) -> Any:
        """Another plan in place of one that waits; see `hub.acts_edit`."""
        steps = args.get("steps")
        if not isinstance(steps, list) or len(steps) > MAX_STEPS or not all(isinstance(s, Mapping) for s in steps):
            raise BadCall(f"steps: a list of at most {MAX_STEPS} steps is expected")
        base_hash, why, dry_run = text(args, "base_hash", 64), text(args, "why"), flag(args, "dry_run", False)

        def unit(change: Change, by: By) -> Done:
            request = request_of(change.txn, args)
            done = self._edits.edit(change, by, request, base_hash=base_hash, steps=steps, why=why, dry_run=dry_run)
            return decided(change.txn, request, done, by)

        return await self._office.act(caller, args, "edit", unit, dry_run=dry_run)

    # ---- jobs

    async def cancel(self, caller: Caller, args: Args) -> Any:
        """Asks a request, or one job, to stop. Says when it is asked for; the job tells when it has happened."""
        kill = flag(args, "kill", False)

        def unit(change: Change, by: By) -> Done:
            if text(args, "job"):
                job = job_of(change.txn, text(args, "job"))
                return replace(self._office.acts.cancel_job(change, by, job, kill=kill), subject=job.id)
            request = request_of(change.txn, args)
            return replace(self._office.acts.cancel(change, by, request, kill=kill), subject=request.id)

        return await self._office.act(caller, args, "cancel", unit)

    async def settle(self, caller: Caller, args: Args) -> Any:
        """A person's word on an unknown outcome."""
        well = flag(args, "done")

        def unit(change: Change, by: By) -> Done:
            job = job_of(change.txn, text(args, "job"))
            return replace(self._office.acts.settle(change, by, job, done=well), subject=job.id)

        return await self._office.act(caller, args, "settle", unit)

    async def priority(self, caller: Caller, args: Args) -> Any:
        """Another place in the line for jobs that wait; `dry_run` shows the new order and changes nothing."""
        names, dry_run = words(args, "jobs", MAX_JOBS), flag(args, "dry_run", False)
        priority = integer(args, "priority", 0, 9)
        if priority is None:
            raise BadCall("priority: a whole number from 0 to 9 is expected")

        def unit(change: Change, by: By) -> Done:
            jobs = {job.id: job for job in (job_of(change.txn, name) for name in names)}
            return set_priority(change, by, list(jobs.values()), priority, dry_run=dry_run)

        return await self._office.act(caller, args, "priority", unit, dry_run=dry_run)

    async def take_back(self, caller: Caller, args: Args) -> Any:
        """Takes back what is held, as if it had never been asked; too late once a job has been handed out."""

        def unit(change: Change, by: By) -> Done:
            return take_back(change, by, self._office.people, request_of(change.txn, args))

        return await self._office.act(caller, args, "take_back", unit)


def decided(txn: Txn, request: Request, done: Done, by: By) -> Done:
    """The answer of a decision in the codes that consoles know: where it is too late, whose word stands."""
    code = _CODES.get(done.code, done.code)
    more = dict(done.more)
    sentence = done.sentence
    if done.code == "not_asking":
        code = "expired" if request.state is RequestState.EXPIRED else "already_decided"
    if code == "already_decided":
        more["by"] = by.person if done.code == "already" else decided_by(txn, request)
        more["state"] = request.state.value
        if done.code == "not_asking" and more["by"]:
            values = {"number": request.number, "state": request.state.value, "person": more["by"]}
            sentence = Sentence("decided_by", values)
    if code == "plan_changed":
        more.setdefault("plan_hash", request.plan_hash)
    return replace(done, sentence=sentence, code=code, more=more, subject=done.subject or request.id)


def decided_by(txn: Txn, request: Request) -> str:
    """Whose word ended the waiting; "" where it was nobody's."""
    given = txn.approvals(request.id)
    if request.state is RequestState.REJECTED:
        return rejected_by(request)
    if request.state is RequestState.CANCELLED:
        return request.reason[:64]
    yes = [approval.person for approval in given if approval.granted]
    return yes[-1] if yes else ""
