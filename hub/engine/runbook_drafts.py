"""Drafts of runbooks: proposed from plans that were done well, reviewed by an admin, written into runbooks.toml.

    propose    the requester, or an approver, of a plan that ended well on every machine
    accept     an admin; not the one who proposed it, where there is another admin
    decline    an admin, or the one who proposed it

A request whose plan was edited stands for the plan that was made of it, so that corrections get into runbooks. A draft
is tried out with the reader of the file before anyone sees it, again when it is accepted, and once more when it is
written; it must give the very plan that it came from. It goes to the end of the file, whose own text stays as it is,
and takes effect when the hub reads the file again. The decision is committed before the file is written: should the
hub die in between, accepting once more writes it.

Reading the file takes long for a unit of work, so this happens between units: each action may be done twice, and the
second time changes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from common.catalogue import Language, Sentence
from common.errors import UserError
from common.lifecycle import JobState, RequestState
from hub.core.action_checks import check_verb
from hub.core.authorization import may
from hub.core.chat_text import code_block, inline_text
from hub.core.outcome import ChatCommand
from hub.core.records import Draft, Request
from hub.core.unreadable import is_unreadable
from hub.engine.actor import ActionResult, Actor
from hub.engine.draft_trial import draft_runbook
from hub.engine.request_actions import refuse
from hub.engine.snapshot import WorldSnapshot
from hub.engine.unit_of_work import UnitOfWork, UnitOfWorkRunner
from hub.planning.runbooks import publish
from hub.planning.runbooks.induce import to_toml
from hub.store.errors import Conflict
from hub.store.store import Store
from hub.store.transaction import Txn

MAX_OPEN: Final = 100
MAX_REASON: Final = 500
MAX_HISTORY: Final = 12  # earlier messages among which "this" is looked for
MAX_EDITS: Final = 10
MAX_CHAT_BODY: Final = 2_500
"""Characters of a draft that chat shows whole; a longer one is not accepted there."""


class DraftActions:
    def __init__(
        self,
        *,
        store: Store,
        units: UnitOfWorkRunner,
        world: Callable[[], WorldSnapshot],
        file: Path,
        history_seconds: float,
    ) -> None:
        """`file` is runbooks.toml; `history_seconds` is how long "this" may mean an earlier message."""
        self._store = store
        self._units = units
        self._world = world
        self.file = file
        self._history_seconds = history_seconds

    # ---- from chat

    async def handle_chat_command(self, request: Request, command: ChatCommand) -> str:
        """Does what a message asks; the text answers it."""
        by = Actor(request.person, request.inlet, request.conversation)
        match command.verb:
            case "propose":
                done = await self.propose(by, command.number, command.name, command.phrase, source=request)
            case "drafts":
                done = await self.list_open(by)
            case "accept":
                done = await self.accept(by, command.number or 0)
            case "decline":
                done = await self.decline(by, command.number or 0, command.why)
            case _:
                done = await self.show(by, command.number or 0)
        lines = [done.sentence.render(request.language)]
        lines += [_item(one, request.language) for one in done.data.get("drafts", ())]
        if body := done.data.get("body"):
            whole = len(body) <= MAX_CHAT_BODY
            lines.append(code_block(body.rstrip() if whole else f"{body[:MAX_CHAT_BODY]}…"))
            if not whole:
                lines.append(Sentence("draft_elsewhere", {"number": done.data["number"]}).render(request.language))
        return "\n".join(lines)

    # ---- reading

    async def list_open(self, actor: Actor) -> ActionResult:
        if (no := self._denied(actor, "drafts")) is not None:
            return await self._refuse(actor, "drafts", no)
        found = await self._store.read(lambda txn: txn.proposed_drafts(MAX_OPEN))
        key = "drafts_some" if found else "drafts_none"
        return ActionResult(Sentence(key, {"count": len(found)}), "", {"drafts": [draft_view(one) for one in found]})

    async def show(self, actor: Actor, number: int) -> ActionResult:
        if (no := self._denied(actor, "drafts")) is not None:
            return await self._refuse(actor, "drafts", no)
        draft = await self._store.read(lambda txn: txn.draft(number))
        if draft is None:
            return _unknown(number)
        state = Sentence(f"draft_is_{draft.state}", {"person": draft.decided_by, "reason": inline_text(draft.reason)})
        values = {"number": draft.number, "name": draft.name, "person": draft.by, "state": state}
        return ActionResult(Sentence("draft_shown", values), "", draft_view(draft) | {"body": draft.body})

    # ---- proposing

    async def propose(
        self, actor: Actor, number: int | None, name: str, phrase: str = "", *, source: Request | None = None
    ) -> ActionResult:
        """A draft of the plan of request `number`; without one, of the person's last plan before `asked_in`."""
        if (no := self._denied(actor, "propose")) is not None:
            return await self._refuse(actor, "propose", no)
        world = self._world()
        found = await self._store.read(lambda txn: self._find_request(txn, world, actor, number, source))
        if isinstance(found, ActionResult):
            return await self._refuse(actor, "propose", found)
        request, edited = found
        induced = await asyncio.to_thread(draft_runbook, world, self.file, request, name, phrase)
        if isinstance(induced, ActionResult):
            return induced
        body = to_toml(induced)

        def unit(uow: UnitOfWork) -> ActionResult:
            open_ones = uow.txn.proposed_drafts(MAX_OPEN)
            same = next((one for one in open_ones if (one.request_id, one.body) == (request.id, body)), None)
            if same is not None:
                return ActionResult(Sentence("draft_same", {"number": same.number}), "", draft_view(same), request.id)
            if len(open_ones) >= MAX_OPEN:
                return ActionResult(Sentence("draft_many", {"count": MAX_OPEN}), "full")
            draft = uow.txn.add_draft(Draft(0, request.id, induced.name, body, "proposed", actor.person, uow.now))
            data = {"draft": draft.number, "name": draft.name, "sha256": _digest(body), **_origin(actor)}
            uow.audit("runbook.proposed", request.id, actor.person, data | {"edited": edited})
            values = {"number": draft.number, "name": draft.name, "was": request.number}
            return ActionResult(Sentence("draft_proposed", values), "", draft_view(draft) | {"body": body}, request.id)

        return await self._units.write(unit)

    def _find_request(
        self, txn: Txn, world: WorldSnapshot, actor: Actor, number: int | None, source: Request | None
    ) -> tuple[Request, bool] | ActionResult:
        """The request whose plan is meant, and whether that plan is an edited one; or why there is none."""
        if number is not None:
            first = txn.request_by_number(number)
            if first is None:
                return ActionResult(Sentence("no_request", {"what": f"r{number}"}), "unknown")
        else:
            first = self._last_planned(txn, actor, source)
            if first is None:
                return ActionResult(Sentence("draft_nothing"), "unknown")
        request = _latest_edit(txn, first)
        values = {"number": request.number, "state": request.state.value}
        involved = {first.person, request.person, *request.behalf.split()}
        if actor.person not in involved and not may(world.people.roles(actor.person), "approve"):
            return ActionResult(Sentence("not_yours", values | {"owner": first.person}), "no_right")
        if request.plan is None:
            return ActionResult(Sentence("retry_no_plan", values), "no_plan")
        well = all(job.state is JobState.SUCCEEDED for job in txn.jobs_of(request.id))
        if request.state is not RequestState.DONE or not well:
            return ActionResult(Sentence("draft_not_done", values), "not_ended")
        return request, request is not first

    def _last_planned(self, txn: Txn, actor: Actor, source: Request | None) -> Request | None:
        if source is None:
            return None
        since = source.received_at - self._history_seconds
        for one in txn.earlier_requests(source, since, MAX_HISTORY):
            if one.plan is not None and actor.person in {one.person, *one.behalf.split()}:
                return one
        return None

    # ---- deciding

    async def accept(self, actor: Actor, number: int) -> ActionResult:
        if (no := self._denied(actor, "review")) is not None:
            return await self._refuse(actor, "review", no)
        draft = await self._store.read(lambda txn: txn.draft(number))
        if draft is None:
            return _unknown(number)
        if draft.state == "rejected":
            return _already_decided(draft)
        if draft.by == actor.person and (others := self._other_admins(actor.person)):
            values = {"number": number, "person": actor.person, "others": ", ".join(others[:5])}
            return await self._refuse(
                actor, "review", ActionResult(Sentence("draft_own", values), "own_draft"), draft.request_id
            )
        if is_unreadable(draft.body):
            return ActionResult(Sentence("draft_problem", {"problem": draft.body}), "clash")
        if actor.via != "console" and len(draft.body) > MAX_CHAT_BODY:
            return ActionResult(Sentence("draft_elsewhere", {"number": number}), "too_long")
        try:
            text, body = await asyncio.to_thread(publish.read_with_text, self.file)
            there = draft.name in body.get("runbooks", {})
            if there and draft.state == "accepted":
                return _already_decided(draft)
            await asyncio.to_thread(publish.parse_with, text, draft.body, self.file)
        except UserError as error:
            return ActionResult(
                Sentence("draft_problem", {"problem": publish.describe_error(error, self.file)}), "clash"
            )
        return await self._publish(actor, draft, text)

    async def _publish(self, actor: Actor, draft: Draft, text: str) -> ActionResult:
        """Commits the yes, then writes the file, whose text is `text`."""
        request = await self._store.read(lambda txn: txn.request(draft.request_id))
        accepted = draft
        if draft.state == "proposed":
            try:
                accepted = await self._units.write(lambda uow: _decide(uow, actor, draft, "accepted"))
            except Conflict:
                return await self.show(actor, draft.number)
        was = request.number if request is not None else 0
        origin = f"# d{draft.number}, from r{was}: proposed by {draft.by}, accepted by {accepted.decided_by}"
        try:
            await asyncio.to_thread(publish.publish, self.file, text, f"{origin}\n{draft.body}")
        except UserError as error:
            why = str(error)
            await self._units.write(lambda uow: _reopen(uow, actor, accepted, why))
            return ActionResult(Sentence("draft_file", {"problem": publish.describe_error(error, self.file)}), "file")
        values = {"number": draft.number, "name": draft.name}
        return ActionResult(Sentence("draft_accepted", values), "", draft_view(accepted))

    async def decline(self, actor: Actor, number: int, why: str = "") -> ActionResult:
        """An admin's no; or that of the person who proposed it, who takes it back."""
        draft = await self._store.read(lambda txn: txn.draft(number))
        right = "review" if draft is not None and draft.by != actor.person else "propose"
        if (no := self._denied(actor, right)) is not None:
            return await self._refuse(actor, right, no)
        if draft is None:
            return _unknown(number)
        if draft.state != "proposed":
            return _already_decided(draft)
        try:
            after = await self._units.write(lambda uow: _decide(uow, actor, draft, "rejected", why))
        except Conflict:
            return await self.show(actor, number)
        return ActionResult(Sentence("draft_declined", {"number": number, "name": draft.name}), "", draft_view(after))

    def _other_admins(self, person: str) -> list[str]:
        people = self._world().people
        return [name for name in people.names() if name != person and may(people.roles(name), "review")]

    # ---- who may

    def _denied(self, actor: Actor, verb: str) -> ActionResult | None:
        denied = check_verb(actor.person, self._world().people.roles(actor.person), verb)
        return None if denied is None else ActionResult.refused(denied)

    async def _refuse(self, actor: Actor, verb: str, result: ActionResult, subject: str = "") -> ActionResult:
        """A refusal that the audit should have."""
        if result.code in ("no_right", "own_draft"):
            await self._units.write(lambda uow: refuse(uow, actor, verb, result, subject))
        return result


def _decide(uow: UnitOfWork, actor: Actor, draft: Draft, state: str, why: str = "") -> Draft:
    why = why[:MAX_REASON]
    after = replace(draft, state=state, decided_by=actor.person, decided_at=uow.now, reason=why)
    uow.txn.save_draft(draft, after)
    data = {"draft": draft.number, "name": draft.name, "sha256": _digest(draft.body), **_origin(actor)}
    data |= {"own": draft.by == actor.person} | ({"why": why} if why else {})
    uow.audit(f"runbook.{state}", draft.request_id, actor.person, data)
    return after


def _reopen(uow: UnitOfWork, actor: Actor, draft: Draft, why: str) -> None:
    """The file could not be written: the draft waits again."""
    uow.txn.save_draft(draft, replace(draft, state="proposed", decided_by="", decided_at=None, reason=""))
    data = {"draft": draft.number, "name": draft.name, "why": why[:MAX_REASON]}
    uow.audit("runbook.unwritten", draft.request_id, actor.person, data)


def draft_view(draft: Draft) -> dict[str, Any]:
    """A draft as programs get it."""
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
    return Sentence("drafts_item", {"number": draft["number"], "name": draft["name"], "person": draft["by"]}).render(
        language
    )


def _latest_edit(txn: Txn, request: Request) -> Request:
    """What became of a request whose plan was edited; itself where it was not."""
    for _ in range(MAX_EDITS):
        if request.state is not RequestState.REJECTED:
            break
        rows = txn.events(subject=request.id, kind_prefix="request.rejected", limit=1)
        number = rows[0].data.get("edited_as") if rows else None
        after = txn.request_by_number(number) if isinstance(number, int) else None
        if after is None:
            break
        request = after
    return request


def _unknown(number: int) -> ActionResult:
    return ActionResult(Sentence("draft_unknown", {"number": number}), "unknown")


def _already_decided(draft: Draft) -> ActionResult:
    key = "draft_was_accepted" if draft.state == "accepted" else "draft_was_declined"
    return ActionResult(Sentence(key, {"number": draft.number, "person": draft.decided_by}), "already_decided")


def _origin(actor: Actor) -> dict[str, str]:
    return {"via": actor.via} | ({"from": actor.remote} if actor.remote else {})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
