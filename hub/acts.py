"""What people do to requests and jobs: approve, reject, cancel, settle, ask for status. What they do to plans, machines
and the queue is in `acts_edit`, `acts_machines`, `acts_queue`.

Chat and the operators' link come through the same methods. Each runs inside one store unit, asks `authorize()` first,
and returns what to tell the person; a refusal is a sentence too, and an audit row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from ulid import ULID

from common.catalogue import Language, Sentence
from common.lifecycle import JOB_SETTLED, JobState, RequestState
from common.plan import Plan
from common.seal import Sealer
from hub import approval as approvals
from hub import job as jobs_of_hub
from hub import present, secondfactor
from hub import request as requests_of_hub
from hub.authority import VERBS, may
from hub.change import Change
from hub.fleet import Fleet
from hub.people import People
from hub.plan.outcome import Act
from hub.records import Approval, Job, Request
from hub.speech import Speech

OPEN: Final = (RequestState.ASKING, RequestState.WORKING)
ENTRANCE: Final = {"reject": "run"}
"""Chat's verbs that everybody with another verb may try: the requester takes back their own, and others are asked for
their right then.
"""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an act; `code` is "" where it was done, else one word for programs."""

    sentence: Sentence
    code: str = ""
    more: dict[str, Any] = field(default_factory=dict)  # what programs are told beside that
    subject: str = ""  # the request, job or machine that was acted on


@dataclass(frozen=True, slots=True)
class By:
    """Who acts, and from where."""

    person: str
    via: str  # inlet's name, or "console"
    conversation: str = ""  # "" where no conversation narrows what is meant
    remote: str = ""  # the console's address


class Acts:
    def __init__(
        self, people: People, fleet: Fleet, speech: Speech, sealer: Sealer, help_text: Callable[[Language], str]
    ) -> None:
        self._people = people
        self._fleet = fleet
        self._speech = speech
        self._sealer = sealer
        self._help = help_text

    # ---- from chat

    def from_chat(self, change: Change, request: Request, act: Act) -> str:
        """Performs an act that a message asked for; the text answers the message."""
        by = By(request.person, request.inlet, request.conversation)
        language = request.language
        if denied := self.denied(by.person, ENTRANCE.get(act.verb, act.verb)):
            self._audit_no(change, by, act.verb, denied)
            return denied.sentence.say(language)
        match act.verb:
            case "help":
                return self._help(language)
            case "whoami":
                roles = ", ".join(self._people.roles(by.person)) or "-"
                return Sentence("i_am", {"person": by.person, "roles": roles}).say(language)
            case "machines":
                return self._speech.machines(self._fleet.inventory, language)
            case "status":
                return self._status(change, by, act.number, language)
        found = self._find(change, by, act)
        if isinstance(found, Done):
            return found.sentence.say(language)
        if act.verb == "approve" and found.plan is not None and not present.fits_chat(found.plan):
            # What cannot be shown whole cannot be approved where it was not shown (security lesson B6).
            done = Done(Sentence("approve_elsewhere", {"number": found.number}), "too_long")
            return self._no(change, by, "approve", found, done).sentence.say(language)
        match act.verb:
            case "approve":
                done = self.approve(change, by, found, code=act.code)
            case "reject":
                done = self.reject(change, by, found, why=act.why)
            case "cancel":
                done = self.cancel(change, by, found)
            case _:
                done = Done(Sentence("not_asking", {"number": found.number, "state": found.state.value}), "verb")
        return done.sentence.say(language)

    def denied(self, person: str, verb: str) -> Done | None:
        if may(self._people.roles(person), verb):
            return None
        return Done(Sentence("may_not", {"person": person, "verb": verb, "role": VERBS.get(verb, "admin")}), "no_right")

    def _find(self, change: Change, by: By, act: Act) -> Request | Done:
        """The request that an act means: by number, or the only one that waits here."""
        if act.number is not None:
            found = change.txn.request_by_number(act.number)
            return found or Done(Sentence("no_request", {"what": f"r{act.number}"}), "unknown")
        states = OPEN if act.verb == "cancel" else (RequestState.ASKING,)
        waiting = [
            candidate
            for candidate in change.txn.requests(states=states, limit=200)
            if (candidate.inlet, candidate.conversation) == (by.via, by.conversation)
            and (act.verb != "cancel" or candidate.person == by.person)
        ]
        if len(waiting) == 1:
            return waiting[0]
        if not waiting:
            return Done(Sentence("none_waiting"), "unknown")
        choices = ", ".join(f"r{candidate.number}" for candidate in waiting[:10])
        values = {"choices": choices, "verb": act.verb, "example": f"r{waiting[0].number}"}
        return Done(Sentence("which_request", values), "ambiguous")

    def _status(self, change: Change, by: By, number: int | None, language: Language) -> str:
        if number is not None:
            found = change.txn.request_by_number(number)
            if found is None:
                return Sentence("no_request", {"what": f"r{number}"}).say(language)
            return self._speech.status(change.txn, found, change.txn.jobs_of(found.id), change.now, language)
        waiting = change.txn.requests(states=OPEN, limit=20)
        return self._speech.overview(change.txn, waiting, self._fleet.inventory, change.now, language)

    # ---- decisions

    def approve(
        self,
        change: Change,
        by: By,
        request: Request,
        *,
        code: str = "",
        plan_hash: str = "",
        reason: str = "",
        nonce: str = "",
    ) -> Done:
        """One yes to exactly the plan of `request`; the second factor is used up in the same transaction. The same
        `nonce` from the same person again is the same yes, heard twice.
        """
        txn, now = change.txn, change.now
        given = txn.approvals(request.id)
        if nonce and any((one.person, one.nonce, one.granted) == (by.person, nonce, True) for one in given):
            return Done(Sentence("approved_before", {"number": request.number}), "", {"again": True}, request.id)
        answer = approvals.check_approve(
            request, given, person=by.person, roles=self._people.roles(by.person), plan_hash=plan_hash, now=now
        )
        if isinstance(answer, approvals.No):
            return self._no(change, by, "approve", request, Done(answer.sentence, answer.code))
        if request.second_factor:
            refusal = self._second_factor(change, by, request, code)
            if refusal is not None:
                return self._no(change, by, "approve", request, refusal)
        txn.add_approval(
            Approval(request.id, request.plan_hash, by.person, True, by.via, now, reason, request.second_factor, nonce)
        )
        data = {"plan_hash": request.plan_hash, "via": by.via, "second_factor": request.second_factor, "reason": reason}
        txn.audit(
            "request.approved", request.id, by.person, {**data, "given": answer.given, "needed": answer.needed}, now
        )
        change.request(request, requests_of_hub.approved(request, enough=answer.enough, now=now), by.person)
        values = {"number": request.number, "person": by.person, "hash": request.plan_hash[:8]}
        more = {"given": answer.given, "needed": answer.needed}
        if answer.enough:
            return Done(Sentence("approved_now", values), "", more, request.id)
        return Done(Sentence("approved_partly", {**values, **more}), "", more, request.id)

    def _second_factor(self, change: Change, by: By, request: Request, code: str) -> Done | None:
        row = change.txn.person(by.person)
        if row is None or not row.totp_secret:
            return Done(Sentence("code_not_enrolled", {"person": by.person}), "not_enrolled")
        if not code:
            return Done(Sentence("code_needed", {"number": request.number}), "code_needed")
        verdict = secondfactor.check(row, self._sealer, code, change.now)
        change.txn.save_person(row, verdict.person)
        locked = change.now < verdict.person.totp_locked_until
        left = 0 if locked else secondfactor.MAX_FAILURES - verdict.person.totp_failures
        return None if verdict.ok else Done(verdict.reason, "bad_code", {"left": left})

    def reject(self, change: Change, by: By, request: Request, *, why: str = "", plan_hash: str = "") -> Done:
        answer = approvals.check_reject(
            request, person=by.person, roles=self._people.roles(by.person), plan_hash=plan_hash, now=change.now
        )
        if isinstance(answer, approvals.No):
            return self._no(change, by, "reject", request, Done(answer.sentence, answer.code))
        given = change.txn.approvals(request.id)
        if not any(approval.person == by.person for approval in given):
            change.txn.add_approval(
                Approval(request.id, request.plan_hash, by.person, False, by.via, change.now, why[:500])
            )
        change.request(request, requests_of_hub.rejected(request, by.person, why[:500], change.now), by.person)
        return Done(Sentence("rejected_now", {"number": request.number}))

    def cancel(self, change: Change, by: By, request: Request, *, kill: bool = False) -> Done:
        """Takes a request back. "Cancel asked" and "cancelled" are two facts; this promises only the first."""
        if request.person != by.person and not may(self._people.roles(by.person), "cancel_others"):
            done = Done(Sentence("not_yours", {"number": request.number, "owner": request.person}), "no_right")
            return self._no(change, by, "cancel", request, done)
        if request.state not in OPEN:
            values = {"number": request.number, "state": request.state.value}
            return Done(Sentence("cancel_too_late", values), "too_late")
        working = request.state is RequestState.WORKING
        told = [job for job in change.txn.jobs_of(request.id) if job.state not in JOB_SETTLED] if working else []
        change.request(request, requests_of_hub.cancelled(request, by.person, change.now, kill), by.person)
        if not working:
            return Done(Sentence("cancelled_now", {"number": request.number}))
        return Done(Sentence("cancel_asked", {"number": request.number, "count": len(told)}))

    def cancel_job(self, change: Change, by: By, job: Job, *, kill: bool = False) -> Done:
        request = change.txn.request(job.request_id)
        if request is None:
            return Done(Sentence("no_job", {"what": job.id}), "unknown")
        if job.person != by.person and not may(self._people.roles(by.person), "cancel_others"):
            done = Done(Sentence("not_yours", {"number": request.number, "owner": job.person}), "no_right")
            return self._no(change, by, "cancel", request, done)
        if job.state in JOB_SETTLED:
            return Done(Sentence("cancel_too_late", {"number": request.number, "state": job.state.value}), "too_late")
        change.job(job, jobs_of_hub.AskCancel(by.person, kill), by.person)
        return Done(Sentence("cancel_asked", {"number": request.number, "count": 1}))

    def settle(self, change: Change, by: By, job: Job, *, done: bool) -> Done:
        """A person's word on an unknown outcome."""
        if job.state is not JobState.UNKNOWN:
            return Done(Sentence("not_unknown", {"job": job.id, "state": job.state.value}), "too_late")
        change.job(job, jobs_of_hub.Settle(by.person, done), by.person)
        return Done(Sentence("settled_now", {"job": job.id}))

    # ---- refusals

    def _no(self, change: Change, by: By, verb: str, request: Request, done: Done) -> Done:
        self._audit_no(change, by, verb, done, request.id)
        return done

    def _audit_no(self, change: Change, by: By, verb: str, done: Done, subject: str = "") -> None:
        data = {"verb": verb, "code": done.code, "via": by.via, **({"from": by.remote} if by.remote else {})}
        change.txn.audit("act.refused", subject or by.person, by.person, data, change.now)


def new_request(
    *,
    person: str,
    text: str,
    language: Language,
    now: float,
    plan: Plan | None = None,
    parent: str = "",
    hold: float = 0.0,
) -> Request:
    """A request that an operator made at the console or command line; its conversation is nobody's chat."""
    identity = str(ULID())
    return Request(
        id=identity,
        number=0,
        state=RequestState.RECEIVED,
        inlet="console",
        event_id=identity,
        conversation="",
        chat_user=person,
        person=person,
        text=text,
        language=language,
        reply_url="",
        received_at=now,
        plan=plan,
        parent=parent,
        hold=hold,
    )
