"""The outcomes of planning a message, and the context that a planner has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from common.catalogue import Language, Sentence
from common.plan import BadPlan, Plan, Step
from common.policy.check import Verdict
from hub.core.inventory import Inventory

ChatVerb = Literal[
    "approve",
    "reject",
    "cancel",
    "status",
    "machines",
    "show",
    "output",
    "more",
    "file",
    "retry",
    "jobs",
    "history",
    "pause",
    "resume",
    "wake",
    "yes",
    "no",
    "hello",
    "thanks",
    "help",
    "whoami",
    "link",
    "page",
    "propose",
    "drafts",
    "draft",
    "accept",
    "decline",
    "allow",
    "allowed",
    "disallow",
]
DRAFT_VERBS: Final[frozenset[ChatVerb]] = frozenset({"propose", "drafts", "draft", "accept", "decline"})
"""Commands about drafts of runbooks (`hub.engine.runbook_drafts`); `ChatCommand.number` is the draft's then, but
with `propose`.
"""


BOT: Final = "answerback"
"""What the bot is called where nothing else is configured."""


@dataclass(frozen=True, slots=True)
class Planned:
    """Commands for machines; policy has not judged them yet."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class PlainAnswer:
    """A plain answer; no machine is needed. `asks`: it is a question back, which the next message answers."""

    text: str
    asks: bool = False


@dataclass(frozen=True, slots=True)
class ChatCommand:
    """An action on an earlier request, or a question about the hub."""

    verb: ChatVerb
    number: int | None = None  # the request's; None means the only one that is open here
    code: str = ""  # second factor: digits, as typed; of `link` its code
    plan_code: str = ""  # the request's own, as it was printed (hub.core.approval)
    why: str = ""
    page: int = 1  # of the output, for `more`
    name: str = ""  # of the runbook that is proposed
    phrase: str = ""  # how people are to ask for it, "" where the message itself says so; of `help` the topic
    targets: tuple[str, ...] = ()  # the machines to pause, resume or wake
    seconds: float | None = None  # how long they are paused; None until somebody resumes them; of `allow` how long


@dataclass(frozen=True, slots=True)
class CannotPlan:
    """Understood well enough to say why nothing runs; `code` is for programs and the audit."""

    sentence: Sentence
    code: str = "plan"
    meant: str | Sentence = ""  # the one thing to send instead, where the sentence asks whether it is meant


PlanningOutcome = Planned | PlainAnswer | ChatCommand | CannotPlan


@dataclass(frozen=True, slots=True)
class Exchange:
    """An earlier message of the same conversation and what became of it."""

    text: str  # the person's words
    own: bool  # of the same person; others' text taints what is planned from it
    at: float
    plan: Plan | None = None  # what was planned; None where it was answered in words, or not understood
    answer: str = ""  # a model's own plain answer or question back
    asks: bool = False  # `answer` is a question back
    tainted: bool = False  # text of somebody else took part in `answer`
    asked: bool = False  # its plan needed a person's yes
    refused: str = ""  # the code of why nothing was planned: `target` where it was asked on which machine
    reason: str = ""  # why nothing was planned, in English: what the person was told
    told_at: float = 0.0  # when it was answered, in seconds since the epoch
    is_newest: bool = False  # nothing was said or told in the conversation since its answer


@dataclass(frozen=True, slots=True)
class PlanningContext:
    """One message and the world it is read in. `text` is the person's; the chain leaves out a mention of the bot."""

    text: str
    language: Language
    person: str
    roles: Sequence[str]
    inventory: Inventory
    now: float
    history: tuple[Exchange, ...] = ()  # earlier messages, the newest last
    image_text: str = ""  # what was read in the message's pictures: no person's words
    bot: str = BOT  # what the bot is called where the message came from
    check: Callable[[Step, str], Verdict] | None = field(default=None, compare=False)
    """Policy for this person, on one step and machine; None where the caller has none."""

    def allows(self, argv: Sequence[str], target: str) -> bool:
        """Whether policy does not deny the command there; False where it is not known, or is no command."""
        try:
            return self.check is not None and self.check(Step(tuple(argv), (target,)), target).kind != "deny"
        except BadPlan:
            return False


class Planner(Protocol):
    def plan(self, context: PlanningContext) -> PlanningOutcome | None:
        """None where this planner has nothing to say, and the next one is asked."""
        ...


@dataclass(frozen=True, slots=True)
class SealedNote:
    """Something for the audit: sealed itself, its digest and `facts` for everyone who may read the audit."""

    kind: Literal["reading", "prompt", "answer"]
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanningResult:
    outcome: PlanningOutcome
    stages: tuple[tuple[str, float], ...] = ()  # stage, seconds
    notes: tuple[SealedNote, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageText:
    """What was read in a message's pictures, all of them together."""

    text: str = ""
    key_lines: tuple[str, ...] = ()
    problem: Sentence | None = None  # why there is no text
    warning: Sentence | None = None  # for people, beside the text
    seconds: float = 0.0
