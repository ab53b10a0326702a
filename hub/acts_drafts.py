"""Drafts of runbooks: proposed from plans that were done well, reviewed by an admin, written into runbooks.toml.

    propose    the requester, or an approver, of a plan that ended well on every machine
    accept     an admin; not the one who proposed it, where there is another admin
    decline    an admin, or the one who proposed it

A request whose plan was edited stands for the plan that was made of it: so corrections are learnt. A draft is tried out
with the reader of the file before anyone sees it, again when it is accepted, and once more when it is written; it must
give the very plan that it came from. It goes to the end of the file, whose own text stays as it is, and takes effect
when the hub reads the file again. The decision is committed before the file is written: should the hub die in between,
accepting once more writes it.

Reading the file takes long for a store unit, so this happens between units: each act may be done twice and is then the
same act.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from common.catalogue import Language, Sentence, language_of
from common.errors import UserError
from common.lifecycle import JobState, RequestState
from common.plan import BadPlan
from common.policy import Policy
from hub import draft_file, verdicts
from hub import request as requests_of_hub
from hub.acts import By, Done
from hub.authority import VERBS, may
from hub.drafting import MAX_BODY, Lesson, learn, to_toml
from hub.fleet import Fleet
from hub.people import People
from hub.plan.followup import refers
from hub.plan.match import Runbooks
from hub.plan.outcome import Act, Context, Planned
from hub.records import Draft, Request
from hub.request import Judgement
from hub.store.engine import Store
from hub.store.errors import Conflict
from hub.store.verbs import Txn
from hub.wording import fenced, prose

MOST_OPEN: Final = 100
MOST_LOOKED_AT: Final = 12  # earlier messages among which "this" is looked for
MOST_EDITS: Final = 10
FITS_CHAT: Final = 2_500
"""Characters of a draft that chat shows whole; a longer one is not accepted there."""


class Drafts:
    def __init__(
        self,
        *,
        store: Store,
        people: People,
        fleet: Fleet,
        policy: Callable[[], Policy],
        file: Path,
        memory: float,
        clock: Callable[[], float],
    ) -> None:
        """`file` is runbooks.toml; `memory` is for how many seconds "this" may mean an earlier message."""
        self._store = store
        self._people = people
        self._fleet = fleet
        self._policy = policy
        self._file = file
        self._memory = memory
        self._clock = clock

    # ---- from chat

    async def from_chat(self, request: Request, act: Act) -> str:
        """Does what a message asks; the text answers it."""
        by = By(request.person, request.inlet, request.conversation)
        match act.verb:
            case "propose":
                done = await self.propose(by, act.number, act.name, act.phrase, asked_in=request)
            case "drafts":
                done = await self.listed(by)
            case "accept":
                done = await self.accept(by, act.number or 0)
            case "decline":
                done = await self.decline(by, act.number or 0, act.why)
            case _:
                done = await self.shown(by, act.number or 0)
        lines = [done.sentence.say(request.language)]
        lines += [_item(one, request.language) for one in done.more.get("drafts", ())]
        if body := done.more.get("body"):
            whole = len(body) <= FITS_CHAT
            lines.append(fenced(body.rstrip() if whole else f"{body[:FITS_CHAT]}…"))
            if not whole:
                lines.append(Sentence("draft_elsewhere", {"number": done.more["number"]}).say(request.language))
        return "\n".join(lines)

    # ---- looking

    async def listed(self, by: By) -> Done:
        if (no := self._denied(by, "drafts")) is not None:
            return await self._no(by, "drafts", no)
        found = await self._store.read(lambda txn: txn.proposed_drafts(MOST_OPEN))
        key = "drafts_some" if found else "drafts_none"
        return Done(Sentence(key, {"count": len(found)}), "", {"drafts": [draft_view(one) for one in found]})

    async def shown(self, by: By, number: int) -> Done:
        if (no := self._denied(by, "drafts")) is not None:
            return await self._no(by, "drafts", no)
        draft = await self._store.read(lambda txn: txn.draft(number))
        if draft is None:
            return _unknown(number)
        state = Sentence(f"draft_is_{draft.state}", {"person": draft.decided_by, "reason": prose(draft.reason)})
        values = {"number": draft.number, "name": draft.name, "person": draft.by, "state": state}
        return Done(Sentence("draft_shown", values), "", draft_view(draft) | {"body": draft.body})

    # ---- proposing

    async def propose(
        self, by: By, number: int | None, name: str, phrase: str = "", *, asked_in: Request | None = None
    ) -> Done:
        """A draft of the plan of request `number`; without one, of the person's last plan before `asked_in`."""
        if (no := self._denied(by, "propose")) is not None:
            return await self._no(by, "propose", no)
        found = await self._store.read(lambda txn: self._meant(txn, by, number, asked_in))
        if isinstance(found, Done):
            return await self._no(by, "propose", found)
        request, taught = found
        lesson = await asyncio.to_thread(self._learn, request, name, phrase)
        if isinstance(lesson, Done):
            return lesson
        body = to_toml(lesson)

        def unit(txn: Txn) -> Done:
            open_ones = txn.proposed_drafts(MOST_OPEN)
            same = next((one for one in open_ones if (one.request_id, one.body) == (request.id, body)), None)
            if same is not None:
                return Done(Sentence("draft_same", {"number": same.number}), "", draft_view(same), request.id)
            if len(open_ones) >= MOST_OPEN:
                return Done(Sentence("draft_many", {"count": MOST_OPEN}), "full")
            now = self._clock()
            draft = txn.add_draft(Draft(0, request.id, lesson.name, body, "proposed", by.person, now))
            data = {"draft": draft.number, "name": draft.name, "sha256": _digest(body), **_from(by)}
            txn.audit("runbook.proposed", request.id, by.person, data | {"edited": taught}, now)
            values = {"number": draft.number, "name": draft.name, "was": request.number}
            return Done(Sentence("draft_proposed", values), "", draft_view(draft) | {"body": body}, request.id)

        return await self._store.write(unit)

    def _meant(self, txn: Txn, by: By, number: int | None, asked_in: Request | None) -> tuple[Request, bool] | Done:
        """The request whose plan is meant, and whether that plan is an edited one; or why there is none."""
        if number is not None:
            first = txn.request_by_number(number)
            if first is None:
                return Done(Sentence("no_request", {"what": f"r{number}"}), "unknown")
        else:
            first = self._last(txn, by, asked_in)
            if first is None:
                return Done(Sentence("draft_nothing"), "unknown")
        request = _as_edited(txn, first)
        values = {"number": request.number, "state": request.state.value}
        involved = {first.person, request.person, *request.behalf.split()}
        if by.person not in involved and not may(self._people.roles(by.person), "approve"):
            return Done(Sentence("not_yours", values | {"owner": first.person}), "no_right")
        if request.plan is None:
            return Done(Sentence("retry_no_plan", values), "no_plan")
        well = all(job.state is JobState.SUCCEEDED for job in txn.jobs_of(request.id))
        if request.state is not RequestState.DONE or not well:
            return Done(Sentence("draft_not_done", values), "not_ended")
        return request, request is not first

    def _last(self, txn: Txn, by: By, asked_in: Request | None) -> Request | None:
        if asked_in is None:
            return None
        since = asked_in.received_at - self._memory
        for one in txn.said_before(asked_in, since, MOST_LOOKED_AT):
            if one.plan is not None and by.person in {one.person, *one.behalf.split()}:
                return one
        return None

    def _learn(self, request: Request, name: str, phrase: str) -> Lesson | Done:
        """The runbook of a request's plan, tried out; or why there is none. Reads the file: for a thread."""
        assert request.plan is not None  # noqa: S101 - `_meant` has looked
        said = phrase or request.text
        if not phrase and (refers(said) or said.lstrip().startswith(("@", "＠"))):
            return Done(Sentence("draft_needs_phrase", {"name": name}), "phrase")
        try:
            text, body = draft_file.read(self._file)
            judged = self._judged(request, request.plan.steps)
        except UserError as error:
            return Done(Sentence("draft_file", {"problem": draft_file.told(error, self._file)}), "file")
        if judged.kind == "deny":
            return Done(Sentence("draft_denied", {"reason": judged.reason}), "denied", {"rule": judged.rule})
        if name in body.get("runbooks", {}):
            return Done(Sentence("draft_name_taken", {"name": name}), "name")
        lesson = learn(
            name,
            said,
            request.plan,
            self._fleet.inventory,
            language=language_of(said),
            changes=judged.kind != "allow",
            fixed=self._sub_commands(request),
            never=[word for word in body.get("never_values", ()) if isinstance(word, str)],
        )
        if isinstance(lesson, Sentence):
            return Done(lesson, "phrase")
        made = to_toml(lesson)
        if len(made) > MAX_BODY:
            return Done(Sentence("draft_too_big"), "too_long")
        try:
            compiled = draft_file.tried(text, made, self._file)
        except UserError as error:
            return Done(Sentence("draft_problem", {"problem": draft_file.told(error, self._file)}), "clash")
        return lesson if self._gives_it_again(request, compiled, said) else Done(Sentence("draft_other_plan"), "other")

    def _gives_it_again(self, request: Request, compiled: Runbooks, said: str) -> bool:
        """Whether the phrase now means, through the new runbook, exactly the commands that it came from."""
        context = Context(said, language_of(said), request.person, (), self._fleet.inventory, self._clock())
        try:
            outcome = compiled.plan(context)
            if not isinstance(outcome, Planned) or request.plan is None:
                return False
            return self._judged(request, outcome.plan.steps).plan.steps == request.plan.steps
        except BadPlan:
            return False

    def _judged(self, request: Request, steps: Any) -> Judgement:
        assert request.plan is not None  # noqa: S101 - as above
        checker = verdicts.checker(self._policy(), self._people.roles(request.person), self._fleet.labels, False)
        return requests_of_hub.judge(replace(request.plan, steps=steps, tainted=False, proposed=False), checker)

    def _sub_commands(self, request: Request) -> set[str]:
        """Words that the policy knows as sub-commands of the plan's programs: none of them is ever a place."""
        programs = {step.argv[0] for step in request.plan.steps} if request.plan is not None else set()
        rules = (rule for program in programs for rule in self._policy().by_name.get(program, ()))
        words = (word for rule in rules for word in rule.words)
        return {spelling for word in words for choice in word.choices for spelling in choice}

    # ---- deciding

    async def accept(self, by: By, number: int) -> Done:
        if (no := self._denied(by, "review")) is not None:
            return await self._no(by, "review", no)
        draft = await self._store.read(lambda txn: txn.draft(number))
        if draft is None:
            return _unknown(number)
        if draft.state == "rejected":
            return _decided(draft)
        if draft.by == by.person and (others := self._other_admins(by.person)):
            values = {"number": number, "person": by.person, "others": ", ".join(others[:5])}
            return await self._no(by, "review", Done(Sentence("draft_own", values), "own_draft"), draft.request_id)
        if by.via != "console" and len(draft.body) > FITS_CHAT:
            return Done(Sentence("draft_elsewhere", {"number": number}), "too_long")
        try:
            text, body = await asyncio.to_thread(draft_file.read, self._file)
            there = draft.name in body.get("runbooks", {})
            if there and draft.state == "accepted":
                return _decided(draft)
            await asyncio.to_thread(draft_file.tried, text, draft.body, self._file)
        except UserError as error:
            return Done(Sentence("draft_problem", {"problem": draft_file.told(error, self._file)}), "clash")
        return await self._accepted(by, draft, text)

    async def _accepted(self, by: By, draft: Draft, text: str) -> Done:
        """Commits the yes, then writes the file, whose text is `text`."""
        request = await self._store.read(lambda txn: txn.request(draft.request_id))
        accepted = draft
        if draft.state == "proposed":
            try:
                accepted = await self._store.write(lambda txn: self._decide(txn, by, draft, "accepted"))
            except Conflict:
                return await self.shown(by, draft.number)
        was = request.number if request is not None else 0
        origin = f"# d{draft.number}, from r{was}: proposed by {draft.by}, accepted by {accepted.decided_by}"
        try:
            await asyncio.to_thread(draft_file.publish, self._file, text, f"{origin}\n{draft.body}")
        except UserError as error:
            why = str(error)
            await self._store.write(lambda txn: self._take_back(txn, by, accepted, why))
            return Done(Sentence("draft_file", {"problem": draft_file.told(error, self._file)}), "file")
        values = {"number": draft.number, "name": draft.name}
        return Done(Sentence("draft_accepted", values), "", draft_view(accepted))

    async def decline(self, by: By, number: int, why: str = "") -> Done:
        """An admin's no; or the word of the one who proposed it, who takes it back."""
        draft = await self._store.read(lambda txn: txn.draft(number))
        right = "review" if draft is not None and draft.by != by.person else "propose"
        if (no := self._denied(by, right)) is not None:
            return await self._no(by, right, no)
        if draft is None:
            return _unknown(number)
        if draft.state != "proposed":
            return _decided(draft)
        try:
            after = await self._store.write(lambda txn: self._decide(txn, by, draft, "rejected", why))
        except Conflict:
            return await self.shown(by, number)
        return Done(Sentence("draft_declined", {"number": number, "name": draft.name}), "", draft_view(after))

    def _decide(self, txn: Txn, by: By, draft: Draft, state: str, why: str = "") -> Draft:
        now = self._clock()
        after = replace(draft, state=state, decided_by=by.person, decided_at=now, reason=why[:500])
        txn.save_draft(draft, after)
        data = {"draft": draft.number, "name": draft.name, "sha256": _digest(draft.body), **_from(by)}
        data |= {"own": draft.by == by.person} | ({"why": why[:500]} if why else {})
        txn.audit(f"runbook.{state}", draft.request_id, by.person, data, now)
        return after

    def _take_back(self, txn: Txn, by: By, draft: Draft, why: str) -> None:
        """The file could not be written: the draft waits again."""
        txn.save_draft(draft, replace(draft, state="proposed", decided_by="", decided_at=None, reason=""))
        data = {"draft": draft.number, "name": draft.name, "why": why[:500]}
        txn.audit("runbook.unwritten", draft.request_id, by.person, data, self._clock())

    def _other_admins(self, person: str) -> list[str]:
        names = (name for name in self._people.names() if name != person)
        return [name for name in names if may(self._people.roles(name), "review")]

    # ---- who may

    def _denied(self, by: By, verb: str) -> Done | None:
        if may(self._people.roles(by.person), verb):
            return None
        return Done(Sentence("may_not", {"person": by.person, "verb": verb, "role": VERBS[verb]}), "no_right")

    async def _no(self, by: By, verb: str, done: Done, subject: str = "") -> Done:
        """A refusal that the audit should have."""
        if done.code in ("no_right", "own_draft"):
            data = {"verb": verb, "code": done.code, **_from(by)}
            now = self._clock()
            await self._store.write(lambda txn: txn.audit("act.refused", subject or by.person, by.person, data, now))
        return done


def draft_view(draft: Draft) -> dict[str, Any]:
    """A draft as programs are told of it."""
    return {
        "number": draft.number,
        "name": draft.name,
        "state": draft.state,
        "by": draft.by,
        "at": draft.at,
        "decided_by": draft.decided_by,
        "reason": draft.reason,
        "request": draft.request_id,
    }


def _item(draft: Mapping[str, Any], language: Language) -> str:
    return Sentence("drafts_item", {"number": draft["number"], "name": draft["name"], "person": draft["by"]}).say(
        language
    )


def _as_edited(txn: Txn, request: Request) -> Request:
    """What became of a request whose plan was edited; itself where it was not."""
    for _ in range(MOST_EDITS):
        if request.state is not RequestState.REJECTED:
            break
        rows = txn.events(subject=request.id, kind_prefix="request.rejected", limit=1)
        number = rows[0].data.get("edited_as") if rows else None
        after = txn.request_by_number(number) if isinstance(number, int) else None
        if after is None:
            break
        request = after
    return request


def _unknown(number: int) -> Done:
    return Done(Sentence("draft_unknown", {"number": number}), "unknown")


def _decided(draft: Draft) -> Done:
    key = "draft_was_accepted" if draft.state == "accepted" else "draft_was_declined"
    return Done(Sentence(key, {"number": draft.number, "person": draft.decided_by}), "already_decided")


def _from(by: By) -> dict[str, str]:
    return {"via": by.via} | ({"from": by.remote} if by.remote else {})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
