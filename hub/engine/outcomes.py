"""What comes of a message once its planner has answered: refused, answered, asked about, or queued; inside the unit of
work that the caller runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from common.catalogue import Sentence
from hub.config import HubConfig
from hub.core.admission import check_admission, judge_plan, transition_of
from hub.core.judgement import Judgement
from hub.core.outcome import CannotPlan, ChatCommand, PlainAnswer, Planned, PlanningOutcome
from hub.core.queue_limits import QueueCounts, QueueLimits, needs_agent_counts
from hub.core.records import Request
from hub.core.short_refusal import SHORTENED, short_refusal
from hub.engine.chat_actions import ChatActions
from hub.engine.earlier_messages import was_just_refused
from hub.engine.model_hint import hint_at_models
from hub.engine.said_codes import SaidCodes, gives_code
from hub.engine.standing_approvals import StandingApprovals
from hub.engine.unit_of_work import UnitOfWork


class OutcomeApplier:
    def __init__(
        self,
        *,
        chat_actions: ChatActions,
        said_codes: SaidCodes,
        standing: StandingApprovals,
        has_model: Callable[[], bool],
        config: Callable[[], HubConfig],
    ) -> None:
        self._chat_actions = chat_actions
        self._said_codes = said_codes
        self._standing = standing
        self._has_model = has_model
        self._config = config

    def apply(self, uow: UnitOfWork, request: Request, outcome: PlanningOutcome, steps: tuple[int, ...] = ()) -> None:
        """Moves a received request on by what its planner said; `steps` are those of the codes said in it."""
        if not uow.is_authentic(request):
            outcome = CannotPlan(Sentence("row_forged", {"what": f"r{request.number}"}), "forged")
        if isinstance(outcome, ChatCommand) and outcome.verb == "retry":
            request, outcome = self._chat_actions.plan_retry(uow, request, outcome)
        match outcome:
            case ChatCommand():
                text = self._chat_actions.handle_chat_command(uow, request, outcome)
                request, note = self._said_codes.take_away(uow, request, steps, given=gives_code(outcome))
                self.move(uow, request, PlainAnswer(text), note)
            case Planned(plan):
                check = uow.world.checker(request.person, plan.tainted, uow.now)
                decision = judge_plan(plan, check, self._config().queue.ttl)
                if not isinstance(decision, CannotPlan) and decision.kind != "deny":
                    limits = self._queue_limits()
                    counts = _count_queue(uow, request.person, plan.targets, limits)
                    decision = check_admission(request.person, decision, counts, limits)
                request, _ = self._said_codes.take_away(uow, request, steps)
                self.move(uow, request, decision)
            case CannotPlan(code="not_understood") if not self._has_model():
                request, note = self._said_codes.take_away(uow, request, steps)
                self.move(uow, request, hint_at_models(uow, request, outcome), note)
            case PlainAnswer() | CannotPlan():
                request, note = self._said_codes.take_away(uow, request, steps)
                self.move(uow, request, outcome, note)

    def move(
        self,
        uow: UnitOfWork,
        request: Request,
        decision: PlainAnswer | CannotPlan | Judgement,
        note: Sentence | None = None,
    ) -> None:
        """`note` stands below the answer."""
        transition, text = transition_of(request, decision, uow.now, self._config().queue.decide_within)
        if (sentence := _shortened(decision)) is not None and was_just_refused(uow, request):
            text = short_refusal(sentence, request.language)
        if isinstance(decision, Judgement) and decision.kind == "ask":
            transition = self._standing.apply(uow, transition)
        if note is not None:
            text = f"{text}\n{note.render(request.language)}" if text else note.render(request.language)
        uow.apply_transition(request, transition, actor_of(request), text)

    def _queue_limits(self) -> QueueLimits:
        queue = self._config().queue
        return QueueLimits(total=queue.max_total, person=queue.max_person, agent=queue.max_agent)


def actor_of(request: Request) -> str:
    """The person, or the chat user where nobody is known by that name."""
    return request.person or f"{request.inlet}:{request.chat_user}"


def _shortened(decision: PlainAnswer | CannotPlan | Judgement) -> Sentence | None:
    """The sentence of a refusal that gets shorter where it is not the first one; None of anything else."""
    match decision:
        case CannotPlan(sentence, code, "") if code in SHORTENED:
            return sentence
        case Judgement(kind="deny"):
            return decision.reason
    return None


def _count_queue(uow: UnitOfWork, person: str, targets: Sequence[str], limits: QueueLimits) -> QueueCounts:
    total = uow.txn.count_queued()
    counted = targets if needs_agent_counts(total, limits) else ()
    agents = {target: uow.txn.count_queued(agent=target) for target in counted}
    return QueueCounts(total, uow.txn.count_queued(person=person), agents)
