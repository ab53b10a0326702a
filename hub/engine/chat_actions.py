"""What a chat message asks for beside work: approve, reject, cancel, yes, retry, pause, resume, wake. What only looks
around is in `chat_views`.

The message is a request of its own (r43), which these actions answer; the request they act on (r42) is another one in
the same unit of work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from common.catalogue import Language, Sentence
from common.lifecycle import RequestState
from hub.chat.approval_text import fits_chat, plan_lines
from hub.chat.compose import ReplyComposer
from hub.core.action_checks import OPEN_STATES, check_retry, check_verb, choose_request
from hub.core.approval import DecisionRefused, approval_code
from hub.core.outcome import CannotPlan, ChatCommand, Planned
from hub.core.plain_answer import answer_to_no, choose_for_yes
from hub.core.records import Approval, Request, state_words
from hub.engine import pause_drain
from hub.engine.actor import ActionResult, Actor
from hub.engine.chat_links import ChatLinks
from hub.engine.chat_views import ChatViews
from hub.engine.confirm import Confirmations
from hub.engine.request_actions import RequestActions, refuse
from hub.engine.standing_approvals import MAX_LISTED, line_of
from hub.engine.unit_of_work import UnitOfWork
from hub.engine.wake import Wakes

MAX_CANDIDATES: Final = 200  # open requests among which a command without a number finds its own
MAX_WOKEN: Final = 8  # machines that one message wakes
CHAT_RIGHTS: Final = {
    "reject": "run",  # the requester takes back their own, and others are asked for their right then
    "yes": "help",
    "no": "help",
    "hello": "help",
    "thanks": "help",
    "show": "status",
    "output": "jobs",
    "more": "jobs",
    "file": "jobs",
    "history": "jobs",
    "page": "approve",
    "allow": "approve",
    "allowed": "jobs",
    "disallow": "jobs",  # whoever it is for takes it back too; others are asked for their right then
}
"""Chat's verbs that everybody with another right may try."""


class ChatActions:
    def __init__(
        self, actions: RequestActions, composer: ReplyComposer, confirmations: Confirmations, wakes: Wakes
    ) -> None:
        self._actions = actions
        self._confirmations = confirmations
        self._wakes = wakes
        self._views = ChatViews(composer)
        self._links = ChatLinks()

    def handle_chat_command(self, uow: UnitOfWork, request: Request, command: ChatCommand) -> str:
        """Does what the message `request` asks for; the text answers it, "" where a card shows what a click did."""
        if command.verb == "link":
            return self._links.handle(uow, request, command.code).render(request.language)
        actor = Actor(request.person, request.inlet, request.conversation)
        roles = uow.world.people.roles(actor.person)
        denied = check_verb(actor.person, roles, CHAT_RIGHTS.get(command.verb, command.verb))
        if denied is not None:
            return refuse(uow, actor, command.verb, ActionResult.refused(denied)).sentence.render(request.language)
        if command.verb == "page":
            asked = _find_request(uow, actor, command)
            sentence = (
                asked.sentence if isinstance(asked, DecisionRefused) else self._confirmations.give(uow, request, asked)
            )
            return sentence.render(request.language)
        text = self._views.answer(uow, request, actor, command)
        if text is not None:
            return text
        if command.verb == "wake":
            return self._wake(uow, actor, command, request).render(request.language)
        result = self._act(uow, actor, command, request.language)
        if result.code == "code_needed" and self._confirmations.has_pages:
            result = replace(result, sentence=Sentence("code_needed_page", result.sentence.values))
        if result.code == "signature_needed" and self._confirmations.has_pages:
            result = replace(result, sentence=Sentence("signature_needed_page", result.sentence.values))
        return "" if request.button and not result.code else result.sentence.render(request.language)

    def plan_retry(
        self, uow: UnitOfWork, request: Request, command: ChatCommand
    ) -> tuple[Request, Planned | CannotPlan]:
        """The plan of an ended request again, for whoever asks now: policy judges it anew, on their rights. And the
        message's own request, which names the old one as its parent.
        """
        actor = Actor(request.person, request.inlet, request.conversation)
        denied = check_verb(actor.person, uow.world.people.roles(actor.person), "retry")
        if denied is not None:
            return request, CannotPlan(refuse(uow, actor, "retry", ActionResult.refused(denied)).sentence, denied.code)
        found = _find_request(uow, actor, command)
        refused = found if isinstance(found, DecisionRefused) else check_retry(found)
        if isinstance(found, Request) and refused is None and not uow.is_authentic(found):
            refused = DecisionRefused("forged", Sentence("row_forged", {"what": f"r{found.number}"}))
        if isinstance(found, DecisionRefused) or refused is not None or found.plan is None:
            assert refused is not None  # noqa: S101 - a request without a plan is refused
            return request, CannotPlan(refused.sentence, refused.code)
        child = replace(request, parent=found.id)
        uow.txn.save_request(request, child)
        return child, Planned(found.plan)

    def _act(self, uow: UnitOfWork, actor: Actor, command: ChatCommand, language: Language) -> ActionResult:
        if command.verb in ("pause", "resume"):
            return _pause_or_resume(uow, actor, command)
        if command.verb == "no":
            return ActionResult(answer_to_no(_waiting(uow), inlet=actor.via, conversation=actor.conversation), "how")
        if command.verb == "allowed":
            return self._list_allowed(uow)
        if command.verb == "disallow":
            return self._actions.standing.revoke(uow, actor, command.number or 0)
        found = _find_request(uow, actor, command)
        if isinstance(found, DecisionRefused):
            return ActionResult.refused(found)
        if command.verb in ("approve", "yes", "allow") and found.plan is not None and not fits_chat(found.plan):
            # What cannot be shown whole cannot be approved where it was not shown (security lesson B6).
            result = ActionResult(Sentence("approve_elsewhere", {"number": found.number}), "too_long")
            return refuse(uow, actor, "approve", result, found.id)
        if command.verb in ("approve", "allow") and (shown := _show_first(actor, command, found, language)) is not None:
            return refuse(uow, actor, "approve", shown, found.id)
        match command.verb:
            case "approve" | "yes":
                return self._actions.approve(uow, actor, found, code=command.code, plan_code=command.plan_code)
            case "allow":
                code, seconds = command.code, command.seconds or 0.0
                return self._actions.approve(
                    uow, actor, found, code=code, plan_code=command.plan_code, allow_for=seconds
                )
            case "reject":
                return self._actions.reject(uow, actor, found, why=command.why)
            case "cancel":
                return self._actions.cancel(uow, actor, found)
        return ActionResult(Sentence("not_asking", {"number": found.number, "state": state_words(found.state)}), "verb")

    def _wake(self, uow: UnitOfWork, actor: Actor, command: ChatCommand, request: Request) -> Sentence:
        """A line a machine; the results follow by themselves."""
        if len(command.targets) > MAX_WOKEN:
            return Sentence("wake_many", {"most": MAX_WOKEN})
        lines = [self._wakes.begin(uow, actor, name, request.id).sentence for name in command.targets]
        return _in_lines(lines)

    def _list_allowed(self, uow: UnitOfWork) -> ActionResult:
        """What is allowed for a while now, a line each."""
        lines = [line_of(one, uow.now) for one in uow.txn.live_standing(uow.now, MAX_LISTED)]
        if not lines:
            return ActionResult(Sentence("allow_none"))
        return ActionResult(_in_lines(lines))


def _in_lines(lines: Sequence[Sentence]) -> Sentence:
    """One sentence or more, a line each."""
    said = lines[0]
    for line in lines[1:]:
        said = Sentence("two_lines", {"first": said, "second": line})
    return said


def _show_first(actor: Actor, command: ChatCommand, found: Request, language: Language) -> ActionResult | None:
    """What is answered to an approval by number of a plan that this conversation has not been shown: the plan, and the
    code that says that it was seen. A number is soon one of another plan's (security lesson B6).
    """
    here = (found.inlet, found.conversation) == (actor.via, actor.conversation)
    if here or command.plan_code or found.state is not RequestState.ASKING or found.plan is None:
        return None
    values = {"number": found.number, "person": found.person, "code": approval_code(found)}
    plan = plan_lines(found.plan, language)
    return ActionResult(Sentence("approve_not_shown", {**values, "plan": plan}), "not_shown")


def _find_request(uow: UnitOfWork, actor: Actor, command: ChatCommand) -> Request | DecisionRefused:
    """The request that a command means: by number, or the only one that is open in its conversation."""
    if command.verb == "yes":
        roles = uow.world.people.roles(actor.person)
        here = {"inlet": actor.via, "conversation": actor.conversation}
        chosen = choose_for_yes(_waiting(uow), person=actor.person, roles=roles, now=uow.now, **here)
        if command.number is not None and isinstance(chosen, Request) and chosen.number != command.number:
            return DecisionRefused("ambiguous", Sentence("yes_outright"))
        return chosen
    if command.number is not None:
        found = uow.txn.request_by_number(command.number)
        return found or DecisionRefused("unknown", Sentence("no_request", {"what": f"r{command.number}"}))
    states = OPEN_STATES if command.verb == "cancel" else (RequestState.ASKING,)
    candidates = uow.txn.requests(states=states, limit=MAX_CANDIDATES)
    return choose_request(
        command.verb, candidates, inlet=actor.via, conversation=actor.conversation, person=actor.person
    )


def _waiting(uow: UnitOfWork) -> list[tuple[Request, list[Approval]]]:
    """What waits for approval, with the approvals it has."""
    asking = uow.txn.requests(states=(RequestState.ASKING,), limit=MAX_CANDIDATES)
    return [(request, uow.txn.approvals(request.id)) for request in asking]


def _pause_or_resume(uow: UnitOfWork, actor: Actor, command: ChatCommand) -> ActionResult:
    names = command.targets
    if command.verb == "pause":
        until = None if command.seconds is None else uow.now + command.seconds
        count, kind = pause_drain.pause(uow, actor, names, command.why, until), "paused"
    else:
        count, kind = pause_drain.resume(uow, actor, names), "resumed"
    key = f"{kind}_now" if len(names) == 1 else f"{kind}_some"
    return ActionResult(Sentence(key, {"what": names[0], "count": count}), "", {"count": count})
