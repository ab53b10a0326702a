"""The plan of a message: at once where it is a command or fits a runbook, else with pictures, earlier messages and
models.

`plan_fast` is a plain call and answers nearly every message. Where it returns None the message goes to `plan_slow`, in
the planning queue (`hub.engine.planning_queue`), so that nobody who wrote a plain command waits behind a model.

Text of pictures taints the plan of its message: policy then never allows it without a person.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from common.catalogue import Sentence
from common.plan import BadPlan
from common.policy.check import Policy
from common.text import clean
from hub.core.judgement import bind_policy
from hub.core.outcome import (
    BOT,
    DRAFT_VERBS,
    CannotPlan,
    ChatCommand,
    Exchange,
    ImageText,
    PlainAnswer,
    Planned,
    PlanningContext,
    PlanningOutcome,
    PlanningResult,
)
from hub.core.records import Request
from hub.core.who_may import names_of
from hub.identity.agents import AgentRegistry
from hub.identity.people import PeopleDirectory
from hub.planning.chain import PlannerChain, first_outcome
from hub.planning.chat_commands import ChatCommandPlanner, redact
from hub.planning.completion import only_machines
from hub.planning.followup import may_refer_back
from hub.planning.link_words import link_code
from hub.planning.machine_commands import MachineCommandPlanner
from hub.planning.reading import read_message
from hub.planning.unaddressed import Unaddressed, classify

_ACTS: Final = (ChatCommandPlanner(), MachineCommandPlanner())
MAX_ACT: Final = 1_000  # characters
_WORK: Final = frozenset({"retry", *DRAFT_VERBS})
"""Chat commands that bring work."""


class AsyncPlanner(Protocol):
    """Plans with a language model. It answers always: with CannotPlan where no model could."""

    async def plan(self, context: PlanningContext) -> PlanningResult: ...


class ImageReader(Protocol):
    """Reads pictures; never raises for what is in them."""

    async def read(self, pictures: Sequence[bytes]) -> ImageText: ...


class DraftCommandHandler(Protocol):
    """Carries out commands about drafts of runbooks, in units of work of its own; the text answers the message. May be
    done twice: the second time changes nothing.
    """

    async def handle_chat_command(self, request: Request, command: ChatCommand) -> str: ...


class PlanningService:
    def __init__(
        self,
        *,
        chain: Callable[[], PlannerChain],
        people: PeopleDirectory,
        fleet: AgentRegistry,
        clock: Callable[[], float],
        model: AsyncPlanner | None = None,
        image_reader: ImageReader | None = None,
        draft_commands: DraftCommandHandler | None = None,
        policy: Callable[[], Policy] | None = None,
        bot_of: Callable[[str], str] = lambda inlet: BOT,
    ) -> None:
        """Without `policy` no command is understood that lacks its `@`; without `model` plain words that no runbook
        fits are not understood; without `image_reader` pictures are not read.
        """
        self._chain = chain
        self._people = people
        self._fleet = fleet
        self._clock = clock
        self._model = model
        self._draft_commands = draft_commands
        self._policy = policy
        self._bot_of = bot_of
        self.image_reader = image_reader

    @property
    def has_model(self) -> bool:
        return self._model is not None

    def use_model(self, model: AsyncPlanner | None) -> None:
        """Another planner with models, or none, from the next message on."""
        self._model = model

    def plan_fast(self, request: Request, text: str, pictures: int) -> PlanningOutcome | None:
        """The outcome, where it takes neither pictures nor earlier messages nor a model; None where it does."""
        bot = self._bot_of(request.inlet)
        if (code := link_code(read_message(text, self._fleet.inventory, bot))) is not None:
            return ChatCommand("link", code=code)
        if not request.person:
            identity = shlex.quote(f"{request.inlet}:{clean(request.chat_user)}")  # an admin pastes it into a shell
            admins = names_of(self._people.holders("admin"))
            return CannotPlan(Sentence("unknown_person", {"identity": identity, "admins": admins}), "unknown_person")
        if pictures and self.image_reader is not None:
            return None
        if pictures and not text.strip():
            return CannotPlan(Sentence("images_unread"), code="images")
        context = self._context(request, text)
        try:
            outcome = self._chain().plan_fast(context)
            open_ended = outcome is None or isinstance(outcome, CannotPlan) or _is_machine_alone(outcome)
            if open_ended and (may_refer_back(text) or only_machines(text, context.inventory)):
                return None  # it may refer to an earlier message, which is in the store
            if isinstance(outcome, ChatCommand) and self._takes_history(outcome):
                return None
            if outcome is None and self._model is None:
                outcome = self._plan_without_model(context)
        except BadPlan as error:
            outcome = plan_too_big(error)
        return outcome

    def is_act(self, inlet: str, text: str) -> bool:
        """Whether a message decides, takes back or asks, and brings no work: told by its words alone, so that it is
        told of each message of a flood too.
        """
        if len(text) > MAX_ACT or text.lstrip().startswith("@"):
            return False
        inventory = self._fleet.inventory
        words = read_message(text, inventory, self._bot_of(inlet))
        outcome = first_outcome(PlanningContext(words, "en", "", (), inventory, self._clock()), _ACTS)
        return isinstance(outcome, ChatCommand) and outcome.verb not in _WORK

    def classify_unaddressed(self, request: Request, text: str) -> Unaddressed:
        """What a message is that is not addressed to the bot."""
        return classify(self._context(request, text))

    def _takes_history(self, command: ChatCommand) -> bool:
        """Whether a command waits for slow planning: drafts, a yes that may be the answer to a question of ours, a
        no to a model's.
        """
        return command.verb in (*DRAFT_VERBS, "yes") or (self._model is not None and command.verb == "no")

    async def plan_slow(
        self, request: Request, text: str, history: tuple[Exchange, ...] = (), image_text: ImageText | None = None
    ) -> PlanningResult:
        """The outcome of a message that `plan_fast` gave None for; `image_text` is the text of its pictures."""
        if image_text is not None and image_text.problem is not None and not text.strip():
            return PlanningResult(CannotPlan(image_text.problem, code="images"))
        read_only = not text.strip() and image_text is not None  # no person's text: only a plan may come of it
        words = image_text.text if read_only and image_text is not None else text
        context = replace(
            self._context(request, words), history=history, image_text=image_text.text if image_text is not None else ""
        )
        try:
            outcome = self._chain().plan_fast(context)
            if read_only and isinstance(outcome, ChatCommand):
                result = PlanningResult(CannotPlan(Sentence("picture_acts"), code="images"))
            elif isinstance(outcome, ChatCommand) and outcome.verb in DRAFT_VERBS:
                result = PlanningResult(await self._handle_draft_command(request, outcome))
            elif outcome is not None:
                result = PlanningResult(outcome)
            elif self._model is not None:
                # A code that is said to us is not for a model, nor for whoever runs it.
                result = await self._model.plan(context if read_only else replace(context, text=redact(words)))
            else:
                result = PlanningResult(self._plan_without_model(context))
        except BadPlan as error:
            result = PlanningResult(plan_too_big(error))
        return result if image_text is None else replace(result, outcome=taint(result.outcome))

    def _plan_without_model(self, context: PlanningContext) -> PlanningOutcome:
        """The fallback planner. That there is no model is told to admins, once (`hub.engine.model_hint`)."""
        return self._chain().plan_fallback(context)

    async def _handle_draft_command(self, request: Request, command: ChatCommand) -> PlanningOutcome:
        if self._draft_commands is None:
            return CannotPlan(Sentence("not_understood"), code="not_understood")
        return PlainAnswer(await self._draft_commands.handle_chat_command(request, command))

    def _context(self, request: Request, text: str) -> PlanningContext:
        roles = self._people.roles(request.person)
        check = None
        if self._policy is not None:
            check = bind_policy(self._policy(), roles, self._fleet.snapshot.labels, tainted=False, now=self._clock())
        return PlanningContext(
            text=text,
            language=request.language,
            person=request.person,
            roles=roles,
            inventory=self._fleet.inventory,
            now=self._clock(),
            check=check,
            bot=self._bot_of(request.inlet),
        )


def _is_machine_alone(outcome: PlanningOutcome) -> bool:
    """Whether the message is the name of a machine, which may be the answer to a question of ours."""
    return isinstance(outcome, ChatCommand) and outcome.verb == "hello" and bool(outcome.phrase)


def taint(outcome: PlanningOutcome) -> PlanningOutcome:
    """Marks a plan that text of nobody known took part in: policy never allows it without a person."""
    return Planned(replace(outcome.plan, tainted=True)) if isinstance(outcome, Planned) else outcome


def plan_too_big(error: BadPlan) -> CannotPlan:
    return CannotPlan(Sentence("plan_too_big", {"problem": str(error)}), code="plan")
