"""What a message means: at once where a command, an act or a runbook says it, else at length, with pictures and models.

`at_once` is a call and answers nearly every message. What it gives None for goes to `at_length`, in a lane of its own
(`hub.engine`), so that nobody who wrote a plain command waits behind a model.

Whatever pictures were part of a message taints its plan: policy then never allows it without a person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from common.catalogue import Sentence
from common.plan import BadPlan
from hub.fleet import Fleet
from hub.people import People
from hub.plan.chain import Chain
from hub.plan.followup import refers
from hub.plan.outcome import DRAFT_VERBS, Act, Cannot, Context, Exchange, Outcome, Planned, Said
from hub.records import Request


@dataclass(frozen=True, slots=True)
class Note:
    """Something for the audit: sealed itself, its digest and `facts` for everyone who may read the audit."""

    kind: Literal["reading", "prompt", "answer"]
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Thought:
    outcome: Outcome
    stages: tuple[tuple[str, float], ...] = ()  # stage, seconds
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read in a message's pictures, all of them together."""

    text: str = ""
    key_lines: tuple[str, ...] = ()
    problem: Sentence | None = None  # why there is no text
    note: Sentence | None = None  # what people are told beside the text
    seconds: float = 0.0


class Model(Protocol):
    """Plans with a language model. It answers always: with Cannot where no model could."""

    async def plan(self, context: Context) -> Thought: ...


class Eyes(Protocol):
    """Reads pictures; never raises for what is in them."""

    async def read(self, pictures: Sequence[bytes]) -> Seen: ...


class Scribe(Protocol):
    """Does what people say about drafts of runbooks, in units of its own, and gives the answer. Done twice, it is the
    same act.
    """

    async def from_chat(self, request: Request, act: Act) -> str: ...


class Thinker:
    def __init__(
        self,
        *,
        chain: Callable[[], Chain],
        people: People,
        fleet: Fleet,
        clock: Callable[[], float],
        model: Model | None = None,
        eyes: Eyes | None = None,
        scribe: Scribe | None = None,
    ) -> None:
        """Without `model` plain words that no runbook fits are not understood; without `eyes` pictures are not read."""
        self._chain = chain
        self._people = people
        self._fleet = fleet
        self._clock = clock
        self._model = model
        self._scribe = scribe
        self.eyes = eyes

    def at_once(self, request: Request, text: str, pictures: int) -> Outcome | None:
        """The meaning, where it takes no thinking."""
        if not request.person:
            identity = f"{request.inlet}:{request.chat_user}"
            return Cannot(Sentence("unknown_person", {"identity": identity}), code="unknown_person")
        if pictures and self.eyes is not None:
            return None
        if pictures and not text.strip():
            return Cannot(Sentence("images_unread"), code="images")
        context = self._context(request, text)
        try:
            outcome = self._chain().at_once(context)
            if (outcome is None or isinstance(outcome, Cannot)) and refers(text):
                return None  # it may lean on what was said before, which takes a look into the store
            if isinstance(outcome, Act) and outcome.verb in DRAFT_VERBS:
                return None
            if outcome is None and self._model is None:
                outcome = self._without_model(context)
        except BadPlan as error:
            outcome = too_big(error)
        return outcome

    async def at_length(
        self, request: Request, text: str, thread: tuple[Exchange, ...] = (), seen: Seen | None = None
    ) -> Thought:
        """The meaning of what was not clear at once. `seen` is what its pictures say."""
        if seen is not None and seen.problem is not None and not text.strip():
            return Thought(Cannot(seen.problem, code="images"))
        read_only = not text.strip() and seen is not None  # no word of a person: it asks for nothing but a plan
        words = seen.text if read_only and seen is not None else text
        context = replace(self._context(request, words), thread=thread, seen=seen.text if seen is not None else "")
        try:
            outcome = self._chain().at_once(context)
            if read_only and isinstance(outcome, Act):
                thought = Thought(Cannot(Sentence("picture_acts"), code="images"))
            elif isinstance(outcome, Act) and outcome.verb in DRAFT_VERBS:
                thought = Thought(await self._about_drafts(request, outcome))
            elif outcome is not None:
                thought = Thought(outcome)
            elif self._model is not None:
                thought = await self._model.plan(context)
            else:
                thought = Thought(self._without_model(context))
        except BadPlan as error:
            thought = Thought(too_big(error))
        return thought if seen is None else replace(thought, outcome=tainted(thought.outcome))

    def _without_model(self, context: Context) -> Outcome:
        """The last resort, which says what it cannot do for want of a model."""
        outcome = self._chain().last_resort(context)
        if isinstance(outcome, Cannot):
            outcome = replace(outcome, sentence=Sentence("model_none", {"offer": outcome.sentence}))
        return outcome

    async def _about_drafts(self, request: Request, act: Act) -> Outcome:
        if self._scribe is None:
            return Cannot(Sentence("not_understood"), code="not_understood")
        return Said(await self._scribe.from_chat(request, act))

    def _context(self, request: Request, text: str) -> Context:
        return Context(
            text=text,
            language=request.language,
            person=request.person,
            roles=self._people.roles(request.person),
            inventory=self._fleet.inventory,
            now=self._clock(),
        )


def tainted(outcome: Outcome) -> Outcome:
    """A plan that text of no person took part in is never allowed without one."""
    return Planned(replace(outcome.plan, tainted=True)) if isinstance(outcome, Planned) else outcome


def too_big(error: BadPlan) -> Cannot:
    return Cannot(Sentence("plan_too_big", {"problem": str(error)}), code="plan")
