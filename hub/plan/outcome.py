"""What a planner may say of a message, and what it knows when it says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from common.catalogue import Language, Sentence
from common.plan import Plan
from hub.machines import Inventory

Verb = Literal[
    "approve",
    "reject",
    "cancel",
    "status",
    "machines",
    "help",
    "whoami",
    "propose",
    "drafts",
    "draft",
    "accept",
    "decline",
]
DRAFT_VERBS: Final[frozenset[Verb]] = frozenset({"propose", "drafts", "draft", "accept", "decline"})
"""What is said about drafts of runbooks (`hub.acts_drafts`); `Act.number` is the draft's then, but with `propose`."""


@dataclass(frozen=True, slots=True)
class Planned:
    """Commands for machines; policy has not seen them yet."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Said:
    """A plain answer; no machine is needed. `asks`: it is a question back, which the next message answers."""

    text: str
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """Something to do with an earlier request, or a look around."""

    verb: Verb
    number: int | None = None  # the request's; None means the only one that is open here
    code: str = ""  # second factor: digits, as typed
    why: str = ""
    name: str = ""  # of the runbook that is proposed
    phrase: str = ""  # how people are to ask for it; "" where the message itself says so


@dataclass(frozen=True, slots=True)
class Cannot:
    """Understood well enough to say why nothing runs; `code` is for programs and the audit."""

    sentence: Sentence
    code: str = "plan"


Outcome = Planned | Said | Act | Cannot


@dataclass(frozen=True, slots=True)
class Exchange:
    """An earlier message of the same conversation and what became of it."""

    text: str  # the person's words
    own: bool  # of the person who speaks now; others' words taint what is planned from them
    at: float
    plan: Plan | None = None  # what was planned; None where it was answered in words, or not understood
    answer: str = ""  # a model's own plain answer or question back
    asks: bool = False  # `answer` is a question back
    tainted: bool = False  # text of somebody else took part in `answer`
    asked: bool = False  # its plan needed a person's yes


@dataclass(frozen=True, slots=True)
class Context:
    """One message and the world it is read in. `text` is the person's, already without a mention of the bot."""

    text: str
    language: Language
    person: str
    roles: Sequence[str]
    inventory: Inventory
    now: float
    thread: tuple[Exchange, ...] = ()  # what was said before, the newest last
    seen: str = ""  # what was read in the message's pictures: no person's words


class Planner(Protocol):
    def plan(self, context: Context) -> Outcome | None:
        """None where this planner has nothing to say, and the next one is asked."""
        ...
